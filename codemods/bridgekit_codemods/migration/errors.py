"""Why a migration cannot go on.  Each message is complete: it names the way out."""

from __future__ import annotations


class MigrationError(Exception):
    """Base of everything this package raises on purpose."""


class RefusedError(MigrationError):
    """The starting point does not allow a migration: nothing was changed."""


class LedgerError(MigrationError):
    """The ledger holds something that no run wrote."""


class UnsafePathError(MigrationError):
    """A step names a path outside the program, or one that is not a regular file."""


class CommitError(MigrationError):
    """The work tree would not take the commit of a step, for example because a hook refused it."""


class InterruptedStepError(MigrationError):
    """An unfinished step cannot be put back because its files were changed since."""


class BaselineError(MigrationError):
    """The guard is red, or hangs, before the first step."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


class PlannerError(MigrationError):
    """The planner broke its contract: it repeated itself or proposed a step that was kept back."""


class NoSuchStepError(MigrationError):
    """No applied step has the name that was asked for."""
