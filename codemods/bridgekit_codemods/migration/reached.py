"""Which tests ran which functions, from the record of a run, kept up as steps change the program.

A step makes new functions out of old ones (the async twin of a function, say): they belong to the
tests of what the step changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridgekit_codemods.migration.differences import Difference, difference, outline
from bridgekit_codemods.migration.integrity import is_test_file
from bridgekit_codemods.tracing.record import Trace

Name = tuple[str, str]
"""A function by its file and its qualified name."""


@dataclass(frozen=True)
class Reached:
    """The tests that a step concerns, as far as the record says."""

    tests: frozenset[str]
    unreached: tuple[str, ...]
    """Changed functions that no test runs, as ``file: name``."""
    doubts: tuple[str, ...]
    """Why the tests may not be all: reasons to run the whole suite."""
    unguarded: bool
    """Whether functions change and no test runs any of them."""


@dataclass
class Reach:
    """The tests of every function. Grows with each step that was kept."""

    tests: dict[Name, frozenset[str]] = field(default_factory=dict)
    shared: set[Name] = field(default_factory=set)
    """What also ran for several tests at once, or for none."""

    @classmethod
    def of(cls, trace: Trace, sources: Mapping[str, bytes]) -> Reach:
        """What a record says of a program whose files were `sources` when it ran."""
        lines = {}
        for path in {definition.path for definition in trace.executed}:
            if path in sources:
                try:
                    lines[path] = outline(sources[path]).lines
                except (SyntaxError, ValueError):  # the interpreter read it, so it is a template
                    continue
        found: dict[Name, set[str]] = {}
        for test, functions in trace.tests.items():
            for path, line, name in functions:
                known = lines.get(path, {}).get((line, name.rpartition(".")[2]))
                if known is not None:
                    found.setdefault((path, known), set()).add(test)
        shared = {
            (path, known)
            for path, line, name in trace.shared
            if (known := lines.get(path, {}).get((line, name.rpartition(".")[2]))) is not None
        }
        return cls({name: frozenset(tests) for name, tests in found.items()}, shared)

    def __bool__(self) -> bool:
        return bool(self.tests)

    def by(self, sources: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> Reached:
        """The tests that a step concerns."""
        tests: set[str] = set()
        unreached: list[str] = []
        doubts: list[str] = []
        number = 0
        for path, found in self._differences(sources, changes, doubts):
            if found.elsewhere and path in sources:
                doubts.append(f"{path} changes outside of functions")
            is_test = is_test_file(path)
            for name in sorted(found.changed):
                reaching = self.tests.get((path, name), frozenset())
                if is_test:  # whether the program is guarded is another question
                    tests |= reaching
                    if not reaching or (path, name) in self.shared:
                        doubts.append(f"{name} in {path} changes")
                    continue
                number += 1
                tests |= reaching
                if (path, name) in self.shared:
                    doubts.append(f"{name} in {path} also runs outside of single tests")
                elif not reaching:
                    unreached.append(f"{path}: {name}")
        if not number and not tests and not doubts:
            doubts.append("no function changes")
        unguarded = number > 0 and len(unreached) == number
        return Reached(frozenset(tests), tuple(unreached), tuple(doubts), unguarded)

    def follow(self, sources: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> None:
        """A step was kept: what it added is reached by the tests of what it changed."""
        differences = list(self._differences(sources, changes, []))
        everywhere = self._tests((path, d.changed) for path, d in differences)
        shares = any((path, n) in self.shared for path, d in differences for n in d.changed)
        for path, found in differences:
            own = self._tests([(path, found.changed)]) or everywhere
            for name in found.added:
                if own:
                    self.tests[path, name] = own
                if shares:
                    self.shared.add((path, name))

    def _tests(self, changed: Iterable[tuple[str, frozenset[str]]]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        return found.union(
            *(self.tests.get((path, n), frozenset()) for path, names in changed for n in names)
        )

    def _differences(
        self,
        sources: Mapping[str, bytes],
        changes: Mapping[str, bytes | None],
        doubts: list[str],
    ) -> Iterable[tuple[str, Difference]]:
        for path, data in sorted(changes.items()):
            if not path.endswith(".py"):
                doubts.append(f"{path} is no Python file")
            elif path.rpartition("/")[2] == "conftest.py":
                doubts.append(f"{path} is for all tests")
            else:
                try:
                    yield path, difference(sources.get(path), data)
                except (SyntaxError, ValueError) as error:
                    doubts.append(f"{path} cannot be compared: {error}")
