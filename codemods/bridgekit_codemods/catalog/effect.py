"""The shape of the catalog's entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Blocks: TypeAlias = Literal[
    "http", "db", "sleep", "file", "subprocess", "lock", "thread", "socket", "mail", "input"
]


@dataclass(frozen=True, slots=True)
class Effect:
    """The library callable `dotted` may block the calling thread on `blocks`."""

    dotted: str
    blocks: Blocks
    note: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """What the catalog knows of one library.

    aliases     other dotted prefixes under which things are found, and their public ones
    bases       base classes of library classes, so that methods are inherited
    returns     return type expressions of callables (program/externals.py has the language);
                `Class.__enter__`, `__iter__` and so on say what using an instance gives
    attributes  type expressions of data attributes
    objects     module-level objects and their class
    blocks      callables that may block, by what they block on
    hooks       methods that the library itself calls on subclasses, by class
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[Blocks, Iterable[str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, Iterable[str]] = field(default_factory=dict)


def members(prefix: str, names: str) -> tuple[str, ...]:
    """`prefix.name` for every name in a blank-separated list."""
    return tuple(f"{prefix}.{name}" for name in names.split())


def each(prefix: str, names: str, value: str) -> dict[str, str]:
    """The same value for every `prefix.name`."""
    return dict.fromkeys(members(prefix, names), value)
