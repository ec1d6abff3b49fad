"""The user's program, read only: files, symbols, types, calls.

The names are loaded when they are asked for: reading files needs none of the inference.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridgekit_codemods.program.calls import (
        AttributeUse,
        CallKind,
        CallSite,
        Grade,
        PatchTarget,
        Reference,
        Target,
    )
    from bridgekit_codemods.program.evidence import call_sites, explain, resolution
    from bridgekit_codemods.program.program import Program
    from bridgekit_codemods.program.source import SourceFile, Span, SyntaxProblem, read_sources
    from bridgekit_codemods.program.symbols import Class, Decorator, Function, Param, Relationship
    from bridgekit_codemods.program.types import TypeRef, Types

__all__ = [
    "AttributeUse",
    "CallKind",
    "CallSite",
    "Class",
    "Decorator",
    "Function",
    "Grade",
    "Param",
    "PatchTarget",
    "Program",
    "Reference",
    "Relationship",
    "SourceFile",
    "Span",
    "SyntaxProblem",
    "Target",
    "TypeRef",
    "Types",
    "call_sites",
    "explain",
    "read_sources",
    "resolution",
]
_HOMES = {
    "calls": (
        "AttributeUse", "CallKind", "CallSite", "Grade", "PatchTarget", "Reference", "Target",
    ),
    "evidence": ("call_sites", "explain", "resolution"),
    "program": ("Program",),
    "source": ("SourceFile", "Span", "SyntaxProblem", "read_sources"),
    "symbols": ("Class", "Decorator", "Function", "Param", "Relationship"),
    "types": ("TypeRef", "Types"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
