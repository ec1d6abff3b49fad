"""Which tests reach which functions: by calls, through fixtures, and by the URLs they request.

This is what the text shows. A test that reaches a function through something that the program
model does not resolve is missing here; a traced run of the tests sees it.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from bridgekit_codemods.planning.routes import View, views
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_CLIENTS = re.compile(r"(flask|quart|werkzeug|bridgekit)\..*(Client|TestClient\w*)\.(\w+)\Z")
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "open"})
_PARAMETER = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>")
_ANY = "\0"
"""Stands in a requested URL for a part that is computed."""


class TestReach:
    """The tests that reach each function. Ask with `program.derived(TestReach)`."""

    __test__ = False  # not a test, for pytest

    def __init__(self, program: Program) -> None:
        self._tests = sorted(
            (f for f in program.functions.values() if f.is_test_function),
            key=lambda f: f.qualname,
        )
        self._reached = _masks(_edges(program), self._tests)

    def tests_of(self, function: Function) -> list[str]:
        """Qualified names of the tests that reach the function, sorted; a test reaches itself."""
        mask = self._reached.get(function, 0)
        return [test.qualname for i, test in enumerate(self._tests) if mask >> i & 1]

    def count(self, function: Function) -> int:
        """How many tests reach the function."""
        return self._reached.get(function, 0).bit_count()


def calls_what_it_wraps(site: CallSite) -> bool:
    """Says whether the site is the call that a decorator's wrapper makes of what it decorates.

    It reaches all decorated functions, but never one on behalf of another: whoever calls a
    decorated function has a call of that function itself.
    """
    caller, node = site.caller, site.node
    if caller is None or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    around = caller.parent
    return around is not None and node.func.id in {param.name for param in around.params}


def _edges(program: Program) -> dict[Function, set[Function]]:
    """What running a function may run next."""
    edges: dict[Function, set[Function]] = defaultdict(set)
    routes = _Routes(program.derived(views))
    for site in program.calls:
        if site.caller is None:
            continue
        if not calls_what_it_wraps(site):
            edges[site.caller].update(target.function for target in site.targets)
        if program.files[site.path].is_test:
            edges[site.caller].update(routes.requested(site))
    for reference in program.references:
        if reference.user is not None and reference.kind != "decorator":
            edges[reference.user].add(reference.function)
    for function in program.functions.values():
        if function.is_test_function or function.is_fixture:
            edges[function].update(program.fixtures_of(function))
        edges[function].update(program.wrappers_of(function))
        if function.parent is not None:
            edges[function.parent].add(function)
    return edges


def _masks(edges: dict[Function, set[Function]], tests: list[Function]) -> dict[Function, int]:
    """For each function the set of tests that lead to it, as the bits of a number."""
    found: dict[Function, int] = defaultdict(int)
    for position, test in enumerate(tests):
        found[test] = 1 << position
    pending = set(tests)
    while pending:
        function = pending.pop()
        mask = found[function]
        for callee in edges.get(function, ()):
            if mask & ~found[callee]:
                found[callee] |= mask
                pending.add(callee)
    return dict(found)


class _Routes:
    """Finds the views that a URL leads to."""

    def __init__(self, registered: tuple[View, ...]) -> None:
        self._views = [(_pattern(view.rule), view) for view in registered if view.rule is not None]
        self._known: dict[tuple[str, str], frozenset[Function]] = {}

    def requested(self, site: CallSite) -> frozenset[Function]:
        """The views that a call of a test client requests; empty for other calls."""
        node = site.node
        if site.name not in _VERBS or not isinstance(node, ast.Call) or not node.args:
            return frozenset()
        if not any(_CLIENTS.match(dotted) for dotted in site.externals):
            return frozenset()
        url = _url(node.args[0])
        if url is None:
            return frozenset()
        key = (site.name, url)
        if key not in self._known:
            path = url.partition("?")[0]
            fitting = [view for pattern, view in self._views if pattern.match(path)]
            fixed = [view for view in fitting if view.rule == path]
            self._known[key] = frozenset(
                view.function
                for view in fixed or fitting
                if not view.methods or site.name == "open" or _verb(site.name) in view.methods
            )
        return self._known[key]


def _verb(name: str) -> str:
    return "GET" if name in ("head", "options") else name.upper()


def _pattern(rule: str) -> re.Pattern[str]:
    """What a requested path looks like that the rule answers."""
    parts: list[str] = []
    end = 0
    for match in _PARAMETER.finditer(rule):
        parts.append(re.escape(rule[end : match.start()]))
        parts.append(".+" if match[1] == "path" else "[^/]+")
        end = match.end()
    parts.append(re.escape(rule[end:]))
    return re.compile("".join(parts) + r"/?\Z")


def _url(node: ast.expr) -> str | None:
    """The URL as far as it is written, computed parts replaced; None if nothing is."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(
                v.value if isinstance(v, ast.Constant) and isinstance(v.value, str) else _ANY
                for v in values
            )
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            first, second = _url(left), _url(right)
            if first is None and second is None:
                return None
            return (_ANY if first is None else first) + (_ANY if second is None else second)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str(text))):
            return re.sub(r"%[sdr]", _ANY, text)
        case _:
            return None
