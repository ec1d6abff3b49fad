"""What inference knows about a value: a set of dotted type names with arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class TypeRef:
    """One possible type of a value.

    `name` is dotted: a project class ("app.models.Order"), an external class
    ("sqlalchemy.orm.session.Session" under its public name "sqlalchemy.orm.Session") or a bare
    builtin ("list", "dict", "str"). Special names:

    - "type": the value is a class object; `args` holds the class.
    - "module": the value is a module; `args` holds a TypeRef with the module's name.
    - "function": the value is a function; `args` holds a TypeRef with its qualified name.
    - "coroutine": an un-awaited call of an async function; `args` is what awaiting gives.
    - "?": a value that inference could not name. A set that holds it is not known completely.
    """

    name: str
    args: tuple[TypeRef, ...] = ()

    def __str__(self) -> str:
        return self.name + (f"[{', '.join(map(str, self.args))}]" if self.args else "")


Types: TypeAlias = frozenset[TypeRef]

UNKNOWN = TypeRef("?")
NONE = TypeRef("None")
NOTHING: Types = frozenset()
"""Nothing is known at all."""
