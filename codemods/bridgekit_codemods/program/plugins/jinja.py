"""What rendering a Jinja template calls: properties, methods, filters and functions it touches.

A template is read with the types of what the render call gives it. What it includes, extends and
imports is read with it. Only what it surely names is followed: a template whose name is computed,
or an object of unknown type, tells nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import product
from bridgekit_codemods.program.hidden import Reached
from bridgekit_codemods.program.plugins.template_names import TemplateNames, context_of
from bridgekit_codemods.program.plugins.template_trees import Tree, literals, parse
from bridgekit_codemods.program.source import TEMPLATE_SUFFIXES
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, TypeRef, Types

try:
    from jinja2 import nodes
except ImportError:  # the base install has no template engine: then there are no trees to read
    nodes = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_ANY: Types = frozenset({UNKNOWN})
_RENDERERS = frozenset(
    f"{root}.{verb}_template" for root in ("flask", "quart") for verb in ("render", "stream")
)
_FROM_TEXT = frozenset(f"{name}_string" for name in _RENDERERS)
_SAME = frozenset(
    {"list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "safe",
     "default", "d"}
)  # fmt: skip
_ELEMENT = frozenset({"first", "last", "random", "min", "max"})
_DEPTH = 12
RENDERING = "rendering any template"
"""What calls context processors."""
Scope: TypeAlias = dict[str, Types]


class Touched(NamedTuple):
    """What rendering calls: functions with grades, where templates call them, library callables
    that wait."""

    targets: dict[Function, str]
    places: dict[Function, str]
    externals: set[str]


class Templates:
    """The templates of a program. `reached` says what calling values reaches."""

    def __init__(
        self,
        engine: Inference,
        sources: Mapping[str, bytes],
        reached: Callable[[Types], Reached],
    ) -> None:
        self.engine = engine
        self.reached = reached
        self.sources = {p: d for p, d in sources.items() if p.endswith(TEMPLATE_SUFFIXES)}
        self._names: TemplateNames | None = None
        self._trees: dict[str, Tree | None] = {}
        self._taken_in: dict[object, Touched] = {}
        self._names_in: dict[str, frozenset[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        for path in sorted(self.sources):
            parts = path.split("/")
            for index, part in enumerate(parts[:-1]):
                if part == "templates":
                    self._by_name.setdefault("/".join(parts[index + 1 :]), []).append(path)

    @property
    def names(self) -> TemplateNames:
        """What all templates know."""
        if self._names is None:
            self._names = TemplateNames(self.engine)
        return self._names

    def of(self, node: ast.Call, callees: Types) -> Touched | None:
        """What the templates call that this call renders; None for other calls."""
        if len(callees) != 1 or not node.args:
            return None
        (ref,) = callees
        if ref.name != "external":
            return None
        dotted = ref.args[0].name
        if dotted not in _RENDERERS and dotted not in _FROM_TEXT:
            return None
        found = Touched({}, {}, set())
        context = {name: self.engine.types(value) for name, value in context_of(node)}
        for path, tree, sure in self._rendered(node.args[0], dotted in _FROM_TEXT):
            reading = _Reading(self, found, sure)
            reading.template(path, tree, dict(context))
        here = self._path(node)
        for fn, everywhere in self.names.processors.items():
            # those of a blueprint run for its own views, which most often stand beside them
            if fn not in found.targets and (everywhere or fn.path == here):
                found.targets[fn] = "exact"
                found.places[fn] = RENDERING
        return found if found.targets or found.externals else None

    def _path(self, node: ast.Call) -> str:
        """The file that a call stands in."""
        for part in ast.walk(node.func):
            if part in self.engine.facts.places:
                return self.engine.facts.places[part].scope.file.path
        return ""

    def _rendered(self, node: ast.expr, is_text: bool) -> Iterator[tuple[str, Tree, bool]]:
        """The templates that the first argument names, and whether it must be that one."""
        if isinstance(node, ast.IfExp):
            yield from self._rendered(node.body, is_text)
            yield from self._rendered(node.orelse, is_text)
        elif isinstance(node, (ast.List, ast.Tuple)):
            for element in node.elts:
                yield from self._rendered(element, is_text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if is_text:
                tree = parse(node.value)
                if tree is not None:
                    yield "", tree, True
            else:
                yield from self.named(node.value)

    def named(self, name: str) -> Iterator[tuple[str, Tree, bool]]:
        """The templates of that name; more than one where packages have the same."""
        paths = self._by_name.get(name, [])
        for path in paths:
            if path not in self._trees:
                self._trees[path] = parse(self.sources[path].decode("utf-8", "replace"))
            tree = self._trees[path]
            if tree is not None:
                yield path, tree, len(paths) == 1

    def taken_in(
        self,
        path: str,
        tree: Tree,
        by: _Reading,
        scope: Scope,
        overridden: frozenset[str],
    ) -> Touched:
        """What a template calls that another one includes or extends; most pages share these."""
        mentioned = self._mentioned(path, tree)
        names = {name: types for name, types in scope.items() if name in mentioned}
        macros = {n: m for n, m in by.macros.items() if n.partition(".")[0] in mentioned}
        key = (
            path,
            overridden,
            frozenset(names.items()),
            frozenset((name, macro.path) for name, macro in macros.items()),
        )
        found = self._taken_in.get(key)
        if found is None:
            found = self._taken_in[key] = Touched({}, {}, set())  # it may include itself
            reading = _Reading(self, found, True)
            reading.macros, reading.overridden, reading.depth = macros, overridden, by.depth
            reading.template(path, tree, names)
        return found

    def _mentioned(self, path: str, tree: Tree) -> frozenset[str]:
        """The names that a template reads, and those that it takes in read."""
        found = self._names_in.get(path)
        if found is None:
            self._names_in[path] = frozenset()
            names = set(tree.mentions)
            for name in tree.takes:
                for other, inner, _ in self.named(name):
                    names |= self._mentioned(other, inner)
            found = self._names_in[path] = frozenset(names)
        return found


class _Macro(NamedTuple):
    path: str
    node: nodes.Macro


class _Reading:
    """One pass over a template and all that it takes in."""

    def __init__(self, templates: Templates, found: Touched, sure: bool) -> None:
        self.templates = templates
        self.engine = templates.engine
        self.found = found
        self.sure = sure
        self.path = ""
        self.macros: dict[str, _Macro] = {}
        self.overridden: frozenset[str] = frozenset()
        self.depth = 0

    # -- statements ------------------------------------------------------------------------

    def template(self, path: str, tree: Tree, scope: Scope) -> None:
        """Read a whole template, in a scope that it may add to."""
        if self.depth >= _DEPTH:
            return
        outer, self.path = self.path, path
        self.depth += 1
        for macro in tree.macros:
            self.macros[macro.name] = _Macro(path, macro)
        self.body(tree.root.body, scope)
        self.depth -= 1
        self.path = outer

    def body(self, statements: list[nodes.Node], scope: Scope) -> None:
        for statement in statements:
            self.statement(statement, scope)

    def statement(self, node: nodes.Node, scope: Scope) -> None:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData):
                        self.shown(part, self.types(part, scope))
            case nodes.For():
                items = self.engine.elements(self.iterated(node, scope))
                inner = dict(scope)
                self.assign(node.target, items, inner)
                if node.test is not None:
                    self.types(node.test, inner)
                self.body(node.body, inner)
                self.body(node.else_, scope)
            case nodes.If():
                self.types(node.test, scope)
                self.body(node.body, scope)
                self.body(node.elif_, scope)  # type: ignore[arg-type]
                self.body(node.else_, scope)
            case nodes.Assign():
                self.assign(node.target, self.types(node.node, scope), scope)
            case nodes.Block():
                if node.name not in self.overridden:
                    self.body(node.body, dict(scope))
            case nodes.Macro():
                pass  # read where it is called
            case nodes.CallBlock():
                self.types(node.call, scope)
                self.body(node.body, dict(scope))
            case nodes.With():
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    self.assign(target, self.types(value, scope), inner)
                self.body(node.body, inner)
            case nodes.Extends() | nodes.Include():
                self.other(node, scope)
            case nodes.Import() | nodes.FromImport():
                self.imported(node)
            case _:
                for child in node.iter_child_nodes():
                    if isinstance(child, nodes.Expr):
                        self.types(child, scope)
                    else:
                        self.statement(child, scope)

    def other(self, node: nodes.Extends | nodes.Include, scope: Scope) -> None:
        """Another template, read with the names of this one."""
        for name in literals(node.template):
            for path, tree, sure in self.templates.named(name):
                overridden = self.overridden
                if isinstance(node, nodes.Extends):
                    overridden = overridden | self.own_blocks()
                inner = self.templates.taken_in(path, tree, self, scope, overridden)
                for fn, grade in inner.targets.items():
                    self.add(fn, grade, inner.places[fn], sure and self.sure)
                if sure and self.sure:
                    self.found.externals.update(inner.externals)

    def own_blocks(self) -> frozenset[str]:
        """The blocks of the current template that leave nothing of its parent's."""
        for _, tree, _ in self.templates.named(self.name()):
            return tree.hides
        return frozenset()

    def name(self) -> str:
        """The name of the current template."""
        return self.path.rpartition("templates/")[2]

    def imported(self, node: nodes.Import | nodes.FromImport) -> None:
        for name in literals(node.template):
            for path, tree, _ in self.templates.named(name):
                for macro in tree.macros:
                    if isinstance(node, nodes.Import):
                        self.macros[f"{node.target}.{macro.name}"] = _Macro(path, macro)
                    self.macros.setdefault(macro.name, _Macro(path, macro))
                if isinstance(node, nodes.FromImport):
                    for entry in node.names:
                        old, new = entry if isinstance(entry, tuple) else (entry, entry)
                        if old in self.macros:
                            self.macros[new] = self.macros[old]

    def assign(self, target: nodes.Node, types: Types, scope: Scope) -> None:
        if isinstance(target, nodes.Name):
            scope[target.name] = types
        elif isinstance(target, nodes.Tuple):
            for index, part in enumerate(target.items):
                self.assign(part, self.engine.item(types, index), scope)

    # -- what is touched -------------------------------------------------------------------

    def touch(
        self, node: nodes.Node, targets: Mapping[Function, str], externals: set[str], sure: bool
    ) -> None:
        waiting = {name for name in externals if catalog.blocking(name) is not None}
        if not targets and not waiting:
            return
        place = f"template {self.path or 'in the code'}:{node.lineno}"
        certain = sure and self.sure
        for fn, grade in targets.items():
            self.add(fn, grade, place, certain)
        if certain:
            self.found.externals.update(waiting)

    def add(self, fn: Function, grade: str, place: str, certain: bool) -> None:
        known = self.found.targets.get(fn)
        grade = grade if certain else "guess"
        if known is None or (known == "guess" and grade != "guess"):
            self.found.targets[fn] = grade
            self.found.places[fn] = place

    def shown(self, node: nodes.Node, types: Types) -> None:
        """`{{ value }}` asks a value for its text."""
        for name in ("__html__", "__str__"):
            self.special(node, types, name)

    def special(self, node: nodes.Node, types: Types, name: str) -> None:
        targets: dict[Function, str] = {}
        for ref in types:
            cls = self.engine.facts.classes.get(ref.name)
            method = self.engine.members.find_method(cls, name) if cls is not None else None
            if method is not None:
                targets[method] = "method"
        self.touch(node, targets, set(), UNKNOWN not in types)

    def iterated(self, node: nodes.For, scope: Scope) -> Types:
        types = self.types(node.iter, scope)
        self.special(node, types, "__iter__")
        library = {f"{r.name}.__iter__" for r in types if "." in r.name}
        self.touch(node, {}, library, True)
        return types

    # -- expressions -----------------------------------------------------------------------

    def types(self, node: nodes.Node, scope: Scope) -> Types:
        """The types of an expression; notes down what evaluating it calls."""
        match node:
            case nodes.Name():
                known = scope.get(node.name)
                if known is None:
                    known = self.templates.names.tables["globals"].get(node.name, _ANY)
                return self.engine.stood_for(known)
            case nodes.Getattr():
                return self.attribute(node, self.types(node.node, scope), node.attr)
            case nodes.Getitem():
                return self.item(node, scope)
            case nodes.Call():
                return self.call(node, scope)
            case nodes.Filter():
                return self.filter(node, scope)
            case nodes.Test():
                self.types(node.node, scope)
                self.arguments(node, scope)
                own = self.templates.names.tables["tests"].get(node.name, NOTHING)
                self.called(node, own)
                return frozenset({TypeRef("bool")})
            case nodes.CondExpr():
                self.types(node.test, scope)
                found = self.types(node.expr1, scope)
                return found | (self.types(node.expr2, scope) if node.expr2 else NOTHING)
            case nodes.And() | nodes.Or():
                return self.types(node.left, scope) | self.types(node.right, scope)
            case nodes.List() | nodes.Tuple():
                items = frozenset[TypeRef]().union(*(self.types(i, scope) for i in node.items))
                return product("list", [items or _ANY])
            case nodes.Const():
                return frozenset({TypeRef(type(node.value).__name__)})
        for child in node.iter_child_nodes():
            self.types(child, scope)
        return _ANY

    def attribute(self, node: nodes.Node, receivers: Types, name: str) -> Types:
        targets: dict[Function, str] = {}
        found: Types = NOTHING
        for ref in receivers:
            targets.update(self.engine.access.functions(ref, name, ast.Load))
            if ref.name == "dict":
                found |= self.engine.results.subscripted(ref)
            found |= self.engine.members.of(ref, name)
        self.touch(node, targets, set(), UNKNOWN not in receivers)
        return found

    def item(self, node: nodes.Getitem, scope: Scope) -> Types:
        receivers = self.types(node.node, scope)
        self.types(node.arg, scope)
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        self.special(node, receivers, "__getitem__")
        if isinstance(key, int) and key >= 0:
            return self.engine.item(receivers, key)
        plain = frozenset(r for r in receivers if r.name not in self.engine.facts.classes)
        found = frozenset[TypeRef]().union(*(self.engine.results.subscripted(r) for r in plain))
        if isinstance(key, str):
            found |= self.attribute(node, receivers - plain, key)
        return found

    def arguments(self, node: nodes.Call | nodes.Filter | nodes.Test, scope: Scope) -> list[Types]:
        found = [self.types(argument, scope) for argument in node.args]
        for keyword in node.kwargs:
            self.types(keyword.value, scope)
        for extra in (node.dyn_args, node.dyn_kwargs):
            if extra is not None:
                self.types(extra, scope)
        return found

    def call(self, node: nodes.Call, scope: Scope) -> Types:
        arguments = self.arguments(node, scope)
        macro = self.macros.get(_dotted(node.node))
        if macro is not None:
            self.expand(macro, node, arguments, scope)
            return frozenset({TypeRef("str")})
        return self.called(node, self.types(node.node, scope))

    def expand(self, macro: _Macro, node: nodes.Call, arguments: list[Types], scope: Scope) -> None:
        """A macro's body, with the types of what it is given."""
        if self.depth >= _DEPTH:
            return
        names = [argument.name for argument in macro.node.args]
        inner: Scope = dict(zip(names, arguments, strict=False))
        for keyword in node.kwargs:
            inner[keyword.key] = self.types(keyword.value, scope)
        for name in names:
            inner.setdefault(name, _ANY)
        outer, self.path = self.path, macro.path
        self.depth += 1
        self.body(macro.node.body, inner)
        self.depth -= 1
        self.path = outer

    def called(self, node: nodes.Node, callees: Types) -> Types:
        targets, externals = self.templates.reached(callees)
        self.touch(node, targets, externals, UNKNOWN not in callees)
        return self.engine.results.union_of_calls(callees)

    def filter(self, node: nodes.Filter, scope: Scope) -> Types:
        value = self.types(node.node, scope) if node.node is not None else _ANY
        arguments = self.arguments(node, scope)
        own = self.templates.names.tables["filters"].get(node.name)
        if own is not None:
            return self.called(node, own)
        name = _attribute_of(node)
        elements = self.engine.elements(value)
        read = self.attribute(node, elements, name) if name else NOTHING
        if node.name == "map" and name:
            return product("list", [read or _ANY])
        if node.name in _SAME:
            return value.union(*arguments) if node.name in ("default", "d") else value
        return elements if node.name in _ELEMENT else _ANY


def _attribute_of(node: nodes.Filter) -> str | None:
    """The attribute of each element that a filter reads: `sort(attribute="name")`."""
    for keyword in node.kwargs:
        if keyword.key == "attribute" and isinstance(keyword.value, nodes.Const):
            return _plain(keyword.value.value)
    if node.name in ("selectattr", "rejectattr", "groupby") and node.args:
        first = node.args[0]
        return _plain(first.value) if isinstance(first, nodes.Const) else None
    return None


def _plain(value: object) -> str | None:
    return value.partition(".")[0] if isinstance(value, str) else None


def _dotted(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return ""
