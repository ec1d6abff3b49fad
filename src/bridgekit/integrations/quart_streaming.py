"""Streamed bodies that keep the context of their request, as Flask's ``stream_with_context`` does.

Quart has a function of this name for asynchronous generators only, and runs the teardown functions
before the body is sent. Here synchronous generators work too, and the teardown runs after the last
piece, so that what the generator uses (a database session on ``g``) is still open.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app, _cv_request

from bridgekit.adapters import to_thread

__all__ = ["StreamedBody", "hand_over", "stream_with_context"]

_DONE = object()
_BODY = "bridgekit.streamed_body"


class StreamedBody:
    """An asynchronous iterator over a generator of either colour, inside a request's context.

    Invariant: the teardown of the request runs exactly once, after the generator is closed.
    Synchronous generators run on the thread of the request.
    """

    def __init__(self, iterator: Any, context: RequestContext) -> None:
        self._iterator = iterator
        self._context = context
        self._app_context: AppContext | None = None
        self._closed = False

    def take(self, app_context: AppContext | None) -> None:
        """Take over the teardown of the request, whose context has been left."""
        self._app_context = app_context

    @contextmanager
    def _current(self) -> Generator[None, None, None]:
        request_token = _cv_request.set(self._context)
        app_token = _cv_app.set(self._app_context) if self._app_context is not None else None
        try:
            yield
        finally:
            if app_token is not None:
                _cv_app.reset(app_token)
            _cv_request.reset(request_token)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        with self._current():
            if hasattr(self._iterator, "__anext__"):
                item = await anext(self._iterator, _DONE)
            else:
                item = await to_thread.run_sync(next, self._iterator, _DONE, affinity="context")
        if item is _DONE:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Close the generator, then run the teardown functions of the request."""
        if self._closed:
            return
        self._closed = True
        app, context = self._context.app, self._context
        with self._current():
            try:
                if hasattr(self._iterator, "aclose"):
                    await self._iterator.aclose()
                elif hasattr(self._iterator, "close"):
                    await to_thread.run_sync(self._iterator.close, affinity="context")
            finally:
                if self._app_context is not None:
                    await app.do_teardown_request(None, context)
                    await app.do_teardown_appcontext(None)


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the request's context for a generator that is sent as a body.

    :param generator_or_function: a generator of either colour, or a function that returns one
        (then a function is returned, so that this serves as a decorator).
    :raises RuntimeError: no request is being handled.
    """
    if callable(generator_or_function) and not isinstance(generator_or_function, Iterator):
        function: Callable[..., Any] = generator_or_function

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return stream_with_context(function(*args, **kwargs))

        return wrapper
    context: RequestContext | None = _cv_request.get(None)
    if context is None:
        raise RuntimeError("stream_with_context needs a request that is being handled")
    body = StreamedBody(generator_or_function, context)
    _state(context)[_BODY] = body
    return body


def _state(context: RequestContext) -> dict[str, Any]:
    """The request's scope, which ASGI lets frameworks keep things in."""
    return cast("dict[str, Any]", context.request.scope)


def hand_over(context: RequestContext) -> bool:
    """Leave the context of a request whose body is still to be streamed.

    Says whether there is such a body; it then owns the teardown. Must be called by the task that
    entered the context.
    """
    body: StreamedBody | None = _state(context).pop(_BODY, None)
    if body is None or len(context._cv_tokens) != 1:
        return False
    request_token, app_context = context._cv_tokens.pop()
    _cv_request.reset(request_token)
    if app_context is not None:
        _cv_app.reset(app_context._cv_tokens.pop())
    body.take(app_context)
    return True
