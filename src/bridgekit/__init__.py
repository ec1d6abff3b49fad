"""Sync/async bridges for a code base that moves from one to the other.

The names are imported on first use: a program that only imports the package pays next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridgekit.adapters import from_thread, to_thread
    from bridgekit.adapters.calls import async_to_sync, sync_to_async
    from bridgekit.adapters.contexts import ThreadSensitiveContext
    from bridgekit.adapters.portal import BlockingPortal, default_portal, start_blocking_portal
    from bridgekit.engine.limiter import CapacityLimiter
    from bridgekit.errors import DeadlockError, LoopThreadError, PortalClosedError

__all__ = [
    "BlockingPortal",
    "CapacityLimiter",
    "DeadlockError",
    "LoopThreadError",
    "PortalClosedError",
    "ThreadSensitiveContext",
    "async_to_sync",
    "default_portal",
    "from_thread",
    "start_blocking_portal",
    "sync_to_async",
    "to_thread",
]

_HOMES = {
    "BlockingPortal": "adapters.portal",
    "CapacityLimiter": "engine.limiter",
    "DeadlockError": "errors",
    "LoopThreadError": "errors",
    "PortalClosedError": "errors",
    "ThreadSensitiveContext": "adapters.contexts",
    "async_to_sync": "adapters.calls",
    "default_portal": "adapters.portal",
    "from_thread": "adapters",
    "start_blocking_portal": "adapters.portal",
    "sync_to_async": "adapters.calls",
    "to_thread": "adapters",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{home}")
    if home == "adapters":  # the name is a module of that package
        value: object = import_module(f"{module.__name__}.{name}")
    else:
        value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
