"""Large steps: what a rule would do in several steps of one kind, done in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bridgekit_codemods.planning.steps import Step

_JOIN = " + "
JOINED = {
    "select": "Replace Query by select() in {} modules",
    "decorator": "Let {} decorators wrap coroutine functions as well",
    "tests": "Await async functions in {} test files",
}
"""The kinds of steps that are joined, and what the whole is called."""


def with_its_like(
    step: Step,
    sources: Mapping[str, bytes],
    kept: frozenset[str],
    propose: Callable[[Mapping[str, bytes]], Step | None],
) -> Step:
    """The step together with those of its kind that `propose` would take directly after it.

    If that larger step was kept back before, the step alone: what stands in the way of the others
    is then found one at a time.
    """
    if step.kind not in JOINED:
        return step
    steps = [step]
    current = dict(sources)
    while True:
        for path, data in steps[-1].changes.items():
            if data is None:
                current.pop(path, None)
            else:
                current[path] = data
        following = propose(current)
        if following is None or following.kind != step.kind or following.fault is not None:
            break
        if not following.changes:
            break
        steps.append(following)
    changes: dict[str, bytes | None] = {}
    for each in steps:
        changes.update(each.changes)
    whole = joined(steps, changes)
    return step if whole.key in kept else whole


def joined(steps: Sequence[Step], changes: Mapping[str, bytes | None] | None = None) -> Step:
    """These steps as one; a single one as it is. `changes` are those of all, if they are known."""
    if len(steps) == 1:
        return steps[0]
    return Step(
        key=_JOIN.join(each.key for each in steps),
        kind=steps[0].kind,
        title=JOINED[steps[0].kind].format(len(steps)),
        members=tuple(member for each in steps for member in each.members),
        changes=changes or {},
        bridges_added=tuple(bridge for each in steps for bridge in each.bridges_added),
        bridges_removed=tuple(bridge for each in steps for bridge in each.bridges_removed),
        findings=tuple(finding for each in steps for finding in each.findings),
        milestone=any(each.milestone for each in steps),
    )
