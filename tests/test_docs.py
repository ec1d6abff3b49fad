"""The documentation names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from bridgekit_codemods.rules import RULES

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
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


LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")]


def links(page: Path) -> list[tuple[Path, str]]:
    """The files of the project that a page links to, each with the part that is meant."""
    found = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        target, _, part = link.partition("#")
        if "://" not in link and not link.startswith("mailto:"):
            found.append(((page.parent / target).resolve() if target else page, part))
    return found


def anchors(page: Path) -> set[str]:
    """The names under which the headings of a page can be linked to, as GitHub makes them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    heads = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head) for head in HEADING.findall(text)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target, part in links(page):
            assert target.exists(), f"{page.name} links to {target}"
            if part and target.suffix == ".md":
                assert part in anchors(target), f"{page.name} links to {target.name}#{part}"


def test_every_page_is_two_clicks_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    for _ in range(2):
        pages = [page for page in reached if page.suffix == ".md" and page.exists()]
        reached |= {target for page in pages for target, _ in links(page)}
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []
