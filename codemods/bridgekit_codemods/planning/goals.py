"""Which functions the patterns of `--goal` name.

`views:orders.*`      views by endpoint, `views:orders` all of that blueprint
`routes:/api/orders*` views by URL rule, as written with its prefixes
`shop.views.orders.*` functions by dotted name: views, or any function that callers will await
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from bridgekit_codemods.planning.routes import views
from bridgekit_codemods.planning.scope import ScopeError
from bridgekit_codemods.planning.settings import matches
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_VIEWS = ("views:", "view:", "blueprint:")
_ROUTES = ("routes:", "route:")
_SHOWN = 8


def goal_functions(program: Program, pattern: str) -> frozenset[Function]:
    """The functions that one pattern names, tests left out; empty if there is none.

    A function that a step of the walk has split is found under its old name, which is its facade's.
    """
    if pattern.startswith(_VIEWS):
        name = pattern.partition(":")[2]
        return frozenset(
            view.function
            for view in program.derived(views)
            if fnmatchcase(view.endpoint, name) or (view.blueprint is not None
                                                    and fnmatchcase(view.blueprint, name))
        )  # fmt: skip
    if pattern.startswith(_ROUTES):
        rule = pattern.partition(":")[2]
        return frozenset(
            view.function
            for view in program.derived(views)
            if view.rule is not None and fnmatchcase(view.rule, rule)
        )
    return frozenset(
        function
        for function in program.functions.values()
        if matches(pattern, function.qualname) and not program.files[function.path].is_test
    )


def check_goals(program: Program, patterns: Iterable[str]) -> None:
    """See that every pattern names something.

    Raises:
        ScopeError: one does not; the message shows names that exist.
    """
    for pattern in patterns:
        if goal_functions(program, pattern):
            continue
        if pattern.startswith(_VIEWS):
            known = sorted({view.endpoint for view in program.derived(views)})
        elif pattern.startswith(_ROUTES):
            known = sorted({view.rule for view in program.derived(views) if view.rule})
        else:
            known = sorted({view.function.qualname for view in program.derived(views)})
        shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        there = f"there are {shown}" if known else "the program has no view that could be named"
        raise ScopeError(f"--goal {pattern}: no function has that name; {there}")
