"""docs/conformance.md: one section a suite, written from the outcome of a run and never by hand."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio_suite
import asgiref_suite
import django_suite
from django_suite import DjangoResult
from mutants import Verdict
from running import Outcome

__all__ = ["anyio_section", "asgiref_section", "django_section", "mutants_section", "write"]

HEAD = """# Conformance

What the suites of other projects say about the bridges. `python scripts/conformance SUITE
--markdown docs/conformance.md` runs one of them and writes its section here; each section is the
outcome of its last run. The sources are the pinned source distributions, fetched with pip.
"""
ORDER = ("asgiref", "mutants", "anyio", "django")


def asgiref_section(outcome: Outcome, problems: Sequence[str]) -> str:
    count = outcome.count()
    internal = [name for name in asgiref_suite.INTERNALS if outcome.tests.get(name) == "passed"]
    processes = len({line.partition(":")[0] for line in outcome.replaced if "process" in line})
    rows = [
        ("public names only", asgiref_suite.PASSED - len(asgiref_suite.INTERNALS), None),
        ("class attributes of the original", len(asgiref_suite.INTERNALS), len(internal)),
    ]
    table = _table(
        ("tests that use", "tests", "pass"),
        [(what, of, count["passed"] - len(internal) if n is None else n) for what, of, n in rows],
    )
    return "\n".join(
        [
            f"## asgiref {asgiref_suite.VERSION}, its own suite on the drop-in",
            "",
            "`asgiref.sync`, `asgiref.local` and `asgiref.current_thread_executor` were replaced "
            f"in {processes} processes (the suite spawns some), before their first import.",
            "",
            table,
            "",
            f"{count['skipped']} skipped (a benchmark), {count['xfailed']} expected failure, as "
            "with asgiref itself.",
            _verdict(problems),
        ]
    )


def mutants_section(verdicts: Sequence[Verdict]) -> str:
    rows = [(v.mutant.side, v.mutant.name, "fails" if v.killed else "passes") for v in verdicts]
    return "\n".join(
        [
            "## What asgiref's suite does not notice",
            "",
            "Its suite passes without three of its promises. `tests/integrations/asgiref` run "
            "against both sides, whole and with one promise taken out:",
            "",
            _table(("side", "taken out", "our tests"), rows),
        ]
    )


def anyio_section(outcome: Outcome, problems: Sequence[str]) -> str:
    failed = {anyio_suite.function(name) for name in outcome.named("failed")}
    begun = {anyio_suite.function(name) for name in outcome.tests}
    rows = [
        (f"`{name}`", kind, reason)
        for name, (kind, reason) in anyio_suite.EXCEPTIONS.items()
        if name in failed or name not in begun
    ]
    rows += [(f"`{name}`", *why) for name, why in anyio_suite.TRIO_EXCEPTIONS.items()]
    settled = [n for n in outcome.tests if anyio_suite.function(n) not in anyio_suite.RACES]
    count = Counter(outcome.tests[name] for name in settled)
    races = ", ".join(f"`{name}`" for name in sorted(anyio_suite.RACES))
    return "\n".join(
        [
            f"## anyio {anyio_suite.VERSION}, its tests of threads and portals",
            "",
            "`tests/test_to_thread.py` and `tests/test_from_thread.py`, the asyncio and trio "
            "variants, with `anyio.to_thread` and `anyio.from_thread` replaced by an adapter that "
            "translates names, arguments and messages.",
            "",
            f"{count['passed']} pass, {count['failed']} do not, {count['skipped']} are skipped and "
            f"{count['xfailed']} is expected to fail (as with anyio itself). Not counted is what "
            "passes or fails with the moment at which a thread takes its call "
            f"({races}: they assume that a call that is cancelled at once has begun, where ours "
            "may never begin). These do not pass, or are not begun because they would wait for "
            "ever (a name may stand for several parameters):",
            "",
            _table(("test", "", "reason"), rows),
            _verdict(problems),
        ]
    )


def django_section(stock: DjangoResult, ours: DjangoResult, problems: Sequence[str]) -> str:
    rows = [
        (name, r.ran, r.passed, r.skipped, len(r.failures), f"{r.seconds:.0f} s")
        for name, r in (("asgiref", stock), ("drop-in", ours))
    ]
    labels = " ".join(django_suite.LABELS)
    return "\n".join(
        [
            f"## Django {django_suite.VERSION}, the parts of its suite that touch the bridges",
            "",
            f"`runtests.py --parallel=1 {labels}` with SQLite.",
            "",
            _table(
                ("bridges", "ran", "passed", "skipped or expected", "failed", "wall time"), rows
            ),
            _verdict(problems),
        ]
    )


def _verdict(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    return "\nNot as promised:\n\n" + "\n".join(f"- {line}" for line in problems)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write(path: Path, name: str, section: str) -> None:
    """Put a section in the place of the one that the file has under this name."""
    sections: dict[str, str] = {}
    if path.exists():
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"<!-- run: (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL):
            sections[found[1]] = found[2]
    python = f"Python {platform.python_version()}"
    sections[name] = f"{section.strip()}\n\n{python}.\n"
    parts = [HEAD]
    parts += [
        f"<!-- run: {key} -->\n{sections[key]}<!-- end -->\n" for key in ORDER if key in sections
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
