"""What `scan` and `report` find, from the cache in the program where nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bridgekit.cli.target import Choices, Target, planner_for
from bridgekit_codemods.cache import results
from bridgekit_codemods.cache.keys import options_key, program_key
from bridgekit_codemods.cache.store import Store
from bridgekit_codemods.migration.checks import Problem, problems
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.survey import Survey
from bridgekit_codemods.reports.tree import Branch, branches

NoCacheOption = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Read the program anew, and keep nothing of what is found in .bridgekit/cache.",
    ),
]


@dataclass(frozen=True)
class Scanned:
    """What a scan prints. `tree` and `sites` are there where they were asked for."""

    survey: Survey
    problems: tuple[Problem, ...]
    tree: Branch | None = None
    sites: list[dict[str, Any]] | None = None


def store_of(target: Target, no_cache: bool) -> Store | None:
    """The cache of the program as it is now."""
    if no_cache:
        return None
    return Store(target.root, program_key(target.sources, target.additions))


def scanned(
    target: Target,
    store: Store | None,
    *,
    tree: bool = False,
    calls: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Scanned:
    """The result of a scan."""
    return _kept_scan(store, tree, calls) or _new_scan(target, store, tree, calls, tell)


def findings(
    target: Target, choices: Choices, kept: frozenset[str], store: Store | None
) -> tuple[tuple[Finding, ...], tuple[Problem, ...]]:
    """What stays as it is, whatever steps were kept back, and the files that cannot be read.

    Raises:
        ScopeError: a goal of the scope names nothing.
    """
    options = options_key(
        choices.client.value,
        choices.target.value,
        choices.granularity.value,
        choices.scope.plain(),
        sorted(kept),
    )
    kind = f"findings-{options}"
    if store is not None:
        known = store.get(kind, lambda value: results.read_rows(Finding, value))
        unreadable = store.get("problems", _read_problems)
        if known is not None and unreadable is not None:
            return known, unreadable
    found = planner_for(choices).findings(target.sources, kept)
    if store is not None:
        store.put(kind, results.rows(found))
        store.put("problems", results.rows(target.problems))
    return found, target.problems


def _kept_scan(store: Store | None, tree: bool, calls: bool) -> Scanned | None:
    if store is None:
        return None
    survey = store.get("survey", results.read_survey)
    unreadable = store.get("problems", _read_problems)
    if survey is None or unreadable is None:
        return None
    branch = store.get("tree", Branch.read) if tree else None
    sites = store.get("calls", _read_sites) if calls else None
    if (tree and branch is None) or (calls and sites is None):
        return None
    return Scanned(survey, unreadable, branch, sites)


def _new_scan(
    target: Target, store: Store | None, tree: bool, calls: bool, tell: Callable[[str], None]
) -> Scanned:
    from bridgekit_codemods.walk import planner

    own = planner.build_planner()
    survey = planner.build_survey(target.sources, own)
    unreadable = problems(planner.unparsed(target.sources, own))
    branch, sites = None, None
    if tree:
        from bridgekit_codemods.reports.collecting import collect

        tell("drawing the tree")
        branch = branches(collect(own.program(target.sources)))
    if calls:
        from bridgekit_codemods.program import call_sites

        sites = call_sites(own.program(target.sources))
    if store is not None:
        store.put("survey", results.survey(survey))
        store.put("problems", results.rows(unreadable))
        if branch is not None:
            store.put("tree", branch.plain())
        if sites is not None:
            store.put("calls", sites)
    return Scanned(survey, unreadable, branch, sites)


def _read_problems(value: Any) -> tuple[Problem, ...]:
    return results.read_rows(Problem, value)


def _read_sites(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(site, dict) for site in value):
        raise ValueError("no list of call sites")
    return value
