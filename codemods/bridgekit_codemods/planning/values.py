"""Calls that reach a function under another name than its own: its twin may have no name there."""

from __future__ import annotations

import ast

from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program

_CONSTRUCTORS = ("__init__", "__new__")


def through_a_value(program: Program, site: CallSite) -> bool:
    """Says whether the call names something else than the function it reaches."""
    if site.kind != "call" or not isinstance(site.node, ast.Call):
        return False
    names = {target.function.name for target in site.targets if target.grade != "guess"}
    match site.node.func:
        case ast.Attribute(attr=name):
            return name not in names and names.isdisjoint(_CONSTRUCTORS)
        case ast.Name(id=name):
            return (
                name not in names
                and names.isdisjoint(_CONSTRUCTORS)
                and name not in _import_aliases(program, site.path, names)
            )
        case _:
            return True


def _import_aliases(program: Program, path: str, names: set[str]) -> set[str]:
    return {
        alias.asname
        for node in program.files[path].nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None and alias.name in names
    }
