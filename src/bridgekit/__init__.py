"""Sync/async bridges for a code base that moves from one to the other."""

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
