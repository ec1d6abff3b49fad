"""Flask whose ``async def`` views, hooks and error handlers run on one lasting event loop.

Flask's own support makes a fresh loop for each call, so an HTTP client or a database engine cannot
outlive it. Here they run on the portal loop of the process (under an ASGI-to-WSGI adapter: on the
server's loop, inside the task that awaits the worker), and clients and engines are shared by all
requests. Flask's contexts (``request``, ``session``, ``g``, ``current_app``) are visible there,
and what is changed is seen afterwards.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import click
import flask
from flask.cli import AppGroup

from bridgekit.adapters.calls import async_to_sync

__all__ = ["Flask"]


class Flask(flask.Flask):
    """``flask.Flask`` with asynchronous code on the portal loop, and asynchronous CLI commands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cli = _CommandGroup(name=self.name)
        #: Called on the thread of the request each time before it waits for a coroutine function.
        #: What asynchronous code finds ready, and would have to wait for on the loop, is made here.
        self.before_coroutines: list[Callable[[], object]] = []

    def async_to_sync(self, func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Flask's hook: how a coroutine function is called from its synchronous dispatch."""
        run = async_to_sync(func)
        if not self.before_coroutines:
            return run

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            for prepare in self.before_coroutines:
                prepare()
            return run(*args, **kwargs)

        return call


class _CommandGroup(AppGroup):
    """The application's commands. A command that returns a coroutine has it run to its end.

    Commands may come from decorators, ``add_command`` or blueprints, so they are looked at when
    they are asked for.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _run_coroutines_of(command)
        return command


def _run_coroutines_of(command: click.Command) -> None:
    callback = command.callback
    if callback is not None and not hasattr(callback, "_bridgekit_command"):
        command.callback = _run_coroutine_result(callback)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _run_coroutines_of(child)


def _run_coroutine_result(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = callback(*args, **kwargs)
        if inspect.iscoroutine(result):
            # The app context that Flask pushed for the command lasts until click's context ends.
            return async_to_sync(_await)(result)
        return result

    run._bridgekit_command = True  # type: ignore[attr-defined]
    return run


async def _await(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine
