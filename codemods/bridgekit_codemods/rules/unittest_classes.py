"""Classes of `unittest` whose tests become async: `IsolatedAsyncioTestCase` in place of `TestCase`.

An `async def` in a plain `TestCase` is reported as passed though nothing of it ran, so a method
only becomes async together with its class. The async class runs sync tests, `setUp` and
`tearDown` as before; what must await there becomes `asyncSetUp` or `asyncTearDown`, which run right
after and right before them.

Safety: guarded. Left alone is what derives from another library's test case, and the methods that
`unittest` calls without a loop (`setUpClass`, `tearDownClass`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.rules.base import Draft
from bridgekit_codemods.rules.bindings import TakenNames
from bridgekit_codemods.rules.body import Unconvertible

ASYNC_NAMES = {"setUp": "asyncSetUp", "tearDown": "asyncTearDown"}
_PLAIN = frozenset({"unittest.TestCase", "unittest.case.TestCase"})
_ASYNC = frozenset(
    {
        "unittest.IsolatedAsyncioTestCase",
        "unittest.async_case.IsolatedAsyncioTestCase",
    }
)
_NAME = "IsolatedAsyncioTestCase"
_CALLED_PLAINLY = frozenset(
    {"setUpClass", "tearDownClass", "run", "debug", "id", "shortDescription", "countTestCases"}
)


def is_test_case(cls: Class) -> bool:
    """Says whether `unittest` runs the tests of the class."""
    return any(isinstance(base, str) and base.endswith("TestCase") for base in cls.mro)


def may_become_async(function: Function) -> bool:
    """Says whether a method of a test class may await: its class has an async form."""
    cls = function.cls
    return cls is None or not is_test_case(cls) or _problem(function, cls) is None


def _problem(function: Function, cls: Class) -> str | None:
    outside = {base for base in cls.mro if isinstance(base, str)} - {"object", "builtins.object"}
    if not outside <= _PLAIN | _ASYNC:
        others = ", ".join(sorted(outside - _PLAIN - _ASYNC))
        return f"its class derives from {others}, which does not run async tests"
    if function.name in _CALLED_PLAINLY:
        return f"unittest calls {function.name} and does not await"
    return None


def async_test_cases(program: Program, draft: Draft, flipped: Iterable[Function]) -> None:
    """Registers the edits of the classes whose methods `flipped` become async, and the new names of
    `setUp` and `tearDown`. To be called before the bodies are rewritten.

    Raises:
        Unconvertible: a method cannot be async in its class.
    """
    members = set(flipped)
    roots: dict[Class, Function] = {}
    renamed: set[Function] = set()
    for function in sorted(members, key=lambda f: f.qualname):
        cls = function.cls
        if cls is None or not is_test_case(cls):
            continue
        problem = _problem(function, cls)
        if problem is not None:
            raise _stuck(function, function, problem)
        for base in cls.mro:
            if isinstance(base, Class) and _PLAIN.intersection(base.bases):
                roots.setdefault(base, function)
        if function.name in ASYNC_NAMES:
            _whole_family(program, function, members)
            renamed.add(function)
    for root, function in roots.items():
        _change_base(program, draft, root, function)
    for function in renamed:
        edit = nodes.renamed_definition(ASYNC_NAMES[function.name])
        file = program.files[function.path]
        draft.edits(function.path).at("FunctionDef", file.span(function.node), edit)
        _rename_calls(program, draft, function)


def _whole_family(program: Program, function: Function, members: set[Function]) -> None:
    """`unittest` calls both forms: one that stayed sync would no longer stand in for the other."""
    for other in program.family(function):
        if other not in members:
            raise _stuck(
                function, other, f"{other.qualname} overrides it or is overridden, and stays sync"
            )


def _change_base(program: Program, draft: Draft, root: Class, function: Function) -> None:
    if program.derived(TakenNames).taken(root.path, "unittest", _NAME):
        raise _stuck(function, function, f"the name {_NAME} means something else in {root.path}")
    file, edits = program.files[root.path], draft.edits(root.path)
    for base in root.node.bases:
        if program.resolve(root.path, base) not in _PLAIN:
            continue
        assert isinstance(base, ast.Name | ast.Attribute)
        edits.at(type(base).__name__, file.span(base), nodes.renamed(_NAME))
        if isinstance(base, ast.Name):
            edits.add_import("unittest", _NAME)
            edits.drop_import("unittest", "TestCase")


def _rename_calls(program: Program, draft: Draft, function: Function) -> None:
    for site in program.callers_of(function):
        if site.kind != "call" or not isinstance(site.node, ast.Call):
            continue
        edit = nodes.renamed_callee(ASYNC_NAMES[function.name])
        draft.edits(site.path).at("Call", site.span, edit)


def _stuck(function: Function, place: Function, reason: str) -> Unconvertible:
    finding = Finding(
        place.path,
        place.node.lineno,
        "BK354",
        f"{function.name} cannot be async: {reason}",
        "write the test as a function, or derive the class from unittest.TestCase",
        function.qualname,
    )
    return Unconvertible(function, finding)
