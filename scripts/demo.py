"""The whole way on one screen: migrate a copy of the example service, then load both forms.

    make demo

Copies examples/legacy_app to a new temporary folder, makes it a git repository of its own, runs
`bridgekit migrate --write` on it with its tests as the guard, and serves the legacy and the
migrated form under the same load (benchmarks/load/compare.py). The folder stays, to be looked at.
With several --client options the migration is done once for each and all are loaded.

Exit status: 0 all done; 1 steps were kept back or the load run failed; else that of `migrate`.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "legacy_app"
CLIENTS = ("httpx", "httpx2")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "instance", "*.egg-info", ".bridgekit")


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def git(directory: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=directory, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def copy_of_example(directory: Path) -> None:
    """A clean git work tree of the legacy form, with an identity of its own to commit with."""
    shutil.copytree(EXAMPLE, directory, ignore=LEFT_OUT)
    git(directory, "init", "--quiet", "--initial-branch=main")
    for name, value in (
        ("user.name", "bridgekit demo"),
        ("user.email", "demo@example.invalid"),
        ("commit.gpgsign", "false"),
        ("core.autocrlf", "false"),
    ):
        git(directory, "config", name, value)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "The service in its legacy form")


def migrate(directory: Path, client: str) -> int:
    """Run the migration live on screen; its exit status."""
    guard = f"{shlex.quote(sys.executable)} -m pytest -q"
    command = [
        *(sys.executable, "-m", "bridgekit.cli", "migrate", str(directory), "--write"),
        *("--granularity", "layer"),
        *("--guard", guard, "--client", client),
    ]
    shown = (
        f"bridgekit migrate {directory} --write --granularity layer "
        f'--guard "python -m pytest -q" --client {client}'
    )
    heading(shown)
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def load(migrated: Sequence[tuple[str, Path]], rounds: int, table: Path) -> int:
    heading("The same load on both forms (benchmarks/load/compare.py)")
    command = [sys.executable, str(ROOT / "benchmarks" / "load" / "compare.py")]
    for label, directory in migrated:
        command += ["--migrated", f"{label}={directory}"]
    command += ["--rounds", str(rounds), "--markdown", str(table)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--client", action="append", choices=CLIENTS, help="repeatable")
    parser.add_argument("--into", type=Path, help="work here instead of a temporary folder")
    parser.add_argument("--rounds", type=int, default=2, help="of the load run; 0 leaves it out")
    return parser


def main() -> int:
    options = arguments().parse_args()
    started = time.monotonic()
    if options.into:
        options.into.mkdir(parents=True, exist_ok=True)
        work = options.into.resolve()
    else:
        work = Path(tempfile.mkdtemp(prefix="bridgekit-demo-"))
    worst = 0
    migrated: list[tuple[str, Path]] = []
    for client in dict.fromkeys(options.client or ["httpx"]):
        directory = work / f"ordertrack-{client}"
        if directory.exists():
            print(f"{directory} exists already; choose another --into", file=sys.stderr)
            return 2
        heading(f"A copy of examples/legacy_app in {directory}")
        copy_of_example(directory)
        begin = time.monotonic()
        status = migrate(directory, client)
        print(f"   exit status {status} after {time.monotonic() - begin:.0f} s", flush=True)
        if status > 1:
            print(f"The migration did not get through; its work tree is {directory}")
            return status
        worst = max(worst, status)
        migrated.append((client, directory))
    table = work / "load.md"
    if options.rounds:
        worst = max(worst, load(migrated, options.rounds, table))

    heading(f"Done in {time.monotonic() - started:.0f} s. To look at:")
    for client, directory in migrated:
        commits = git(directory, "rev-list", "--count", "main..HEAD")
        branch = git(directory, "branch", "--show-current")
        print(
            f"   {directory}  migrated with {client}: {commits} commits on {branch or 'no branch'}"
        )
        print(f"      git -C {directory} log --oneline main..HEAD")
        print(f"      git -C {directory} diff main HEAD")
    if table.exists():
        print(f"   {table}  the figures as Markdown")
    print(f"   legacy form: {EXAMPLE}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
