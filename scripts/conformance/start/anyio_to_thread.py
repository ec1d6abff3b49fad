"""``anyio.to_thread`` in terms of this library."""

from collections.abc import Callable
from typing import Any

import bridgekit


async def run_sync(
    func: Callable[..., Any],
    *args: Any,
    abandon_on_cancel: bool = False,
    limiter: bridgekit.CapacityLimiter | None = None,
) -> Any:
    from anyio.lowlevel import checkpoint

    # A cancel scope that has been cancelled is noticed here, before the thread is asked for.
    await checkpoint()
    try:
        return await bridgekit.to_thread.run_sync(
            func, *args, abandon_on_cancel=abandon_on_cancel, limiter=limiter
        )
    except RuntimeError as error:
        if isinstance(error.__cause__, StopIteration):
            raise RuntimeError("coroutine raised StopIteration") from error
        raise


def current_default_thread_limiter() -> Any:
    raise NotImplementedError("the pool itself is the limit: bridgekit.to_thread.set_max_workers")
