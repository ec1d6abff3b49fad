"""The burn-down as shapes: functions per colour over the steps, done and to come."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods.reports.model import Counts, Report, StepEntry

WIDTH, HEIGHT = 960, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 26, 30


@dataclass(frozen=True, slots=True)
class Column:
    """The width of one step, to point at."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws, in a view box of ``width`` by ``height``."""

    width: int
    height: int
    bottom: float
    areas: tuple[tuple[str, str], ...]
    """Colour and the points of its polygon, from the bottom up."""
    bridges: str
    """Points of the line of bridges."""
    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, int], ...]
    """Height and number of the horizontal lines."""
    labels: tuple[tuple[float, str], ...]
    """Place and number of steps under the axis."""
    now: float
    """Where the done steps end."""
    left: float
    right: float
    done: int
    to_come: int
    first: Counts
    last: Counts


def chart(report: Report) -> Chart | None:
    """The burn-down, or None where the state after the steps is not known."""
    points: list[tuple[Counts, StepEntry | None]] = []
    if report.start is not None:
        points.append((report.start, None))
    shown = [step for step in report.with_state("done", "planned") if step.counts is not None]
    points += [(step.counts, step) for step in shown if step.counts is not None]
    if len(points) < 2:
        return None
    counts = [point for point, _ in points]
    most = max(max(c.functions, c.bridges) for c in counts) or 1
    pitch = _nice(most / 4)
    top = pitch * -(-most // pitch)
    width = WIDTH - _LEFT - _RIGHT
    bottom = HEIGHT - _BOTTOM

    def x(number: float) -> float:
        return round(_LEFT + width * number / (len(points) - 1), 2)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * value / top, 2)

    def area(low: list[int], high: list[int]) -> str:
        there = [f"{x(n)},{y(value)}" for n, value in enumerate(high)]
        back = [f"{x(n)},{y(value)}" for n, value in reversed(list(enumerate(low)))]
        return " ".join(there + back)

    ground = [0] * len(counts)
    pure = [c.pure for c in counts]
    native = [c.pure + c.native for c in counts]
    blocking = [c.pure + c.native + c.blocking for c in counts]
    done = sum(step is not None and step.state == "done" for _, step in points)
    now = sum(step is None or step.state == "done" for _, step in points) - 1
    return Chart(
        WIDTH,
        HEIGHT,
        bottom,
        (
            ("pure", area(ground, pure)),
            ("native", area(pure, native)),
            ("blocking", area(native, blocking)),
        ),
        " ".join(f"{x(n)},{y(c.bridges)}" for n, c in enumerate(counts)),
        tuple(
            _column(max(x(n - 0.5), _LEFT), min(x(n + 0.5), WIDTH - _RIGHT), point, step)
            for n, (point, step) in enumerate(points)
        ),
        tuple((y(value), value) for value in range(0, top + 1, pitch)),
        tuple((x(n), _label(points[n][1])) for n in _labelled(len(points))),
        x(max(now, 0)),
        _LEFT,
        WIDTH - _RIGHT,
        done,
        len(shown) - done,
        counts[0],
        counts[-1],
    )


def _column(left: float, right: float, counts: Counts, step: StepEntry | None) -> Column:
    return Column(left, round(right - left, 2), _words(counts, step))


def _words(counts: Counts, step: StepEntry | None) -> str:
    name = f"Step {step.number}: {step.title}" if step else "Before the first step"
    return (
        f"{name}\n{counts.blocking} blocking, {counts.native} native, {counts.pure} pure, "
        f"{counts.bridges} bridges"
    )


def _label(step: StepEntry | None) -> str:
    return "start" if step is None else str(step.number)


def _labelled(points: int) -> range:
    return range(0, points, max(_nice((points - 1) / 10), 1))


def _nice(value: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ... that is not below the value."""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if factor * scale >= value:
                return factor * scale
        scale *= 10
