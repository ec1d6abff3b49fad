"""Which functions use a `threading.local`, whose values belong to the thread that set them.

All tasks of a loop run on one thread: what one request stored there, every other would read. So a
function that touches one never moves to the loop; async code reaches it on the one thread that
serves its request, where the values are those that the request itself has set.
"""

from __future__ import annotations

import ast

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Function

THREAD_LOCAL = "thread-local"
"""What such a function counts as waiting for; no call waits for it."""
_LOCAL = "threading.local"
_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr", "vars"})


def thread_local_uses(program: Program) -> dict[Function, ast.expr]:
    """The first use in each function that has one. Ask with `program.derived(...)`."""
    if not any("threading" in file.text for file in program.files.values()):
        return {}
    if not any(
        _LOCAL in (*site.externals, *_bases(program, site.externals)) for site in program.calls
    ):
        return {}
    names = {_LOCAL} | {cls.qualname for cls in program.classes.values() if _LOCAL in cls.mro}
    found: dict[Function, ast.expr] = {}
    for path, file in program.files.items():
        for node in file.nodes:
            owner = _owner(node)
            if owner is None:
                continue
            if any(ref.name in names for ref in program.type_of(path, owner)):
                user = program.enclosing(path, node)
                if user is not None:
                    found.setdefault(user, owner)
    return found


def _bases(program: Program, externals: tuple[str, ...]) -> tuple[Class | str, ...]:
    classes = (program.classes.get(dotted) for dotted in externals)
    return tuple(base for cls in classes if cls is not None for base in cls.mro)


def _owner(node: ast.AST) -> ast.expr | None:
    """The object whose attribute the node reads, writes or deletes."""
    match node:
        case ast.Attribute(value=owner):
            return owner
        case ast.Call(func=ast.Name(id=name), args=[owner, *_]) if name in _BY_NAME:
            return owner
        case _:
            return None
