"""Run other projects' suites against this one: ``python scripts/conformance asgiref``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import asgiref_suite
from running import Outcome


def _print_outcome(title: str, outcome: Outcome, problems: list[str]) -> None:
    print(f"== {title}")
    for line in outcome.replaced:
        print(f"   {line}")
    print("  ", ", ".join(f"{number} {kind}" for kind, number in sorted(outcome.count().items())))
    for line in problems:
        print("   NOT AS PROMISED:", line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("suite", choices=["asgiref"])
    parser.add_argument("--cache", type=Path, help="keep sources and environments here")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        cache = (words.cache or Path(scratch)).resolve()
        outcome = asgiref_suite.run_suite(cache)
        problems = asgiref_suite.problems(outcome)
        _print_outcome(f"asgiref {asgiref_suite.VERSION}", outcome, problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
