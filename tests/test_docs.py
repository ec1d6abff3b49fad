"""The documentation names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from bridgekit_codemods.rules import RULES

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"\bBK[0-9]{3}\b")


def test_every_code_is_explained_and_every_explained_code_exists() -> None:
    used = {
        code
        for path in (ROOT / "codemods").rglob("*.py")
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }
    explained = set(CODE.findall((ROOT / "docs" / "codes.md").read_text(encoding="utf-8")))
    assert explained == used


def test_every_rule_is_listed_with_its_name_and_its_safety() -> None:
    text = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
    for rule in RULES:
        start = f"| {rule.code} | {rule.name} |"
        (line,) = [line for line in text.splitlines() if line.startswith(start)]
        assert line.endswith(f"| {rule.safety} |")


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
