"""The user's program as a whole: files, symbols, types and calls, read only."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from bridgekit_codemods.program.answered import Reached
from bridgekit_codemods.program.build import Build, Parse
from bridgekit_codemods.program.calls import AttributeUse, CallSite, PatchTarget, Reference, Target
from bridgekit_codemods.program.evidence import explain
from bridgekit_codemods.program.hierarchy import external_base
from bridgekit_codemods.program.interpreter import deep_recursion, without_collection
from bridgekit_codemods.program.source import SourceFile, SyntaxProblem, is_settings, load_file
from bridgekit_codemods.program.symbols import Class, Function, Relationship
from bridgekit_codemods.program.templates import template_attributes
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, Types
from bridgekit_codemods.tracing.record import Trace

_T = TypeVar("_T")


class Program:
    """A snapshot of a program. Built once by `load`; never changed afterwards.

    The names of functions and classes are unique keys; the objects are compared by identity and
    belong to this snapshot. All sequences are in a stable order: files by path, the rest by
    position. Not for use by several threads while it is being built; afterwards reading is safe
    for one thread at a time (types are evaluated on demand).
    """

    files: dict[str, SourceFile]
    problems: list[SyntaxProblem]
    modules: dict[str, str]
    functions: dict[str, Function]
    classes: dict[str, Class]
    calls: tuple[CallSite, ...]
    references: tuple[Reference, ...]
    patches: tuple[PatchTarget, ...]
    relationships: dict[tuple[str, str], Relationship]
    attribute_uses: tuple[AttributeUse, ...]
    template_attributes: dict[str, frozenset[str]]
    trace: Trace
    """What the tests were seen to call, as far as the files are still those of that run."""
    engine: str
    """The type checker whose answers about these files are used; empty without one."""
    extra: dict[str, bytes]
    """The project's settings files (pyproject.toml, pytest.ini, requirements.txt, ...)."""

    def __init__(self, build: Build, templates: dict[str, frozenset[str]]) -> None:
        self._build = build
        self._engine = build.engine
        self.files = build.files
        self.problems = build.problems
        self.trace = build.trace
        self.engine = build.answers.engine
        self.functions = build.facts.functions
        self.classes = build.facts.classes
        self.modules = {}
        for file in self.files.values():
            self.modules.setdefault(file.module, file.path)
        self.calls = tuple(build.calls)
        self.references = tuple(build.references)
        self.patches = tuple(build.patches)
        self.relationships = build.relationships
        self.attribute_uses = tuple(build.attribute_uses)
        self.template_attributes = templates
        self._calls_in: dict[Function, list[CallSite]] = {}
        self._callers: dict[Function, list[CallSite]] = {}
        self._unresolved: dict[str, list[CallSite]] = {}
        for site in self.calls:
            if site.caller is not None:
                self._calls_in.setdefault(site.caller, []).append(site)
            for target in site.targets:
                self._callers.setdefault(target.function, []).append(site)
            if _is_unresolved(site):
                self._unresolved.setdefault(site.name, []).append(site)
        self._enclosing: dict[str, dict[ast.AST, Function | None]] = {}
        self._resolved: dict[ast.expr, str | None] = {}
        self._derived: dict[object, object] = {}

    @classmethod
    def load(cls, sources: Mapping[str, bytes], parse: Parse = load_file) -> Program:
        """Build the program from POSIX paths and file contents.

        `parse` gives the parsed file for a path, its bytes and its module name.

        Files that cannot be parsed are in `problems` and `files`, and nowhere else. Never raises
        for the content of a file.
        """
        with deep_recursion(), without_collection():
            program = cls(Build(sources, parse), template_attributes(sources))
        program.extra = {path: data for path, data in sources.items() if is_settings(path)}
        return program

    def calls_in(self, function: Function) -> tuple[CallSite, ...]:
        """The sites whose caller is `function`, in source order."""
        return tuple(self._calls_in.get(function, ()))

    def callers_of(self, function: Function) -> tuple[CallSite, ...]:
        """The sites that may reach `function`, whatever their grade."""
        return tuple(self._callers.get(function, ()))

    def tests_reaching(self, function: Function) -> tuple[str, ...]:
        """The tests in which the function was seen to run; empty without a traced run."""
        return self.derived(_TestMap).tests.get(function, ())

    def called_by_libraries(self, function: Function) -> frozenset[str]:
        """Dotted names of library code that was seen to call the function."""
        return self.derived(_TestMap).outside.get(function, frozenset())

    def evidence(self, site: CallSite, target: Target) -> str:
        """In a few words, why the site is taken to reach the target."""
        return explain(site, target)

    def answered(self, site: CallSite) -> Reached | None:
        """What a type checker's answer about the site comes to, whatever was made of it."""
        return self._build.answered.reached(site)

    @property
    def disputed(self) -> Mapping[CallSite, tuple[Function, ...]]:
        """The sites for which a type checker has another answer, with its functions; none where it
        says that library code alone is reached. What the program model says stands."""
        return self._build.answered.disputed

    def unresolved_named(self, name: str) -> tuple[CallSite, ...]:
        """Calls `x.name(...)`, and reads of `x.name` where a project property has that name,
        without a sure target while the type of `x` is not (completely) known."""
        return tuple(self._unresolved.get(name, ()))

    def family(self, function: Function) -> frozenset[Function]:
        """`function` with all that it overrides and all that override it."""
        return self._build.families.of(function)

    def overrides_external(self, function: Function) -> str | None:
        """The dotted external base class that declares the method, if one is known to."""
        return external_base(function)

    def wrappers_of(self, function: Function) -> tuple[Function, ...]:
        """The project functions that stand for `function` after its project decorators ran,
        outermost first: a call of the decorated name enters these first."""
        return self._build.wrappers(function)

    def fixtures_of(self, function: Function) -> tuple[Function, ...]:
        """The project's fixtures that pytest passes to a test or fixture."""
        return self._build.fixtures.of(function)

    def derived(self, make: Callable[[Program], _T]) -> _T:
        """What `make` computes from this program: computed once, kept as long as the program.

        `make` must be a pure function (or a class whose instances are never changed): everyone who
        asks with the same `make` gets the same object.
        """
        if make not in self._derived:
            self._derived[make] = make(self)
        return cast(_T, self._derived[make])

    def type_of(self, path: str, node: ast.expr) -> Types:
        """Inferred types of an expression of this program (by node identity)."""
        with deep_recursion():
            return self._engine.types(node) if path in self.files else NOTHING

    def resolve(self, path: str, node: ast.expr) -> str | None:
        """Dotted name of a name or attribute chain, through imports and through types.

        Library objects and functions, classes, modules and module-level variables of the program
        have names; local variables have not.
        """
        try:
            return self._resolved[node]
        except KeyError:
            with deep_recursion():
                found = self._resolved[node] = self._build.resolve(node)
            return found

    def enclosing(self, path: str, node: ast.AST) -> Function | None:
        """The function whose body holds the node; None at module level.

        Decorators, defaults and annotations of a function belong to what surrounds it.
        """
        if path not in self._enclosing:
            self._enclosing[path] = self._build.enclosing_map(path)
        return self._enclosing[path].get(node)


class _TestMap:
    """The functions of a traced run by what ran them."""

    def __init__(self, program: Program) -> None:
        tests: dict[Function, list[str]] = {}
        known = program._build.traced.function
        for test, seen in sorted(program.trace.tests.items()):
            for definition in seen:
                function = known(definition)
                if function is not None:
                    tests.setdefault(function, []).append(test)
        self.tests = {function: tuple(names) for function, names in tests.items()}
        self.outside = {
            inner: frozenset(names)
            for definition, names in program.trace.outside.items()
            if (inner := known(definition)) is not None
        }


def _is_unresolved(site: CallSite) -> bool:
    if site.kind not in ("call", "property") or not site.name:
        return False
    if any(t.grade != "guess" for t in site.targets):
        return False
    func = site.node.func if isinstance(site.node, ast.Call) else site.node
    if not isinstance(func, ast.Attribute):
        return False
    if not site.receiver or UNKNOWN in site.receiver:
        return True
    # a member of a library object that may well hold a project object (`app.pricing.quote()`)
    return any(r.name == "external" and len(r.args) > 1 for r in site.receiver)
