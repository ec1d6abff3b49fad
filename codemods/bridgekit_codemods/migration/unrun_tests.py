"""Tests that nothing would run: `async def` in a class whose tests `unittest` calls plainly.

Such a test is reported as passed, whatever it asserts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.migration.allowed_edits import dotted

_LIFECYCLE = ("setUp", "tearDown", "setUpClass", "tearDownClass")


def unrun_tests(tree: ast.Module) -> Iterator[str]:
    """The qualified names of the async tests, and of async `setUp` and its like, of such classes.

    Base classes are followed within the file.
    """
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for cls in classes.values():
        plain = _calls_plainly(cls, classes, frozenset())
        for node in cls.body:
            if not isinstance(node, ast.AsyncFunctionDef):
                continue
            is_test = node.name.startswith("test")
            if (plain and is_test) or (plain is not None and node.name in _LIFECYCLE):
                yield f"{cls.name}.{node.name}"


def _calls_plainly(
    cls: ast.ClassDef, classes: dict[str, ast.ClassDef], seen: frozenset[str]
) -> bool | None:
    """Whether the class is a test case that does not await; None if it is no test case."""
    found: bool | None = None
    for base in cls.bases:
        name = dotted(base) or ""
        last = name.rpartition(".")[2]
        if name in classes and name not in seen:
            inner = _calls_plainly(classes[name], classes, seen | {cls.name})
            found = inner if found is None else found
        elif last.endswith("TestCase"):
            found = "Async" not in last if found is None else found
    return found
