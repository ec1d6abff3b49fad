"""The contexts of a Quart application whose code is partly synchronous."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, cast

import quart.ctx
from blinker import Signal
from quart.globals import _cv_app
from quart.signals import appcontext_popped, appcontext_pushed

from bridgekit.adapters.calls import async_to_sync, refuse_on_loop_thread
from bridgekit.adapters.contexts import calling_thread_context
from bridgekit.engine.affinity import CURRENT_BINDING, ThreadBinding
from bridgekit.integrations.quart_streaming import hand_over

__all__ = ["AppContext", "RequestContext"]


class RequestContext(quart.ctx.RequestContext):
    """Remembers the thread of the request's synchronous code for its teardown.

    A context can outlive its request (the test client keeps it open); what its teardown closes
    must still be closed on the thread that opened it.
    """

    _binding: ThreadBinding | None = None
    _let_go: Callable[[], object] | None = None
    origin: RequestContext | None = None

    def copy(self) -> RequestContext:
        copied = RequestContext(self.app, self.request, self.session)
        copied.origin = self
        return copied

    @property
    def app_context(self) -> quart.ctx.AppContext | None:
        """The application context that was pushed together with this one."""
        return self._cv_tokens[-1][1] if self._cv_tokens else None

    async def push(self) -> None:
        if not self._cv_tokens:
            self._binding = CURRENT_BINDING.get()
            if self._binding is not None:
                self._binding.hold()
                # A context that is never popped gives its thread back when it is collected.
                finalizer = weakref.finalize(self, self._binding.let_go)
                finalizer.atexit = False
                self._let_go = finalizer
        try:
            await super().push()
        except BaseException:
            self.let_go_of_thread()
            raise

    async def pop(self, *exc: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        outermost = len(self._cv_tokens) == 1
        with self.on_its_thread():
            await super().pop(*exc)
        if outermost:
            self.let_go_of_thread()

    async def auto_pop(self, exc: BaseException | None) -> None:
        """As Quart's; a body that is streamed with the context takes over the teardown."""
        preserved = self.request.scope.get("_quart._preserve_context", False)
        if exc is None and not preserved and hand_over(self):
            self.let_go_of_thread()
        else:
            await super().auto_pop(exc)

    @contextmanager
    def on_its_thread(self) -> Generator[None, None, None]:
        token = CURRENT_BINDING.set(self._binding)
        try:
            yield
        finally:
            CURRENT_BINDING.reset(token)

    def let_go_of_thread(self) -> None:
        if self._let_go is not None:
            self._let_go()
            self._let_go = None


class AppContext(quart.ctx.AppContext):
    """An application context of both colours: ``async with`` as Quart's, ``with`` as Flask's.

    Synchronous code that runs in a thread (a background job, a command, a test) keeps the form it
    had. Its teardown functions run on that thread where they are synchronous.
    """

    _sync_tokens: list[Token[quart.ctx.AppContext]]

    def __enter__(self) -> AppContext:
        """Enter it on a thread that runs no loop.

        :raises LoopThreadError: on a loop's thread; use ``async with`` there.
        """
        refuse_on_loop_thread(self.push, "with app.app_context()")
        self.__dict__.setdefault("_sync_tokens", []).append(_cv_app.set(self))
        self._announce(appcontext_pushed)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if len(self._sync_tokens) == 1:
                async_to_sync(_on_calling_thread)(self.app.do_teardown_appcontext, exc)
        finally:
            _cv_app.reset(self._sync_tokens.pop())
        self._announce(appcontext_popped)

    def _announce(self, signal: Signal) -> None:
        if signal.receivers:
            wrap = cast(Any, self.app.ensure_async)
            send = functools.partial(signal.send_async, _sync_wrapper=wrap)
            async_to_sync(_on_calling_thread)(send, self.app)


async def _on_calling_thread(function: Callable[..., Awaitable[Any]], *args: Any) -> None:
    """Await it; its synchronous parts run on the thread that waits for it."""
    async with calling_thread_context():
        await function(*args)
