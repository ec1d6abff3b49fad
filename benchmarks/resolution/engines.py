"""What a type checker adds to the program model, and how far its word can be trusted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.resolution.compare import Comparison, Miss, compare, covered, executed
from benchmarks.resolution.observed import Observed

from bridgekit_codemods.engines import ENGINE_FILE, ask
from bridgekit_codemods.program import CallSite, Program, Target


@dataclass
class Measured:
    """One checker on one program. `joined` is the model with its answers, `alone` what its answers
    would come to without the model; `added` counts the sites that it gives targets."""

    name: str
    wall: float
    cpu: float
    joined: Comparison
    alone: Comparison
    doubles: int = 0
    """Wrong answers of the checker alone where a test had replaced what is called."""
    added: int = 0
    disputed: int = 0
    disputed_executed: int = 0
    own_right: int = 0
    engine_right: int = 0
    lines: list[str] = field(default_factory=list)


def measure(name: str, root: Path, sources: Mapping[str, bytes], observed: Observed) -> Measured:
    """Ask the checker `name`, and hold its answers against what was observed."""
    wall, cpu = time.monotonic(), _children()
    answers = ask(name, root, sources)
    wall, cpu = time.monotonic() - wall, _children() - cpu
    record = answers.dump(sources).encode()
    program = Program.load({**sources, ENGINE_FILE: record})
    found = Measured(
        answers.engine,
        wall,
        cpu,
        compare(program, observed),
        compare(program, observed, sites=list(_alone(program))),
    )
    for site in program.calls:
        if any(t.grade == "engine" for t in site.targets):
            found.added += 1
            found.lines.append(f"added {_text(site)}")
    found.doubles = sum(_is_double(miss) for miss in found.alone.wrong)
    found.lines += [f"alone wrong {_text(m.site)} -> {m.observed}" for m in found.alone.wrong]
    _disputes(program, observed, found)
    return found


def _alone(program: Program) -> Iterator[CallSite]:
    """The call sites as the checker's answers alone would have them."""
    for site in program.calls:
        reached = program.answered(site)
        known = reached is not None and not reached.elsewhere
        functions = reached.functions if known and reached is not None else ()
        yield replace(site, targets=tuple(Target(f, "engine") for f in functions))


def _is_double(miss: Miss) -> bool:
    """Whether the call went, besides to what was claimed, to functions of the tests or to mocks."""
    names = [n for n in miss.observed if n not in {t.function.qualname for t in miss.site.targets}]
    return bool(names) and all(n.startswith("test") or n.endswith("Mock") for n in names)


def _disputes(program: Program, observed: Observed, found: Measured) -> None:
    disputed = program.disputed
    found.disputed = len(disputed)
    for site, reached, _ in executed(program, observed, disputed):
        own = {t.function for t in site.targets if t.grade != "guess"}
        other = set(disputed[site])
        own_right = all(covered(program, f, own) for f in reached) if reached else not own
        engine_right = all(covered(program, f, other) for f in reached) if reached else not other
        found.disputed_executed += 1
        found.own_right += own_right
        found.engine_right += engine_right
        found.lines.append(
            f"disputed {_text(site)} engine: {sorted(f.qualname for f in other)} "
            f"observed: {sorted(f.qualname for f in reached)}"
        )


def _text(site: CallSite) -> str:
    targets = ", ".join(f"{t.function.qualname}:{t.grade}" for t in site.targets[:3])
    return f"{site.path}:{site.span.line} {site.name} ({targets or ', '.join(site.externals)})"


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def plain_engines(found: list[Measured]) -> str:
    lines = []
    for one in found:
        lines.append(f"with {one.name} ({one.wall:.1f} s, {one.cpu:.1f} CPU-s):")
        lines += [f"  {title}: {value}" for title, value in _cells(one)]
    return "\n".join(lines)


def tables(found: list[Measured]) -> str:
    titles = [title for title, _ in _cells(found[0])]
    lines = [
        "| | " + " | ".join(one.name for one in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    rows = [[value for _, value in _cells(one)] for one in found]
    for index, title in enumerate(titles):
        lines.append(f"| {title} | " + " | ".join(row[index] for row in rows) + " |")
    return "\n".join(lines)


def _cells(one: Measured) -> Iterator[tuple[str, str]]:
    joined, alone = one.joined, one.alone
    grade, own = joined.grades["engine"], alone.grades["engine"]
    yield "CPU seconds", f"{one.cpu:.1f}"
    yield "resolved with it", f"{joined.resolved} of {joined.sites} {_share(joined)}"
    yield "sites that it gives targets", str(one.added)
    yield "of these executed / wrong", f"{grade.sites} / {grade.wrong}"
    yield "resolved by it alone", f"{alone.resolved} of {alone.sites} {_share(alone)}"
    right = f"{100 * (own.sites - own.wrong) / own.sites:.2f} %" if own.sites else "-"
    yield "its answers at executed sites / wrong", f"{own.sites} / {own.wrong} ({right} right)"
    yield "wrong where no test replaced what is called", str(own.wrong - one.doubles)
    yield "disputed / of these executed", f"{one.disputed} / {one.disputed_executed}"
    yield "right where disputed: model / checker", f"{one.own_right} / {one.engine_right}"


def _share(found: Comparison) -> str:
    return f"({100 * found.resolved / found.sites:.1f} %)" if found.sites else ""
