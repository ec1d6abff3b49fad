"""What inference knows about a value: a set of dotted type names with arguments."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypeAlias


class TypeRef(NamedTuple):
    """One possible type of a value. A tuple, because it is hashed and compared all the time.

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


SELF = TypeRef("Self")
"""The type of the receiver; stands only inside inference, where a method returns `self`."""


@lru_cache(maxsize=65536)
def external(dotted: str, receiver: TypeRef | None = None) -> TypeRef:
    """A library object by its dotted name; `receiver` when it is a member of a typed value."""
    return TypeRef("external", (TypeRef(dotted), *((receiver,) if receiver else ())))


@lru_cache(maxsize=65536)
def function(qualname: str, grade: str, receiver: TypeRef | None = None) -> TypeRef:
    """A project function as a value: its name, how it was found, and what it is bound to."""
    bound = (receiver,) if receiver else ()
    return TypeRef("function", (TypeRef(qualname), TypeRef(grade), *bound))


_SPECIAL = frozenset(
    {"type", "module", "namespace", "function", "external", "super", "lambda", "object", "?"}
)


def instance(dotted: str) -> TypeRef:
    """An instance of a library class; builtin ones go by their bare name.

    Nothing is known of the instances of `type` and `object`.
    """
    name = dotted.removeprefix("builtins.")
    return UNKNOWN if name in _SPECIAL else TypeRef(name)


def ordered(types: Types) -> Iterable[TypeRef]:
    """The types in a stable order."""
    return sorted(types) if len(types) > 1 else types


@lru_cache(maxsize=65536)
def is_mock(ref: TypeRef) -> bool:
    """Whether a value is a test double, which stands in for something else."""
    name = ref.args[0].name if ref.name == "external" else ref.name
    return name.startswith(("unittest.mock.", "mock.", "pytest_mock."))


def known_project_only(types: Types) -> bool:
    """Whether nothing unknown is among the types."""
    return UNKNOWN not in types
