"""How a call crosses a thread and comes back.

Ground floor of the runtime: worker threads, lanes, the hand-over between a task and its worker,
the portal loop, and what is closed with a loop. Nothing here is imported by user programs
directly; integrations use the names exported below.
"""

from __future__ import annotations

from bridgekit.engine.portal import PortalLoop, portal_loop
from bridgekit.engine.resources import close_loop_resources, on_loop_close

__all__ = ["PortalLoop", "close_loop_resources", "on_loop_close", "portal_loop"]
