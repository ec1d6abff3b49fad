from sqlalchemy.orm import Session

from ordertrack.models import User


class UserRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, user_id: int) -> User | None:
        return self.session.get(User, user_id)

    def by_email(self, email: str) -> User | None:
        return self.session.query(User).filter(User.email == email.strip().lower()).first()

    def all(self) -> list[User]:
        return self.session.query(User).order_by(User.email).all()

    def add(self, user: User) -> User:
        self.session.add(user)
        self.session.flush()
        return user
