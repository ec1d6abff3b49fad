"""Reads the table of language constructs: small programs, each with what must become of it.

A file of `cases/` holds programs one after another. A program begins with a line

    = construct | verdict [| silent]

where the verdict is `rewritten`, `bridged[:CODES]`, `advised:CODE` or `refused:CODES` (see
`walking`), and `silent` says that the construct goes wrong without an exception if its functions
just become `async def`. Lines `~ old => new` (or `~ async name`, for `def name(`) say how somebody
without care would write it; `~ twice` says that two requests at once show it. A line `file PATH`
begins another file of the program; the first one is `app.py`.

Every program begins with `PREAMBLE`, and its view waits before it does what it is about, by itself
and through a function: so the view becomes async unless the construct forbids it, and what is left
sync runs under a running loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

CASES = Path(__file__).with_name("cases")
PREAMBLE = """\
import time

from flask import Flask

app = Flask(__name__)
LOG = []


def wait():
    time.sleep(0)


"""
_VIEW = """
@app.get("/")
def view():
    time.sleep(0)
    wait()
"""


@dataclass(frozen=True)
class Case:
    """One construct: the program that uses it, and what the walk must make of it."""

    group: str
    construct: str
    verdict: str
    silent: bool
    careless: tuple[tuple[str, str], ...]
    twice: bool
    files: dict[str, bytes]

    @property
    def id(self) -> str:
        return f"{self.group}: {self.construct}"

    def without_care(self) -> dict[str, bytes]:
        """The program as it is when functions become async and nothing else is looked at."""
        text = self.files["app.py"].decode()
        for old, new in self.careless:
            assert old in text, f"{self.id}: no {old!r}"
            text = text.replace(old, new)
        return {**self.files, "app.py": text.encode()}


def read_cases() -> tuple[Case, ...]:
    """All of them, in the order of files and lines."""
    return tuple(case for path in sorted(CASES.glob("*.txt")) for case in _read(path))


def _read(path: Path) -> list[Case]:
    found = []
    for text in ("\n" + path.read_text(encoding="utf-8")).split("\n= ")[1:]:
        head, _, body = text.partition("\n")
        construct, verdict, *rest = (part.strip() for part in head.split(" | "))
        assert set(rest) <= {"silent"}, f"{path.name}: {head}"
        careless = []
        lines = body.split("\n")
        while lines[0].startswith("~ "):
            careless.append(lines.pop(0)[2:])
        found.append(
            Case(
                path.stem,
                construct,
                verdict,
                bool(rest),
                tuple(_replacement(text) for text in careless if text != "twice"),
                "twice" in careless,
                _files("\n".join(lines)),
            )
        )
    return found


def _replacement(text: str) -> tuple[str, str]:
    text = text.replace("\\n", "\n")
    if text.startswith("async "):
        name = text.removeprefix("async ")
        return f"def {name}(", f"async def {name}("
    old, _, new = text.partition(" => ")
    return old, new


def _files(body: str) -> dict[str, bytes]:
    app, *others = body.split("\nfile ")
    assert app.count("\ndef view():\n") == 1, app
    app = app.replace("\ndef view():\n", _VIEW)
    files = {"app.py": (PREAMBLE + app.strip("\n") + "\n").encode()}
    for other in others:
        path, _, text = other.partition("\n")
        files[path] = (dedent(text).strip("\n") + "\n").encode()
    return files
