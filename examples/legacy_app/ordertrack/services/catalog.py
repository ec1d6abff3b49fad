"""Categories, products and their prices."""

from sqlalchemy.orm import Session

from ordertrack.clients.pricing import PricingClient
from ordertrack.errors import NotFound
from ordertrack.models import Category
from ordertrack.repositories import CatalogRepository


class CatalogService:
    def __init__(self, session: Session, pricing: PricingClient) -> None:
        self.session = session
        self.catalog = CatalogRepository(session)
        self.pricing = pricing

    def tree(self, parent_id: int | None = None) -> list[dict]:
        """All categories below `parent_id`, nested."""
        return [
            {
                "id": category.id,
                "name": category.name,
                "products": len(category.products),
                "children": self.tree(category.id),
            }
            for category in self.catalog.children(parent_id)
        ]

    def category(self, category_id: int) -> Category:
        category = self.catalog.category(category_id)
        if category is None:
            raise NotFound(f"no category {category_id}")
        return category

    def price(self, sku: str, currency: str = "EUR") -> dict:
        product = self.catalog.product(sku)
        if product is None:
            raise NotFound(f"no product {sku}")
        cents = self.pricing.unit_price(sku)
        return {
            "sku": sku,
            "name": product.name,
            "currency": currency,
            "price_cents": self.pricing.convert(cents, currency),
        }

    def refresh_prices(self, skus=None) -> int:
        """Store today's list prices; returns how many changed."""
        products = self.catalog.products(skus)
        prices = self.pricing.unit_prices([product.sku for product in products])
        changed = 0
        for product in products:
            if product.price_cents != prices[product.sku]:
                product.price_cents = prices[product.sku]
                changed += 1
        self.session.commit()
        return changed
