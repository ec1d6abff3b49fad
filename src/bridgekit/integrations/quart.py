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
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

import click
import quart
from quart.asgi import ASGIHTTPConnection, _handle_exception
from quart.cli import AppGroup, ScriptInfo
from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app
from quart.sessions import SecureCookieSessionInterface
from quart.signals import appcontext_tearing_down
from quart.testing import QuartCliRunner
from quart.utils import encode_headers
from quart.wrappers import Request
from quart.wrappers.response import DataBody, IterableBody, ResponseBody

from bridgekit.adapters import to_thread
from bridgekit.adapters.calls import async_to_sync, refuse_on_loop_thread
from bridgekit.adapters.contexts import ThreadSensitiveContext, calling_thread_context
from bridgekit.engine.resources import close_loop_resources
from bridgekit.engine.serving import start_serving, stop_serving
from bridgekit.integrations import quart_contexts as contexts
from bridgekit.integrations.quart_client import Client
from bridgekit.integrations.quart_collecting import collecting_seldom
from bridgekit.integrations.quart_streaming import (
    StreamedBody,
    close_bodies,
    keep_open,
    stream_with_context,
)

__all__ = ["AppGroup", "Quart", "stream_with_context", "with_appcontext"]


class _CliRunner(QuartCliRunner):
    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run a command and wait for its end.

        :raises LoopThreadError: called on a thread that is running an event loop.
        """
        refuse_on_loop_thread(self.invoke, "invoke")
        return super().invoke(cli, args, **kwargs)


class _NoBody(ResponseBody):
    """In place of a body that is not to be sent: closes it without having begun it."""

    def __init__(self, body: ResponseBody) -> None:
        self._body = body

    async def __aenter__(self) -> _NoBody:
        await self._body.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._body.__aexit__(*raised)

    async def __aiter__(self) -> AsyncIterator[Any]:
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece


class _SessionInterface(SecureCookieSessionInterface):
    """Quart's own; it makes the signer once for each set of keys, not for each request."""

    def __init__(self) -> None:
        self._signers: dict[Any, Any] = {}

    def get_signing_serializer(self, app: quart.Quart) -> Any:
        fallbacks = app.config["SECRET_KEY_FALLBACKS"]
        keys = (app.secret_key, tuple(fallbacks) if fallbacks else None)
        signer = self._signers.get(keys)
        if signer is None:
            # Those of keys that were changed are not kept.
            self._signers = {keys: super().get_signing_serializer(app)}
            signer = self._signers[keys]
        return signer


class _Connection(ASGIHTTPConnection):
    async def handle_request(self, request: Request, send: Any) -> None:
        """As Quart's, but sending takes no task of its own before Python 3.12."""
        try:
            response = await self.app.handle_request(request)
        except Exception as error:
            response = await _handle_exception(self.app, error)
        timeout: Any = self.app.config["RESPONSE_TIMEOUT"]
        if isinstance(response, quart.Response) and response.timeout != Ellipsis:
            timeout = response.timeout
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._send_response(send, response)

    async def _send_response(self, send: Any, response: Any) -> None:
        """As Quart's; for HEAD no body is made (a generator may be endless), as in Flask."""
        if self.scope["method"] == "HEAD":
            if isinstance(response, quart.Response):
                response.response = _NoBody(response.response)
            else:
                response.response = ()
        elif isinstance(response, quart.Response) and type(response.response) is DataBody:
            await self._send_data(send, response)
            return
        await super()._send_response(send, response)

    async def _send_data(self, send: Any, response: quart.Response) -> None:
        """Send a body that is in memory in one message; Quart sends an empty one after it."""
        async with response.response as content:
            pieces = [piece async for piece in content]
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": encode_headers(response.headers),
            }
        )
        body = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_async(func: Callable[..., Any]) -> bool:
    code = getattr(func, "__code__", None)
    # The flag is all there is to see in a plain function; Quart asks a dozen times a request.
    if code is not None and code.co_flags & inspect.CO_COROUTINE:
        return True
    return inspect.iscoroutinefunction(func)


class Quart(quart.Quart):
    """``quart.Quart`` whose synchronous code runs in one worker thread per request."""

    asgi_http_class = _Connection
    test_cli_runner_class = _CliRunner
    test_client_class = cast(Any, Client)
    session_interface = _SessionInterface()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cli = _CommandGroup()
        self.cli.name = self.name

    def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """The function itself if it is asynchronous, else one that runs it in a worker thread."""
        if _is_async(func):
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
            with contextlib.ExitStack() as serving:
                await super().asgi_app(scope, receive, self._when_started(serving, send))
            return
        async with ThreadSensitiveContext():
            keep_open(scope)
            try:
                await super().asgi_app(scope, receive, send)
            finally:
                await close_bodies(scope)

    def _when_started(self, serving: contextlib.ExitStack, send: Any) -> Any:
        """Collect garbage seldom from the end of the start-up, until ``serving`` ends."""

        async def forward(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete" and self.config.get(
                "BRIDGEKIT_COLLECT_SELDOM", True
            ):
                serving.enter_context(collecting_seldom())
            await send(message)

        return forward

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
        return contexts.AppContext(self)

    def request_context(self, request: Request) -> RequestContext:
        """As Quart's; its teardown runs on the thread of the request."""
        return contexts.RequestContext(self, request)

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
