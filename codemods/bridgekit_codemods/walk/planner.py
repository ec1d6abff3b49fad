"""The walk: asks the rules, in order, for the next step of the program as it is now.

Planning is a pure function of the program's bytes and of the steps that were kept back. A walk that
was interrupted is resumed by asking again, and a finished program has no next step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from bridgekit_codemods.planning.bridges import count_bridges
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.merging import with_its_like
from bridgekit_codemods.planning.overview import Overview
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.planning.steps import Bridges, Finding, Foreseen, Step
from bridgekit_codemods.planning.survey import EntryPoint, Leaf, Survey
from bridgekit_codemods.planning.verify import verify_program
from bridgekit_codemods.program.evidence import resolution
from bridgekit_codemods.program.loading import Programs
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules import RULES
from bridgekit_codemods.rules.base import Granularity, Options, Rule, written
from bridgekit_codemods.rules.quart import stays_on_flask
from bridgekit_codemods.walk.forecast import forecast
from bridgekit_codemods.walk.overview import overview
from bridgekit_codemods.walk.prospects import concerns, serves


@dataclass(frozen=True)
class RulePlanner:
    """A planner that takes the first step which any of the rules, in their order, proposes.

    It keeps the latest program, so one instance serves one thread.
    """

    options: Options
    _programs: Programs = field(default_factory=Programs, repr=False, compare=False)

    def _options_for(self, program: Program) -> Options:
        """The options, with what the program itself says about the framework at the end."""
        if self.options.target == "quart" and program.derived(stays_on_flask):
            return replace(self.options, scope=replace(self.options.scope, stays=True))
        return self.options

    def program(self, sources: Mapping[str, bytes]) -> Program:
        """The program of these sources: the same object as long as they stay the same."""
        return self._programs.load(sources)

    def next_step(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Step | None:
        """The next step, or None when nothing is left that can be done."""
        program = self.program(sources)
        for rule in RULES:
            step = self._first(rule, program, kept)
            if step is None or not (step.fault or step.changes):
                continue
            if step.fault or self.options.granularity != "layer":
                return step
            propose = partial(self._propose, rule, kept)
            return with_its_like(step, sources, kept, propose)
        return None

    def _first(self, rule: Rule, program: Program, kept: frozenset[str]) -> Step | None:
        """The first step of a rule that the scope needs."""
        passed = kept
        while True:
            options = self._options_for(program)
            step = rule.propose(program, options, passed)
            if step is None or step.key in passed or serves(program, options.scope, step):
                return step and written(step)
            passed |= {step.key}

    def _propose(
        self, rule: Rule, kept: frozenset[str], sources: Mapping[str, bytes]
    ) -> Step | None:
        return self._first(rule, self.program(sources), kept)

    def forecast(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> Iterator[Foreseen]:
        """All steps to come from one reading of the program; their changes are not worked out."""
        program = self.program(sources)
        return forecast(program, self._options_for(program), kept)

    def findings(self, sources: Mapping[str, bytes], kept: frozenset[str]) -> tuple[Finding, ...]:
        """What the rules leave alone in the program as it is now, sorted by place."""
        program = self.program(sources)
        options = self._options_for(program)
        found = {
            finding
            for rule in RULES
            if concerns(program, options.scope, rule.code)
            for finding in rule.findings(program, options, kept)
        }
        found.update(program.derived(settings).findings)
        return tuple(sorted(found, key=lambda f: (f.path, f.line, f.code, f.reason)))

    def verify(self, step: Step, sources_after: Mapping[str, bytes]) -> tuple[str, ...]:
        """Messages of the static check after the step; none if it is fine."""
        return verify_program(self.program(sources_after), frozenset(step.members))

    def bridges(self, sources: Mapping[str, bytes]) -> Bridges:
        """The bridges that these sources cross while they run."""
        return self.program(sources).derived(count_bridges)

    def overview(self, sources: Mapping[str, bytes]) -> Overview:
        """The scope of the walk in numbers.

        Raises:
            ScopeError: a goal of the scope names nothing.
        """
        program = self.program(sources)
        return overview(program, self._options_for(program).scope)


def build_planner(
    *,
    client: Literal["httpx", "httpx2"] = "httpx",
    target: Literal["quart", "flask"] = "quart",
    granularity: Granularity = "module",
    scope: Scope = EVERYTHING,
) -> RulePlanner:
    """The planner for what the user chose.

    A scope that leaves out views ends on Flask: a change of framework concerns every view.
    """
    if target == "flask":
        scope = replace(scope, stays=True)
    if not scope.changes_framework:
        target = "flask"
    return RulePlanner(Options(client=client, target=target, granularity=granularity, scope=scope))


def unparsed(sources: Mapping[str, bytes], planner: RulePlanner) -> dict[str, bytes]:
    """The Python files for which the planner's program has no tree."""
    files = planner.program(sources).files.values()
    return {file.path: file.data for file in files if file.tree is None}


def build_survey(sources: Mapping[str, bytes], planner: RulePlanner | None = None) -> Survey:
    """What the program is made of: colours, blocking leaves, entry points, findings.

    A `planner` keeps the program for whoever asks it for more.
    """
    planner = planner or build_planner()
    program = planner.program(sources)
    colours = program.derived(Colours)
    counts = dict.fromkeys(("pure", "blocking", "native"), 0)
    leaves: list[Leaf] = []
    for function in program.functions.values():
        if program.files[function.path].is_test:
            continue
        counts[colours.colour(function)] += 1
        for site in colours.sites(function):
            effects = sorted(colours.external_effects(site))
            if effects and not function.is_async:
                leaves.append(
                    Leaf(
                        site.path,
                        site.span.line,
                        function.qualname,
                        site.externals[0],
                        effects[0],
                    )
                )
    places = [(f, "view or hook") for f in colours.entries]
    places += [(f, api) for f, api in colours.sync_entries.items()]
    points = [
        EntryPoint(f.path, f.node.lineno, f.qualname, kind)
        for f, kind in places
        if not program.files[f.path].is_test
    ]
    return Survey(
        files=len(program.files),
        functions=sum(counts.values()),
        colours=counts,
        leaves=tuple(sorted(leaves, key=lambda leaf: (leaf.path, leaf.line))),
        entry_points=tuple(sorted(points, key=lambda point: (point.path, point.line))),
        findings=planner.findings(sources, frozenset()),
        resolution=resolution(program),
    )
