"""Context managers of one colour made into the other."""

from bridgekit.adapters.context_managers.to_async import async_context_manager
from bridgekit.adapters.context_managers.to_sync import sync_context_manager

__all__ = ["async_context_manager", "sync_context_manager"]
