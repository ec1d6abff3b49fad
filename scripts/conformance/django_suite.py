"""The parts of Django's own suite that touch the bridges: with asgiref, and with the drop-in."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from running import run
from sources import environment, source

__all__ = ["LABELS", "VERSION", "DjangoResult", "problems", "run_suite"]

VERSION = "5.2.19"
PASSED = 3389
LABELS = (
    "async",
    "asgi",
    "handlers",
    "middleware",
    "middleware_exceptions",
    "deprecation",
    "decorators",
    "signals",
    "servers",
    "auth_tests",
    "view_tests",
    "test_client",
    "cache",
    "sessions_tests",
    "update_only_fields",
    "generic_relations",
    "basic",
    "logging_tests",
    "urlpatterns_reverse",
    "test_utils",
)
_RAN = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
_END = re.compile(r"^(OK|FAILED)(?: \(([^)]*)\))?$", re.MULTILINE)
_FAILURE = re.compile(r"^(?:FAIL|ERROR): (\S+ \(\S+\))", re.MULTILINE)


@dataclass
class DjangoResult:
    """What ``runtests.py`` reported."""

    ran: int = 0
    passed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False
    output: str = ""

    def same_as(self, other: DjangoResult) -> bool:
        """Whether the same tests ran, were skipped and failed."""
        mine = (self.ran, self.passed, self.skipped, sorted(self.failures), self.complete)
        return mine == (
            other.ran,
            other.passed,
            other.skipped,
            sorted(other.failures),
            other.complete,
        )


def run_suite(cache: Path, *, substitute: bool) -> DjangoResult:
    """One run in one process. The environment has Django, what it requires, and nothing else."""
    directory = source("django", VERSION, cache)
    python = environment(
        "django", [f"django=={VERSION}", "asgiref==3.13.0", "sqlparse==0.5.3"], cache
    )
    log = cache / "django-replaced.log"
    log.unlink(missing_ok=True)
    begun = time.monotonic()
    done = run(
        [python, "-W", "ignore::ResourceWarning", "runtests.py", "--parallel=1", *LABELS],
        cwd=directory / "tests",
        seconds=560,
        substitute="asgiref" if substitute else None,
        log=log,
        path=[directory],
    )
    result = DjangoResult(seconds=time.monotonic() - begun, output=done.output)
    if log.exists():
        result.replaced = log.read_text(encoding="utf-8").splitlines()
    _read(done.output, result)
    return result


def _read(output: str, result: DjangoResult) -> None:
    ran, end = _RAN.search(output), _END.search(output)
    if ran is None or end is None:
        return
    counts = dict(part.split("=") for part in (end[2] or "").split(", ") if "=" in part)
    bad = sum(int(counts.get(kind, 0)) for kind in ("failures", "errors", "unexpected successes"))
    result.complete = True
    result.ran = int(ran[1])
    result.skipped = int(counts.get("skipped", 0)) + int(counts.get("expected failures", 0))
    result.passed = result.ran - result.skipped - bad
    result.failures = sorted(set(_FAILURE.findall(output)))


def problems(stock: DjangoResult, ours: DjangoResult) -> list[str]:
    """Everything that differs from what is promised; empty if all is well."""
    found = []
    for name, result in (("stock", stock), ("drop-in", ours)):
        if not result.complete:
            found.append(f"{name}: the run did not end: {result.output[-2000:]}")
    if not ours.same_as(stock):
        found += [f"only with the drop-in: {f}" for f in ours.failures if f not in stock.failures]
        found.append(f"drop-in: {ours.passed} passed, stock: {stock.passed} passed")
    if not any("asgiref.sync" in line for line in ours.replaced):
        found.append("the drop-in did not say that it replaced asgiref.sync")
    return found
