"""Listeners of database events that wait for something else than the database.

SQLAlchemy calls listeners inside the session's methods. With the async face of a session they run
on the loop's thread, in a greenlet that may wait for the database alone: one that sends a request
holds the loop up. A method that may call such a listener goes to a worker thread as a whole.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_REGISTRATIONS = (".event.listen", ".event.listens_for")
_ROOTS = ("sqlalchemy.", "flask_sqlalchemy.", "bridgekit.integrations.flask_sqlalchemy.")
_AT_THE_END = {
    "before_commit": frozenset({"commit"}),
    "after_commit": frozenset({"commit"}),
    "after_rollback": frozenset({"rollback", "close", "reset"}),
    "after_soft_rollback": frozenset({"rollback", "close", "reset"}),
}
_ANY = frozenset(
    {
        "execute", "scalar", "scalars", "get", "get_one", "commit", "rollback", "flush", "refresh",
        "merge", "delete", "close", "connection", "invalidate", "reset", "get_or_404",
        "first_or_404", "one_or_404", "paginate", "create_all", "drop_all", "reflect",
    }
)  # fmt: skip


def held_up_by_listeners(program: Program) -> frozenset[str]:
    """The session's methods that may call such a listener. Ask with `program.derived`."""
    colours = program.derived(Colours)
    found: set[str] = set()
    for event, listener in _listeners(program):
        if colours.blocks(listener) - {"db"}:
            found |= _AT_THE_END.get(event, _ANY)
    return frozenset(found)


def is_registration(dotted: str | None) -> bool:
    """Says whether `dotted` registers a listener of SQLAlchemy's events."""
    return dotted is not None and dotted.startswith(_ROOTS) and dotted.endswith(_REGISTRATIONS)


def _listeners(program: Program) -> Iterator[tuple[str, Function]]:
    """The events and the program's functions that listen to them."""
    for function in program.functions.values():
        for decorator in function.decorators:
            if is_registration(decorator.dotted) and isinstance(decorator.node, ast.Call):
                yield _event(decorator.node), function
    for site in program.calls:
        if not isinstance(site.node, ast.Call) or not any(map(is_registration, site.externals)):
            continue
        for argument in (*site.node.args[2:], *(k.value for k in site.node.keywords)):
            if isinstance(argument, ast.Name | ast.Attribute):
                listener = program.functions.get(program.resolve(site.path, argument) or "")
                if listener is not None:
                    yield _event(site.node), listener


def _event(call: ast.Call) -> str:
    match call.args:
        case [_, ast.Constant(value=str(name)), *_]:
            return name
        case _:
            return ""
