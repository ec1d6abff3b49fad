"""Context variables across a bridge, both ways, without lost updates.

Each crossing remembers the context at entry. On the way back only what differs from that
snapshot is written, so two calls that run side by side in one context each keep their updates
(a three-way merge). Values are compared by identity: a user's ``__eq__`` is never called.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from gc import get_referents
from typing import Any

__all__ = ["ContextMerge", "for_asyncio", "own_context", "same_variables"]

_ABSENT = object()
_CPYTHON = sys.implementation.name == "cpython"


def for_asyncio(context: Context) -> None:
    """Take from a context, before it is used on a loop of asyncio, what calls it one of trio's."""
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and context.get(sniffio.current_async_library_cvar) == "trio":
        context.run(sniffio.current_async_library_cvar.set, None)


def same_variables(one: Context, other: Context) -> bool:
    """Whether two contexts certainly hold the same values, in constant time.

    A context is a pointer to an immutable mapping, and copies share it until a variable is set.
    ``==`` would compare the pointers first too, but then the values, with the user's ``__eq__``.
    False means "look closer".
    """
    mappings = get_referents(one, other)
    return _CPYTHON and len(mappings) == 2 and mappings[0] is mappings[1]


_probe: ContextVar[object] = ContextVar("bridgekit_probe")


def own_context(task: object) -> Context:
    """The context that the current task runs in: the object itself, not a copy.

    :raises RuntimeError: the current context is not the task's (in a greenlet, say), or it cannot
        be found.
    """
    get_context = getattr(task, "get_context", None)  # Python 3.12
    contexts = [get_context()] if get_context is not None else get_referents(task)
    mark = object()
    token = _probe.set(mark)
    try:
        for context in contexts:
            if isinstance(context, Context) and context.get(_probe) is mark:
                return context
    finally:
        _probe.reset(token)
    raise RuntimeError("the code that is running does not run in its task's own context")


class ContextMerge:
    """Carries the changes of one chain of crossings into the context it came from.

    Invariant: every :meth:`apply` of one instance runs in the same context, because a variable
    that the other side has unset can only be unset here through a token made here.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: dict[ContextVar[Any], Token[Any]] = {}

    def apply(self, before: Context, after: Context) -> None:
        """Write into the current context what changed between two snapshots.

        A variable that was set when the chain began and has been unset by the other side keeps
        its value: ``contextvars`` offers no way to unset it without its original token.
        """
        for var, value in after.items():
            if before.get(var, _ABSENT) is not value:
                token = var.set(value)
                if token.old_value is Token.MISSING:
                    self._tokens[var] = token
        if self._tokens:
            for var in [var for var in self._tokens if var not in after and var in before]:
                # The token belongs to another Context when the caller changed contexts between
                # two crossings; the variable then keeps its value, as documented above.
                with suppress(ValueError):
                    var.reset(self._tokens.pop(var))
