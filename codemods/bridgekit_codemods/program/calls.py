"""Where functions are used: calls, values, patched names, relationship attributes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridgekit_codemods.program.source import Span
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import NOTHING, Types

Grade: TypeAlias = Literal["exact", "method", "override", "traced", "engine", "guess"]
CallKind: TypeAlias = Literal[
    "call", "property", "with", "iter", "decorator", "hidden", "template", "operator"
]
ReferenceKind: TypeAlias = Literal[
    "argument", "assigned", "returned", "decorator", "container", "other"
]
PatchStyle: TypeAlias = Literal["mock.patch", "mock.patch.object", "monkeypatch.setattr"]


@dataclass(frozen=True, slots=True)
class Target:
    """A project function that a site may reach, with the evidence for it.

    Every grade but "guess" may be acted upon. A site with several targets may reach any of them.
    `via` is the library code that calls it, in words, where the site does not.
    """

    function: Function
    grade: Grade
    via: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CallSite:
    """A place where control may pass to another function.

    `node` is the Call for kind "call", the Attribute for "property", the context expression for
    "with", the iterable expression for "iter" and the decorator expression for "decorator". For
    "operator" it is the operation, the tested value or the formatted value of an f-string. For
    "hidden" and "template" it is the Call before whose return library code calls the targets (a
    template that it renders does); `externals` are only those that wait then.
    `externals` are dotted names of library callables ("requests.Session.get"). `receiver` are the
    types of what stands before the last dot; empty when unknown or when there is none.
    """

    path: str
    span: Span
    node: ast.AST
    kind: CallKind
    caller: Function | None
    targets: tuple[Target, ...]
    externals: tuple[str, ...]
    name: str
    receiver: Types = NOTHING
    in_lambda: bool = False
    in_comprehension: bool = False
    in_genexp: bool = False
    awaited: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A project function used as a value and not called.

    For kind "argument", `consumer` is the dotted name of the called thing when it is known,
    `keyword` the keyword it is passed by, or `position` its place among the positional arguments.
    """

    path: str
    span: Span
    node: ast.AST
    function: Function
    user: Function | None
    kind: ReferenceKind
    consumer: str | None = None
    keyword: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PatchTarget:
    """A name that a test replaces.

    `span` is that of the string literal that holds the name: the whole dotted path, or the
    attribute name where the object is given separately. `resolved` is the project function, or the
    dotted name of the library object, or None when nothing of that name was found.
    """

    path: str
    span: Span
    dotted: str
    resolved: Function | str | None
    style: PatchStyle
    node: ast.Call
    user: Function | None


@dataclass(frozen=True, slots=True, eq=False)
class AttributeUse:
    """An attribute access whose name is a relationship of a project model."""

    path: str
    span: Span
    node: ast.Attribute
    user: Function | None
    receiver: Types
    attr: str
