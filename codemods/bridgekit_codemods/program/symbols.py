"""The named things of a program: functions, classes, parameters, decorators.

Instances are compared by identity; two builds of the same sources give equal names, not equal
objects.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from bridgekit_codemods.program.types import Types


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """A parameter. `kind` is one of "posonly", "arg", "vararg", "kwonly", "kwarg"."""

    name: str
    kind: str
    annotation: ast.expr | None
    default: ast.expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Decorator:
    """A decorator as written. `dotted` names it without call arguments; `project` is its function
    when the program defines it."""

    node: ast.expr
    dotted: str | None
    project: Function | None


@dataclass(eq=False, slots=True)
class Function:
    """A `def` or `async def`, at any depth.

    `qualname` is unique in the program: "pkg.mod.Class.method", "pkg.mod.f.<locals>.g". Where a
    name is defined more than once the later ones end in "#2", "#3"; property setters and deleters
    in "#setter" and "#deleter". `params` includes `self`/`cls`.
    """

    qualname: str
    name: str
    module: str
    path: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    cls: Class | None
    parent: Function | None
    params: tuple[Param, ...]
    decorators: tuple[Decorator, ...] = ()
    is_async: bool = False
    is_generator: bool = False
    is_property: bool = False
    is_static: bool = False
    is_classmethod: bool = False
    is_test_function: bool = False
    is_fixture: bool = False

    def __repr__(self) -> str:
        return f"<{'async ' if self.is_async else ''}function {self.qualname}>"


@dataclass(eq=False, slots=True)
class Class:
    """A class statement.

    `bases` are dotted names in order ("?" where the expression could not be named). `mro` starts
    with the class itself; external bases stand in it as dotted names. `attrs` are the inferred
    types of class and instance attributes, own ones only.
    """

    qualname: str
    name: str
    module: str
    path: str
    node: ast.ClassDef
    bases: tuple[str, ...] = ()
    mro: tuple[Class | str, ...] = ()
    methods: dict[str, Function] = field(default_factory=dict)
    attrs: dict[str, Types] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<class {self.qualname}>"


@dataclass(frozen=True, slots=True, eq=False)
class Relationship:
    """An ORM relationship of a model. `uselist` is None when it is not known; `lazy` is the literal
    that is written, if any; `node` is the `relationship(...)` call."""

    cls: Class
    attr: str
    target: str | None
    uselist: bool | None
    lazy: str | None
    node: ast.Call
    path: str
