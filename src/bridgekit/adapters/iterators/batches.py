"""What iterators have in common in both directions: batches, and how they begin and grow."""

from __future__ import annotations

from contextvars import Context, copy_context
from types import TracebackType

__all__ = [
    "DEFAULT_BATCH",
    "DEFAULT_BUDGET",
    "BatchSize",
    "as_exception",
    "is_unchanged",
    "needs_strict",
]

DEFAULT_BATCH = 1024
DEFAULT_BUDGET = 0.001


# A step that takes longer than this, seconds, has probably waited for something. What is shorter
# may be a wait for the interpreter lock.
LONG_STEP = 0.05
# So many items are then handed over singly per second of that step: one crossing costs far less
# than a millisecond, so it costs little in comparison.
SINGLES_PER_SECOND = 1000


class BatchSize:
    """How many items the next batch may have.

    One at first; twice as many after a batch that was made within the budget; as many as there
    was time for after one that was not. An item must not wait for its batch while the source waits
    for the next event: after a long step items are handed over singly for some time.

    :param most: the bound; 1 is the strict mode.
    :param budget: seconds; no further item is begun after that time.
    """

    __slots__ = ("_singles", "budget", "limit", "most")

    def __init__(self, most: int, budget: float) -> None:
        if most < 1:
            raise ValueError("batch must be at least 1")
        self.most = most
        self.budget = budget
        self.limit = 1
        self._singles = 0

    @property
    def is_strict(self) -> bool:
        return self.most == 1

    def made_in_time(self, limit: int) -> None:
        """A batch of ``limit`` items stayed within the budget."""
        if self._singles > 0:
            self._singles -= 1
            self.limit = 1
        else:
            self.limit = min(limit * 2, self.most)

    def out_of_time(self, count: int, seconds: float) -> None:
        """A batch was ended after ``count`` items, since it had taken so long."""
        self.limit = count
        if seconds > LONG_STEP:
            self.limit = 1
            self._singles = int(seconds * SINGLES_PER_SECOND)


def is_unchanged(before: Context) -> bool:
    """Whether the current context still has the values of ``before``."""
    try:
        # Contexts that share their storage, the ordinary case, are equal without a look inside.
        return copy_context() == before
    except Exception:
        return False  # a value that refuses to be compared is not the same value


def as_exception(
    typ: type[BaseException] | BaseException,
    val: BaseException | object = None,
    tb: TracebackType | None = None,
) -> BaseException:
    """The exception that the arguments of ``throw()`` stand for."""
    if isinstance(typ, BaseException):
        error = typ
    elif isinstance(val, BaseException):
        error = val
    else:
        error = typ(*(() if val is None else (val,)))
    return error if tb is None else error.with_traceback(tb)


def needs_strict(method: str, bridge: str) -> RuntimeError:
    """The error of sending a value to a generator that may be ahead."""
    return RuntimeError(
        f"{method}() of a value needs {bridge}(..., strict=True): otherwise the generator may be "
        "ahead of the item that the value is an answer to"
    )
