"""Loads one program after the other, as a walk does, and shares what two of them have in common."""

from __future__ import annotations

from collections.abc import Mapping

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile, load_file


class ParsedFiles:
    """The parsed files of the latest program, for the next one to use again.

    A file is shared as long as its path, its bytes and its module name stay the same. That is safe
    because nothing is ever stored on a tree: what the program knows of a node is kept beside it,
    per program. Holds the files of one program at most. Not thread-safe.
    """

    def __init__(self) -> None:
        self._files: dict[str, SourceFile] = {}

    def load(self, path: str, data: bytes, module: str) -> SourceFile:
        """The parsed file, the one from before where it has not changed."""
        known = self._files.get(path)
        if known is None or known.data != data or known.module != module:
            known = self._files[path] = load_file(path, data, module)
        return known

    def keep_only(self, paths: Mapping[str, object]) -> None:
        """Forget the files that the latest program no longer has."""
        for path in self._files.keys() - paths.keys():
            del self._files[path]


class Programs:
    """Loads programs; `load` gives what `Program.load` gives, only sooner.

    The latest program is kept: a step is verified in the program in which the next one is sought.
    Holds one program. Not thread-safe.
    """

    def __init__(self) -> None:
        self._parsed = ParsedFiles()
        self._latest: tuple[dict[str, bytes], Program] | None = None

    def load(self, sources: Mapping[str, bytes]) -> Program:
        """The program of these sources. Never raises for the content of a file."""
        if self._latest is None or self._latest[0] != sources:
            self._latest = None
            program = Program.load(sources, self._parsed.load)
            self._parsed.keep_only(program.files)
            self._latest = (dict(sources), program)
        return self._latest[1]
