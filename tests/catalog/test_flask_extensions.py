"""The page about extensions of Flask says what the catalog says."""

from __future__ import annotations

from pathlib import Path

from bridgekit_codemods.catalog.flask_extensions import flask_extensions

PAGE = Path(__file__).parents[2] / "docs" / "flask-extensions.md"


def test_the_page_has_a_row_for_each_extension() -> None:
    rows = {
        f"| {extension.title} | {extension.reason} | {extension.remedy} |"
        for extension in flask_extensions().values()
    }
    written = {line for line in PAGE.read_text(encoding="utf-8").splitlines() if "| " in line[:2]}
    assert rows <= written
    assert len(written - rows) == 1  # the head of the table
