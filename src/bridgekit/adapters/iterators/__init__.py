"""Iterators and generators of one colour made into the other."""

from bridgekit.adapters.iterators.to_async import async_iterator
from bridgekit.adapters.iterators.to_sync import sync_iterator

__all__ = ["async_iterator", "sync_iterator"]
