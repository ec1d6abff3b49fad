"""pytest fixtures: what a test's parameter of that name holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods import catalog
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Function, Param
from bridgekit_codemods.program.types import TypeRef, Types

_BUILTIN = {
    "monkeypatch": "pytest.MonkeyPatch",
    "tmp_path": "pathlib.Path",
    "tmpdir": "py.path.local",
    "capsys": "pytest.CaptureFixture",
    "caplog": "pytest.LogCaptureFixture",
    "request": "pytest.FixtureRequest",
    "mocker": "pytest_mock.MockerFixture",
    "recwarn": "pytest.WarningsRecorder",
}


class Fixtures:
    """Finds the fixture that pytest would inject, nearest definition first."""

    def __init__(self, engine: Inference, functions: dict[str, Function]) -> None:
        self.engine = engine
        self._by_name: dict[str, list[Function]] = {}
        for fn in functions.values():
            if fn.is_fixture:
                self._by_name.setdefault(fixture_name(fn), []).append(fn)

    def applies(self, fn: Function) -> bool:
        """Whether pytest fills this function's parameters."""
        return (
            fn.is_fixture
            or fn.is_test_function
            or (fn.cls is not None and fn.name in ("setup_method", "setup_class"))
        )

    def for_parameter(self, fn: Function, param: Param) -> Function | None:
        """The fixture that fills the parameter; None when it is not one of the program's."""
        if not self.applies(fn) or param.default is not None or self._is_parametrized(fn, param):
            return None
        return self._named(param.name, fn)

    def _named(self, name: str, fn: Function) -> Function | None:
        """The fixture of a name that a test, fixture or helper gets."""
        candidates = [
            f for f in self._by_name.get(name, ()) if f is not fn and self._visible(f, fn)
        ]
        return max(candidates, key=lambda f: self._nearness(f, fn)) if candidates else None

    def requested(self, node: ast.Call) -> list[Function]:
        """The fixtures that `request.getfixturevalue("name")` gives.

        The name may be a parameter whose values `@pytest.mark.parametrize` lists.
        """
        argument = node.args[0] if node.args else None
        place = self.engine.facts.places.get(_root(node.func))
        fn = place.scope.function if place is not None else None
        if fn is None:
            return []
        names: list[object] = []
        if isinstance(argument, ast.Constant):
            names = [argument.value]
        elif isinstance(argument, ast.Name):
            names = self._listed(fn, argument.id)
        found = (self._named(name, fn) for name in names if isinstance(name, str))
        return [fixture for fixture in dict.fromkeys(found) if fixture is not None]

    def _listed(self, fn: Function, name: str) -> list[object]:
        """The constants that `@pytest.mark.parametrize` lists for a parameter."""
        for names, values in self._marks(fn):
            if name in names and isinstance(values, (ast.List, ast.Tuple)):
                rows: list[ast.expr] = values.elts
                if len(names) > 1:
                    at = names.index(name)
                    rows = [
                        row.elts[at]
                        for row in rows
                        if isinstance(row, (ast.List, ast.Tuple)) and len(row.elts) == len(names)
                    ]
                return [row.value for row in rows if isinstance(row, ast.Constant)]
        return []

    def _marks(self, fn: Function) -> Iterator[tuple[list[str], ast.expr]]:
        """The names and values that each `@pytest.mark.parametrize` gives."""
        for decorator in self.engine.decorators_of(fn):
            node = decorator.node
            if (
                isinstance(node, ast.Call)
                and (decorator.dotted or "").endswith("mark.parametrize")
                and len(node.args) > 1
            ):
                yield _parametrized_names(node.args[0]), node.args[1]

    def of(self, fn: Function) -> tuple[Function, ...]:
        """The fixtures that a test or fixture asks for, by parameter or by mark, in order."""
        found = [self.for_parameter(fn, p) for p in fn.params]
        for decorator in fn.decorators:
            node = decorator.node
            if isinstance(node, ast.Call) and (decorator.dotted or "").endswith("mark.usefixtures"):
                found += [
                    self._named(str(name.value), fn)
                    for name in node.args
                    if isinstance(name, ast.Constant)
                ]
        return tuple(f for f in dict.fromkeys(found) if f is not None)

    def builtin(self, fn: Function, param: Param) -> Types | None:
        given = self._parametrized(fn, param)
        if given is not None:
            return given
        name = _BUILTIN.get(param.name)
        if name is None or not self.applies(fn):
            return None
        return frozenset({TypeRef(name)})

    def value(self, fixture: Function) -> Types:
        """What the fixture provides: its yielded or returned value."""
        results = self.engine.results
        found = results.called(fixture, None)
        if fixture.is_generator:
            return self.engine.elements(found)
        if fixture.is_async:
            return frozenset().union(*(results.awaited(r) for r in found))
        return found

    def _visible(self, fixture: Function, fn: Function) -> bool:
        if fixture.path == fn.path:
            return fixture.cls is None or fixture.cls is fn.cls
        file = fixture.path.rpartition("/")[2]
        directory = fixture.path.rpartition("/")[0]
        if file == "conftest.py":
            return not directory or fn.path.startswith(directory + "/")
        # plugins and star-imported fixture modules
        return True

    def _is_parametrized(self, fn: Function, param: Param) -> bool:
        """Whether `@pytest.mark.parametrize` gives the parameter its values."""
        for decorator in self.engine.decorators_of(fn):
            node = decorator.node
            if (
                isinstance(node, ast.Call)
                and (decorator.dotted or "").endswith("mark.parametrize")
                and node.args
            ):
                names = node.args[0]
                parts = names.elts if isinstance(names, (ast.Tuple, ast.List)) else [names]
                for part in parts:
                    text = part.value if isinstance(part, ast.Constant) else ""
                    if param.name in str(text).replace(",", " ").split():
                        return True
        return False

    def _parametrized(self, fn: Function, param: Param) -> Types | None:
        """The types of the values that `@pytest.mark.parametrize` lists for the parameter."""
        for names, listed in self._marks(fn):
            if param.name not in names:
                continue
            values = self.engine.elements(self.engine.types(listed))
            if len(names) > 1:
                values = self.engine.item(values, names.index(param.name))
            # `pytest.param(...)` holds the value and more
            library = [r for r in values if r.name.startswith(("pytest.", "_pytest."))]
            return values if values and not library else None
        return None

    def _nearness(self, fixture: Function, fn: Function) -> tuple[int, int, int]:
        same_file = fixture.path == fn.path
        same_class = fixture.cls is not None and fixture.cls is fn.cls
        depth = fixture.path.count("/") if fixture.path.endswith("conftest.py") else -1
        return (int(same_class), int(same_file), depth)


def is_fixture_decorator(dotted: str | None) -> bool:
    return dotted in catalog.FIXTURE_DECORATORS


def fixture_name(fn: Function) -> str:
    """The name a fixture goes by: `name=` of its decorator or the function's."""
    for decorator in fn.decorators:
        if is_fixture_decorator(decorator.dotted) and isinstance(decorator.node, ast.Call):
            for keyword in decorator.node.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return fn.name


def _parametrized_names(node: ast.expr) -> list[str]:
    parts = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
    return [
        name
        for part in parts
        if isinstance(part, ast.Constant)
        for name in str(part.value).replace(",", " ").split()
    ]


def _root(node: ast.expr) -> ast.expr:
    """The name that an attribute chain begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node
