from sqlalchemy import select
from sqlalchemy.orm import Session

from ordertrack.models import Category, Product


class CatalogRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def product(self, sku: str) -> Product | None:
        return self.session.execute(select(Product).where(Product.sku == sku)).scalar_one_or_none()

    def products(self, skus=None) -> list[Product]:
        query = select(Product).order_by(Product.sku)
        if skus is not None:
            query = query.where(Product.sku.in_(skus))
        return list(self.session.scalars(query))

    def category(self, category_id: int) -> Category | None:
        return self.session.get(Category, category_id)

    def children(self, parent_id: int | None) -> list[Category]:
        query = select(Category).where(Category.parent_id == parent_id).order_by(Category.name)
        return list(self.session.scalars(query))
