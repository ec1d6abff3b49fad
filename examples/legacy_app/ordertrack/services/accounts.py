"""Users of the back office, and their passwords."""

from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from ordertrack.errors import Conflict, ValidationError
from ordertrack.models import User
from ordertrack.repositories import UserRepository

MIN_PASSWORD = 6


class AccountService:
    def __init__(self, session: Session, method: str = "scrypt") -> None:
        self.session = session
        self.users = UserRepository(session)
        self.method = method

    def authenticate(self, email: str, password: str) -> User | None:
        user = self.users.by_email(email)
        if user is None or not check_password_hash(user.password_hash, password):
            return None
        return user

    def create(self, email: str, name: str, password: str, role: str = "staff") -> User:
        if "@" not in email:
            raise ValidationError("not an e-mail address", "email")
        if len(password) < MIN_PASSWORD:
            raise ValidationError("password too short", "password")
        if self.users.by_email(email) is not None:
            raise Conflict(f"{email} is taken")
        user = User(
            email=email.strip().lower(),
            name=name,
            password_hash=generate_password_hash(password, method=self.method),
            role=role,
        )
        self.users.add(user)
        self.session.commit()
        return user
