"""BK260 async-tests: tests that call facades await the twins instead.

It runs after the change of framework, when the project's tests can be async at all; one step a
file. Its steps take the last callers from the facades, which can then be folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.body import Unconvertible
from bridgekit_codemods.rules.dependencies import project_files
from bridgekit_codemods.rules.patches import retarget_patches
from bridgekit_codemods.rules.pytest_settings import SETTINGS
from bridgekit_codemods.rules.quart_tests import convert_functions
from bridgekit_codemods.rules.unittest_classes import may_become_async


class AsyncTests:
    """Makes the tests of one file await what has become async."""

    name = "async-tests"
    code = "BK260"
    safety: Safety = "guarded"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """The first file whose tests still call a facade."""
        if not async_tests_run(program):
            return None
        return next(self.steps(program.derived(Colours), kept), None)

    def steps(self, colours: Colours, kept: frozenset[str]) -> Iterator[Step]:
        """The steps of all files: none depends on another."""
        program = colours.program
        tests: dict[str, list[Function]] = {}
        for function in program.functions.values():
            if program.files[function.path].is_test:
                tests.setdefault(function.path, []).append(function)
        for path in sorted(tests):
            key = f"tests:{path}"
            if key in kept:
                continue
            flipped = _calling_facades(colours, tests[path])
            while flipped:
                draft = Draft(program)
                try:
                    added = convert_functions(
                        colours, Obstacles(colours), draft, flipped, lambda _draft, _function: None
                    )
                except Unconvertible as problem:
                    flipped -= {problem.function}
                    continue
                retarget_patches(colours, draft, set(flipped))
                yield Step(
                    key=key,
                    kind="tests",
                    title=f"Await async functions in {path}",
                    members=tuple(sorted(function.qualname for function in flipped)),
                    changes=draft.changes(),
                    bridges_added=tuple(added),
                )
                break

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """Nothing: a test that keeps calling a facade is right as it is."""
        return ()


def async_tests_run(program: Program) -> bool:
    """Says whether the project's settings let pytest run async tests."""
    return any(
        f"{key} = " in data.decode(errors="replace")
        for data in project_files(program).values()
        for key in list(SETTINGS)[:1]
    )


def _calling_facades(colours: Colours, functions: Iterable[Function]) -> frozenset[Function]:
    """Of the functions of a test file, sync tests and fixtures that call a facade and that no sync
    code calls."""
    program = colours.program
    found = {
        function
        for function in functions
        if not colours.native(function)
        and (function.is_test_function or function.is_fixture)
        and not (function.is_generator and not function.is_fixture)
        and may_become_async(function)
        and any(
            target.function in colours.facades and not site.in_lambda
            for site in colours.sites(function)
            for target in site.targets
        )
        and not program.callers_of(function)
    }
    return frozenset(found)
