"""The figures of a load run as a table on the terminal and as Markdown."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass
class Measured:
    """All rounds of one form of the program under one number of clients."""

    form: str
    clients: int
    rounds: list[dict[str, Any]] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def middle(self, name: str) -> float | None:
        """The median over the rounds; None when no round has the figure."""
        values = [item[name] for item in self.rounds if item[name] is not None]
        return median(values) if values else None

    def total(self, name: str) -> int:
        return sum(item[name] for item in self.rounds)

    @property
    def rps(self) -> float:
        return self.middle("rps") or 0.0

    @property
    def span(self) -> str:
        every = [item["rps"] for item in self.rounds]
        return f"{min(every):,.0f}-{max(every):,.0f}"


HEADINGS = ("clients", "form", "requests/s", "range", "times legacy", "p50 ms", "p99 ms",
            "CPU ms/request", "memory MB", "errors", "oldest open ms")  # fmt: skip
# Heading on the terminal, and the column it shows.
NARROW = (
    ("clients", "clients"),
    ("form", "form"),
    ("req/s", "requests/s"),
    ("times", "times legacy"),
    ("p50 ms", "p50 ms"),
    ("p99 ms", "p99 ms"),
    ("CPU ms", "CPU ms/request"),
    ("MB", "memory MB"),
    ("errors", "errors"),
)


def rows(results: Sequence[Measured]) -> list[tuple[str, ...]]:
    """One row a measurement; the first form of each number of clients is the base."""
    base: dict[int, float] = {}
    found: list[tuple[str, ...]] = []
    for item in results:
        base.setdefault(item.clients, item.rps)
        ratio = item.rps / base[item.clients] if base[item.clients] else None
        oldest = max((r["oldest_ms"] or 0.0 for r in item.rounds), default=None)
        found.append(
            (
                f"{item.clients}",
                item.form,
                f"{item.rps:,.0f}",
                item.span,
                number(ratio, 2),
                number(item.middle("p50_ms")),
                number(item.middle("p99_ms")),
                number(median(item.cpu_ms) if item.cpu_ms else None, 2),
                number(max(item.memory_mb, default=None)),
                f"{item.total('errors')}",
                number(oldest),
            )
        )
    return found


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def table(results: Sequence[Measured], title: str) -> Table:
    """The columns that fit 80 characters; the Markdown form has them all."""
    made = Table(title=title, title_justify="left")
    for heading, _ in NARROW:
        made.add_column(heading, justify="left" if heading == "form" else "right", no_wrap=True)
    previous = None
    for row in rows(results):
        if previous not in (None, row[0]):
            made.add_section()
        previous = row[0]
        made.add_row(*(row[HEADINGS.index(name)] for _, name in NARROW))
    return made


def markdown(results: Sequence[Measured], notes: Sequence[str]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |"]
    lines.append("|" + "|".join("---" if h == "form" else "---:" for h in HEADINGS) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows(results)]
    return "\n".join([*lines, "", *(f"* {note}" for note in notes)])


def machine() -> str:
    return f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}"


def show(console: Console, results: Sequence[Measured], notes: Sequence[str]) -> None:
    console.print(table(results, "Same load on both forms"))
    for note in notes:
        console.print(f"  {note}", highlight=False)
