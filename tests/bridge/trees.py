"""Trees of calls, and what a plain interpreter makes of them.

The interpreter is the model that the bridged runs are compared with. It knows no threads, no loops
and no bridges: a call is a call, a gathered child works on a copy of the context, and the only
exceptions that change on their way are those that Python itself changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "MAX_DEPTH",
    "VARIABLES",
    "Call",
    "Deadline",
    "Expire",
    "Failure",
    "Gather",
    "Misuse",
    "Node",
    "Path",
    "Pulse",
    "Raise",
    "Scoped",
    "Set",
    "Step",
    "Yield",
    "depth_of",
    "expect",
    "trees",
]

VARIABLES = 3
MAX_DEPTH = 12

Path = tuple[int, ...]


@dataclass(frozen=True)
class Set:
    """Add to a context variable."""

    variable: int
    value: int


@dataclass(frozen=True)
class Scoped:
    """Add to a context variable, take the steps, reset the variable with its token."""

    variable: int
    value: int
    body: tuple[Step, ...]


@dataclass(frozen=True)
class Call:
    child: Node


@dataclass(frozen=True)
class Gather:
    """Side by side where the caller is asynchronous, in turn where it is not."""

    children: tuple[Node, ...]


@dataclass(frozen=True)
class Raise:
    kind: str  # planned | base | stop


@dataclass(frozen=True)
class Deadline:
    """The steps inside a timeout that does not strike."""

    body: tuple[Step, ...]


@dataclass(frozen=True)
class Expire:
    """A timeout that strikes, around something that would not end by itself."""

    what: str  # wait | poll | ask | brief


@dataclass(frozen=True)
class Pulse:
    """Wait, in a synchronous function, until the loop has run something."""


@dataclass(frozen=True)
class Misuse:
    """Wait synchronously on the loop's own thread; must be refused."""


@dataclass(frozen=True)
class Yield:
    turns: int


Step = Set | Scoped | Call | Gather | Raise | Deadline | Expire | Pulse | Misuse | Yield


@dataclass(frozen=True)
class Node:
    """A function and how it is called."""

    is_async: bool
    steps: tuple[Step, ...]
    affinity: str = "chain"  # of a bridged call to a synchronous function
    limited: bool = False
    abandon: bool = False
    own_context: bool = False  # an asynchronous function that opens a ThreadSensitiveContext
    catches: bool = False
    route: str = "plain"  # how it is called across the bridge: plain | from_thread | portal


def depth_of(node: Node) -> int:
    """The number of calls on top of each other."""

    def below(steps: tuple[Step, ...]) -> int:
        depths = [0]
        for step in steps:
            if isinstance(step, Call):
                depths.append(depth_of(step.child))
            elif isinstance(step, Gather):
                depths.extend(map(depth_of, step.children))
            elif isinstance(step, Scoped | Deadline):
                depths.append(below(step.body))
        return max(depths)

    return 1 + below(node.steps)


# -- generation ------------------------------------------------------------------------------------

_LEAF_STEPS = st.one_of(
    st.builds(Set, variable=st.integers(0, VARIABLES - 1), value=st.integers(1, 99)),
    st.builds(Set, variable=st.integers(0, VARIABLES - 1), value=st.integers(1, 99)),
    st.builds(Yield, turns=st.integers(0, 2)),
    st.builds(Pulse),
    st.builds(Misuse),
    st.builds(Expire, what=st.sampled_from(["wait", "poll", "ask", "brief"])),
    st.builds(Raise, kind=st.sampled_from(["planned", "planned", "base", "stop"])),
)


def _node(steps: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        is_async=st.booleans(),
        steps=steps,
        affinity=st.sampled_from(["chain", "chain", "context", "main"]),
        limited=st.booleans(),
        abandon=st.sampled_from([False, False, True]),
        own_context=st.sampled_from([False, False, True]),
        catches=st.booleans(),
        route=st.sampled_from(["plain", "plain", "from_thread", "portal"]),
    )


def _around(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[tuple[Step, ...]]:
    calls = st.builds(Call, child=inner)
    simple = st.one_of(calls, calls, _LEAF_STEPS)
    body = st.lists(simple, max_size=2).map(tuple)
    number, value = st.integers(0, VARIABLES - 1), st.integers(1, 99)
    step = st.one_of(
        calls,
        calls,
        st.builds(Gather, children=st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Scoped, variable=number, value=value, body=body),
        st.builds(Deadline, body=body),
        _LEAF_STEPS,
    )
    return st.lists(step, max_size=3).map(tuple)


_LEAVES = _node(st.lists(_LEAF_STEPS, max_size=2).map(tuple))
_BUSHES = st.recursive(_LEAVES, lambda inner: _node(_around(inner)), max_leaves=6)


@st.composite
def trees(draw: st.DrawFn) -> Node:
    """A spine of up to ``MAX_DEPTH`` calls with small bushes on both sides of it."""
    node = draw(_BUSHES)
    for _ in range(draw(st.integers(0, MAX_DEPTH - 1))):
        if depth_of(node) >= MAX_DEPTH:
            break
        spine: Step = Call(node)
        shape = draw(st.integers(0, 7))
        if shape == 0:
            spine = Gather((node, draw(_LEAVES)))
        elif shape == 1:
            spine = Scoped(draw(st.integers(0, VARIABLES - 1)), draw(st.integers(1, 99)), (spine,))
        elif shape == 2:
            spine = Deadline((spine,))
        before = draw(st.lists(_LEAF_STEPS, max_size=1))
        after = draw(st.lists(_LEAF_STEPS, max_size=1))
        node = draw(_node(st.just((*before, spine, *after))))
    return node


# -- the plain interpreter -------------------------------------------------------------------------


class Failure(Exception):
    """An exception of the tree: what it is and where it was raised."""

    def __init__(self, kind: str, path: Path) -> None:
        super().__init__(kind, path)
        self.kind = kind
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and self.args == other.args

    __hash__ = Exception.__hash__


Vars = list[int | None]


def expect(node: Node, variables: Vars, *, bridged: bool) -> list[Any]:
    """What calling the tree returns, or the `Failure` it raises; ``variables`` are updated.

    :param bridged: the root, if synchronous, is called across a bridge rather than directly.
    """
    return _call(node, (), variables, bridged)


def _call(node: Node, path: Path, variables: Vars, crossing: bool) -> list[Any]:
    """One call. ``crossing``: the caller is asynchronous, the function perhaps not."""
    seen: list[Any] = [list(variables)]
    try:
        try:
            _steps(node, node.steps, path, variables, seen)
        except Failure as failure:
            if node.is_async and failure.kind == "stop":
                raise Failure("runtime from stop", failure.path) from None
            raise
    except Failure as failure:
        if not node.catches or failure.kind == "base":
            if crossing and failure.kind == "stop":
                raise Failure("runtime from stop", failure.path) from None
            raise
        seen.append(failure.args)
    seen.append(list(variables))
    return seen


def _steps(
    node: Node, steps: tuple[Step, ...], path: Path, variables: Vars, seen: list[Any]
) -> None:
    for number, step in enumerate(steps):
        here = (*path, number)
        if isinstance(step, Set):
            variables[step.variable] = (variables[step.variable] or 0) + step.value
        elif isinstance(step, Scoped):
            old = variables[step.variable]
            variables[step.variable] = (old or 0) + step.value
            try:
                _steps(node, step.body, here, variables, seen)
            finally:
                variables[step.variable] = old
        elif isinstance(step, Call):
            seen.append(_call(step.child, here, variables, node.is_async))
        elif isinstance(step, Gather) and node.is_async:
            outcomes: list[Any] = []
            for position, child in enumerate(step.children):
                try:
                    outcomes.append(_call(child, (*here, position), list(variables), True))
                except Failure as failure:
                    outcomes.append(failure)
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise outcome
            seen += outcomes
        elif isinstance(step, Gather):
            for position, child in enumerate(step.children):
                seen.append(_call(child, (*here, position), variables, False))
        elif isinstance(step, Deadline):
            _steps(node, step.body, here, variables, seen)
        elif isinstance(step, Raise):
            raise Failure(step.kind, here)
        elif isinstance(step, Expire):
            raise Failure("timeout", here)
