"""BK231 two-colour-decorator: a decorator that wraps a call also wraps an awaited call.

What: in front of the wrapper comes its twin, returned for coroutine functions::

    if inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def async_wrapper(*args, **kwargs):
            ...                               # the same body, with `await func(...)`

        return async_wrapper

Why: around an `async def` the plain wrapper does its work when the coroutine is made, not when it
runs: retries catch nothing, timings measure nothing, and the function no longer looks asynchronous.
Plain functions get the wrapper they always got.

Converted is what is certain: the wrapper calls the function in plain positions, sleeps, and calls
what does not block. Everything else is left, with a finding. One step per decorator.
Source: https://docs.python.org/3/library/inspect.html#inspect.iscoroutinefunction
"""

from __future__ import annotations

from collections.abc import Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.decorators import is_two_coloured
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.decorator_shapes import Leave, Wrapping, read_wrapping
from bridgekit_codemods.rules.decorator_twin import with_twin
from bridgekit_codemods.rules.dependencies import changed_dependencies, project_files

_REMEDY = "write an async wrapper by hand, chosen by inspect.iscoroutinefunction"


class ColourlessDecorator:
    """BK231 two-colour-decorator: give a project decorator an async twin of its wrapper."""

    name = "two-colour-decorator"
    code = "BK231"
    safety: Safety = "guarded"

    def key(self, decorator: Function) -> str:
        """The key of the step for that decorator."""
        return f"decorator:{decorator.qualname}"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        return next(self.steps(program, kept), None)

    def steps(self, program: Program, kept: frozenset[str]) -> Iterator[Step]:
        """The steps of all decorators, in the order in which they can be taken.

        One that is used by another comes before it. Those after the first count on the ones before
        them having been taken.
        """
        colours = program.derived(Colours)
        left = [d for d in _candidates(colours) if self.key(d) not in kept]
        done: frozenset[Function] = frozenset()
        while True:
            for decorator in left:
                try:
                    wrapping = read_wrapping(colours, decorator, done)
                except Leave:
                    continue
                break
            else:
                return
            yield self._step(program, decorator, wrapping)
            left.remove(decorator)
            done |= {decorator}

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        colours = program.derived(Colours)
        found: list[Finding] = []
        for decorator in _candidates(colours):
            try:
                read_wrapping(colours, decorator)
            except Leave as problem:
                found.append(
                    Finding(
                        decorator.path, problem.line, self.code, problem.reason, _REMEDY,
                        decorator.qualname,
                    )
                )  # fmt: skip
        return tuple(found)

    def _step(self, program: Program, decorator: Function, wrapping: Wrapping) -> Step:
        draft = Draft(program)
        source = program.files[decorator.path]
        edits = draft.edits(decorator.path)
        edits.at("FunctionDef", source.span(wrapping.wrapper.node), with_twin(wrapping))
        edits.add_import("inspect")
        added: list[str] = []
        if wrapping.sleeps:
            edits.add_import("anyio")
            added.append("anyio>=4")
        settings = changed_dependencies(project_files(program), added)
        return Step(
            key=self.key(decorator),
            kind="decorator",
            title=f"Let {decorator.name} decorate coroutine functions as well",
            members=(decorator.qualname,),
            changes=draft.changes(settings),
        )


def _in_tests(colours: Colours, decorator: Function) -> bool:
    return colours.program.files[decorator.path].is_test


def _candidates(colours: Colours) -> Iterator[Function]:
    """Project decorators of functions that block, as far as they have one colour only."""
    seen: set[Function] = set()
    for function in colours.program.functions.values():
        if function.is_async or not colours.blocks_itself(function):
            continue
        for decorator in function.decorators:
            found = decorator.project
            if found is None or found in seen or found.is_async or is_two_coloured(found):
                continue
            if found.cls is not None or found.is_generator or _in_tests(colours, found):
                continue
            seen.add(found)
    yield from sorted(seen, key=lambda function: (function.path, function.node.lineno))
