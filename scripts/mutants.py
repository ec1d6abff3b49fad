"""Break the bridge in known ways, one at a time, and see whether the tests notice.

    python scripts/mutants.py            # all mutants
    python scripts/mutants.py lane wish  # those whose names contain one of the words

Each mutant is a change of text in a copy of the package; the working tree is never touched. A
change that no longer applies is an error: then the engine has moved on and the mutant must follow.
Tests that fail without any mutant are left out, so that they cannot pass for a discovery.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Those that end soonest come first: the first failure ends the run.
TESTS = [
    "tests/bridge/test_interleavings.py",
    "tests/bridge/test_machine.py",
    "tests/adapters/test_calls.py",
    "tests/adapters/test_cancellation.py",
    "tests/adapters/test_contexts.py",
    "tests/adapters/test_portal.py",
    "tests/bridge/test_guarantees.py",
    "tests/bridge/test_faults_load.py",
    "tests/bridge/test_schedules.py",
    "tests/bridge/test_invariants_trees.py",
    "tests/bridge/test_leaks.py",
    "tests/bridge/test_faults_fork.py",
    "tests/bridge/test_faults_process.py",
    "tests/bridge/test_findings.py",
    "tests/bridge/test_faults_closed_loop.py",
    "tests/bridge/test_handshakes.py",
]
PYTEST = ["-m", "not slow", "-q", "-p", "no:cacheprovider", "--timeout=20", "--tb=no", "-rfE"]
# A run with a mutant may take this long, or three times as long as the one without, which may take
# the other.
SECONDS = 120
LONGEST = 1800


@dataclass(frozen=True)
class Mutant:
    """One invariant broken: in a file of the package, ``old`` (found once) becomes ``new``."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, package: Path) -> None:
        """Change the copy.

        :raises LookupError: the text is not there, or more than once.
        """
        path = package / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: found {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new))


MUTANTS = [
    Mutant(
        "limiter-never-released",
        "engine/crossing.py",
        "work.on_end = [token.release]",
        "work.on_end = []",
    ),
    Mutant(
        "limiter-second-token-in-a-chain",
        "engine/crossing.py",
        "token = token_of_chain(limiter) if limiter is not None else None",
        "token = limiter",
    ),
    Mutant(
        "limiter-token-lost-on-cancel",
        "engine/limiter.py",
        "            if granted:\n",
        "            if False:\n",
    ),
    Mutant(
        "limiter-lets-others-overtake",
        "engine/limiter.py",
        "            waiter = self._waiters.popleft()  # it inherits the token\n",
        "            waiter = self._waiters.pop()\n",
    ),
    Mutant(
        "cancel-swallowed",
        "engine/work.py",
        "                            if self._detached or self.ended:\n"
        "                                raise\n"
        "                            # Remembered while the thread ran; now the thread wants a"
        " coroutine.\n"
        "                            self.cancel_owed = self.cancel_pending\n",
        "                            if self._detached:\n                                raise\n",
    ),
    Mutant(
        "cancel-abandons-always",
        "engine/work.py",
        "return self.abandon and self._detach_unless_ended()",
        "return self._detach_unless_ended()",
    ),
    Mutant(
        "cancel-does-not-withdraw",
        "engine/work.py",
        "        if self._claim():\n            self._detached = True\n",
        "        if False:\n            self._detached = True\n",
    ),
    Mutant(
        "cancel-unknown-to-the-thread",
        "adapters/from_thread.py",
        "    if work.cancelled:\n",
        "    if False:\n",
    ),
    Mutant(
        "cancel-not-kept-for-the-next-wish",
        "engine/work.py",
        "        self.cancel_pending = True\n",
        "        self.cancel_pending = False\n",
    ),
    Mutant(
        "wish-served-in-another-task",
        "engine/work.py",
        "                        else:\n                            await wish.serve()\n",
        "                        else:\n"
        "                            await host.spawn(wish.serve())\n",
    ),
    Mutant(
        "wish-lost-when-the-loop-closes",
        "engine/wish.py",
        "            self.refuse(RuntimeError("
        '"the event loop that started this thread has been closed"))',
        "            pass",
    ),
    Mutant(
        "context-not-merged-back",
        "engine/work.py",
        "            self.merge.apply(self.snapshot, self._context)\n",
        "            pass\n",
    ),
    Mutant(
        "context-not-merged-into-the-thread",
        "engine/wish.py",
        "            work.thread_merge.apply(entered, left)\n",
        "            pass\n",
    ),
    Mutant(
        "context-merge-overwrites-siblings",
        "engine/context.py",
        "            if before.get(var, _ABSENT) is not value:\n",
        "            if True:\n",
    ),
    Mutant(
        "lane-never-used",
        "engine/affinity.py",
        "        lane = nearest_lane(lane)\n        if lane is not None:\n",
        "        lane = None\n        if lane is not None:\n",
    ),
    Mutant(
        "lane-drops-jobs-when-it-closes",
        "engine/lane.py",
        "            jobs.popleft().hand_on()\n",
        "            jobs.popleft()\n",
    ),
    Mutant(
        "lane-misses-a-ring",
        "engine/lane.py",
        "                            if not (self._answered or jobs):\n",
        "                            if True:\n",
    ),
    Mutant(
        "lane-ignores-signals",
        "engine/lane.py",
        "                    raised = error\n                    interrupt()\n",
        "                    raised = error\n",
    ),
    Mutant(
        "pool-misses-a-call",
        "engine/workers.py",
        "        if queue or self._closed:\n            self._look_again()\n",
        "",
    ),
    Mutant(
        "pool-keeps-its-old-bound",
        "engine/workers.py",
        "            self._max_workers = value\n",
        "            self._max_workers = max(value, DEFAULT_MAX_WORKERS)\n",
    ),
    Mutant(
        "affinity-forgets-the-context",
        "engine/affinity.py",
        "    while binding is not None:\n        if binding.submit(work):\n",
        "    while False:\n        if binding.submit(work):\n",
    ),
    Mutant(
        "affinity-forgets-the-caller",
        "engine/affinity.py",
        "    lane = root_thread_lane(CURRENT_LANE.get())\n",
        "    lane = None\n",
    ),
    Mutant(
        "affinity-forgets-the-parked-thread",
        "engine/affinity.py",
        "        parked = nearest_lane(lane, thread.ident)\n",
        "        parked = None\n",
    ),
    Mutant(
        "loop-thread-may-wait",
        "adapters/loop_thread.py",
        "    if asyncio._get_running_loop() is None and not runs_trio():\n",
        "    if True:\n",
    ),
    Mutant(
        "portal-keeps-its-calls-when-it-closes",
        "engine/loop_call.py",
        '        self.fail(PortalClosedError(f"the event loop was closed {when}"))\n',
        "        pass\n",
    ),
    Mutant("fork-keeps-the-pool", "engine/workers.py", "process.after_fork(_forget_pool)\n", ""),
    Mutant(
        "fork-keeps-portals-open",
        "engine/portal.py",
        "        return self._open and self._generation == current.generation\n",
        "        return self._open\n",
    ),
    Mutant(
        "fork-keeps-the-threads", "engine/affinity.py", "process.after_fork(_forget_threads)\n", ""
    ),
    Mutant("exit-leaves-the-portal", "engine/portal.py", "process.at_exit(_close_at_exit)\n", ""),
    Mutant(
        "worker-keeps-the-last-call",
        "engine/workers.py",
        "                del work  # an idle worker must not keep arguments alive\n",
        "                self.last = work\n",
    ),
]


def copy_of_the_tree(target: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("src", "tests/bridge", "tests/adapters"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", target)


def run_tests(tree: Path, seconds: float, *options: str) -> tuple[int, list[str]]:
    """Run the tests of the copy: the exit code and the tests that failed.

    A run that has not ended after so many seconds has failed.
    """
    tests = [name for name in TESTS if (tree / name).exists()]
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *PYTEST, *options, *tests]
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, _ = process.communicate()
        return 1, ["the run did not end", *re.findall(r"^FAILED (\S+)", out, re.MULTILINE)]
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", out, re.MULTILINE)
    return process.returncode, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only mutants whose name contains one of these")
    parser.add_argument("--check", action="store_true", help="only see whether they all apply")
    arguments = parser.parse_args()
    chosen = [
        mutant
        for mutant in MUTANTS
        if not arguments.words or any(word in mutant.name for word in arguments.words)
    ]
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        copy_of_the_tree(tree)
        package = tree / "src" / "bridgekit"
        originals = {mutant.file: (package / mutant.file).read_text() for mutant in chosen}

        def restore() -> None:
            for file, text in originals.items():
                (package / file).write_text(text)

        stale = 0
        for mutant in chosen:
            try:
                mutant.apply(package)
            except LookupError as error:
                stale += 1
                print(error)
            restore()
        if stale or arguments.check:
            print(f"{len(chosen) - stale} of {len(chosen)} mutants apply")
            return 1 if stale else 0
        begin = time.monotonic()
        _, failing = run_tests(tree, LONGEST)
        seconds = max(SECONDS, 3 * (time.monotonic() - begin))
        for test in failing:
            print(f"left out, fails without any mutant: {test}", flush=True)
        without = [f"--deselect={test}" for test in failing]
        survivors = 0
        for mutant in chosen:
            mutant.apply(package)
            begin = time.monotonic()
            code, failed = run_tests(tree, seconds, "-x", *without)
            restore()
            survivors += code == 0
            verdict = "SURVIVED" if code == 0 else "killed"
            by = failed[0] if failed else f"exit code {code}"
            took = time.monotonic() - begin
            print(f"{verdict:9} {mutant.name:42} {took:5.0f} s  {by if code else ''}", flush=True)
        print(f"{len(chosen) - survivors} of {len(chosen)} killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
