"""Generator expressions around a call: whether they run at once, where they stand."""

from __future__ import annotations

import ast

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite

# Builtins that consume a generator expression at once, whole, and keep no reference to it.
CONSUMERS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "dict"})


def consumed_at_once(colours: Colours, site: CallSite) -> bool:
    """Says whether the generator expression around the site is consumed whole, at once."""
    generator = generator_around(colours, site)
    if generator is None:
        return False
    parents = colours.parents(site.path)
    if site.node is generator.generators[0].iter:
        return True  # evaluated outside the generator
    call = parents.get(generator)
    match call:
        case ast.Call(func=ast.Name(id=name), args=[only]) if only is generator:
            return name in CONSUMERS
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if first is generator:
            return name in ("sum", "sorted", "min", "max")
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join")):
            return True
        case _:
            return False


def generator_around(colours: Colours, site: CallSite) -> ast.GeneratorExp | None:
    """The innermost generator expression that holds the site."""
    parents = colours.parents(site.path)
    node: ast.AST | None = site.node
    while node is not None and not isinstance(node, ast.GeneratorExp):
        node = parents.get(node)
    return node


def first_name(target: ast.expr) -> ast.expr:
    """What a comprehension binds first: a place by which the comprehension is known.

    Brackets around the target, or around the whole expression, do not move it.
    """
    while isinstance(target, ast.Tuple | ast.List | ast.Starred):
        target = target.value if isinstance(target, ast.Starred) else target.elts[0]
    return target
