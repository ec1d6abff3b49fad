"""The bridges that a half-migrated program calls."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library

LIBRARY = Library(
    aliases={
        "asgiref.sync.sync_to_async": "bridgekit.sync_to_async",
        "asgiref.sync.async_to_sync": "bridgekit.async_to_sync",
        "bridgekit.adapters.to_thread": "bridgekit.to_thread",
        "bridgekit.adapters.from_thread": "bridgekit.from_thread",
    },
    returns={
        "bridgekit.to_thread.run_sync": "coroutine[C0]",
        "bridgekit.from_thread.run": "W0",
        "bridgekit.from_thread.run_sync": "C0",
        "bridgekit.sync_to_async": "bridgekit.sync_to_async[E0]",
        "bridgekit.async_to_sync": "bridgekit.async_to_sync[E0]",
        "bridgekit.start_blocking_portal": "contextlib.ContextManager[bridgekit.BlockingPortal]",
        "bridgekit.BlockingPortal.call": "W0",
    },
)
