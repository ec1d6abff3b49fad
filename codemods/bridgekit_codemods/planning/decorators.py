"""Which decorators accept a coroutine function in place of a plain one."""

from __future__ import annotations

import ast

from bridgekit_codemods.catalog import callback
from bridgekit_codemods.program.symbols import Decorator, Function

# Decorators that work on a coroutine function as they do on a plain one, or have an async twin.
TRANSPARENT = frozenset(
    {
        "staticmethod",
        "classmethod",
        "builtins.staticmethod",
        "builtins.classmethod",
        "abc.abstractmethod",
        "typing.override",
        "typing_extensions.override",
        "typing.final",
        "functools.wraps",
    }
)
CACHES = frozenset({"functools.lru_cache", "functools.cache"})
CONTEXT_MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})


def awaits_what_it_wraps(dotted: str) -> bool:
    """Says whether a library's decorator sees to it that a coroutine function is awaited.

    Those for views ask the application to do it (`ensure_sync`), so the program has to stay on the
    framework that they were written for.
    """
    found = callback(dotted)
    return found is not None and found.awaits


def is_two_coloured(decorator: Function) -> bool:
    """Says whether a project decorator accepts both plain and coroutine functions.

    Recognised by its test of the function it is given: a call of `iscoroutinefunction`.
    """
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id)
        == "iscoroutinefunction"
        for node in ast.walk(decorator.node)
    )


def written(decorator: Decorator) -> str:
    """The decorator's dotted name, or its source where it has none."""
    return decorator.dotted or ast.unparse(decorator.node)
