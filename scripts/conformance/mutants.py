"""Do this project's tests notice what asgiref's own suite does not?

Its suite passes without three of its promises. Each is removed here, from asgiref and from the
drop-in in turn, and tests/integrations/asgiref must fail: otherwise the mutant lives.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from running import LIBRARY, run
from sources import source

__all__ = ["MUTANTS", "Mutant", "Verdict", "judge", "problems"]

TESTS = LIBRARY.parent / "tests" / "integrations" / "asgiref"
DROP_IN = "bridgekit/integrations/asgiref"
ASGIREF = "3.13.0"


@dataclass(frozen=True)
class Mutant:
    """One promise taken out: in ``file``, ``old`` (found exactly once) becomes ``new``."""

    name: str
    side: str
    file: str
    old: str
    new: str
    tests: str


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    killed: bool
    output: str


WHOLE = "nothing"
_SURVIVORS = "test_survivors.py"
_MIXED = "test_mixed.py"
MUTANTS = (
    Mutant(
        "the check for a certain deadlock",
        "asgiref",
        "asgiref/sync.py",
        "elif self.deadlock_context.get(False):",
        "elif False:",
        _SURVIVORS,
    ),
    Mutant(
        "the handled exception in AsyncToSync",
        "asgiref",
        "asgiref/sync.py",
        "                    result = await awaitable\n            else:",
        "                    pass\n                result = await awaitable\n            else:",
        _SURVIVORS,
    ),
    Mutant(
        "loop_thread_executors",
        "asgiref",
        "asgiref/sync.py",
        "self.loop_thread_executors[loop] = current_executor",
        "self.loop_thread_executors[loop] = SyncToAsync.single_thread_executor",
        _SURVIVORS,
    ),
    Mutant(
        "the check for a certain deadlock",
        "drop-in",
        f"{DROP_IN}/sync_to_async.py",
        "busy = owner in _serving.owners",
        "busy = False",
        _SURVIVORS,
    ),
    Mutant(
        "the handled exception in AsyncToSync",
        "drop-in",
        f"{DROP_IN}/async_to_sync.py",
        "return await awaiting(exc_info, start)",
        "return await start()",
        _SURVIVORS,
    ),
    Mutant(
        "loop_thread_executors",
        "drop-in",
        f"{DROP_IN}/sync_to_async.py",
        "LOOP_EXECUTORS.get(loop) or self.single_thread_executor",
        "self.single_thread_executor",
        _SURVIVORS,
    ),
    Mutant(
        "looking at the original's parked thread",
        "drop-in",
        f"{DROP_IN}/sync_to_async.py",
        "if parked_elsewhere is not None:",
        "if False:",
        _MIXED,
    ),
    Mutant(
        "showing the original our parked thread",
        "drop-in",
        f"{DROP_IN}/original.py",
        "self._executors.current = self._executor\n",
        "pass\n",
        _MIXED,
    ),
    Mutant(
        "moving the original's Local values",
        "drop-in",
        f"{DROP_IN}/original.py",
        "            variable.set(rehomed)\n",
        "",
        _MIXED,
    ),
)


def judge(cache: Path, say: Callable[[str], None] = print) -> list[Verdict]:
    """Run the tests against both sides as they are, which must pass, and against each mutant."""
    verdicts = []
    for side in ("asgiref", "drop-in"):
        whole = _run(cache, side, None)
        if not whole.killed:
            say(f"{side} as it is: the tests pass")
        verdicts.append(whole)
    for mutant in MUTANTS:
        verdict = _run(cache, mutant.side, mutant)
        say(f"{mutant.side} without {mutant.name}: {'killed' if verdict.killed else 'LIVES'}")
        verdicts.append(verdict)
    return verdicts


def problems(verdicts: Sequence[Verdict]) -> list[str]:
    """Everything that is not as it should be; empty if all is well."""
    found = []
    for verdict in verdicts:
        if verdict.killed and verdict.mutant.name == WHOLE:
            found.append(f"{verdict.mutant.side} as it is: {verdict.output[-2000:]}")
        elif not verdict.killed and verdict.mutant.name != WHOLE:
            found.append(f"{verdict.mutant.side} without {verdict.mutant.name}: nothing fails")
    return found


def _run(cache: Path, side: str, mutant: Mutant | None) -> Verdict:
    place = cache / "mutant"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if side == "asgiref":
        module = "asgiref.sync"
        shutil.copytree(source("asgiref", ASGIREF, cache) / "asgiref", place / "asgiref")
    else:
        module = "bridgekit.integrations.asgiref.sync"
        shutil.copytree(LIBRARY / "bridgekit", place / "bridgekit")
    tests = _SURVIVORS
    if mutant is not None:
        tests = mutant.tests
        file = place / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise RuntimeError(f"{mutant.file}: {text.count(mutant.old)} places for {mutant.name}")
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = run(
        [*command, "-o", "filterwarnings=", "--timeout=60", str(TESTS / tests)],
        cwd=place,
        seconds=180,
        env={"BRIDGEKIT_SYNC_MODULE": module, "PYTHONDONTWRITEBYTECODE": "1"},
        path=[place, *(() if side == "drop-in" else (LIBRARY,))],
    )
    named = mutant or Mutant(WHOLE, side, "", "", "", tests)
    # 1: tests failed; None: they had to be killed. Anything else is an error of this script.
    if done.returncode not in (0, 1, None):
        raise RuntimeError(f"{side} without {named.name}: {os.linesep}{done.output}")
    return Verdict(named, done.returncode != 0, done.output)
