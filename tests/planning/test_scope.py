"""The limits of a walk as a value: read from options, written to the ledger, told in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgekit_codemods.planning.scope import (
    EVERYTHING,
    FRAMEWORK,
    KINDS,
    Scope,
    ScopeError,
    build_scope,
)

SCOPES = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from(KINDS)),
    st.lists(st.text(min_size=1), max_size=3).map(tuple),
    st.none() | st.floats(0, 100),
)


@given(SCOPES)
def test_a_scope_survives_the_ledger(scope: Scope) -> None:
    assert Scope.read(scope.plain()) == scope


def test_words_are_kinds_or_their_other_names() -> None:
    scope = build_scope(["http, database", "files"])
    assert scope.only == {"http", "db", "file"}
    assert scope.words() == "--only db,file,http"


def test_the_order_of_options_does_not_matter() -> None:
    assert build_scope(["http,db"], ["a", "b"]) == build_scope(["db", "http"], ["b", "a"])


@pytest.mark.parametrize(
    ("only", "goals", "factor", "message"),
    [
        (["htp"], [], None, "no kind of waiting 'htp'; it is http, db"),
        (["http,"], [], None, "no kind of waiting ''"),
        ([], [" "], None, "an empty pattern"),
        ([], [], -1.0, "0 or more"),
        ([], [], float("nan"), "0 or more"),
    ],
)
def test_what_does_not_exist_is_refused(
    only: list[str], goals: list[str], factor: float | None, message: str
) -> None:
    with pytest.raises(ScopeError, match=message):
        build_scope(only, goals, factor)


def test_a_change_of_framework_needs_every_view() -> None:
    assert EVERYTHING.changes_framework
    assert Scope(frozenset({"http", FRAMEWORK})).changes_framework
    assert not Scope(frozenset({"http"})).changes_framework
    assert not Scope(goals=("views:a",)).changes_framework
    assert not EVERYTHING.limited
    assert EVERYTHING.words() == "no limits"
