"""Sample data for developers, demos and tests."""

from datetime import datetime

from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from ordertrack.models import Category, Customer, Order, OrderEvent, OrderLine, Product, User

CUSTOMERS = [
    ("Ada Lovelace", "ada@example.org", "DE", "Prefers mornings."),
    ("Blaise Pascal", "blaise@example.org", "FR", ""),
    ("Carl Gauss", "carl@example.org", "DE", "Pays by invoice."),
    ("Dorothy Vaughan", "dorothy@example.org", "US", ""),
]
PRODUCTS = [
    ("MUG-BLUE", "Blue mug", "Mugs", 1200, 350),
    ("MUG-RED", "Red mug", "Mugs", 1250, 350),
    ("PLATE-L", "Large plate", "Plates", 1800, 600),
    ("LAMP-DESK", "Desk lamp", "Lamps", 4900, 2100),
    ("SOFA-3", "Sofa for three", "Furniture", 89900, 48000),
]
ORDERS = [
    # customer, status, carrier, day, lines
    (0, "placed", "post", 3, [("MUG-BLUE", 2), ("PLATE-L", 4)]),
    (0, "delivered", "courier", 5, [("LAMP-DESK", 1)]),
    (1, "placed", "courier", 9, [("MUG-RED", 6)]),
    (2, "placed", "freight", 14, [("SOFA-3", 1)]),
    (2, "cancelled", "post", 20, [("MUG-BLUE", 1)]),
    (3, "draft", "post", 27, [("PLATE-L", 2), ("MUG-RED", 2)]),
]


def seed_database(session: Session, password_method: str = "scrypt") -> None:
    """Fill empty tables; the caller commits."""
    session.add_all(
        [
            User(
                email="admin@example.org",
                name="Admin",
                role="admin",
                password_hash=generate_password_hash("admin-pass", method=password_method),
            ),
            User(
                email="staff@example.org",
                name="Staff",
                role="staff",
                password_hash=generate_password_hash("staff-pass", method=password_method),
            ),
        ]
    )
    categories = {"Home": Category(name="Home"), "Furniture": Category(name="Furniture")}
    session.add_all(categories.values())
    session.flush()
    for name, parent in (("Kitchen", "Home"), ("Lamps", "Home")):
        categories[name] = Category(name=name, parent_id=categories[parent].id)
        session.add(categories[name])
    session.flush()
    for name in ("Mugs", "Plates"):
        categories[name] = Category(name=name, parent_id=categories["Kitchen"].id)
        session.add(categories[name])
    session.flush()
    products = {}
    for sku, name, category, cents, grams in PRODUCTS:
        products[sku] = Product(
            sku=sku,
            name=name,
            category_id=categories[category].id,
            price_cents=cents,
            weight_grams=grams,
        )
    session.add_all(products.values())
    customers = [
        Customer(name=name, email=email, country=country, notes=notes)
        for name, email, country, notes in CUSTOMERS
    ]
    session.add_all(customers)
    session.flush()
    for index, (customer, status, carrier, day, lines) in enumerate(ORDERS, start=1):
        order = Order(
            number=f"SO-{index:05d}",
            customer_id=customers[customer].id,
            status=status,
            carrier=carrier,
            created_at=datetime(2024, 3, day, 10, 30),
        )
        order.lines = [
            OrderLine(
                sku=sku,
                quantity=quantity,
                unit_price_cents=products[sku].price_cents,
                weight_grams=products[sku].weight_grams,
            )
            for sku, quantity in lines
        ]
        order.events = [OrderEvent(kind="placed", created_at=order.created_at)]
        session.add(order)
    session.flush()
