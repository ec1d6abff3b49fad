"""Every construct of the language, walked through all rules: nothing changes, or it is said.

The program is run before the walk and after each of its steps; value, exception, side effects and
the program's own tests are compared. See `table` for the cases.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from tests.codemods.language.running import Outcome, run
from tests.codemods.language.table import Case, read_cases
from tests.codemods.language.walking import Walked, walk

ROOT = Path(__file__).parents[3]
CASES = read_cases()
SILENT = [case for case in CASES if case.silent]


def walked(case: Case, before: Outcome) -> Walked:
    """The walk with the program's own tests as its guard."""
    has_tests = len(case.files) > 1
    return walk(case.files, lambda files: not has_tests or run(files).tests == before.tests)


def first_stage(case: Case) -> object:
    """What would go wrong silently is looked at in every run, the rest in the second stage."""
    return pytest.param(case, marks=() if case.silent else pytest.mark.slow, id=case.id)


@pytest.mark.parametrize("case", [first_stage(case) for case in CASES])
def test_every_step_leaves_the_program_as_it_was(case: Case) -> None:
    before = run(case.files)
    assert before.lost == ()
    done = walked(case, before)
    assert done.messages == ()
    for files in done.programs[1:]:
        assert run(files) == before
    assert done.verdict == case.verdict
    for finding in done.findings:
        assert finding.path in case.files
        assert finding.line <= case.files[finding.path].count(b"\n") + 10
        assert finding.reason
        assert finding.remedy


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.id)
def test_the_comparison_sees_what_goes_wrong_without_care(case: Case) -> None:
    before = run(case.files, twice=case.twice)
    careless = run(case.without_care(), twice=case.twice, at_once=True)
    told = (careless.result, careless.log, careless.tests)
    assert told != (before.result, before.log, before.tests)
    assert "TypeError" not in careless.result, "it is not silent"


@pytest.mark.parametrize("case", [c for c in CASES if c.twice], ids=lambda case: case.id)
def test_two_requests_at_once_do_not_meet(case: Case) -> None:
    before = run(case.files, twice=True)
    done = walked(case, run(case.files))
    assert run(done.result, twice=True, at_once=True) == before


def test_all_probes_are_there() -> None:
    probes = [case for case in CASES if case.group != "more"]
    names = Counter(case.construct for case in CASES)
    assert [name for name, times in names.items() if times > 1] == []
    assert (len(probes), len(SILENT)) == (123, 51)


def test_the_page_shows_this_table() -> None:
    spec = importlib.util.spec_from_file_location("constructs", ROOT / "scripts" / "constructs.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "constructs.md").read_text(encoding="utf-8")
    assert script.markdown(CASES) in page, "run scripts/constructs.py --write"
