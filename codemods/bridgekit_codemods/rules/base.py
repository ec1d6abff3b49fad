"""What every rule is: a function from the current program to the next step it would take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bridgekit_codemods.editing import FileEdits
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

    def changes(self) -> Mapping[str, bytes]:
        """The new bytes of every file that differs."""
        result: dict[str, bytes] = {}
        for path in sorted(self.files):
            edits = self.files[path]
            if not edits:
                continue
            before = self.program.files[path].data
            after = edits.apply(before)
            if after != before:
                result[path] = after
        return result
