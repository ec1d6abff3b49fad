"""Run the tests of the runtime on every CPython found here: 3.12 and 3.13, or those asked for.

    make test-interpreters                                  # 3.12 and 3.13, where they are found
    make test-interpreters INTERPRETERS="3.13 3.14"         # any others

An interpreter is looked for on the PATH and among pyenv's versions. One that is not there, or was
built without a module that is needed, is said to be missing and does not fail the run, unless it
was asked for by name. Each has a virtual environment of its own in .venv-<version>, made on first
use from the same pins.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ("3.12", "3.13")
TESTS = ("tests/engine", "tests/adapters", "tests/bridge", "tests/integrations", "tests/testing")


# What a CPython may have been built without, and the tests cannot do without.
MODULES = ("ctypes", "ensurepip", "sqlite3", "ssl", "venv")
CHECK = """
import importlib, sys, sysconfig
version, modules = sys.argv[1], sys.argv[2:]
if "%d.%d" % sys.version_info[:2] != version or sys.implementation.name != "cpython":
    sys.exit("it is another one")
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("it has no global interpreter lock")
for module in modules:
    importlib.import_module(module)
print(sys.version.split()[0])
"""


def candidates(version: str) -> Iterator[str]:
    """Paths at which an interpreter of this version may be, the newest of pyenv's first."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")

    def patch(folder: Path) -> int:
        digits = re.match(r"\d*", folder.name.removeprefix(f"{version}."))
        return int(digits.group() or 0) if digits else 0

    for folder in sorted((pyenv / "versions").glob(f"{version}.*"), key=patch, reverse=True):
        yield str(folder / "bin" / f"python{version}")


def usable(version: str) -> tuple[str, str] | None:
    """An interpreter of this version that runs and has what is needed, and its full version.

    A version manager's shim runs, but is perhaps another one, or none.
    """
    reasons = []
    for path in candidates(version):
        command = [path, "-c", CHECK, version, *MODULES]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return path, done.stdout.strip()
        reasons += [f"{path}: {line}" for line in done.stderr.splitlines()[-1:]]
    for reason in reasons:
        print(f"CPython {version}: {reason}", flush=True)
    return None


def environment(interpreter: str, version: str) -> Path:
    """The Python of a virtual environment with the project and its test dependencies."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    made = folder / ".made"
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    newest = max(source.stat().st_mtime for source in sources)
    if not (python.exists() and made.exists() and made.stat().st_mtime >= newest):
        subprocess.run([interpreter, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        pins = ["-c", "constraints.txt"]
        groups = ["--group", "test", "--group", "serve"]
        subprocess.run([*install, "--upgrade", *pins, "pip"], cwd=ROOT, check=True)
        subprocess.run([*install, *pins, "--editable", ".[all]", *groups], cwd=ROOT, check=True)
        made.touch()
    return python


def run_tests(python: Path, version: str) -> bool:
    """Whether the tests pass on it. What they print comes line by line, each with its version."""
    tests = [name for name in TESTS if (ROOT / name).exists()]
    command = [str(python), "-m", "pytest", "-q", "-m", "not slow", *tests]
    begin = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{version} | {line}", end="", flush=True)
    verdict = "not green" if process.returncode else "green"
    print(f"CPython {version}: {verdict} after {time.monotonic() - begin:.0f} s", flush=True)
    return process.returncode == 0


def main() -> int:
    """0: green on all that were found; 1: red on one, or one that was asked for is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.13")
    asked: list[str] = parser.parse_args().versions
    red = []
    pythons: dict[str, Path] = {}
    for version in asked or DEFAULT:
        found = usable(version)
        if found is not None:
            interpreter, full = found
            print(f"CPython {version}: {full}, {interpreter}", flush=True)
            pythons[version] = environment(interpreter, version)
        else:
            print(f"CPython {version}: not found here, not tested", flush=True)
            if asked:
                red.append(version)
    # At the same time: much of it is waiting.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        green = threads.map(run_tests, pythons.values(), pythons)
        red += [version for version, passed in zip(pythons, green, strict=True) if not passed]
    if red:
        print(f"not green on: {', '.join(red)}")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
