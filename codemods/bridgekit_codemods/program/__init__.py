"""The user's program, read only: files, symbols, types, calls."""

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
