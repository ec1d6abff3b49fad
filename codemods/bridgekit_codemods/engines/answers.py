"""What a type checker answered: `.bridgekit/engine.json`, and what of it still holds.

The format is versioned, and as with the record of a traced run, what concerns a file that has
changed since counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bridgekit_codemods.tracing.record import Definition, Place, digest, unchanged

VERSION = 1
ENGINE_FILE = ".bridgekit/engine.json"


class Answer(NamedTuple):
    """All that a call may reach, as far as types tell.

    `functions` are those of the program, and classes of which it makes an instance; their lines are
    those of `def` and `class`, below the decorators, and their names plain ones. `elsewhere` says
    that library code is reached as well, or alone.
    """

    functions: frozenset[Definition]
    elsewhere: bool = False


@dataclass
class Answers:
    """The answers of one run. `engine` is the checker's name and version."""

    engine: str = ""
    files: dict[str, str] = field(default_factory=dict)
    calls: dict[Place, Answer] = field(default_factory=dict)

    def dump(self, sources: Mapping[str, bytes]) -> str:
        """The file's text, for a program whose files were `sources` when they were checked."""
        known = {d for a in self.calls.values() for d in a.functions}
        definitions = sorted(known)
        index = {definition: number for number, definition in enumerate(definitions)}
        paths = {d.path for d in definitions} | {place.path for place in self.calls}
        value = {
            "version": VERSION,
            "engine": self.engine,
            "files": {path: digest(sources[path]) for path in sorted(paths) if path in sources},
            "definitions": [list(d) for d in definitions],
            "calls": [
                [*place, sorted(index[d] for d in answer.functions), answer.elsewhere]
                for place, answer in sorted(self.calls.items())
            ],
        }
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"

    @classmethod
    def current(cls, data: bytes, sources: Mapping[str, bytes]) -> Answers:
        """What a record says of files that are still the same; nothing, if it cannot be read."""
        try:
            value = json.loads(data)
            if value["version"] != VERSION:
                return cls()
            return cls._read(value, sources)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return cls()

    @classmethod
    def _read(cls, value: Mapping[str, Any], sources: Mapping[str, bytes]) -> Answers:
        files = unchanged(value["files"], sources)
        definitions = [Definition(*entry) for entry in value["definitions"]]
        answers = cls(str(value["engine"]), files)
        for *span, indices, elsewhere in value["calls"]:
            place = Place(*span)
            functions = frozenset(definitions[i] for i in indices)
            # all or nothing: of a call that may also reach what has changed, nothing is known
            if place.path in files and all(d.path in files for d in functions):
                answers.calls[place] = Answer(functions, bool(elsewhere))
        return answers
