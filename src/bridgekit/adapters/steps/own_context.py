"""A context of its own for code that runs in several steps, kept in step with its consumer.

A generator or a context manager runs a part, waits for its consumer, and runs on. On the other
side of a bridge all its parts have to run in one and the same ``Context``: a token that one part
gets from ``var.set`` is valid in the next. What the consumer changes between two steps is written
into that context, what a step changes is written into the consumer's, and only what changed
(see :class:`~bridgekit.engine.context.ContextMerge`).
"""

from __future__ import annotations

from contextvars import Context, copy_context

from bridgekit.engine.context import ContextMerge, same_variables

__all__ = ["OwnContext"]


class OwnContext:
    """The context of one generator or context manager. One step at a time, on any thread."""

    __slots__ = ("_after", "_before", "_inward", "_outward", "_rest", "_seen", "context")

    def __init__(self) -> None:
        self.context: Context | None = None
        self._seen: Context | None = None
        self._before: Context | None = None
        self._after: Context | None = None
        self._rest: Context | None = None
        self._inward = ContextMerge()
        self._outward = ContextMerge()

    def begin(self, seen: Context) -> Context:
        """Take over what the consumer changed; returns the context in which to run the step.

        :param seen: a copy of the consumer's context.
        """
        if self.context is None:
            self.context = seen.copy()
        elif self._seen is not None and not same_variables(self._seen, seen):
            self.context.run(self._inward.apply, self._seen, seen)
        self._seen = seen
        if self._rest is None:
            self._before = self.context.copy()
        else:
            self._rest = None  # held back and never asked for: comes with this step's changes
        return self.context

    def hold_back(self, as_of: Context) -> None:
        """Within a step: what has changed since ``as_of`` is for :meth:`give_back_rest`."""
        self._rest = as_of

    def end(self) -> None:
        """The step has run; remember what it changed."""
        assert self.context is not None
        self._after = self.context.copy()
        if self._rest is not None:
            self._rest, self._after = self._after, self._rest

    def give_back(self) -> None:
        """In the consumer's context: make the changes of the last step visible there."""
        before, after = self._before, self._after
        if before is not None and after is not None:
            if not same_variables(before, after):
                self._outward.apply(before, after)
            self._seen = copy_context()
            self._before, self._after = after, None

    def give_back_rest(self) -> None:
        """In the consumer's context: make the changes visible that were held back."""
        before, rest = self._before, self._rest
        if before is not None and rest is not None:
            self._before, self._rest = rest, None
            self._outward.apply(before, rest)
