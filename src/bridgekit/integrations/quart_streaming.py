"""Streamed bodies that keep the context of their request, as Flask's ``stream_with_context`` does.

Quart has a function of this name for asynchronous generators only, and runs the teardown functions
before the body is sent. Here synchronous generators work too, and the teardown runs after the last
piece, so that what the generator uses (a database session on ``g``) is still open. It runs once:
Flask 3.1.2 and 3.1.3 run it before the first piece, too.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app, _cv_request
from quart.signals import appcontext_popped

from bridgekit.adapters import to_thread

__all__ = ["StreamedBody", "close_bodies", "hand_over", "keep_open", "stream_with_context"]

_DONE = object()
_BODIES = "bridgekit.streamed_bodies"
_SERVED = "bridgekit.served"


class _OpenBodies:
    """The streamed bodies of one request that are not closed yet, and the teardown they owe.

    Invariant: once handed over, the teardown runs exactly once, when the last body is closed. It is
    given the first error of a body.
    """

    def __init__(self, context: RequestContext) -> None:
        self.context = context
        self.app_context: AppContext | None = None
        self.open: list[StreamedBody] = []
        self._owed = False
        self._owned: AppContext | None = None
        self._error: BaseException | None = None

    def take(self, owned: AppContext | None) -> None:
        """Owe the teardown of the request, and of its application context if it has its own."""
        self._owed, self._owned = True, owned

    async def closed(self, body: StreamedBody, error: BaseException | None) -> None:
        self.open.remove(body)
        self._error = self._error or error
        if self.open or not self._owed:
            return
        # Not kept: the traceback leads back here.
        error, self._error, self._owed = self._error, None, False
        app = self.context.app
        try:
            await app.do_teardown_request(error, self.context)
            close = getattr(self.context.request, "close", None)
            if close is not None:
                await close()
        finally:
            if self._owned is not None:
                await app.do_teardown_appcontext(error)
        if self._owned is not None:
            await appcontext_popped.send_async(app, _sync_wrapper=cast(Any, app.ensure_async))


class StreamedBody:
    """An asynchronous iterator over a generator of either colour, inside a request's context.

    Synchronous generators run and are closed on the thread of the request. The teardown of the
    request follows the closing, and is given the generator's error; where a started generator is
    closed before its end (the client went away) that is ``GeneratorExit``, as under Flask.
    """

    def __init__(self, iterator: Any, bodies: _OpenBodies) -> None:
        self._iterator = iterator
        self._bodies = bodies
        self._error: BaseException | None = None
        self._unfinished = False
        self._closed = False
        bodies.open.append(self)

    @contextmanager
    def _current(self) -> Generator[None, None, None]:
        app_context = self._bodies.app_context
        request_token = _cv_request.set(self._bodies.context)
        app_token = _cv_app.set(app_context) if app_context is not None else None
        try:
            yield
        finally:
            if app_token is not None:
                _cv_app.reset(app_token)
            _cv_request.reset(request_token)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._closed:
            raise StopAsyncIteration
        self._unfinished = True
        try:
            with self._current():
                if hasattr(self._iterator, "__anext__"):
                    item = await anext(self._iterator, _DONE)
                else:
                    item = await to_thread.run_sync(next, self._iterator, _DONE, affinity="context")
        except BaseException as error:
            self._error = error
            raise
        if item is _DONE:
            self._unfinished = False
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Close the generator, then run the teardown functions of the request."""
        if self._closed:
            return
        self._closed = True
        if self._error is None and self._unfinished:
            self._error = GeneratorExit()
        with self._current():
            try:
                if hasattr(self._iterator, "aclose"):
                    await self._iterator.aclose()
                elif hasattr(self._iterator, "close"):
                    await to_thread.run_sync(self._iterator.close, affinity="context")
            except BaseException as error:
                self._error = error
                raise
            finally:
                try:
                    await self._bodies.closed(self, self._error)
                finally:
                    self._error = None


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the request's context for a generator that is sent as a body.

    :param generator_or_function: a generator of either colour (or any iterable), or a function
        that returns one (then a function is returned, so that this serves as a decorator).
    :raises RuntimeError: no request is being handled.
    """
    if hasattr(generator_or_function, "__aiter__"):
        iterator = aiter(generator_or_function)
    elif hasattr(generator_or_function, "__iter__"):
        iterator = iter(generator_or_function)
    else:
        function: Callable[..., Any] = generator_or_function

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return stream_with_context(function(*args, **kwargs))

        return wrapper
    context: RequestContext | None = _cv_request.get(None)
    if context is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request context is active, such as in "
            "a view function."
        )
    scope = _scope(context)
    bodies: _OpenBodies = scope.setdefault(_BODIES, _OpenBodies(context))
    bodies.app_context = _cv_app.get(None)
    return StreamedBody(iterator, bodies)


def _scope(context: RequestContext) -> MutableMapping[str, Any]:
    """The request's scope, which ASGI lets frameworks keep things in."""
    return cast("MutableMapping[str, Any]", context.request.scope)


def keep_open(scope: MutableMapping[str, Any]) -> None:
    """Let bodies outlive the handling of this request; `close_bodies` follows at its end."""
    scope[_SERVED] = True


async def close_bodies(scope: MutableMapping[str, Any]) -> None:
    """Close the bodies of a request that nobody closed: replaced by an error page, or not sent."""
    bodies: _OpenBodies | None = scope.pop(_BODIES, None)
    if bodies is not None:
        for body in reversed(bodies.open):
            await body.aclose()


def hand_over(context: RequestContext) -> bool:
    """Leave the context of a request whose body is still to be streamed.

    Says whether there is such a body; it then owns the teardown. Must be called by the task that
    entered the context.
    """
    scope = _scope(context)
    bodies: _OpenBodies | None = scope.get(_BODIES)
    if bodies is None or not bodies.open or _SERVED not in scope or len(context._cv_tokens) != 1:
        return False
    request_token, app_context = context._cv_tokens.pop()
    _cv_request.reset(request_token)
    if app_context is not None:
        _cv_app.reset(app_context._cv_tokens.pop())
    bodies.take(app_context)
    return True
