"""Builds the program graph: scan, link, infer in rounds, collect."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from bridgekit_codemods.engines.answers import ENGINE_FILE, Answers
from bridgekit_codemods.program.answered import Answered
from bridgekit_codemods.program.calls import AttributeUse, CallSite, PatchTarget, Reference
from bridgekit_codemods.program.containers import contents
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.fixtures import Fixtures, is_fixture_decorator
from bridgekit_codemods.program.flows import Flows
from bridgekit_codemods.program.hierarchy import Families, link_classes
from bridgekit_codemods.program.infer import PROVIDERS, Inference
from bridgekit_codemods.program.linker import Linker
from bridgekit_codemods.program.models import find_relationships, relationship_types
from bridgekit_codemods.program.patches import find_patches
from bridgekit_codemods.program.plugins.providers import providers
from bridgekit_codemods.program.references import References, relationship_uses
from bridgekit_codemods.program.scan import scan
from bridgekit_codemods.program.scopes import Binding, Block
from bridgekit_codemods.program.sites import Sites
from bridgekit_codemods.program.source import (
    SourceFile,
    SyntaxProblem,
    module_name,
)
from bridgekit_codemods.program.stores import (
    add_foreign_stores,
    add_parser_defaults,
    own_stores,
    parser_defaults,
    stored_names,
)
from bridgekit_codemods.program.symbols import Class, Decorator, Function, Relationship
from bridgekit_codemods.program.traced import Traced
from bridgekit_codemods.program.types import TypeRef
from bridgekit_codemods.tracing.record import TRACE_FILE, Trace

_ROUNDS = 4
_K = TypeVar("_K")
_V = TypeVar("_V")
Parse = Callable[[str, bytes, str], SourceFile]
"""Path, bytes and module name to the parsed file."""
_STATIC = frozenset({"builtins.staticmethod", "abc.abstractstaticmethod"})
_CLASS = frozenset({"builtins.classmethod", "abc.abstractclassmethod"})


class Build:
    """All results of building one program."""

    def __init__(self, sources: Mapping[str, bytes], parse: Parse) -> None:
        paths = {p for p in sources if p.endswith(".py")}
        record = sources.get(TRACE_FILE)
        self.trace = Trace() if record is None else Trace.current(record, sources)
        record = sources.get(ENGINE_FILE)
        self.answers = Answers() if record is None else Answers.current(record, sources)
        self.sources = sources
        self.files: dict[str, SourceFile] = {}
        self.problems: list[SyntaxProblem] = []
        self.facts = Facts()
        for path in sorted(paths):
            file = parse(path, sources[path], module_name(path, paths))
            self.files[path] = self._scan(file)
        self.linker = Linker(self.files, self.facts)
        for fn in self.facts.functions.values():
            self._mark(fn)
        self.engine = Inference(self.linker, self.facts)
        link_classes(self.engine)
        self.engine.access.find()
        for fn in self.facts.functions.values():
            fn.is_property = fn.is_property or self.engine.access.makes_property(fn)
        self.engine.dispatch.find()
        self.families = Families(self.engine)
        self.fixtures = Fixtures(self.engine, self.facts.functions)
        self.engine.fixtures = self.fixtures
        self.relationships: dict[tuple[str, str], Relationship] = {}
        self._infer()
        self._collect()
        self.engine.finish()
        self._functions_in: dict[str, dict[ast.AST, Function]] = {}
        for fn in self.facts.functions.values():
            self._functions_in.setdefault(fn.path, {})[fn.node] = fn

    def _scan(self, file: SourceFile) -> SourceFile:
        if file.tree is not None:
            try:
                scan(file, self.facts)
            except RecursionError:
                problem = SyntaxProblem(file.path, 1, "nested too deeply to be analysed")
                file = replace(file, tree=None, error=problem, _nodes=None, _parents=None)
        if file.error is not None:
            self.problems.append(file.error)
        return file

    # -- functions -------------------------------------------------------------------------

    def _mark(self, fn: Function) -> None:
        """Set what the decorators say, as far as imports alone tell."""
        scope = self.facts.definition_scopes[fn]
        decorators = []
        for node in fn.node.decorator_list:
            target = node.func if isinstance(node, ast.Call) else node
            dotted = self.linker.dotted(scope, target)
            decorators.append(Decorator(node, dotted, self.facts.functions.get(dotted or "")))
        fn.decorators = tuple(decorators)
        names = {d.dotted or "" for d in decorators}
        fn.is_static = bool(names & _STATIC) or (fn.cls is not None and fn.name == "__new__")
        if fn.cls is not None and fn.name == "__new__":
            fn.is_static = False
        fn.is_classmethod = bool(names & _CLASS)
        fn.is_property = fn.cls is not None and (
            any(n.rpartition(".")[2].endswith("property") for n in names)
            or fn.qualname.rpartition("#")[2] in ("setter", "deleter")
        )
        fn.is_fixture = any(is_fixture_decorator(d.dotted) for d in decorators)
        in_test_file = self.files[fn.path].is_test
        fn.is_test_function = (
            in_test_file and fn.name.startswith("test") and fn.parent is None and not fn.is_fixture
        )

    def _name_decorators(self, fn: Function) -> bool:
        """Name decorators that are members of objects (`app.route`) through types.

        Says whether any goes by another name than before.
        """
        before = [d.dotted for d in fn.decorators]
        decorators = []
        for decorator in fn.decorators:
            node = decorator.node
            target = node.func if isinstance(node, ast.Call) else node
            dotted = self.resolve(target) or decorator.dotted
            project = self.facts.functions.get(dotted or "")
            decorators.append(Decorator(node, dotted, project))
        fn.decorators = tuple(decorators)
        return before != [d.dotted for d in decorators]

    # -- inference -------------------------------------------------------------------------

    def _infer(self) -> None:
        engine = self.engine
        own, others = own_stores(self.facts)
        for key, stores in own.items():
            engine.stored[key] = [s.binding for s in stores]
        self.relationships = find_relationships(engine)
        engine.forget()
        self._type_relationships()
        defaults = parser_defaults(self.facts)
        engine.foreign = stored_names(others) | {name for name, _, _ in defaults}
        engine.contents = contents(engine)
        arguments = Flows(engine)
        for number in range(_ROUNDS):
            flows = arguments.collect()
            added = add_foreign_stores(engine, others) + add_parser_defaults(engine, defaults)
            changed: list[Hashable] = [*_differences(engine.flows, flows), *added]
            if number == 0:
                functions = self.facts.functions.values()
                changed += [fn for fn in functions if fn.decorators and self._name_decorators(fn)]
                engine.providers = providers(engine)
                if engine.providers:
                    changed.append(PROVIDERS)
            elif not changed:
                break  # this round's answers are the last ones
            engine.flows = flows
            engine.next_round(changed)
        engine.finish()

    def _type_relationships(self) -> None:
        """Give attributes that are declared without a `Mapped[...]` annotation their types."""
        for (owner, name), entry in self.relationships.items():
            scope = self.facts.class_scopes[entry.cls]
            bindings = scope.names.get(name, [])
            if any(b.kind == "annotated" for b in bindings):
                continue
            types = relationship_types(entry)
            binding = Binding("value", Block(None), (0, 0), scope)
            # without a node the binding would be unknown; its value is fixed here
            self.engine.fixed[binding] = types
            if bindings:
                scope.names[name] = [binding]
            else:
                self.engine.stored.setdefault((owner, name), []).append(binding)

    def _collect(self) -> None:
        engine = self.engine
        self.calls: list[CallSite] = Sites(engine, self.sources).all()
        self.traced = Traced(self.trace, self.facts, self.files, self.wrappers)
        if self.trace.executed:
            self.calls = self.traced.sites(self.calls)
        self.answered = Answered(
            self.answers, self.facts, self.files, engine.members, self.families, self.wrappers
        )
        if self.answers.calls:
            self.calls = self.answered.sites(self.calls)
        self.references: list[Reference] = References(engine).all()
        self.patches: list[PatchTarget] = find_patches(engine)
        names = {attr for _, attr in self.relationships}
        self.attribute_uses: list[AttributeUse] = relationship_uses(engine, names)
        stored: dict[str, set[str]] = {}
        for owner, attr in engine.stored:
            stored.setdefault(owner, set()).add(attr)
        for cls in self.facts.classes.values():
            cls.attrs = self._attributes(cls, stored.get(cls.qualname, set()))

    def _attributes(self, cls: Class, stored: set[str]) -> dict[str, frozenset[TypeRef]]:
        scope = self.facts.class_scopes[cls]
        names = {n for n, bindings in scope.names.items() if any(not b.function for b in bindings)}
        names |= stored
        return {n: self.engine.members.own_attribute(cls, n) or frozenset() for n in sorted(names)}

    # -- queries ---------------------------------------------------------------------------

    def wrappers(self, fn: Function) -> tuple[Function, ...]:
        found: dict[Function, None] = {}
        for decorator in fn.decorators:
            found.update(dict.fromkeys(self._entered(decorator.node)))
            for ref in sorted(self.engine.types(decorator.node)):
                for result in sorted(self.engine.results.of_reference(ref)):
                    inner: Function | None = None
                    if result.name == "function":
                        inner = self.facts.functions.get(result.args[0].name)
                        if inner is fn or (inner is not None and inner.parent is None):
                            inner = None
                    elif result.name in self.facts.classes:
                        cls = self.facts.classes[result.name]
                        used_by = "__get__" if fn.is_property else "__call__"
                        inner = self.engine.members.find_method(cls, used_by)
                    if inner is not None:
                        found[inner] = None
        return tuple(found)

    def _entered(self, node: ast.expr) -> Iterator[Function]:
        """What a context manager in a decorator's place runs around the function."""
        for ref in sorted(self.engine.types(node)):
            cls = self.facts.classes.get(ref.name)
            if cls is not None and "contextlib.ContextDecorator" in cls.mro:
                for name in ("__enter__", "__exit__"):
                    method = self.engine.members.find_method(cls, name)
                    if method is not None:
                        yield method
        for ref in sorted(self.engine.types(node.func)) if isinstance(node, ast.Call) else ():
            maker = self.facts.functions.get(ref.args[0].name) if ref.name == "function" else None
            if maker is not None and any(
                d.dotted == "contextlib.contextmanager" for d in maker.decorators
            ):
                yield maker

    def resolve(self, node: ast.expr) -> str | None:
        """The dotted name of a name or attribute chain."""
        if isinstance(node, ast.Name):
            place = self.facts.places.get(node)
            if place is None:
                return None
            for ref in sorted(self.engine.types(node)):
                if ref.name in ("external", "function", "type"):
                    return ref.args[0].name
                if ref.name == "module":
                    return self.files[ref.args[0].name].module
            return self.linker.dotted(place.scope, node)
        if not isinstance(node, ast.Attribute):
            return None
        for ref in sorted(self.engine.types(node)):
            if ref.name in ("external", "function", "type"):
                return ref.args[0].name
            if ref.name == "module":
                return self.files[ref.args[0].name].module
        for ref in sorted(self.engine.types(node.value)):
            if ref.name in self.facts.classes or (
                "." in ref.name and ref.name not in ("module", "external")
            ):
                return f"{ref.name}.{node.attr}"
            if ref.name == "external":
                return f"{ref.args[0].name}.{node.attr}"
            if ref.name == "type":
                return f"{ref.args[0].name}.{node.attr}"
        base = self.resolve(node.value)
        return None if base is None else f"{base}.{node.attr}"

    def enclosing_map(self, path: str) -> dict[ast.AST, Function | None]:
        found: dict[ast.AST, Function | None] = {}
        tree = self.files[path].tree if path in self.files else None
        if tree is None:
            return found
        by_node = self._functions_in.get(path, {})
        pending: list[tuple[ast.AST, Function | None]] = [(tree, None)]
        while pending:
            node, owner = pending.pop()
            found[node] = owner
            inner = owner
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = by_node[node]
                body = set(node.body)
                for child in ast.iter_child_nodes(node):
                    pending.append((child, inner if child in body else owner))
                continue
            pending.extend((child, inner) for child in ast.iter_child_nodes(node))
        return found


def _differences(before: Mapping[_K, _V], after: Mapping[_K, _V]) -> list[_K]:
    """The keys whose values differ."""
    found = [key for key, value in after.items() if before.get(key) != value]
    return found + [key for key in before if key not in after]
