"""Writes the table of docs/constructs.md from the cases that are tested.

python scripts/constructs.py           # print the table
python scripts/constructs.py --write   # put it into the page
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "codemods")]

from tests.codemods.language.table import Case, read_cases  # noqa: E402

from bridgekit_codemods.reports.codes import explain  # noqa: E402

PAGE = ROOT / "docs" / "constructs.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
GROUPS = {
    "calls": "What is done with the result of a call",
    "comprehensions": "Comprehensions, generator expressions, lambdas",
    "generators": "Generators and context managers",
    "callbacks": "Functions that others call",
    "wrapped": "Decorators, properties, partial functions",
    "special_methods": "Special methods and overrides",
    "places": "Places where nothing can be awaited, or something unusual is",
    "concurrency": "What several tasks share",
    "tests": "Tests",
    "more": "More shapes of these",
}


def markdown(cases: tuple[Case, ...]) -> str:
    """The table, one part for each group of constructs."""
    parts = []
    for group, title in GROUPS.items():
        rows = [
            f"| {_cell(case.construct)} | {'yes' if case.silent else ''} | {_done(case.verdict)} "
            f"| {_codes(case.verdict)} |\n"
            for case in cases
            if case.group == group
        ]
        head = "| construct | silent | what is done | code |\n|---|---|---|---|\n"
        parts.append(f"## {title}\n\n{head}{''.join(rows)}")
    unknown = {case.group for case in cases} - GROUPS.keys()
    assert not unknown, f"no title for {unknown}"
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_")


def _done(verdict: str) -> str:
    kind, _, codes = verdict.partition(":")
    reasons = "; ".join(explain(code).text.rstrip(".") for code in codes.split(",") if code)
    match kind:
        case "rewritten":
            return "awaited"
        case "bridged" if not reasons:
            return "reached over a bridge"
        case "bridged":
            return f"reached over a bridge: {reasons}"
        case _:
            return f"the function around it stays sync: {reasons}"


def _codes(verdict: str) -> str:
    return verdict.partition(":")[2].replace(",", ", ")


def page_with(table: str) -> str:
    """The page with that table in its place."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{table}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    table = markdown(read_cases())
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with(table), encoding="utf-8")
    else:
        print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
