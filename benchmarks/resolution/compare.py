"""Holds the static call sites against the calls that were observed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.resolution.observed import Definition, Observed, Seen, at

from bridgekit_codemods.program import CallSite, Function, Program

GRADES = ("exact", "method", "override", "traced", "engine", "guess")
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")


@dataclass
class Miss:
    """A call that the tests made and the model does not know, or knows wrongly."""

    site: CallSite
    text: str
    cause: str
    observed: list[str]


@dataclass
class Grade:
    """How often a grade was claimed at executed sites, and how often wrongly."""

    sites: int = 0
    wrong: int = 0
    targets: int = 0
    observed: int = 0


@dataclass
class Comparison:
    """Counts over the executed call sites that reached a function of the program."""

    sites: int = 0
    resolved: int = 0
    guessed: int = 0
    grades: dict[str, Grade] = field(default_factory=lambda: {g: Grade() for g in GRADES})
    misses: list[Miss] = field(default_factory=list)
    wrong: list[Miss] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)


def compare(
    program: Program,
    observed: Observed,
    *,
    tests: bool = True,
    sites: Iterable[CallSite] | None = None,
) -> Comparison:
    """Call sites of the program, and unless `tests` is false those in its test files.

    `sites` stand in the place of the program's own.

    Resolved: every function that was reached is among the targets, none of them a guess.

    Wrong: a claim that is no guess, where the call went elsewhere; be it to a function of the
    program that is not among the targets or, never reaching any of the targets, to a library.
    A function counts as reached when the wrapper that its decorator puts around it was.
    """
    result = Comparison()
    for site, reached, seen in executed(program, observed, sites):
        if tests or not program.files[site.path].is_test:
            _judge(program, site, reached, seen, result)
    return result


def executed(
    program: Program, observed: Observed, sites: Iterable[CallSite] | None = None
) -> Iterator[tuple[CallSite, set[Function], Seen]]:
    """The call sites that ran, with the functions of the program that they reached."""
    definitions = {_definition(f): f for f in program.functions.values()}
    applied = _decorators(program)
    for site in program.calls if sites is None else sites:
        if site.kind != "call" or site.node in applied:
            continue
        node = site.node
        assert isinstance(node, ast.Call)
        end = (site.path, node.end_lineno or 0, node.end_col_offset or 0)
        seen = at(observed, end, (node.lineno, node.col_offset))
        if seen is None:
            continue
        reached = {definitions[d] for d in seen.project if d in definitions}
        yield site, {f for f in reached if not _hidden(f, site.name)}, seen


def _hidden(function: Function, name: str) -> bool:
    """A special method that a C callable uses: `list(x)`, `str(x)`, `set([x])`."""
    special = function.name.startswith("__") and function.name.endswith("__")
    return special and function.name not in (*_CONSTRUCTORS, "__call__", name)


def _definition(function: Function) -> Definition:
    first = [function.node.lineno, *(d.lineno for d in function.node.decorator_list)]
    return (function.path, min(first))


def _decorators(program: Program) -> set[ast.AST]:
    """Calls that decorate: applying what they return has the same span as they have."""
    return {
        decorator
        for file in program.files.values()
        for node in file.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for decorator in node.decorator_list
    }


def _judge(
    program: Program, site: CallSite, reached: set[Function], seen: Seen, result: Comparison
) -> None:
    sure = {t.function: t.grade for t in site.targets if t.grade != "guess"}
    guessed = {t.function for t in site.targets}
    missing = {f for f in reached if not covered(program, f, set(sure))}
    if reached:
        result.sites += 1
        if not missing:
            result.resolved += 1
        else:
            cause = _cause(program, site)
            if all(covered(program, f, guessed) for f in reached):
                result.guessed += 1
                cause = f"guess: {cause}"
            result.causes[cause] += 1
            result.misses.append(_miss(program, site, cause, reached, seen))
    if not sure and not (guessed and reached):
        return
    worst = max((sure or dict.fromkeys(guessed, "guess")).values(), key=GRADES.index)
    grade = result.grades[worst]
    grade.sites += 1
    hits = sum(1 for t in guessed if t in reached or any(covered(program, r, {t}) for r in reached))
    grade.targets += len(guessed)
    grade.observed += hits
    if not sure:
        missing = {f for f in reached if not covered(program, f, guessed)}
    elsewhere = bool(missing) if reached else not _wrapped_outside(program, set(sure), seen)
    if elsewhere:
        grade.wrong += 1
        if sure:
            result.wrong.append(_miss(program, site, worst, reached, seen))


def covered(program: Program, function: Function, targets: set[Function]) -> bool:
    """Whether a function that was reached is among the targets or what is put around them."""
    if function in targets:
        return True
    for target in targets:
        if function in program.wrappers_of(target):
            return True
        same_class = function.cls is not None and function.cls is target.cls
        if same_class and function.name in _CONSTRUCTORS and target.name in _CONSTRUCTORS:
            return True
    return False


def _wrapped_outside(program: Program, targets: set[Function], seen: Seen) -> bool:
    """Whether library code stands between the call and the target: its decorator's wrapper, or an
    `__init__` that the library put around the class's own."""
    return any(t.decorators or t.name in _CONSTRUCTORS or t.is_generator for t in targets)


def _miss(program: Program, site: CallSite, cause: str, reached: set[Function], seen: Seen) -> Miss:
    assert isinstance(site.node, ast.Call)
    text = ast.unparse(site.node.func)
    names = sorted(f.qualname for f in reached) or sorted(seen.outside)
    return Miss(site, text if len(text) < 70 else text[:67] + "...", cause, names)


def _cause(program: Program, site: CallSite) -> str:
    assert isinstance(site.node, ast.Call)
    func = site.node.func
    if isinstance(func, ast.Name):
        if func.id in _parameters(site.caller):
            return "a function in a parameter"
        return "a function or class in a variable"
    if isinstance(func, ast.Subscript):
        return "an item of a registry"
    if not isinstance(func, ast.Attribute):
        return "the result of a call is called"
    value = func.value
    if isinstance(value, ast.Name):
        if value.id in _parameters(site.caller):
            return "method of a parameter"
        return "method of a variable"
    if isinstance(value, ast.Attribute):
        return "method of an attribute"
    if isinstance(value, ast.Call):
        return "method of a call's result"
    return "method of another expression"


def _parameters(function: Function | None) -> set[str]:
    names: set[str] = set()
    while function is not None:
        names |= {p.name for p in function.params}
        function = function.parent
    return names
