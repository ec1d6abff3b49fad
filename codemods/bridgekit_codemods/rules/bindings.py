"""Which names a file binds, so that a rewrite never takes a name that means something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile


def bound_names(tree: ast.AST) -> frozenset[str]:
    """Every name that is bound anywhere below `tree`, in whatever scope."""
    return frozenset(_bound(tree))


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        yield from _names_of(node)


def _names_of(node: ast.AST) -> Iterator[str]:
    """The names that the node itself binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name) | ast.arg(arg=name):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name.split(".")[0]
        case ast.ExceptHandler(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case _:
            pass


class NameTaken(Exception):
    """No free name is left under which an import could be added to a file."""


class Needed:
    """Finds the local name for something a rewrite has to import, importing it at most once.

    A name that the file imports already is used as it is, provided that nothing else in the file
    binds the same name. A name that is taken gets the prefix `sql_`, `bridgekit_`, ...
    """

    def __init__(self, source: SourceFile, prefix: str) -> None:
        self._tree = source.tree if source.tree is not None else ast.Module([], [])
        self._prefix = prefix
        self.imports: dict[str, tuple[str, str, str | None]] = {}
        """Local name to (module, name, alias) of what must be imported."""

    @cached_property
    def _taken(self) -> list[str]:
        """The names that the file binds, as often as it binds them."""
        return list(_bound(self._tree))

    def name(self, module: str, name: str, also: tuple[str, ...] = ()) -> str:
        """The local name of `module.name`; `also` are modules that export the same object.

        Raises:
            NameTaken: neither the name nor its prefixed form is free.
        """
        wanted = (module, *also)
        for node in self._tree.body:
            if not isinstance(node, ast.ImportFrom) or node.level or node.module not in wanted:
                continue
            for alias in node.names:
                local = alias.asname or alias.name
                if alias.name == name and self._taken.count(local) == 1:
                    return local
        for local in (name, f"{self._prefix}_{name}"):
            if self.imports.get(local, (module, name, None))[:2] != (module, name):
                continue
            if local not in self._taken:
                self.imports[local] = (module, name, None if local == name else local)
                return local
        raise NameTaken(name)


class TakenNames:
    """Which files give a name that a rewrite would import to something else.

    Ask with `program.derived(TakenNames)`.
    """

    def __init__(self, program: Program) -> None:
        self._files = program.files
        self._taken: dict[tuple[str, str, str | None], bool] = {}

    def taken(self, path: str, module: str, name: str | None = None) -> bool:
        """Says whether the file binds, in whatever scope, what `import module` or
        `from module import name` would bind, otherwise than by just that import."""
        key = (path, module, name)
        if key not in self._taken:
            file = self._files[path]
            written = name or module
            self._taken[key] = written in file.text and any(
                not _imports(node, module, name) and written in _names_of(node)
                for node in file.nodes
            )
        return self._taken[key]


def _imports(node: ast.AST, module: str, name: str | None) -> bool:
    match node:
        case ast.Import(names=aliases):
            return name is None and any(
                a.name.split(".")[0] == module and a.asname is None for a in aliases
            )
        case ast.ImportFrom(module=source, names=aliases, level=0):
            same = source is not None and (source == module or source.startswith(f"{module}."))
            return same and any(a.name == name and a.asname is None for a in aliases)
        case _:
            return False
