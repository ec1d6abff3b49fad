"""BK213 eager-relationships: relationships that are read lazily are loaded with their owner.

What: `lazy="selectin"` is written at the `relationship(...)` of every relationship that some code
or template reads while it would still have to be loaded.

Why: a lazy load is a query in the middle of an attribute access, and a coroutine cannot wait there.
`selectin` sends one more SELECT for all owners of a result; the objects are the same. Queries that
name what they load keep to it where nothing that sees their result reads more (loader_options).

Left alone, with a finding: self-referential relationships and cycles (an eager load stops where it
meets a class again), `lazy="dynamic"`, and names that a `backref` makes.
Source: https://docs.sqlalchemy.org/en/21/orm/queryguide/relationships.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import libcst as cst

from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Relationship
from bridgekit_codemods.program.types import UNKNOWN, Types
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.keywords import with_keyword
from bridgekit_codemods.rules.loader_options import keep_explicit_loading

_LAZY = ("select", "True", "lazy")
_REMEDY_PATH = (
    "load it in the query that needs it: select(...).options(selectinload(...)), or await "
    "obj.awaitable_attrs.<name>"
)


class SqlalchemyEager:
    """BK213 eager-relationships: load what is read lazily together with its owner."""

    name = "eager-relationships"
    code = "BK213"
    safety: Safety = "guarded"
    key = "eager:relationships"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        if self.key in kept:
            return None
        draft = Draft(program)
        members: list[str] = []
        for relationship in _lazily_read(program):
            if _self_referential(relationship) or _spread(relationship.node):
                continue
            source = program.files[relationship.path]
            draft.edits(source.path).at("Call", source.span(relationship.node), _selectin)
            members.append(f"{relationship.cls.qualname}.{relationship.attr}")
        if not members:
            return None
        members += keep_explicit_loading(program, draft)
        return Step(
            key=self.key,
            kind="eager",
            title="Load the relationships that are read lazily together with their owners",
            members=tuple(sorted(members)),
            changes=draft.changes(),
            findings=tuple(_cycles(program, self.code)),
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        return (*self._left(program), *_cycles(program, self.code), *self._backrefs(program))

    def _left(self, program: Program) -> Iterator[Finding]:
        for relationship in program.relationships.values():
            line = relationship.node.lineno
            name = f"{relationship.cls.name}.{relationship.attr}"
            if relationship.lazy == "dynamic":
                yield Finding(
                    relationship.path, line, self.code,
                    f'{name} is lazy="dynamic": each use builds a query',
                    'use lazy="write_only" and select(), or query the target directly',
                )  # fmt: skip
        for relationship in _lazily_read(program):
            line = relationship.node.lineno
            name = f"{relationship.cls.name}.{relationship.attr}"
            if _self_referential(relationship):
                yield Finding(
                    relationship.path, line, self.code,
                    f"{name} leads to its own class: eager loading stops after one level",
                    _REMEDY_PATH,
                )  # fmt: skip
            elif _spread(relationship.node):
                yield Finding(
                    relationship.path, line, self.code,
                    f"the options of {name} are unpacked, so lazy= may be among them",
                    'write lazy="selectin"',
                )  # fmt: skip

    def _backrefs(self, program: Program) -> Iterator[Finding]:
        """Names that `backref=` makes on the other class: no call to write the option at."""
        touched = _attribute_names(program)
        for relationship in program.relationships.values():
            for keyword in relationship.node.keywords:
                match keyword:
                    case ast.keyword(arg="backref", value=ast.Constant(value=str(name))):
                        if name in touched:
                            yield Finding(
                                relationship.path, relationship.node.lineno, self.code,
                                f"backref={name!r} makes a relationship that is loaded lazily",
                                "declare it with back_populates on the other class",
                            )  # fmt: skip
                    case _:
                        pass


def _lazily_read(program: Program) -> Iterator[Relationship]:
    in_templates = frozenset().union(*program.template_attributes.values())
    read: dict[str, set[Types]] = {}
    for use in program.attribute_uses:
        if isinstance(use.node.ctx, ast.Load):
            read.setdefault(use.attr, set()).add(use.receiver)
    for relationship in program.relationships.values():
        if relationship.lazy is not None and relationship.lazy not in _LAZY:
            continue
        receivers = read.get(relationship.attr, set())
        if relationship.attr in in_templates or any(
            _may_hold(program, types, relationship.cls) for types in receivers
        ):
            yield relationship


def _may_hold(program: Program, types: Types, owner: Class) -> bool:
    """Says whether a receiver of these types may be an instance of `owner`."""
    if not types or UNKNOWN in types:
        return True
    if any(ref.name == "external" and len(ref.args) > 1 for ref in types):
        return True  # a member of a library object, which may well hold a model
    names = {ref.name for ref in types}
    related = {base.qualname for base in owner.mro if isinstance(base, Class)} | {owner.qualname}
    related |= {cls.qualname for cls in program.classes.values() if owner in cls.mro}
    return not names.isdisjoint(related)


def _self_referential(relationship: Relationship) -> bool:
    return relationship.target is not None and any(
        isinstance(base, Class) and base.qualname == relationship.target
        for base in (relationship.cls, *relationship.cls.mro)
    )


def _spread(call: ast.Call) -> bool:
    return any(keyword.arg is None for keyword in call.keywords)


def _attribute_names(program: Program) -> frozenset[str]:
    names = set().union(*program.template_attributes.values())
    for source in program.files.values():
        if source.tree is not None:
            names |= {n.attr for n in source.nodes if isinstance(n, ast.Attribute)}
    return frozenset(names)


def _cycles(program: Program, code: str) -> Iterator[Finding]:
    """Reads such as `order.customer.orders`, which come back to a class they went through."""
    uses = {use.node: use for use in program.attribute_uses}
    for use in program.attribute_uses:
        inner = uses.get(use.node.value) if isinstance(use.node.value, ast.Attribute) else None
        if inner is None:
            continue
        outer_targets = {
            relationship.target
            for (_, attr), relationship in program.relationships.items()
            if attr == use.attr
            and any(ref.name == relationship.cls.qualname for ref in use.receiver)
        }
        if outer_targets & {ref.name for ref in inner.receiver}:
            yield Finding(
                use.path, use.node.lineno, code,
                f".{inner.attr}.{use.attr} comes back to the class it started from: an eager load "
                "stops there and the last step is loaded lazily",
                _REMEDY_PATH,
                use.user.qualname if use.user is not None else None,
            )  # fmt: skip


def _selectin(call: cst.Call) -> cst.Call:
    value = cst.SimpleString('"selectin"')
    for index, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == "lazy":
            args = list(call.args)
            args[index] = arg.with_changes(value=value)
            return call.with_changes(args=args)
    return with_keyword(call, "lazy", value)
