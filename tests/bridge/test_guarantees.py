"""The table of guarantees: every row holds, and none hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.bridge.guarantees import GUARANTEES, Guarantee


@pytest.mark.timeout(40)
@pytest.mark.parametrize("row", GUARANTEES, ids=lambda row: row.prove.__name__)
def test_guarantee(row: Guarantee) -> None:
    row.prove()


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    script = Path(__file__).parents[2] / "scripts" / "guarantees.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
