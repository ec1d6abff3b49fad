"""What of the language keeps a function sync: constructs in which an await means something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from bridgekit_codemods.planning.anytime import Anytime
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.handed import handed_over
from bridgekit_codemods.planning.stopping import stopping
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.symbols import Function


class Hindrance(NamedTuple):
    """Why a function stays sync: the place, the code, the reason and the remedy."""

    node: ast.AST
    code: str
    reason: str
    remedy: str


def hindrances(colours: Colours, function: Function) -> Iterator[Hindrance]:
    """Those of one function that is sync."""
    program = colours.program
    via = program.derived(Anytime).reached.get(function)
    if via is not None:
        yield Hindrance(
            function.node,
            "BK344",
            f"{via} may call it at any moment, on the event loop's thread too",
            "give it a function of its own that does not wait",
        )
    place = program.derived(stopping).get(function)
    if place is not None:
        yield Hindrance(
            place,
            "BK342",
            "a StopIteration passes here, which a coroutine cannot raise",
            "raise and catch an exception of your own",
        )
    for reference in program.derived(handed_over).get(function, ()):
        other = reference.function
        if colours.blocks(other):
            yield Hindrance(
                reference.node,
                "BK345",
                f"hands {other.name}, which blocks, to {reference.consumer}; "
                "it is not known when that calls it",
                "none needed: the function runs in a worker thread",
            )


def shape(colours: Colours, function: Function) -> Iterator[Hindrance]:
    """What the kind of the function keeps from becoming async."""
    node, name = function.node, function.name
    if name.startswith("__") and name.endswith("__"):
        remedy = (
            "move the blocking part into a method or an async factory"
            if name == "__init__"
            else "move the blocking part into a method"
        )
        yield Hindrance(
            node,
            "BK303",
            f"{name} is called by the language, which does not await",
            remedy,
        )
    if function.is_property:
        yield Hindrance(
            node,
            "BK304",
            "a property cannot be awaited at its uses",
            "make it a method",
        )
    if function.is_generator:
        yield Hindrance(
            node,
            "BK305",
            "a generator: its consumers would need `async for`",
            "none needed: it is iterated in a worker thread",
        )
    if function.parent is not None and function not in colours.entries:
        yield Hindrance(
            node,
            "BK306",
            "a nested function that is passed around as a value",
            "move it to module level",
        )
    external = colours.program.overrides_external(function)
    if external is not None:
        yield Hindrance(
            node,
            "BK307",
            f"overrides a method of {external}, which calls it plainly",
            "none, unless the library has an async base class",
        )


def hindrances_at(colours: Colours, site: CallSite) -> Iterator[Hindrance]:
    """Those of one call that blocks, or whose target has an async form."""
    if in_class_body(colours, site):
        yield Hindrance(
            site.node,
            "BK341",
            f"calls {site.name}(...), which blocks, in the body of a class",
            "call it before the class, and name the result",
        )


def in_class_body(colours: Colours, site: CallSite) -> bool:
    """Says whether the site runs while a class is made, where nothing can be awaited."""
    parents = colours.parents(site.path)
    inner: ast.AST = site.node
    around = parents.get(inner)
    while around is not None:
        runs_later = isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if runs_later and any(inner is part for part in _body(around)):
            return False
        if isinstance(around, ast.ClassDef) and any(inner is part for part in around.body):
            return True
        inner, around = around, parents.get(around)
    return False


def _body(node: ast.AST) -> list[ast.AST]:
    body = getattr(node, "body", [])
    return body if isinstance(body, list) else [body]
