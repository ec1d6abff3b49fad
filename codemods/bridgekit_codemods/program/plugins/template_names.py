"""What a program makes known to all of its Jinja templates: globals, filters and tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import Types, external, function

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

Table: TypeAlias = Literal["globals", "filters", "tests"]
_TABLES: tuple[Table, ...] = ("globals", "filters", "tests")
_REGISTRATIONS: dict[str, Table] = {
    f"{prefix}template_{kind[:-1]}": kind
    for prefix in ("", "app_", "add_", "add_app_")
    for kind in _TABLES
}
_PROCESSORS = frozenset({"context_processor", "app_context_processor"})
_FRAMEWORKS = (
    "flask.",
    "quart.",
    "bridgekit.integrations.flask.",
    "bridgekit.integrations.quart.",
)
_LIBRARY = {
    "g": "flask.g",
    "request": "flask.request",
    "session": "flask.session",
    "current_user": "flask_login.current_user",
}


class TemplateNames:
    """The tables by which templates find functions and values, from the registrations."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.tables: dict[Table, dict[str, Types]] = {table: {} for table in _TABLES}
        self.processors: dict[Function, bool] = {}
        """The context processors, and whether they run for the templates of every view."""
        for name, dotted in _LIBRARY.items():
            self.tables["globals"][name] = frozenset({external(dotted)})
        for fn in engine.facts.functions.values():
            if not engine.facts.definition_scopes[fn].file.is_test:
                self._decorated(fn)
        for call in engine.facts.calls:
            if not call.scope.file.is_test:
                self._called(call.node)
        for store in engine.facts.stores:
            target = store.target
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                table = _environment_table(target.value)
                if table is not None:
                    self._add(table, target.slice.value, engine.bindings.of(store.binding))

    def _add(self, table: Table, name: object, types: Types) -> None:
        if isinstance(name, str):
            known = self.tables[table]
            known[name] = known.get(name, frozenset()) | types

    def _decorated(self, fn: Function) -> None:
        for decorator in fn.decorators:
            root, _, last = (decorator.dotted or "").rpartition(".")
            if not root.startswith(_FRAMEWORKS):
                continue
            table = _REGISTRATIONS.get(last)
            value = frozenset({function(fn.qualname, "exact")})
            if table is not None:
                given = _first(decorator.node) if isinstance(decorator.node, ast.Call) else None
                self._add(table, given or fn.name, value)
            elif last in _PROCESSORS:
                self._processed(fn, decorator.dotted or "")

    def _called(self, node: ast.Call) -> None:
        func = node.func
        if not isinstance(func, ast.Attribute):
            return
        if func.attr == "update":
            table = _environment_table(func.value)
            if table is not None:
                for name, value in _entries(node):
                    self._add(table, name, self.engine.types(value))
            return
        table = _REGISTRATIONS.get(func.attr)
        if table is None and func.attr not in _PROCESSORS:
            return
        for argument in node.args[:1]:
            for ref in sorted(self.engine.types(argument)):
                fn = self.engine.facts.functions.get(ref.args[0].name) if ref.args else None
                if ref.name != "function" or fn is None:
                    continue
                if table is None:
                    self._processed(fn, self._name_of(func))
                else:
                    self._add(table, _named(node, "name", 1) or fn.name, frozenset({ref}))

    def _name_of(self, func: ast.expr) -> str:
        names = sorted(r.args[0].name for r in self.engine.types(func) if r.name == "external")
        return names[0] if names else ""

    def _processed(self, fn: Function, registration: str) -> None:
        """The names in the dict that a context processor returns; it runs for every template."""
        of_blueprint = registration.endswith("Blueprint.context_processor")
        self.processors[fn] = self.processors.get(fn, False) or not of_blueprint
        for value in self.engine.facts.returns.get(fn, []):
            for name, entry in _entries_of(value):
                self._add("globals", name, self.engine.types(entry))


def _environment_table(node: ast.expr) -> Table | None:
    """Which table of the Jinja environment an expression is: `app.jinja_env.filters`."""
    if isinstance(node, ast.Attribute) and node.attr in _TABLES:
        owner = node.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        if name in ("jinja_env", "jinja_environment"):
            return _TABLES[_TABLES.index(node.attr)]
    return None


def _entries(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The entries that `update(...)` or `dict(...)` is given."""
    for argument in node.args:
        yield from _entries_of(argument)
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value


def _entries_of(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(value, ast.Dict):
        for key, entry in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, entry
    elif (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict"
    ):
        yield from _entries(value)


def context_of(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The names that a call of `render_template` gives to the template."""
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword.value
        else:
            yield from _entries_of(keyword.value)


def _first(node: ast.Call) -> str | None:
    return _named(node, "name", 0)


def _named(node: ast.Call, parameter: str, position: int) -> str | None:
    for keyword in node.keywords:
        if keyword.arg == parameter and isinstance(keyword.value, ast.Constant):
            return keyword.value.value if isinstance(keyword.value.value, str) else None
    if len(node.args) > position:
        value = node.args[position]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None
