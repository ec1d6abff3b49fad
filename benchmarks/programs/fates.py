"""What became of every call that blocked: native, bridged, or kept, with the reason."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX, is_thread_bridge
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program import Function, Program

_OTHERWISE = {
    "bridged": "the function around it stays sync",
    "kept": "async code does not reach it",
}


@dataclass
class Fates:
    """Blocking call sites of one program, tests left out.

    native   async code awaits an async form of the library
    bridged  async code reaches it through a worker thread
    kept     only sync code reaches it
    reasons  of the bridged and the kept, how many for which reason
    """

    native: int = 0
    bridged: int = 0
    kept: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All of them."""
        return self.native + self.bridged + self.kept


def fates(before: Program, after: Program, findings: Iterable[Finding]) -> Fates:
    """Compare a program before its migration with what it has become.

    A function is found again by its name, with or without the suffix of a twin.
    """
    found = Fates()
    reason = reasons_of(findings)
    threads, sync, reached = _after(after)
    native = {f.qualname for f in _own(after) if after.derived(Colours).native(f)}
    for name, number in sorted(_blocking(before).items()):
        twin = name + TWIN_SUFFIX
        left = min(number, sync[name])
        in_thread = min(number - left, threads[name] + threads[twin])
        gone = number - left - in_thread
        if gone and not (name in native or twin in native):
            found.kept += gone
            found.reasons["kept", "sync, and no longer a call that is known to wait"] += gone
        else:
            found.native += gone
        found.bridged += in_thread
        if in_thread:
            found.reasons["bridged", "the library has no async form of the call"] += in_thread
        if not left:
            continue
        fate = "bridged" if name in reached else "kept"
        setattr(found, fate, getattr(found, fate) + left)
        found.reasons[fate, reason.get(name, _OTHERWISE[fate])] += left
    return found


def _blocking(program: Program) -> Counter[str]:
    """How many calls block in each sync function that is no test."""
    colours = program.derived(Colours)
    found: Counter[str] = Counter()
    for function in _own(program):
        if not function.is_async:
            found[function.qualname] = sum(
                bool(colours.external_effects(site)) for site in colours.sites(function)
            )
    return +found


def _after(program: Program) -> tuple[Counter[str], Counter[str], frozenset[str]]:
    """Calls handed to threads, calls that block, and the functions that run in such threads."""
    colours = program.derived(Colours)
    handed: Counter[str] = Counter()
    pending: list[Function] = []
    for site in program.calls:
        if site.caller is None or program.files[site.path].is_test:
            continue
        if site.in_lambda and colours.bridged(site):
            handed[site.caller.qualname] += bool(colours.external_effects(site))
            pending += [target.function for target in site.targets]
        elif any(map(is_thread_bridge, site.externals)) and isinstance(site.node, ast.Call):
            argument = site.node.args[0] if site.node.args else None
            dotted = program.resolve(site.path, argument) if argument is not None else None
            handed[site.caller.qualname] += dotted is not None and blocking(dotted) is not None
    for reference in program.references:
        is_handed = reference.kind == "argument" and is_thread_bridge(reference.consumer)
        if is_handed and not program.files[reference.path].is_test:
            pending.append(reference.function)
    reached: set[Function] = set()
    while pending:
        function = pending.pop()
        if function in reached or function.is_async:
            continue
        reached.add(function)
        for site in colours.sites(function):
            pending += [target.function for target in site.targets]
    return handed, _blocking(program), frozenset(f.qualname for f in reached)


def _own(program: Program) -> list[Function]:
    return [f for f in program.functions.values() if not program.files[f.path].is_test]


def reasons_of(findings: Iterable[Finding]) -> dict[str, str]:
    """The first reason of each function why it stays sync."""
    found: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        if finding.function:
            found[finding.function].append(f"{finding.code} {finding.reason}")
    return {name: reasons[0] for name, reasons in found.items()}
