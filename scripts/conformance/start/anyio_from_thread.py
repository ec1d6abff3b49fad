"""``anyio.from_thread`` in terms of this library.

Names, arguments and the words of messages are translated; behaviour is not.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bridgekit
from bridgekit.adapters import portal_provider, portal_tasks
from bridgekit.engine.portal import call_on_loop

__all__ = [
    "BlockingPortal",
    "BlockingPortalProvider",
    "check_cancelled",
    "run",
    "run_sync",
    "start_blocking_portal",
]


@contextmanager
def _in_words_of_anyio(no_worker: str) -> Iterator[None]:
    from anyio import NoEventLoopError

    try:
        yield
    except RuntimeError as error:
        if "no task of an event loop is waiting for" in str(error):
            raise NoEventLoopError(no_worker) from error
        raise


NO_TOKEN = "Not running inside an AnyIO worker thread, and no event loop token was provided"


def check_cancelled() -> None:
    with _in_words_of_anyio("This function can only be called inside an AnyIO worker thread"):
        bridgekit.from_thread.check_cancelled()


def run(func: Callable[..., Awaitable[Any]], *args: Any, token: Any = None) -> Any:
    if token is None:
        with _in_words_of_anyio(NO_TOKEN):
            return bridgekit.from_thread.run(func, *args)
    return _on_loop_of(token, functools.partial(func, *args))


def run_sync(func: Callable[..., Any], *args: Any, token: Any = None) -> Any:
    if token is None:
        with _in_words_of_anyio(NO_TOKEN):
            return bridgekit.from_thread.run_sync(func, *args)

    async def call() -> Any:
        return func(*args)

    return _on_loop_of(token, call)


def _on_loop_of(token: Any, call: Callable[[], Awaitable[Any]]) -> Any:
    from anyio import RunFinishedError

    if not isinstance(token.native_token, asyncio.AbstractEventLoop):
        raise NotImplementedError("only a portal takes a thread of the program's own to a trio run")
    try:
        return call_on_loop(token.native_token, call)
    except bridgekit.PortalClosedError as error:
        raise RunFinishedError from error


class BlockingPortal(bridgekit.BlockingPortal):
    start_task = portal_tasks.start_task
    call_async = portal_tasks.call_async

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call(func, *args, **kwargs)
        except bridgekit.LoopThreadError as error:
            raise RuntimeError("This method cannot be called from the event loop thread") from error
        except bridgekit.PortalClosedError as error:
            raise RuntimeError("This portal is not running") from error


def _loop_factory(backend: str, options: dict[str, Any] | None) -> Any:
    if backend not in ("asyncio", "trio"):
        raise LookupError(f"No such backend: {backend}")
    return (options or {}).get("loop_factory")


@contextmanager
def _adapted(native: Any) -> Iterator[BlockingPortal]:
    """A portal of the adapter's class on the loop of one of the library's."""
    portal = BlockingPortal()
    manager = native.wrap_async_context_manager(portal)
    with manager:
        yield portal


@contextmanager
def start_blocking_portal(
    backend: str = "asyncio",
    backend_options: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[BlockingPortal]:
    factory = _loop_factory(backend, backend_options)
    with (
        bridgekit.start_blocking_portal(backend, loop_factory=factory, **options) as native,
        _adapted(native) as portal,
    ):
        yield portal


class BlockingPortalProvider:
    """The library's provider; the backend is looked up on entering, as the original does."""

    def __init__(
        self, backend: str = "asyncio", backend_options: dict[str, Any] | None = None
    ) -> None:
        self.backend = backend
        self._options = backend_options
        factory = _loop_factory(backend, backend_options)
        self._provider = portal_provider.BlockingPortalProvider(backend, loop_factory=factory)

    def __enter__(self) -> Any:
        _loop_factory(self.backend, self._options)
        return self._provider.__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        self._provider.__exit__(*exc_info)
