"""`python -m benchmarks.resolution PROGRAM TRACE...`: the model against the observed calls.

PROGRAM is a checked-out program, TRACE the files that its test suite's runs under `tracer` wrote.
With `--run COMMAND` the command is run first, in PROGRAM, with the tracer as a pytest plugin:

    python -m benchmarks.resolution PROGRAM trace.json --run "venv/bin/python -m pytest -q tests"

`--engine ty` (or `pyrefly`; may be repeated) asks a type checker as well, with the libraries of the
active virtual environment (`VIRTUAL_ENV`): what it adds, how often it is right about all that ran,
and who is right where it contradicts. `--misses` lists every call that is not resolved, and
`--markdown` prints tables for the docs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.resolution.compare import Comparison, Miss, compare
from benchmarks.resolution.engines import measure, plain_engines, tables
from benchmarks.resolution.observed import read

from bridgekit_codemods.engines import ENGINE_FILE, ENGINES
from bridgekit_codemods.program import Program, read_sources


def run(command: str, root: Path, out: Path) -> None:
    """Run the tests with the tracer; their failures are shown and do not stop the measurement."""
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} -p tracer".strip()
    environment = os.environ | {
        "PYTHONPATH": path,
        "PYTEST_ADDOPTS": options,
        "TRACE_ROOT": str(root),
        "TRACE_OUT": str(out.resolve()),
    }
    subprocess.run(shlex.split(command), cwd=root, env=environment, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.resolution", description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("traces", type=Path, nargs="+")
    parser.add_argument("--run", metavar="COMMAND")
    parser.add_argument("--engine", action="append", default=[], choices=sorted(ENGINES))
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    root = options.program.resolve()
    if options.run:
        run(options.run, root, options.traces[0])
    started = time.process_time()
    sources = {p: data for p, data in read_sources(root).items() if p != ENGINE_FILE}
    program = Program.load(sources)
    seconds = time.process_time() - started
    observed = read(options.traces)
    result = compare(program, observed)
    inner = compare(program, observed, tests=False)
    if options.markdown:
        print(markdown(result, inner))
    else:
        print(f"program model: {seconds:.1f} CPU-s, {len(program.functions)} functions")
        print(plain(result))
        print(
            f"outside the tests: {inner.resolved} of {inner.sites} "
            f"({_share(inner.resolved, inner.sites)})"
        )
    if options.engine:
        found = [measure(name, root, sources, observed) for name in options.engine]
        print("\n" + (tables(found) if options.markdown else plain_engines(found)))
        for engine in found if options.misses or options.wrong else ():
            print(f"\n{engine.name}:")
            for line in engine.lines:
                print(line)
    for title, wanted, misses in (
        ("misses", options.misses, result.misses),
        ("wrong", options.wrong or options.misses, result.wrong),
    ):
        if wanted:
            print(f"\n{title}:")
            for miss in misses:
                print(_line(miss))
    return 0


def plain(result: Comparison) -> str:
    lines = [
        f"executed call sites that reach the program: {result.sites}",
        f"resolved: {result.resolved} ({_share(result.resolved, result.sites)}), "
        f"only guessed: {result.guessed}",
    ]
    for name, grade in result.grades.items():
        if grade.sites:
            lines.append(
                f"  {name:9} {grade.sites:5} sites, {grade.wrong:3} wrong "
                f"({_share(grade.sites - grade.wrong, grade.sites)} right); "
                f"{grade.observed}/{grade.targets} targets observed"
            )
    lines += [f"  {count:3} {cause}" for cause, count in result.causes.most_common()]
    return "\n".join(lines)


def markdown(result: Comparison, inner: Comparison) -> str:
    lines = [
        "| executed call sites that reach the program | sites | resolved | only guessed |",
        "|---|---|---|---|",
    ]
    for name, found in (("all", result), ("outside the tests", inner)):
        share = _share(found.resolved, found.sites)
        lines.append(f"| {name} | {found.sites} | {found.resolved} ({share}) | {found.guessed} |")
    lines += [
        "",
        "| grade | sites | wrong | right | targets observed |",
        "|---|---|---|---|---|",
    ]
    for name, grade in result.grades.items():
        if grade.sites:
            lines.append(
                f"| `{name}` | {grade.sites} | {grade.wrong} | "
                f"{_share(grade.sites - grade.wrong, grade.sites)} | "
                f"{grade.observed} of {grade.targets} |"
            )
    lines += ["", "| not resolved, by cause | sites |", "|---|---|"]
    lines += [f"| {cause} | {count} |" for cause, count in result.causes.most_common()]
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _line(miss: Miss) -> str:
    targets = ", ".join(f"{t.function.qualname}:{t.grade}" for t in miss.site.targets[:4])
    receiver = ", ".join(map(str, sorted(miss.site.receiver)[:4]))
    return (
        f"{miss.site.path}:{miss.site.span.line} {miss.text} [{miss.cause}] -> "
        f"{', '.join(miss.observed[:4])} | model: {targets or '-'} | receiver: {receiver or '-'}"
        f" | {', '.join(miss.site.externals[:3])}"
    )


if __name__ == "__main__":
    sys.exit(main())
