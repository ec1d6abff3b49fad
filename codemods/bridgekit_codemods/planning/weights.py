"""What it costs to flip a family of overrides, and what it costs to bridge the calls of it.

The methods of a family change colour together. Where one of 67 waits, 66 are rewritten for its
sake; a thread bridge at the one place that calls them may be the smaller evil. The two prices:

    flip   = METHOD * methods + SITE * calls to await + TEST * places in tests
    bridge = CROSSING * calls to send to a thread + WAITING * methods that wait

The family stays sync when `bridge < factor * flip`; the factor is `--bridge-below`. With the
default of 1 a family in which half of the methods wait is always flipped, and so is any family of
five or fewer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from bridgekit_codemods.planning.bridges import is_thread_bridge
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

METHOD = 1.0
"""A method that becomes async: its text, and every subclass that users of the program wrote."""
SITE = 0.5
"""A call that gets an `await`."""
TEST = 0.25
"""A call or a patch in the tests that must follow."""
CROSSING = 4.0
"""A call that goes to a worker thread and back each time it runs."""
WAITING = 2.0
"""A method that holds a worker thread for as long as it waits."""


@dataclass(frozen=True)
class Weighed:
    """One family, its two prices and what was decided."""

    family: tuple[str, ...]
    """Qualified names, sorted."""
    path: str
    line: int
    waiting: int
    sites: int
    tests: int
    flip: float
    bridge: float
    factor: float

    @property
    def bridged(self) -> bool:
        """Says whether the family stays sync."""
        return self.bridge < self.factor * self.flip

    @property
    def name(self) -> str:
        """The method that the family is about."""
        return self.family[0].rpartition(".")[2]

    def words(self) -> str:
        """The two prices, and how they came about, in one line."""
        return (
            f"{len(self.family)} overrides of {self.name}, {self.waiting} of which wait, "
            f"{self.sites} calls and {self.tests} places in tests: "
            f"flip {self.flip:g}, bridge {self.bridge:g}"
        )

    def finding(self, function: Function) -> Finding:
        """Why one method of a bridged family stays sync."""
        return Finding(
            function.path,
            function.node.lineno,
            "BK313",
            f"bridging costs less than {self.factor:g} times flipping: {self.words()}",
            "none needed: calls of it run in a worker thread; --bridge-below 0 flips it",
            function.qualname,
        )


def sent_to_threads(program: Program) -> dict[Function, set[ast.AST]]:
    """The functions that bridges already send to worker threads, and where that is written.

    One place may send any of several functions: which, depends on the receiver.
    """
    found: dict[Function, set[ast.AST]] = {}
    for reference in program.references:
        if is_thread_bridge(reference.consumer) and not program.files[reference.path].is_test:
            found.setdefault(reference.function, set()).add(reference.node)
    return found


def weigh(colours: Colours, wanted: Iterable[Function], factor: float) -> tuple[Weighed, ...]:
    """The families among the wanted functions, each weighed, largest first."""
    program = colours.program
    families = {program.family(function) for function in wanted}
    sent = sent_to_threads(program)
    patched: dict[Function, int] = {}
    for patch in program.patches:
        if isinstance(patch.resolved, Function):
            patched[patch.resolved] = patched.get(patch.resolved, 0) + 1
    found = []
    for family in families:
        if len(family) < 2:
            continue
        members = sorted(family, key=lambda f: f.qualname)
        callers = {
            site
            for member in members
            for site in program.callers_of(member)
            if site.caller not in family and site.kind != "decorator"
        }
        in_tests = sum(program.files[site.path].is_test for site in callers)
        in_threads = set().union(*(sent.get(member, ()) for member in members))
        sites = len(callers) - in_tests + len(in_threads)
        tests = in_tests + sum(patched.get(m, 0) for m in members)
        waiting = sum(bool(colours.blocks(member)) for member in members)
        found.append(
            Weighed(
                family=tuple(member.qualname for member in members),
                path=members[0].path,
                line=members[0].node.lineno,
                waiting=waiting,
                sites=sites,
                tests=tests,
                flip=METHOD * len(members) + SITE * sites + TEST * tests,
                bridge=CROSSING * sites + WAITING * waiting,
                factor=factor,
            )
        )
    return tuple(sorted(found, key=lambda w: (-len(w.family), w.family)))
