"""`python -m benchmarks.handmade BEFORE AFTER`: the model against a migration made by hand.

BEFORE and AFTER are revisions of `--repository`, or two directories. `--only` names the kinds of
waiting that the people removed, as in `bridgekit plan`; `--inside` the paths of the program:

    python -m benchmarks.handmade --repository gato-x --inside gatox/ \\
        --only http,sleep,subprocess,thread,lock 90a3af68c774 aa2aae6d23ea

`--differences` lists every function about which the two differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.handmade.compare import Comparison, Judged, compare
from benchmarks.handmade.revisions import load

from bridgekit_codemods.planning.scope import ScopeError, build_scope


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.handmade", description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--repository", type=Path)
    parser.add_argument("--inside", action="append", default=[], metavar="PATH")
    parser.add_argument("--only", action="append", default=[], metavar="KINDS")
    parser.add_argument("--differences", action="store_true")
    options = parser.parse_args()
    try:
        scope = build_scope(options.only, ("*",))
        before = load(options.repository, options.before)
        after = load(options.repository, options.after)
    except (ScopeError, ValueError) as error:
        parser.error(str(error))
    result = compare(before, after, scope, tuple(options.inside) or ("",))
    print(table(result))
    if options.differences:
        for title, judged in (
            ("made async, and not predicted", result.missed),
            ("predicted, and left sync", result.wrong),
        ):
            print(f"\n{title}:")
            print("\n".join(map(_line, judged)) or "  none")
    return 0


def table(result: Comparison) -> str:
    lines = [
        f"{result.sync} sync functions are there before and after, {result.gone} only before.",
        "",
        "| | predicted | made async by people | both | precision | recall |",
        "|---|---|---|---|---|---|",
    ]
    for found in (result.should, result.walked):
        lines.append(
            f"| {found.name} | {len(found.functions)} | {len(found.people)} | {found.agreed} | "
            f"{100 * found.precision:.1f} % | {100 * found.recall:.1f} % |"
        )
    return "\n".join(lines)


def _line(judged: Judged) -> str:
    path, name = judged.key
    waits = ", ".join(judged.waits_for) or "nothing"
    return f"  {path}:{judged.line} {name}, waits for {waits}" + "".join(
        f"\n      {obstacle}" for obstacle in judged.obstacles[:3]
    )


if __name__ == "__main__":
    sys.exit(main())
