"""The user's program as a whole: files, symbols, types and calls, read only."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from bridgekit_codemods.program.calls import AttributeUse, CallSite, PatchTarget, Reference
from bridgekit_codemods.program.source import SourceFile, SyntaxProblem, load_file, module_name
from bridgekit_codemods.program.symbols import Class, Function, Relationship
from bridgekit_codemods.program.types import Types


class Program:
    """A snapshot of a program. Built once by `load`; never changed afterwards."""

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

    @classmethod
    def load(cls, sources: Mapping[str, bytes]) -> Program:
        """Build the program from POSIX paths and file contents."""
        program = cls()
        program.files = {
            path: load_file(path, data, module_name(path, sources))
            for path, data in sorted(sources.items())
            if path.endswith(".py")
        }
        program.problems = [f.error for f in program.files.values() if f.error is not None]
        program.modules = {f.module: f.path for f in program.files.values()}
        program.functions, program.classes = {}, {}
        program.calls, program.references, program.patches = (), (), ()
        program.relationships, program.attribute_uses = {}, ()
        program.template_attributes = {}
        return program

    def calls_in(self, function: Function) -> tuple[CallSite, ...]:
        """The sites whose caller is `function`, in source order."""
        raise NotImplementedError

    def callers_of(self, function: Function) -> tuple[CallSite, ...]:
        """The sites that may reach `function`, whatever their grade."""
        raise NotImplementedError

    def unresolved_named(self, name: str) -> tuple[CallSite, ...]:
        """Calls `x.name(...)` without a target where the type of `x` is unknown."""
        raise NotImplementedError

    def family(self, function: Function) -> frozenset[Function]:
        """`function` with all that it overrides and all that override it."""
        raise NotImplementedError

    def overrides_external(self, function: Function) -> str | None:
        """The dotted external base class that declares the method, if one is known to."""
        raise NotImplementedError

    def type_of(self, path: str, node: ast.expr) -> Types:
        """Inferred types of an expression of this program (by node identity)."""
        raise NotImplementedError

    def resolve(self, path: str, node: ast.expr) -> str | None:
        """Dotted name of a name or attribute chain, through imports and through types."""
        raise NotImplementedError

    def enclosing(self, path: str, node: ast.AST) -> Function | None:
        """The function whose body holds the node; None at module level."""
        raise NotImplementedError
