"""Runs a Markdown document as a reader would: writes its files, runs its commands, compares.

A fenced ```console block holds commands (`$ command`, continued by `> `), each followed by the
output that it must give. A ```python block is a file; its first line `# file: NAME` says which.
Other fences are refused, so nothing in a document goes untested.

An expected line `...` stands for any number of lines, `...` within a line for any text. What
differs from run to run (times, hashes, versions, ports, dates) and the figures of the analysis are
masked on both sides, and the home directory of the reader is written `~`.

Every command is a bash script of its own that starts where the last one ended, must end with
status 0 and must leave no process behind.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\s*$")
_FILE = re.compile(r"^# file: (\S+)$")
_FIGURES = "files?|functions?|blocking calls?|entry points?|findings?"
_EFFECTS = "db|file|http|thread|sleep|subprocess"
_MASKS = (
    (re.compile(r" \(\d+:\d\d:\d\d\)"), ""),
    (re.compile(r"\b\d+(?:\.\d+)? ?m?s\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{7,40}\b"), "HASH"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(rf"\b\d+ (?:{_FIGURES})\b"), "FIGURES"),
    (re.compile(rf"\b(pure|blocking|native|{_EFFECTS}) +\d+\b"), r"\1 FIGURE"),
)


class Mismatch(AssertionError):
    """A command did not do what the document says."""


@dataclass(frozen=True)
class File:
    """A file that the document tells the reader to write."""

    line: int
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command and the output that the document shows for it."""

    line: int
    text: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """What follows one heading of the second level."""

    title: str
    blocks: tuple[File | Command, ...]


def parse(document: str) -> list[Section]:
    """The sections in order; raises ValueError for a block that could not be tested."""
    sections: list[tuple[str, list[File | Command]]] = [("", [])]
    language: str | None = None
    block: list[str] = []
    start = 0
    for number, line in enumerate(document.splitlines(), 1):
        fence = _FENCE.match(line)
        if language is None and line.startswith("```"):
            if fence is None or fence[1] not in {"console", "python"}:
                raise ValueError(f"line {number}: only console and python blocks can be tested")
            language, block, start = fence[1], [], number
        elif language is None:
            if line.startswith("## "):
                sections.append((line.removeprefix("## ").strip(), []))
        elif line == "```":
            found = _console(block, start) if language == "console" else [_file(block, start)]
            sections[-1][1].extend(found)
            language = None
        else:
            block.append(line)
    if language is not None:
        raise ValueError(f"line {start}: the block has no end")
    return [Section(title, tuple(blocks)) for title, blocks in sections if title or blocks]


def _file(block: Sequence[str], start: int) -> File:
    name = _FILE.match(block[0]) if block else None
    if name is None:
        raise ValueError(f"line {start}: a python block begins with `# file: NAME`")
    return File(start + 1, name[1], "\n".join(block) + "\n")


def _console(block: Sequence[str], start: int) -> list[Command]:
    commands: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block, start + 1):
        if line.startswith("$ "):
            commands.append((number, [line[2:]], []))
        elif not commands:
            raise ValueError(f"line {number}: a console block begins with `$ command`")
        elif line.startswith("> ") and not commands[-1][2]:
            commands[-1][1].append(line[2:])
        else:
            commands[-1][2].append(line)
    return [Command(n, "\n".join(text), tuple(expected)) for n, text, expected in commands]


def masked(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text


def matches(expected: Iterable[str], got: Iterable[str]) -> bool:
    """Whether the lines are the same after masking, `...` standing for anything."""
    want, have = _lines(expected), _lines(got)
    parts: list[list[re.Pattern[str]]] = [[]]
    for line in want:
        if line.strip() == "...":
            parts.append([])
        else:
            parts[-1].append(re.compile(".*?".join(map(re.escape, line.split("...")))))
    if len(parts) == 1:
        return len(want) == len(have) and _at(parts[0], have, 0)
    first, *middle, last = parts
    end = len(have) - len(last)
    if len(first) > end or not _at(first, have, 0) or not _at(last, have, end):
        return False
    position = len(first)
    for part in middle:
        places = range(position, end - len(part) + 1)
        found = next((place for place in places if _at(part, have, place)), None)
        if found is None:
            return False
        position = found + len(part)
    return True


def _at(part: Sequence[re.Pattern[str]], lines: Sequence[str], place: int) -> bool:
    return all(pattern.fullmatch(line) for pattern, line in zip(part, lines[place:], strict=False))


def _lines(lines: Iterable[str]) -> list[str]:
    return masked("\n".join(line.rstrip() for line in lines).strip("\n")).split("\n")


class Walk:
    """One reader's walk. The first command runs in `home`, with an empty git configuration."""

    def __init__(self, home: Path, start: Path, seconds: float = 120) -> None:
        self.home = home
        self.directory = start
        self.seconds = seconds
        (home / ".gitconfig").write_text(
            "[user]\n name = Reader\n email = reader@example.invalid\n[init]\n"
            " defaultBranch = main\n[commit]\n gpgsign = false\n[core]\n autocrlf = false\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GIT_"))}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PAGER": "cat",
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "WALK_DIRECTORY": str(home / ".walk-directory"),
        }

    def take(self, sections: Iterable[Section]) -> None:
        """Do everything in order; raises Mismatch at the first command that differs."""
        for section in sections:
            for block in section.blocks:
                if isinstance(block, File):
                    (self.directory / block.name).write_text(block.text, encoding="utf-8")
                else:
                    self._check(block)

    def _check(self, command: Command) -> None:
        status, output = self._run(command.text)
        got = output.replace(str(self.home.resolve()), "~").splitlines()
        if status or not matches(command.expected, got):
            shown = "\n".join(f"    {line}" for line in got)
            wanted = "\n".join(f"    {line}" for line in command.expected)
            raise Mismatch(
                f"line {command.line}: $ {command.text}\n  expected, with status 0:\n{wanted}\n"
                f"  got, with status {status}:\n{shown}"
            )

    def _run(self, script: str) -> tuple[int | str, str]:
        """The status, or in words what went wrong with the processes, and all output."""
        script += '\nwalk_status=$?; pwd -P >"$WALK_DIRECTORY"; exit $walk_status'
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=self.directory, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"none: still running after {self.seconds} s", process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            return f"{process.returncode}, but processes were left running", output
        where = Path(self.environment["WALK_DIRECTORY"])
        if where.exists():
            self.directory = Path(where.read_text().rstrip("\n"))
        return process.returncode, output
