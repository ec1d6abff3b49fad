"""The figures as tables, and the targets that they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.scan.peers import Run

MS_PER_KLOC = 30.0
TIMES_PARSE = 5.0
MIB_PER_KLOC = 2.5
WARM_SECONDS_PER_100_KLOC = 0.5
SCALING = 1.7
LINEAR = 0.15
SMALL = 40.0
"""Below this size what Python itself takes is a large part of the memory."""
LARGE = 110.0
"""Up to this size a second scan is held against the target for 100 kLOC."""


@dataclass(frozen=True)
class Verdict:
    """One target and what was measured. `value` may be at most (or at least) `target`."""

    name: str
    value: float
    target: float
    holds: bool


def at_most(name: str, value: float, target: float) -> Verdict:
    return Verdict(name, value, target, value <= target)


def per_kloc(row: dict[str, Any], key: str) -> float:
    """Milliseconds (or MiB) for a thousand lines."""
    return float(row[key]) / float(row["kloc"]) * (1 if key.endswith("mib") else 1000)


def scaling_bound(row: dict[str, Any]) -> float:
    """The most that a second process could gain by parsing: it would leave the first one to take
    the trees over, which is almost the same work, and all that comes after."""
    rest = row["load"] - row["parse"]
    shared = min((row["parse"] + row["unpickle"]) / 2, row["parse"])
    return float(row["load"] / (rest + shared))


def spread(values: Sequence[float]) -> float:
    """How far the largest lies above the smallest."""
    return max(values) / min(values) - 1


def judge(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Every target, over the worst program. Time is linear where it stays in step with ast.parse,
    because a thousand lines of one program hold more code than those of another."""
    worst = max(rows, key=lambda r: r["load"] / r["parse"])
    found = [
        at_most("CPU, times ast.parse", worst["load"] / worst["parse"], TIMES_PARSE),
        at_most("CPU ms per kLOC", max(per_kloc(r, "load") for r in rows), MS_PER_KLOC),
    ]
    warm = [per_kloc(r, "warm") / 10 for r in rows if r["warm"] is not None]
    if warm:
        found.append(at_most("warm, CPU s for 100 kLOC", max(warm), WARM_SECONDS_PER_100_KLOC))
    again = [r["scan_again"] for r in rows if r["kloc"] < LARGE and r["scan_again"] is not None]
    if again:
        found.append(at_most("scan again, CPU s", max(again), WARM_SECONDS_PER_100_KLOC))
    bound = max(scaling_bound(r) for r in rows)
    found.append(Verdict("2 processes, at best", bound, SCALING, bound >= SCALING))
    large = [r for r in rows if r["kloc"] >= SMALL]
    if large:
        found.append(
            at_most("MiB per kLOC", max(per_kloc(r, "peak_mib") for r in large), MIB_PER_KLOC)
        )
    for kind, group in _groups(rows):
        times = [r["load"] / r["parse"] for r in group]
        found.append(at_most(f"{kind}: time, spread", spread(times), LINEAR))
        growth = [(r["peak_mib"] - r["base_mib"]) / r["kloc"] for r in group]
        found.append(at_most(f"{kind}: memory, spread", spread(growth), LINEAR))
    return found


def _groups(rows: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """One program at several sizes."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row["name"]).rpartition(",")[0], []).append(row)
    return [(name, group) for name, group in groups.items() if name and len(group) > 1]


def table(head: Sequence[str], lines: Iterable[Sequence[str]], *, markdown: bool) -> str:
    cells = [list(head), *map(list, lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    texts = []
    for number, line in enumerate(cells):
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        texts.append("| " + " | ".join(padded) + " |" if markdown else "  ".join(padded))
        if number == 0 and markdown:
            rules = ["-" * w if c == 0 else "-" * (w - 1) + ":" for c, w in enumerate(widths)]
            texts.append("| " + " | ".join(rules) + " |")
    return "\n".join(texts)


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def tables(
    rows: Sequence[dict[str, Any]],
    peers: Sequence[tuple[str, Run]],
    verdicts: Sequence[Verdict],
    *,
    markdown: bool,
) -> str:
    programs = table(
        (
            "program", "kLOC", "ast.parse ms/kLOC", "model ms/kLOC", "times parse", "wall s",
            "warm CPU s", "scan CPU s", "again CPU s", "peak MiB", "MiB/kLOC",
        ),
        [
            (
                r["name"], f"{r['kloc']:.1f}", f"{per_kloc(r, 'parse'):.1f}",
                f"{per_kloc(r, 'load'):.1f}", f"{r['load'] / r['parse']:.1f}",
                f"{r['wall']:.2f}", seconds(r["warm"]), seconds(r["scan_cold"]),
                seconds(r["scan_again"]),
                f"{r['peak_mib']:.0f}", f"{per_kloc(r, 'peak_mib'):.2f}",
            )
            for r in rows
        ],
        markdown=markdown,
    )  # fmt: skip
    targets = table(
        ("target", "measured", "wanted", "holds"),
        [
            (v.name, f"{v.value:.2f}", f"{v.target:.2f}", "yes" if v.holds else "no")
            for v in verdicts
        ],
        markdown=markdown,
    )
    parts = [programs, targets]
    if peers:
        ours = {str(r["name"]): r for r in rows}
        names = dict.fromkeys(name for name, _ in peers)
        lines: list[tuple[str, ...]] = []
        for name in names:
            r = ours[name]
            lines.append(
                (name, "this model", f"{r['load']:.1f}", f"{r['wall']:.1f}",
                 f"{r['peak_mib']:.0f}", "")
            )  # fmt: skip
            lines += [
                (name, f.version, f"{f.cpu:.1f}", f"{f.wall:.1f}", f"{f.peak_mib:.0f}", f.note)
                for other, f in peers
                if other == name
            ]
        head = ("program", "tool", "CPU s", "wall s", "peak MiB", "")
        parts.append(table(head, lines, markdown=markdown))
    return "\n\n".join(parts)
