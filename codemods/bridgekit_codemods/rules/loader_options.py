"""Queries that say themselves what they load keep doing just that.

Once a model loads its relationships eagerly, a query with `options(joinedload(...))` would load the
others too. Where nothing that can see its result reads another relationship, the query gets
`lazyload("*")` beside its own options, so that it sends what it sent before.

What can see the result: the functions that call the one with the query, up to their entries, and
everything those call. A template among them may read anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import libcst as cst

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.frameworks import is_framework_coroutine
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import UNKNOWN
from bridgekit_codemods.rules.base import Draft

_LOADERS = frozenset(
    f"sqlalchemy.orm.{name}"
    for name in ("joinedload", "selectinload", "subqueryload", "immediateload", "contains_eager")
)
_LAZYLOAD = "lazyload"


def keep_explicit_loading(program: Program, draft: Draft) -> list[str]:
    """Registers the edits; returns the functions whose queries keep their own loading."""
    colours = program.derived(Colours)
    found: list[str] = []
    for path, file in program.files.items():
        if file.tree is None or file.is_test or _binds_lazyload(file):
            continue
        for node in (*file.of(ast.List), *file.of(ast.Call)):
            options = _options(program, path, node)
            function = program.enclosing(path, node) if options else None
            if function is None:
                continue
            owners = {owner for owner, _ in options}
            named = {attr for _, attr in options}
            if len(owners) != 1 or not _only_reads(colours, function, owners.pop(), named):
                continue
            edits = draft.edits(path)
            edits.at(type(node).__name__, file.span(node), _with_lazyload)
            edits.add_import("sqlalchemy.orm", _LAZYLOAD)
            found.append(function.qualname)
    return found


def _binds_lazyload(file: SourceFile) -> bool:
    return _LAZYLOAD in file.text and any(
        getattr(node, "id", None) == _LAZYLOAD or getattr(node, "name", None) == _LAZYLOAD
        for node in file.nodes
    )


def _options(program: Program, path: str, node: ast.AST) -> list[tuple[str, str]]:
    """(class, relationship) of each loader option in a list of them or an `.options(...)` call;
    empty if something else is among them."""
    match node:
        case ast.List(elts=parts):
            pass
        case ast.Call(func=ast.Attribute(attr="options"), args=parts, keywords=[]):
            pass
        case _:
            return []
    found: list[tuple[str, str]] = []
    for part in parts:
        match part:
            case ast.Call(func=loader, args=[ast.Attribute(value=owner, attr=attr)], keywords=[]):
                cls = program.resolve(path, owner)
                known = cls is not None and (cls, attr) in program.relationships
                if not known or program.resolve(path, loader) not in _LOADERS:
                    return []
                found.append((cls or "", attr))
            case _:
                return []
    return found


def _only_reads(colours: Colours, function: Function, owner: str, named: set[str]) -> bool:
    """Says whether nothing that can see the result reads another relationship of the objects."""
    program = colours.program
    loaded = {owner}
    loaded |= {program.relationships[owner, attr].target or "?" for attr in named}
    spectators = _spectators(colours, function)
    if any(
        is_framework_coroutine(dotted)
        for seen in spectators
        for site in colours.sites(seen)
        for dotted in site.externals
    ):
        return False
    for use in program.attribute_uses:
        if use.user not in spectators:
            continue
        holders = {ref.name for ref in use.receiver}
        unknown = not use.receiver or UNKNOWN in use.receiver
        for cls in loaded:
            if (cls, use.attr) not in program.relationships:
                continue
            if (cls in holders or unknown) and not (cls == owner and use.attr in named):
                return False
    return "?" not in loaded


def _spectators(colours: Colours, function: Function) -> set[Function]:
    """The callers of the function, theirs, and everything that any of them calls."""
    program = colours.program
    above = {function}
    pending = [function]
    while pending:
        for member in program.family(pending.pop()):
            for site in program.callers_of(member):
                if site.caller is not None and site.caller not in above:
                    above.add(site.caller)
                    pending.append(site.caller)
    seen = set(above)
    pending = list(above)
    while pending:
        for callee in _callees(colours, pending.pop()):
            if callee not in seen:
                seen.add(callee)
                pending.append(callee)
    return seen


def _callees(colours: Colours, function: Function) -> Iterator[Function]:
    for site in colours.sites(function):
        for target in site.targets:
            yield from colours.program.family(target.function)


def _with_lazyload(node: cst.List | cst.Call) -> cst.List | cst.Call:
    option = nodes.expression(f'{_LAZYLOAD}("*")')
    if isinstance(node, cst.Call):
        return nodes.with_argument(node, option)
    elements = list(node.elements)
    last = elements[-1]
    if isinstance(last.comma, cst.Comma):
        elements.append(cst.Element(option, comma=last.comma))
    else:
        elements[-1] = last.with_changes(comma=nodes.COMMA)
        elements.append(cst.Element(option))
    return node.with_changes(elements=elements)
