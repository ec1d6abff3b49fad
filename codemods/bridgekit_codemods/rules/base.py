"""What every rule is: a function from the current program to the next step it would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from bridgekit_codemods.editing import EditMissed, FileEdits
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program

Granularity = Literal["function", "module", "layer"]
Safety = Literal["exact", "guarded", "advice"]


@dataclass(frozen=True)
class Options:
    """What the user chose on the command line.

    `client` is the HTTP library under the shim that replaces requests; `target` the framework at
    which the walk ends ("flask" stops before the change of framework); `granularity` how much one
    step changes: one function (with those that must move along), the ready functions of one module,
    or all ready functions, a whole layer of the call graph; `scope` what the walk leaves out.
    """

    client: Literal["httpx", "httpx2"] = "httpx"
    target: Literal["quart", "flask"] = "quart"
    granularity: Granularity = "module"
    scope: Scope = EVERYTHING


class Rule(Protocol):
    """One codemod. A rule holds no state: what is left to do is read from the program each time.

    A rule whose rewrite has been applied finds nothing more to do, so a second run is a no-op.
    """

    name: str
    code: str
    safety: Safety

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """The next step of this rule, or None. A step whose key is in `kept` is not proposed."""

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """What this rule saw and leaves alone, with reason and remedy."""


@dataclass
class Draft:
    """Edits of several files on their way to becoming a step."""

    program: Program
    files: dict[str, FileEdits] = field(default_factory=dict)

    def edits(self, path: str) -> FileEdits:
        """The edit set of that file, made on first use."""
        if path not in self.files:
            own = frozenset(module.partition(".")[0] for module in self.program.modules)
            self.files[path] = FileEdits(path, own)
        return self.files[path]

    def changes(self, beside: Mapping[str, bytes | None] | None = None) -> Changes:
        """The new bytes of every file that differs, and of the files `beside` that are no code."""
        return Changes(self, beside or {})


class Changes(Mapping[str, bytes | None]):
    """What a step changes, written only when someone looks: until then no file is opened.

    A draft must not be added to after its changes were looked at. Looking may raise what
    `FileEdits.apply` raises; afterwards the program is let go. Not thread-safe.
    """

    def __init__(self, draft: Draft, beside: Mapping[str, bytes | None]) -> None:
        self._draft: Draft | None = draft
        self._beside = dict(beside)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that change, as far as that is known without writing: those with edits."""
        if self._draft is None:
            return tuple(sorted(self._written))
        edited = {path for path, edits in self._draft.files.items() if edits}
        return tuple(sorted(edited | self._beside.keys()))

    @cached_property
    def _written(self) -> dict[str, bytes | None]:
        assert self._draft is not None
        written: dict[str, bytes | None] = {}
        for path, edits in sorted(self._draft.files.items()):
            if not edits:
                continue
            before = self._draft.program.files[path].data
            after = edits.apply(before)
            if after != before:
                written[path] = after
        self._draft = None
        return written | self._beside

    def __getitem__(self, path: str) -> bytes | None:
        return self._written[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)

    def __repr__(self) -> str:
        return f"Changes({', '.join(self.paths)})"


def written(step: Step) -> Step:
    """The step with its changes worked out; without any, and with the fault, where that fails."""
    try:
        len(step.changes)
    except EditMissed as error:
        fault = f"bridgekit failed to write this step, which is a fault of its own: {error}"
        return replace(step, changes={}, fault=fault)
    return step
