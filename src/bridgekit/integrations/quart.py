"""Quart for an application that is on its way: synchronous views, hooks and commands still work.

All synchronous code of one request runs on one and the same thread, in bridgekit's workers, so
that what Flask code kept in thread-locals or in thread-bound objects (``sqlite3``) stays valid
from the first hook to the last teardown. What it sets in context variables comes back.

Commands run as Flask runs them: with an application context, off the loop's thread, so that
synchronous facades over asynchronous functions work in them; ``async def`` commands are awaited.

``runner.invoke(...)`` of a test waits for the command. In an asynchronous test let a thread wait:
``result = await to_thread.run_sync(runner.invoke, args=["name"])``.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlencode

import click
import quart
from blinker import Signal
from quart.cli import AppGroup, ScriptInfo
from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app, _cv_request
from quart.signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down
from quart.testing import QuartClient, QuartCliRunner
from quart.wrappers import Request
from quart.wrappers.response import IterableBody
from werkzeug.datastructures import Headers

from bridgekit.adapters import to_thread
from bridgekit.adapters.calls import async_to_sync, refuse_on_loop_thread
from bridgekit.adapters.contexts import ThreadSensitiveContext, calling_thread_context
from bridgekit.engine.affinity import CURRENT_BINDING, ThreadBinding
from bridgekit.engine.resources import close_loop_resources
from bridgekit.engine.serving import start_serving, stop_serving
from bridgekit.integrations.quart_streaming import (
    StreamedBody,
    close_bodies,
    hand_over,
    keep_open,
    stream_with_context,
)

__all__ = ["AppGroup", "Quart", "stream_with_context", "with_appcontext"]


class _RequestContext(RequestContext):
    """Remembers the thread of the request's synchronous code for its teardown.

    A context can outlive its request (the test client keeps it open); what its teardown closes
    must still be closed on the thread that opened it.
    """

    _binding: ThreadBinding | None = None
    _let_go: Callable[[], object] | None = None
    origin: _RequestContext | None = None

    def copy(self) -> _RequestContext:
        copied = _RequestContext(self.app, self.request, self.session)
        copied.origin = self
        return copied

    @property
    def app_context(self) -> AppContext | None:
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

    async def pop(self, *exc: Any) -> None:
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


class _AppContext(AppContext):
    """An application context of both colours: ``async with`` as Quart's, ``with`` as Flask's.

    Synchronous code that runs in a thread (a background job, a command, a test) keeps the form it
    had. Its teardown functions run on that thread where they are synchronous.
    """

    _sync_tokens: list[Token[AppContext]]

    def __enter__(self) -> _AppContext:
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


class _Client(QuartClient):
    """Quart's test client; ``async with client`` keeps the whole context of the last request.

    As with Flask's client, ``g`` is there beside ``request`` and ``session``, and the teardown
    functions run when the next request begins or the block ends.
    """

    _kept: tuple[_RequestContext, Token[Any], Token[Any]] | None = None

    async def open(
        self, path: str, *, method: str = "GET", follow_redirects: bool = False, **request: Any
    ) -> Any:
        """As Quart's. Redirects are followed and repeated form fields sent as Flask's client does.

        :raises RuntimeError: more than 20 redirects in a row.
        """
        request = _with_repeated_fields(request)
        response = await self._open_once(path, method, request)
        for _ in range(_MAX_REDIRECTS):
            if not follow_redirects or response.status_code not in _REDIRECTS:
                return response
            if response.status_code not in (307, 308):
                method = "HEAD" if method == "HEAD" else "GET"
                request = _without_body(request)
            request.pop("query_string", None)
            response = await self._open_once(response.location, method, request)
        raise RuntimeError(f"more than {_MAX_REDIRECTS} redirects, the last from {path}")

    async def _open_once(self, path: str, method: str, request: dict[str, Any]) -> Any:
        await self._tear_down_kept()
        response = await super().open(path, method=method, **request)
        if self.preserve_context:
            self._keep(self.app._preserved_context)
        return response

    def _keep(self, preserved: object) -> None:
        origin = preserved.origin if isinstance(preserved, _RequestContext) else None
        if origin is not None and origin.app_context is not None:
            app_token = _cv_app.set(origin.app_context)
            self._kept = (origin, _cv_request.set(origin), app_token)

    async def _tear_down_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is None:
            return
        context, request_token, app_token = kept
        try:
            with context.on_its_thread():
                await context.app.do_teardown_request(None, context)
                close = getattr(context.request, "close", None)
                if close is not None:
                    await close()
                await context.app.do_teardown_appcontext(None)
        finally:
            _cv_app.reset(app_token)
            _cv_request.reset(request_token)
            _cv_request.set(cast(Any, None))
            context.let_go_of_thread()

    async def __aexit__(self, exc_type: Any, exc_value: Any, tb: Any) -> None:
        self.preserve_context = False
        try:
            await self._tear_down_kept()
        finally:
            await super().__aexit__(exc_type, exc_value, tb)


_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})
_MAX_REDIRECTS = 20
_BODY = ("data", "form", "files", "json")


def _headers(request: dict[str, Any]) -> Headers:
    """The headers of a request to come, apart: Quart's client adds its cookies to what it gets."""
    return Headers(request.get("headers") or {})


def _without_body(request: dict[str, Any]) -> dict[str, Any]:
    headers = _headers(request)
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding"):
        headers.remove(name)
    rest = {key: value for key, value in request.items() if key not in _BODY}
    return {**rest, "headers": list(headers)}


def _with_repeated_fields(request: dict[str, Any]) -> dict[str, Any]:
    """A form value that is a list sends its field once for each item, as in Flask's client.

    Quart's would send the text of the list.
    """
    form = request.get("form")
    if not form or request.get("files"):
        return request
    if not any(isinstance(value, (list, tuple)) for value in form.values()):
        return request
    headers = _headers(request)
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    rest = {key: value for key, value in request.items() if key not in ("form", "headers")}
    return {**rest, "data": urlencode(form, doseq=True), "headers": list(headers)}


class _CliRunner(QuartCliRunner):
    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run a command and wait for its end.

        :raises LoopThreadError: called on a thread that is running an event loop.
        """
        refuse_on_loop_thread(self.invoke, "invoke")
        return super().invoke(cli, args, **kwargs)


class Quart(quart.Quart):
    """``quart.Quart`` whose synchronous code runs in one worker thread per request."""

    test_cli_runner_class = _CliRunner
    test_client_class = cast(Any, _Client)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cli = _CommandGroup()
        self.cli.name = self.name

    def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """The function itself if it is asynchronous, else one that runs it in a worker thread."""
        if inspect.iscoroutinefunction(func):
            return func

        @functools.wraps(func)
        async def call(*args: Any, **kwargs: Any) -> Any:
            result = await to_thread.run_sync(
                functools.partial(func, *args, **kwargs), affinity="context"
            )
            if inspect.isgenerator(result):
                return _iterate_on_thread(result)
            if inspect.isawaitable(result):
                # A synchronous function may return a coroutine (a decorator that does not await).
                result = await result
            return result

        call._quart_async_wrapper = True  # type: ignore[attr-defined]
        return call

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        """One thread for the synchronous code of a request, its streamed body included."""
        if scope["type"] == "lifespan":
            await super().asgi_app(scope, receive, send)
            return
        async with ThreadSensitiveContext():
            keep_open(scope)
            try:
                await super().asgi_app(scope, receive, send)
            finally:
                await close_bodies(scope)

    async def make_response(self, result: Any) -> Any:
        """As Quart's; a view may return what `stream_with_context` gave it."""
        match result:
            case StreamedBody():
                result = self.response_class(cast(Any, result))
            case (StreamedBody() as body, *rest):
                result = (self.response_class(cast(Any, body)), *rest)
        return await super().make_response(result)

    def add_background_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As Quart's; synchronous code of the task has a thread of its own, as a request has."""

        async def run() -> None:
            async with ThreadSensitiveContext():
                try:
                    async with self.app_context():
                        await self.ensure_async(func)(*args, **kwargs)
                except Exception as error:
                    await self.handle_background_exception(error)

        task = asyncio.get_running_loop().create_task(run())
        self.background_tasks.add(task)
        task.add_done_callback(self.background_tasks.discard)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        """As Quart's, but last registered first, as in Flask."""
        for function in reversed(self.teardown_appcontext_funcs):
            await self.ensure_async(function)(exc)
        await appcontext_tearing_down.send_async(
            self, _sync_wrapper=cast(Any, self.ensure_async), exc=exc
        )

    def app_context(self) -> AppContext:
        """An application context for ``async with``, or for ``with`` in synchronous code."""
        return _AppContext(self)

    def request_context(self, request: Request) -> RequestContext:
        """As Quart's; its teardown runs on the thread of the request."""
        return _RequestContext(self, request)

    async def startup(self) -> None:
        """As Quart's; from now on threads that belong to no loop send their coroutines here."""
        start_serving()
        await super().startup()

    async def shutdown(self) -> None:
        """As Quart's, then close the clients and engines that belong to the loop."""
        try:
            await super().shutdown()
        finally:
            stop_serving()
            await close_loop_resources()


async def _iterate_on_thread(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Iterate a synchronous iterator on the context's thread, and close it there."""
    done = object()
    try:
        while True:
            item = await to_thread.run_sync(next, iterator, done, affinity="context")
            if item is done:
                return
            yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await to_thread.run_sync(close, affinity="context")


class _IterableBody(IterableBody):
    """A streamed body. In our applications a synchronous one is iterated on the request's thread.

    It is installed in Quart's own ``Response``, which programs import from Quart; for other
    applications in the same process nothing changes.
    """

    def __init__(self, iterable: Any) -> None:
        if isinstance(iterable, Iterable) and isinstance(_app_of_context(), Quart):
            self.iter = _iterate_on_thread(iter(iterable))
        else:
            super().__init__(iterable)


def _app_of_context() -> quart.Quart | None:
    context: AppContext | None = _cv_app.get(None)
    return context.app if context is not None else None


quart.Response.iterable_body_class = _IterableBody


def with_appcontext(func: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Run a command's function inside an application context.

    A synchronous function runs on the thread that called the command, off the loop's thread, so it
    may wait for asynchronous code; an ``async def`` is awaited on the loop.
    """
    if func is None:
        return with_appcontext
    wrapped = func

    @click.pass_context
    def command(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        return _run_in_app_context(ctx, functools.partial(ctx.invoke, wrapped, *args, **kwargs))

    functools.update_wrapper(command, func)
    command._bridgekit_command = True  # type: ignore[attr-defined]
    return command


def _without_appcontext(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def command(*args: Any, **kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        return async_to_sync(_await)(result) if inspect.isawaitable(result) else result

    command._bridgekit_command = True  # type: ignore[attr-defined]
    return command


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _run_in_app_context(ctx: click.Context, call: Callable[[], Any]) -> Any:
    app = ctx.ensure_object(ScriptInfo).load_app()
    if _app_of_context() is app:
        # A group has pushed it; its subcommand is inside.
        return async_to_sync(_call)(call)
    return async_to_sync(_call_in_app_context)(app, call)


async def _call_in_app_context(app: quart.Quart, call: Callable[[], Any]) -> Any:
    # Hooks and teardown of the context run on the command's thread too, as in Flask.
    async with calling_thread_context(), app.app_context():
        return await _call(call)


async def _call(call: Callable[[], Any]) -> Any:
    async with calling_thread_context():
        result = await to_thread.run_sync(call, affinity="context")
    if inspect.isawaitable(result):
        result = await result
    return result


class _CommandGroup(AppGroup):
    """The application's commands: each runs in an application context, as Flask's do.

    Commands may come from decorators, ``add_command`` or blueprints, so they are looked at when
    they are asked for.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _bring_into_app_context(command)
        return command

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """As Flask's: an application context unless ``with_appcontext=False`` is given."""
        wrap = with_appcontext if kwargs.pop("with_appcontext", True) else _without_appcontext

        def decorator(func: Callable[..., Any]) -> click.Command:
            command: click.Command = click.Group.command(self, *args, **kwargs)(wrap(func))
            return command

        return decorator


def _bring_into_app_context(command: click.Command) -> None:
    callback = command.callback
    if callback is not None and not hasattr(callback, "_bridgekit_command"):
        command.callback = with_appcontext(callback)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _bring_into_app_context(child)
