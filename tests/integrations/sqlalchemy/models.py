"""A small model with what behaves differently between drivers and colours."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Numeric, String, UniqueConstraint, func
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(80))
    notes: Mapped[str | None] = deferred(mapped_column(String(200)))
    orders: Mapped[list[Order]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", order_by="Order.id"
    )


class Order(Base):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    placed: Mapped[dt.datetime] = mapped_column(DateTime)
    day: Mapped[dt.date | None]
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    weight: Mapped[float | None]
    paid: Mapped[bool] = mapped_column(default=False)
    document: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    blob: Mapped[bytes | None]
    changed: Mapped[str] = mapped_column(String(40), server_default=func.lower("NEW"))
    customer: Mapped[Customer] = relationship(back_populates="orders")
