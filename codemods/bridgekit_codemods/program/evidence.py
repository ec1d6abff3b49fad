"""Why a call site is taken to reach a function, in words and as data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bridgekit_codemods.program.calls import CallSite, Target
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import NONE, UNKNOWN, TypeRef

if TYPE_CHECKING:
    from bridgekit_codemods.program.program import Program

_SHOWN = 3


def explain(site: CallSite, target: Target) -> str:
    """The evidence for one target of a site."""
    if target.grade == "traced":
        return "seen in the traced run"
    if target.grade == "engine":
        return target.via or "a type checker's answer"
    if target.via:
        return target.via
    receiver = _receiver(site)
    if target.grade == "guess":
        if not receiver:
            return "one of several values, some of them unknown"
        return f"the receiver may be {receiver}, or something unknown"
    if target.grade == "override":
        return f"overrides what is called on {receiver}" if receiver else "a subclass's method"
    if target.grade == "method":
        return f"the receiver is {receiver}" if receiver else "an object that can be called"
    if target.function.name in ("__init__", "__new__", "__post_init__"):
        return "the class is named"
    return "the function is named"


def _receiver(site: CallSite) -> str:
    names = [_name(ref) for ref in sorted(site.receiver) if ref not in (UNKNOWN, NONE)]
    more = f" or {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return " or ".join(names[:_SHOWN]) + more


def _name(ref: TypeRef) -> str:
    if ref.name in ("module", "namespace"):
        return f"module {ref.args[0].name}"
    if ref.name in ("type", "super"):
        return f"class {ref.args[0].name}" if ref.name == "type" else f"super() in {ref.args[0]}"
    if ref.name in ("external", "function"):
        return ref.args[0].name
    return str(ref)


def call_sites(program: Program) -> list[dict[str, Any]]:
    """Every site as JSON values: where, what it may reach, how sure that is, and why."""
    return [
        {
            "file": site.path,
            "line": site.span.line,
            "column": site.span.col,
            "end_line": site.span.end_line,
            "end_column": site.span.end_col,
            "kind": site.kind,
            "name": site.name,
            "caller": site.caller.qualname if site.caller is not None else None,
            "targets": [
                {"function": function.qualname, "confidence": target.grade, "evidence": evidence}
                for target in site.targets
                for function, evidence in _entered(program, site, target)
            ],
            "externals": list(site.externals),
            "disputed": _disputed(program, site),
        }
        for site in program.calls
    ]


def _disputed(program: Program, site: CallSite) -> list[str] | None:
    """The functions that a type checker names instead; none stands for library code alone."""
    other = program.disputed.get(site)
    return None if other is None else [function.qualname for function in other]


def _entered(program: Program, site: CallSite, target: Target) -> Iterator[tuple[Function, str]]:
    """The target, and what the program's own decorators put around it, with the evidence."""
    yield target.function, explain(site, target)
    if site.kind == "call":
        wrappers = program.wrappers_of(target.function)
        if site.caller in wrappers:
            return  # the wrapper itself calls what it wraps
        for wrapper in wrappers:
            if wrapper.is_async == target.function.is_async:
                yield wrapper, f"a decorator puts it around {target.function.qualname}"


def resolution(program: Program) -> dict[str, int]:
    """How many call expressions have which confidence: that of their least sure target.

    "library" are those that reach library code only, "unknown" those without any target.
    """
    counts = dict.fromkeys(
        ("exact", "method", "override", "traced", "engine", "guess", "library", "unknown"), 0
    )
    ranks = list(counts)
    for site in program.calls:
        if site.kind != "call" or not isinstance(site.node, ast.Call):
            continue
        if site.targets:
            counts[max((t.grade for t in site.targets), key=ranks.index)] += 1
        else:
            counts["library" if site.externals else "unknown"] += 1
    return counts
