"""BK245 pure-views: on Quart, views and hooks that never block become `async def` too.

Quart runs a sync view in a worker thread. For one that does not wait for anything the two thread
switches are pure cost, and hooks pay it on every request. Nothing in the body changes.

Safety: guarded. Only functions of which every call is known not to block.
"""

from __future__ import annotations

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.selection import Selection
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.definitions import flip_in_place

_PREFIX = "pure-views:"


class PureViews:
    """Makes the views and hooks that never block async, all in one step."""

    name = "pure-views"
    code = "BK245"
    safety: Safety = "guarded"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """All of them; one by one after a step that turned red."""
        if not _on_quart(program) or not options.scope.changes_framework:
            return None
        held = Selection(program, options.scope).held
        return self.on_quart(Obstacles(program.derived(Colours), held=held), kept)

    def on_quart(self, obstacles: Obstacles, kept: frozenset[str]) -> Step | None:
        """The next step of a program that runs on Quart."""
        colours = obstacles.colours
        program = colours.program
        suspects = {
            name
            for key in kept
            if key.startswith(_PREFIX)
            for name in key.removeprefix(_PREFIX).split(",")
        }
        free = [
            function
            for function in sorted(colours.entries, key=lambda f: f.qualname)
            if colours.colour(function) == "pure"
            and not program.files[function.path].is_test
            and not obstacles.of(function)
        ]
        together = [function for function in free if function.qualname not in suspects]
        alone = [[function] for function in free if function.qualname in suspects]
        for members in ([together] if together else []) + alone:
            key = _PREFIX + ",".join(function.qualname for function in members)
            if key not in kept:
                return _build(program, key, members)
        return None

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """Nothing: a sync view on Quart is right, only slower."""
        return ()


def _build(program: Program, key: str, members: list[Function]) -> Step:
    draft = Draft(program)
    for function in members:
        flip_in_place(program.files[function.path], draft.edits(function.path), function)
    return Step(
        key=key,
        kind="views",
        title=f"Run {len(members)} views and hooks that never block on the loop itself",
        members=tuple(function.qualname for function in members),
        changes=draft.changes(),
    )


def _on_quart(program: Program) -> bool:
    made = {dotted for site in program.calls for dotted in site.externals}
    return bool(made & {"quart.Quart", "bridgekit.integrations.quart.Quart"})
