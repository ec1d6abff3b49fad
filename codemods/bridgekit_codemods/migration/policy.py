"""What the user chose of the guard: how often it runs, on what, and what it may pass over."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class GuardPolicy:
    """`allow_red` are patterns of test ids (`*` and `?` stand for anything); each also names all
    below it: a directory its files, a file its tests, a test its parameters."""

    baseline_runs: int = 2
    allow_red: tuple[str, ...] = ()
    reached_only: bool = True
    """After a step only the tests that reach it, where they are known."""
    whole_every: int = 10
    """The whole suite at least after so many steps that saw a part of it."""
    allow_unguarded: bool = False

    def allows(self, test: str) -> bool:
        """Whether a test may be red before the first step."""
        return any(_fits(pattern, test) for pattern in self.allow_red)


def _fits(pattern: str, test: str) -> bool:
    # Not fnmatch: the brackets of a test's parameters are no character sets.
    words = {"*": ".*", "?": "."}
    text = "".join(words.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(rf"{text.removesuffix('/')}(/.*|::.*|\[.*)?", test, re.DOTALL) is not None
