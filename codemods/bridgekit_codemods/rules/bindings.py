"""Which names a file binds, so that a rewrite never takes a name that means something else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from bridgekit_codemods.program.source import SourceFile


def bound_names(tree: ast.AST) -> frozenset[str]:
    """Every name that is bound anywhere below `tree`, in whatever scope."""
    return frozenset(_bound(tree))


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
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
