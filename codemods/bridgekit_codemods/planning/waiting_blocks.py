"""The `for` and `with` over objects that wait, in the shapes that have an async form.

An iterator or context manager that waits, a library's or the program's own, can be driven from a
worker thread, one step at a time: `async for x in async_iterator(...)`, `async with
async_context_manager(...)`. What each step does, and in which order, stays as it was. Files,
streamed responses and database sessions have forms of their own; a lock must not be held over an
await, and has none.
"""

from __future__ import annotations

import ast

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.blocks import is_streaming, with_around
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite

Loop = ast.For | ast.ListComp | ast.SetComp | ast.DictComp | ast.Call
"""What iterates: a statement, a comprehension, or a builtin that consumes the whole at once."""

_OWN_FORM = frozenset({"lock", "http"})
_OWN_THREAD = frozenset({"lock", "db", "thread-local"})
"""What the program's own generators and managers must not hold while the loop goes on."""
_OWN_SESSIONS = ("sqlalchemy.", "flask_sqlalchemy.", "bridgekit.")
_CONSUMERS = frozenset(
    {"list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "dict", "any", "all"}
)
_LAZY = frozenset({"enumerate", "zip", "map", "filter"})
_WRITABLE = ast.Call | ast.Name | ast.Attribute


def waits_when_iterated(colours: Colours, site: CallSite) -> bool:
    """Says whether the site gives, or iterates, an iterator that waits at each step."""
    if site.awaited or site.kind not in ("iter", "call"):
        return False
    if site.targets:
        return site.kind == "iter" and _drives_own(colours, site)
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


def _drives_own(colours: Colours, site: CallSite) -> bool:
    """Says whether all that the site runs is plain code of the program that a thread may drive."""
    return not site.externals and all(
        target.grade != "guess"
        and not target.function.is_async
        and colours.blocks(target.function).isdisjoint(_OWN_THREAD)
        for target in site.targets
    )


def closes(site: CallSite) -> bool:
    """Says whether the end of the loop may run something: a generator that cleans up behind itself.

    Where a `for` is left early, its generator is closed at once; an `async for` leaves that to the
    garbage collector.
    """
    return any(
        isinstance(node, ast.Try | ast.With | ast.YieldFrom)
        for target in site.targets
        if target.function.is_generator
        for node in ast.walk(target.function.node)
    )


def _resumable(site: CallSite) -> bool:
    """Says whether the value may be iterated on after the loop: a generator that has a name."""
    return not isinstance(site.node, ast.Call) and any(
        target.function.is_generator and target.function.name != "__iter__"
        for target in site.targets
    )


def iterated(colours: Colours, site: CallSite) -> ast.AST:
    """What is iterated in the end: `enumerate(f())` around the site's `f()`.

    Where a generator cleans up behind itself it must be known to whoever closes it.
    """
    node = site.node
    if site.kind != "iter" or not site.targets or closes(site):
        return node
    parents = colours.parents(site.path)
    while True:
        match parents.get(node):
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) as around if (
                name in _LAZY and any(argument is node for argument in args)
            ):
                node = around
            case _:
                return node


def loop_over(colours: Colours, site: CallSite) -> Loop | None:
    """What iterates the value of the site, if that has an async form."""
    node = iterated(colours, site)
    if site.in_lambda or site.in_genexp or not isinstance(node, _WRITABLE) or _resumable(site):
        return None
    parents = colours.parents(site.path)
    parent = parents.get(node)
    match parent:
        case ast.For(iter=over) if over is node:
            return parent
        case ast.comprehension(iter=over) if over is node:
            whole = parents.get(parent)
            if closes(site):
                return None
            return whole if isinstance(whole, ast.ListComp | ast.SetComp | ast.DictComp) else None
        case ast.Call(func=ast.Name(id=name), args=[only], keywords=[]) if only is node:
            return parent if name in _CONSUMERS else None
        case _:
            return None


def managed_block(colours: Colours, site: CallSite) -> ast.With | None:
    """The `with` over a context manager that waits, if it has an async form."""
    if site.kind != "with" or site.in_lambda or is_streaming(site):
        return None
    if site.targets:
        return _only_item(colours, site) if _drives_own(colours, site) else None
    if not isinstance(site.node, _WRITABLE) or "builtins.open" in site.externals:
        return None
    effects = colours.external_effects(site)
    if not effects or effects & _OWN_FORM:
        return None
    if any(dotted.startswith(_OWN_SESSIONS) for dotted in site.externals):
        return None
    return _only_item(colours, site)


def _only_item(colours: Colours, site: CallSite) -> ast.With | None:
    return with_around(colours, site) if isinstance(site.node, _WRITABLE) else None
