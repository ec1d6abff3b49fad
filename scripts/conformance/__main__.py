"""Run other projects' suites against this one: ``python scripts/conformance asgiref``.

The exit status is 0 if all is as promised, 1 if not, 75 if the package index cannot be reached.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio_suite
import asgiref_suite
import django_suite
import mutants
import report
from running import Outcome
from sources import IndexUnreachable

UNAVAILABLE = 75


def _say(outcome: Outcome) -> None:
    for line in outcome.replaced:
        print(f"   {line}")
    print("  ", ", ".join(f"{number} {kind}" for kind, number in sorted(outcome.count().items())))
    if not outcome.tests:
        print(outcome.output)


def _asgiref(cache: Path) -> tuple[str, list[str]]:
    outcome = asgiref_suite.run_suite(cache)
    _say(outcome)
    problems = asgiref_suite.problems(outcome)
    return report.asgiref_section(outcome, problems), problems


def _anyio(cache: Path) -> tuple[str, list[str]]:
    outcome = anyio_suite.run_suite(cache)
    _say(outcome)
    problems = anyio_suite.problems(outcome)
    return report.anyio_section(outcome, problems), problems


def _mutants(cache: Path) -> tuple[str, list[str]]:
    verdicts = mutants.judge(cache)
    return report.mutants_section(verdicts), mutants.problems(verdicts)


def _django(cache: Path) -> tuple[str, list[str]]:
    stock = django_suite.run_suite(cache, substitute=False)
    ours = django_suite.run_suite(cache, substitute=True)
    for name, result in (("asgiref", stock), ("drop-in", ours)):
        for line in result.replaced:
            print(f"   {line}")
        print(
            f"   {name}: {result.ran} ran, {result.passed} passed, {result.skipped} skipped, "
            f"{len(result.failures)} failed"
        )
    problems = django_suite.problems(stock, ours)
    return report.django_section(stock, ours, problems), problems


SUITES: dict[str, Callable[[Path], tuple[str, list[str]]]] = {
    "asgiref": _asgiref,
    "mutants": _mutants,
    "anyio": _anyio,
    "django": _django,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("suites", nargs="+", choices=sorted(SUITES))
    parser.add_argument("--cache", type=Path, help="keep sources and environments here")
    parser.add_argument("--markdown", type=Path, help="write the outcome into this file")
    words = parser.parse_args(arguments)
    status = 0
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        cache = (words.cache or Path(scratch)).resolve()
        for name in words.suites:
            print(f"== {name}", flush=True)
            try:
                section, problems = SUITES[name](cache)
            except IndexUnreachable as error:
                print(f"   not run: {error}")
                return UNAVAILABLE
            for line in problems:
                print("   NOT AS PROMISED:", line)
                status = 1
            if words.markdown:
                report.write(words.markdown, name, section)
    return status


if __name__ == "__main__":
    sys.exit(main())
