"""Sync/async bridges for a code base that moves from one to the other.

The names are imported on first use: a program that only imports the package pays next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridgekit import diagnostics
    from bridgekit.adapters import from_thread, suspending, to_thread
    from bridgekit.adapters.calls import async_to_sync, sync_to_async
    from bridgekit.adapters.context_managers import async_context_manager, sync_context_manager
    from bridgekit.adapters.contexts import ThreadSensitiveContext
    from bridgekit.adapters.iterators import async_iterator, sync_iterator
    from bridgekit.adapters.portal import BlockingPortal, default_portal, start_blocking_portal
    from bridgekit.adapters.portal_provider import BlockingPortalProvider
    from bridgekit.adapters.proxies import ProxyRules, async_proxy, sync_proxy, unwrap
    from bridgekit.engine.limiter import CapacityLimiter
    from bridgekit.engine.process import set_exit_timeout
    from bridgekit.errors import DeadlockError, LoopThreadError, PortalClosedError

__all__ = [
    "BlockingPortal",
    "BlockingPortalProvider",
    "CapacityLimiter",
    "DeadlockError",
    "LoopThreadError",
    "PortalClosedError",
    "ProxyRules",
    "ThreadSensitiveContext",
    "async_context_manager",
    "async_iterator",
    "async_proxy",
    "async_to_sync",
    "default_portal",
    "diagnostics",
    "from_thread",
    "set_exit_timeout",
    "start_blocking_portal",
    "suspending",
    "sync_context_manager",
    "sync_iterator",
    "sync_proxy",
    "sync_to_async",
    "to_thread",
    "unwrap",
]

_HOMES = {
    "BlockingPortal": "adapters.portal",
    "BlockingPortalProvider": "adapters.portal_provider",
    "CapacityLimiter": "engine.limiter",
    "DeadlockError": "errors",
    "LoopThreadError": "errors",
    "PortalClosedError": "errors",
    "ProxyRules": "adapters.proxies",
    "ThreadSensitiveContext": "adapters.contexts",
    "async_context_manager": "adapters.context_managers",
    "async_iterator": "adapters.iterators",
    "async_proxy": "adapters.proxies",
    "async_to_sync": "adapters.calls",
    "default_portal": "adapters.portal",
    "set_exit_timeout": "engine.process",
    "start_blocking_portal": "adapters.portal",
    "sync_context_manager": "adapters.context_managers",
    "sync_iterator": "adapters.iterators",
    "sync_proxy": "adapters.proxies",
    "sync_to_async": "adapters.calls",
    "unwrap": "adapters.proxies",
}
_MODULES = {
    "diagnostics": "diagnostics",
    "from_thread": "adapters.from_thread",
    "suspending": "adapters.suspending",
    "to_thread": "adapters.to_thread",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    value: object
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{_MODULES[name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
