"""`python -m benchmarks.programs [NAME...]`: migrate open programs and print what came of it.

    python -m benchmarks.programs --work /tmp/programs
    python -m benchmarks.programs prawcore --repository prawcore=path/to/prawcore.git
    python -m benchmarks.programs --write          # also into docs/programs.md

Sources come from their public repositories and from the package index and are kept in `--work`, as
are the interpreters with what the suites need. Nothing of the programs is in this repository.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.programs.entries import chosen
from benchmarks.programs.migrating import migrate, save
from benchmarks.programs.setting_up import ROOT, SetupError, bring, set_up
from benchmarks.programs.tables import tables, written_into

PAGE = ROOT / "docs" / "programs.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.programs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--work", type=Path, default=Path("build") / "programs")
    parser.add_argument("--repository", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="the tables into docs/programs.md")
    options = parser.parse_args()
    try:
        entries = chosen(options.names)
        repositories = dict(_pair(text) for text in options.repository)
    except ValueError as error:
        parser.error(str(error))
    if options.write and options.names:
        parser.error("--write is for all programs at once")
    work = options.work.resolve()
    results, failed = [], []
    for entry in entries:
        try:
            place, twin = set_up(entry, work, repositories), None
            if entry.twin is not None:
                twin = bring(entry.twin.name, entry.twin.source, work, repositories)
            results.append(migrate(entry, place, twin))
        except SetupError as error:
            failed.append(f"{entry.name}: {error}")
    made = tables(results)
    print(made)
    for problem in failed:
        print(problem, file=sys.stderr)
    if options.json is not None:
        save(results, options.json)
    if options.write and not failed:
        written_into(PAGE, made)
    return bool(failed)


def _pair(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise ValueError(f"--repository is NAME=PATH, not {text!r}")
    return name, Path(path)


if __name__ == "__main__":
    sys.exit(main())
