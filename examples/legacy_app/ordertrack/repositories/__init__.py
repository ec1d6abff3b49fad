"""Queries, one class per aggregate. Repositories never commit."""

from ordertrack.repositories.catalog import CatalogRepository
from ordertrack.repositories.customers import CustomerRepository
from ordertrack.repositories.orders import OrderRepository
from ordertrack.repositories.users import UserRepository

__all__ = ["CatalogRepository", "CustomerRepository", "OrderRepository", "UserRepository"]
