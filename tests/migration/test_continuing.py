"""A walk goes on with the limits it began with, unless one says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgekit_codemods.migration.continuing import recorded_scope, settle_scope
from bridgekit_codemods.migration.errors import RefusedError
from bridgekit_codemods.migration.ledger import Ledger
from bridgekit_codemods.planning.scope import EVERYTHING, Scope

HTTP = Scope(frozenset({"http"}))
WIDER = Scope(frozenset({"http", "sleep"}), ("views:a",), 2.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def begin(ledger: Ledger) -> None:
    ledger.append("kept", n=1, key="k", kind="flip", title="t", cause="guard", detail="red")


def test_without_limits_nothing_is_recorded(ledger: Ledger) -> None:
    assert settle_scope(ledger, EVERYTHING) is None
    assert not ledger.path.exists()


def test_a_walk_that_has_not_begun_takes_any_limits(ledger: Ledger) -> None:
    for scope in (HTTP, WIDER, EVERYTHING, HTTP):
        assert settle_scope(ledger, scope) is None
        assert recorded_scope(ledger) == scope


def test_the_same_limits_go_on(ledger: Ledger) -> None:
    settle_scope(ledger, HTTP)
    begin(ledger)
    before = ledger.path.read_bytes()
    assert settle_scope(ledger, HTTP) is None
    assert ledger.path.read_bytes() == before


@pytest.mark.parametrize(("first", "second"), [(HTTP, EVERYTHING), (EVERYTHING, HTTP)])
def test_other_limits_are_refused(ledger: Ledger, first: Scope, second: Scope) -> None:
    settle_scope(ledger, first)
    begin(ledger)
    before = ledger.path.read_bytes()
    with pytest.raises(RefusedError, match="--rescope") as refusal:
        settle_scope(ledger, second)
    assert first.words() in str(refusal.value)
    assert second.words() in str(refusal.value)
    assert ledger.path.read_bytes() == before


def test_other_limits_on_purpose(ledger: Ledger) -> None:
    settle_scope(ledger, HTTP)
    begin(ledger)
    note = settle_scope(ledger, WIDER, change=True)
    assert note == (
        "the walk goes on with --only http,sleep --goal views:a --bridge-below 2, "
        "before it was --only http"
    )
    assert recorded_scope(ledger) == WIDER
    assert settle_scope(ledger, WIDER) is None


def test_the_record_is_no_step(ledger: Ledger) -> None:
    settle_scope(ledger, HTTP)
    history = ledger.history()
    assert (history.applied, dict(history.kept), history.pending, history.last) == ((), {}, None, 0)
