from sqlalchemy import or_
from sqlalchemy.orm import Session

from ordertrack.models import Customer, Order


class CustomerRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, customer_id: int) -> Customer | None:
        return self.session.get(Customer, customer_id)

    def by_email(self, email: str) -> Customer | None:
        return self.session.query(Customer).filter_by(email=email.lower()).one_or_none()

    def all(self) -> list[Customer]:
        return self.session.query(Customer).order_by(Customer.name).all()

    def search(self, text: str) -> list[Customer]:
        pattern = f"%{text}%"
        return (
            self.session.query(Customer)
            .filter(or_(Customer.name.ilike(pattern), Customer.email.ilike(pattern)))
            .order_by(Customer.name)
            .all()
        )

    def has_orders(self, customer: Customer) -> bool:
        return self.session.query(Order).filter(Order.customer_id == customer.id).count() > 0

    def add(self, customer: Customer) -> Customer:
        self.session.add(customer)
        self.session.flush()
        return customer
