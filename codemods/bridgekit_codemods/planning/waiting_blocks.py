"""The `for` and `with` over library objects that wait, in the shapes that have an async form.

A library's iterator or context manager that waits can be driven from a worker thread, one step at a
time: `async for x in async_iterator(...)`, `async with async_context_manager(...)`. What each step
does, and in which order, stays as it was. Files, streamed responses and database sessions have
forms of their own; a lock must not be held over an await, and has none.
"""

from __future__ import annotations

import ast

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.blocks import is_streaming
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite

Loop = ast.For | ast.ListComp | ast.SetComp | ast.DictComp | ast.Call
"""What iterates: a statement, a comprehension, or a builtin that consumes the whole at once."""

_OWN_FORM = frozenset({"lock", "http"})
_OWN_SESSIONS = ("sqlalchemy.", "flask_sqlalchemy.", "bridgekit.")
_CONSUMERS = frozenset(
    {"list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "dict", "any", "all"}
)
_WRITABLE = ast.Call | ast.Name | ast.Attribute


def waits_when_iterated(colours: Colours, site: CallSite) -> bool:
    """Says whether the site gives, or iterates, a library's iterator that waits at each step."""
    if site.targets or site.awaited or site.kind not in ("iter", "call"):
        return False
    effects = [effect for effect in map(blocking, site.externals) if effect is not None]
    if not effects or any(effect.blocks in _OWN_FORM for effect in effects):
        return False
    if any(dotted.startswith(_OWN_SESSIONS) for dotted in site.externals):
        return False
    if site.kind == "iter":
        return True
    if any(dotted.endswith((".__iter__", ".__next__")) for dotted in site.externals):
        return False
    return all(effect.kind == "iteration" for effect in effects)


def loop_over(colours: Colours, site: CallSite) -> Loop | None:
    """What iterates the value of the site, if that has an async form."""
    node = site.node
    if site.in_lambda or site.in_genexp or not isinstance(node, _WRITABLE):
        return None
    parents = colours.parents(site.path)
    parent = parents.get(node)
    match parent:
        case ast.For(iter=iterated) if iterated is node:
            return parent
        case ast.comprehension(iter=iterated) if iterated is node:
            whole = parents.get(parent)
            return whole if isinstance(whole, ast.ListComp | ast.SetComp | ast.DictComp) else None
        case ast.Call(func=ast.Name(id=name), args=[only], keywords=[]) if only is node:
            return parent if name in _CONSUMERS else None
        case _:
            return None


def managed_block(colours: Colours, site: CallSite) -> ast.With | None:
    """The `with` over a library's context manager that waits, if it has an async form."""
    if site.kind != "with" or site.targets or site.in_lambda or is_streaming(site):
        return None
    if not isinstance(site.node, _WRITABLE) or "builtins.open" in site.externals:
        return None
    effects = colours.external_effects(site)
    if not effects or effects & _OWN_FORM:
        return None
    if any(dotted.startswith(_OWN_SESSIONS) for dotted in site.externals):
        return None
    parents = colours.parents(site.path)
    item = parents.get(site.node)
    statement = parents.get(item) if isinstance(item, ast.withitem) else None
    if isinstance(statement, ast.With) and len(statement.items) == 1:
        return statement
    return None
