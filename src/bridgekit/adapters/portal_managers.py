"""An asynchronous context manager of a portal's loop, for synchronous code."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from bridgekit.adapters.portal import BlockingPortal

__all__ = ["PortalContextManager"]

T = TypeVar("T")


def _new_event() -> Any:
    """For the tasks of the running loop."""
    if asyncio._get_running_loop() is not None:
        return asyncio.Event()
    return sys.modules["trio"].Event()


class PortalContextManager(AbstractContextManager[T]):
    """Enters and leaves in one task, which sleeps in between."""

    def __init__(self, portal: BlockingPortal, manager: AbstractAsyncContextManager[T]) -> None:
        self._portal = portal
        self._manager = manager
        self._entered: Future[T] = Future()
        self._left: Future[bool | None] | None = None
        self._exit_info: tuple[Any, Any, Any] = (None, None, None)

    async def _run(self) -> bool | None:
        self._leave = _new_event()
        try:
            value = await self._manager.__aenter__()
        except BaseException as error:
            self._entered.set_exception(error)
            raise
        self._entered.set_result(value)
        try:
            await self._leave.wait()
        except BaseException as error:
            if not await self._manager.__aexit__(type(error), error, error.__traceback__):
                raise
            return None
        return await self._manager.__aexit__(*self._exit_info)

    def __enter__(self) -> T:
        self._left = self._portal.start_task_soon(self._run)
        return self._entered.result()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        assert self._left is not None
        self._exit_info = (exc_type, exc, tb)
        self._portal.call(self._leave.set)
        return self._left.result()
