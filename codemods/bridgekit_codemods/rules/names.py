"""Makes a twin's name known where its callers stand: import aliases beside those of the facade."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from bridgekit_codemods.editing import Edit
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft


def import_twins(
    program: Program,
    draft: Draft,
    renamed_calls: dict[tuple[str, str], list[tuple[ast.Name, Function]]],
) -> None:
    """Adds `f_async` to each `from ... import f` whose `f(...)` became `f_async(...)`.

    Where no other use of `f` is left in the file the new name takes the place of the old one.
    """
    for (path, written), calls in sorted(renamed_calls.items(), key=lambda item: item[0]):
        file = program.files[path]
        assert file.tree is not None
        rewritten = {id(node) for node, _ in calls}
        left = any(node.id == written and id(node) not in rewritten for node in file.of(ast.Name))
        left = left or _exported(program, path, written)
        for node in file.of(ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == written:
                    edit = _alias_edit(alias.name, alias.asname, keep=left)
                    draft.edits(path).at("ImportFrom", file.span(node), edit)


def _exported(program: Program, path: str, name: str) -> bool:
    """Says whether another module takes `name` from the module at `path`, or `__all__` lists it."""
    module = program.files[path].module
    uses = program.derived(NameUses)
    if name in uses.listed.get(path, ()):
        return True
    if any(uses.importers.get((module, taken), set()) - {path} for taken in (name, "*")):
        return True
    return any(
        other != path and program.resolve(other, node.value) == module
        for other, node in uses.attributes.get(name, ())
    )


class NameUses:
    """Where the modules of one program name what belongs to other modules."""

    def __init__(self, program: Program) -> None:
        self.listed: dict[str, set[str]] = {}
        """By path, the names in the module's `__all__`."""
        self.importers: dict[tuple[str, str], set[str]] = {}
        """By module and name (or "*"), the paths with `from module import name`."""
        self.attributes: dict[str, list[tuple[str, ast.Attribute]]] = {}
        """By name, the accesses `x.name` with their paths."""
        for path, file in program.files.items():
            for node in file.nodes:
                match node:
                    case ast.Attribute(attr=name):
                        self.attributes.setdefault(name, []).append((path, node))
                    case ast.ImportFrom(names=aliases):
                        module = absolute_module(file.module, path, node)
                        for alias in aliases:
                            self.importers.setdefault((module, alias.name), set()).add(path)
                    case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                        self.listed.setdefault(path, set()).update(
                            n.value
                            for n in ast.walk(value)
                            if isinstance(n, ast.Constant) and isinstance(n.value, str)
                        )
                    case _:
                        pass


def absolute_module(module: str, path: str, node: ast.ImportFrom) -> str:
    """The module that the import statement of that file names, dots resolved."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    if not path.endswith("__init__.py"):
        parts = parts[:-1]
    parts = parts[: len(parts) - (node.level - 1)] if node.level > 1 else parts
    return ".".join([*parts, node.module] if node.module else parts)


def _alias_edit(name: str, asname: str | None, *, keep: bool) -> Edit:
    twin = name + TWIN_SUFFIX
    twin_as = asname + TWIN_SUFFIX if asname is not None else None

    def edit(node: cst.ImportFrom) -> cst.ImportFrom:
        if isinstance(node.names, cst.ImportStar):
            return node
        names: list[cst.ImportAlias] = []
        present = {_alias_name(alias) for alias in node.names}
        for alias in node.names:
            if _alias_name(alias) != name or _alias_asname(alias) != asname:
                names.append(alias)
                continue
            new = alias.with_changes(
                name=cst.Name(twin),
                asname=_as(alias.asname, twin_as),
            )
            if not keep:
                names.append(new)
            elif twin in present:
                names.append(alias)
            else:
                first = alias.with_changes(comma=_separator(node.names))
                names += [first, new]
        return node.with_changes(names=names)

    return edit


def _as(original: cst.AsName | None, name: str | None) -> cst.AsName | None:
    if original is None or name is None:
        return None
    return original.with_changes(name=cst.Name(name))


def _alias_name(alias: cst.ImportAlias) -> str:
    return alias.name.value if isinstance(alias.name, cst.Name) else ""


def _alias_asname(alias: cst.ImportAlias) -> str | None:
    if alias.asname is None or not isinstance(alias.asname.name, cst.Name):
        return None
    return alias.asname.name.value


def _separator(names: Sequence[cst.ImportAlias]) -> cst.Comma:
    """The comma between two names of that import: a line break where there is one already."""
    for alias in names[:-1]:
        if isinstance(alias.comma, cst.Comma):
            return alias.comma
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def folded_alias(twin: str, name: str) -> Edit:
    """`from m import name, twin` or `from m import twin` -> `from m import name`."""

    def edit(node: cst.ImportFrom) -> cst.ImportFrom:
        if isinstance(node.names, cst.ImportStar):
            return node
        plain = {_alias_name(alias) for alias in node.names if alias.asname is None}
        names: list[cst.ImportAlias] = []
        for alias in node.names:
            if _alias_name(alias) != twin:
                names.append(alias)
            elif alias.asname is not None:
                local = (_alias_asname(alias) or "").removesuffix(TWIN_SUFFIX)
                asname = None if local == name else _as(alias.asname, local)
                names.append(alias.with_changes(name=cst.Name(name), asname=asname))
            elif name not in plain:
                names.append(alias.with_changes(name=cst.Name(name)))
        last = names[-1].with_changes(comma=node.names[-1].comma)
        return node.with_changes(names=[*names[:-1], last])

    return edit
