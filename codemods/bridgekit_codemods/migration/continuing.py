"""Sees that a walk goes on with the limits it was started with.

A run that leaves out `--only http` by mistake would quietly go on to everything else, so a change
of limits is an act of its own. Nothing of what was done is taken back by it: the next step is
sought in the program as it is.
"""

from __future__ import annotations

from bridgekit_codemods.migration.errors import RefusedError
from bridgekit_codemods.migration.ledger import Ledger
from bridgekit_codemods.planning.scope import Scope


def recorded_scope(ledger: Ledger) -> Scope:
    """The limits of the walk so far; none where nothing was recorded."""
    found = Scope()
    for record in ledger.records():
        if record["event"] == "scope":
            found = Scope.read(record["scope"])
    return found


def settle_scope(ledger: Ledger, scope: Scope, change: bool = False) -> str | None:
    """Record the limits of this run; says what changed, if anything did.

    A walk that has no step yet, done or kept back, may begin with any limits.

    Raises:
        RefusedError: the walk was started with others, and `change` does not allow that.
    """
    before = recorded_scope(ledger)
    if before == scope:
        return None
    history = ledger.history()
    begun = bool(history.applied or history.kept)
    if begun and not change:
        raise RefusedError(
            f"this migration was started with {before.words()}, and now the options are "
            f"{scope.words()}; give the same options to go on, or add --rescope to go on with "
            "these"
        )
    ledger.append("scope", scope=scope.plain())
    if not begun:
        return None
    return f"the walk goes on with {scope.words()}, before it was {before.words()}"
