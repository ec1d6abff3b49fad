"""Run the tests of the runtime on every CPython found here: 3.12 and 3.13, or those asked for.

    make test-interpreters                       # 3.12 and 3.13, where they are found
    make test-interpreters INTERPRETERS=3.14     # any other

An interpreter is looked for on the PATH and among pyenv's versions. One that is not there is said
to be missing and does not fail the run, unless it was asked for by name. Each has a virtual
environment of its own in .venv-<version>, made on first use from the same pins.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ("3.12", "3.13")
TESTS = ("tests/engine", "tests/adapters", "tests/bridge", "tests/integrations", "tests/testing")


def candidates(version: str) -> Iterator[str]:
    """Paths at which an interpreter of this version may be."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted((pyenv / "versions").glob(f"{version}*"), reverse=True):
        yield str(folder / "bin" / f"python{version}")


def works(interpreter: str, version: str) -> bool:
    """Whether it runs and is what its name says (a version manager's shim may be neither)."""
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    try:
        done = subprocess.run([interpreter, "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def environment(interpreter: str, version: str) -> Path:
    """The Python of a virtual environment with the project and its test dependencies."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    made = folder / ".made"
    if not made.exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        pins = ["-c", "constraints.txt"]
        groups = ["--group", "test", "--group", "serve"]
        subprocess.run([*install, "--upgrade", *pins, "pip"], cwd=ROOT, check=True)
        subprocess.run([*install, *pins, "--editable", ".[all]", *groups], cwd=ROOT, check=True)
        made.touch()
    return python


def main() -> int:
    """0: green on all that were found; 1: red on one, or one that was asked for is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.13")
    asked: list[str] = parser.parse_args().versions
    red = []
    for version in asked or DEFAULT:
        interpreter = next((path for path in candidates(version) if works(path, version)), None)
        if interpreter is None:
            print(f"CPython {version}: not found here", flush=True)
            if asked:
                red.append(version)
            continue
        print(f"CPython {version}:", flush=True)
        python = environment(interpreter, version)
        tests = [name for name in TESTS if (ROOT / name).exists()]
        command = [str(python), "-m", "pytest", "-q", "-m", "not slow", *tests]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            red.append(version)
    if red:
        print(f"not green on: {', '.join(red)}")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
