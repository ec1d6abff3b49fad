"""The record of a traced run: `.bridgekit/trace.json`, and what of it still holds.

The format is versioned. Every file that the record speaks of is there with the hash of its content,
and what concerns a file that has changed since counts for nothing: a line number that has moved
must never lend its evidence to another call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

VERSION = 1
TRACE_FILE = ".bridgekit/trace.json"


class Definition(NamedTuple):
    """A function by its file, its first line (decorators included) and its qualified name as the
    interpreter gives it (`Class.method`, `f.<locals>.g`)."""

    path: str
    line: int
    name: str


class Place(NamedTuple):
    """The span of an expression; columns count bytes."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass
class Trace:
    """What was seen. `calls` holds call expressions only; `hidden` what attributes, loops and
    `with` called. `outside` names the library code that called a function of the program (empty
    where a C function did)."""

    command: str = ""
    python: str = ""
    files: dict[str, str] = field(default_factory=dict)
    calls: dict[Place, set[Definition]] = field(default_factory=dict)
    hidden: dict[tuple[str, Place], set[Definition]] = field(default_factory=dict)
    outside: dict[Definition, set[str]] = field(default_factory=dict)
    tests: dict[str, set[Definition]] = field(default_factory=dict)
    executed: set[Definition] = field(default_factory=set)
    shared: set[Definition] = field(default_factory=set)
    """What ran outside of any test or for several: at import, in other processes, in fixtures of a
    wider scope."""

    def add(self, data: Mapping[str, Any]) -> None:
        """Take in what one process wrote. Raises KeyError and the like for other data."""
        functions = [Definition(*entry) for entry in data["functions"]]
        self.python = str(data["python"])
        self.executed.update(functions)
        for *span, kind, callee in data["calls"]:
            place = Place(*span)
            if kind == "call":
                self.calls.setdefault(place, set()).add(functions[callee])
            elif kind != "other":
                self.hidden.setdefault((kind, place), set()).add(functions[callee])
        for index, callers in data["outside"].items():
            self.outside.setdefault(functions[int(index)], set()).update(callers)
        for test, indices in data["tests"].items():
            self.tests.setdefault(test, set()).update(functions[i] for i in indices)
        self.shared.update(functions[i] for i in data["shared"])

    def tests_of(self, path: str, line: int) -> tuple[str, ...]:
        """The tests in which the function that begins there ran, in order."""
        return tuple(
            sorted(
                test
                for test, functions in self.tests.items()
                if any(f.path == path and f.line == line for f in functions)
            )
        )

    # -- the file --------------------------------------------------------------------------

    def dump(self, sources: Mapping[str, bytes]) -> str:
        """The file's text, for a program whose files were `sources` when it ran."""
        functions = sorted(
            self.executed.union(*self.calls.values(), *self.hidden.values(), *self.tests.values())
        )
        index = {f: number for number, f in enumerate(functions)}
        calls: list[list[Any]] = [
            [*p, "call", sorted(index[f] for f in fs)] for p, fs in self.calls.items()
        ]
        calls += [[*p, k, sorted(index[f] for f in fs)] for (k, p), fs in self.hidden.items()]
        paths = {f.path for f in functions} | {str(place[0]) for place in calls}
        value = {
            "version": VERSION,
            "command": self.command,
            "python": self.python,
            "files": {path: digest(sources[path]) for path in sorted(paths) if path in sources},
            "functions": [list(f) for f in functions],
            "calls": sorted(calls),
            "outside": {str(index[f]): sorted(names) for f, names in sorted(self.outside.items())},
            "tests": {t: sorted(index[f] for f in fs) for t, fs in sorted(self.tests.items())},
            "shared": sorted(index[f] for f in self.shared),
        }
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"

    @classmethod
    def current(cls, data: bytes, sources: Mapping[str, bytes]) -> Trace:
        """What a record says of files that are still the same; nothing, if it cannot be read."""
        try:
            value = json.loads(data)
            if value["version"] != VERSION:
                return cls()
            return cls._read(value, sources)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return cls()

    @classmethod
    def _read(cls, value: Mapping[str, Any], sources: Mapping[str, bytes]) -> Trace:
        files = unchanged(value["files"], sources)
        functions = [Definition(*entry) for entry in value["functions"]]
        trace = cls(str(value["command"]), str(value["python"]), files)

        def kept(indices: Iterable[int]) -> set[Definition]:
            return {functions[i] for i in indices if functions[i].path in files}

        trace.executed = kept(range(len(functions)))
        for *span, kind, indices in value["calls"]:
            place = Place(*span)
            # all or nothing: a site that also reached a function that is gone is not known
            if place.path in files and all(functions[i].path in files for i in indices):
                if kind == "call":
                    trace.calls[place] = kept(indices)
                else:
                    trace.hidden[kind, place] = kept(indices)
        for index, names in value["outside"].items():
            if functions[int(index)].path in files:
                trace.outside[functions[int(index)]] = set(names)
        trace.tests = {test: kept(indices) for test, indices in value["tests"].items()}
        trace.shared = kept(value.get("shared", ()))  # older records do not tell
        return trace


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def unchanged(files: Mapping[str, str], sources: Mapping[str, bytes]) -> dict[str, str]:
    """Those of the files with their digests that are still the same, byte for byte."""
    return {
        path: known
        for path, known in files.items()
        if path in sources and digest(sources[path]) == known
    }
