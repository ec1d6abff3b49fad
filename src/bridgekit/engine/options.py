"""How one call to a thread is made: every choice but the function."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

from bridgekit.engine.affinity import Affinity
from bridgekit.engine.limiter import CapacityLimiter

__all__ = ["CallOptions", "ContextMode", "OnAbandoned"]

ContextMode = Literal["propagate", "share"]
OnAbandoned = Callable[[Any, BaseException | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options of `to_thread.run_sync`, which describes them.

    :raises ValueError: a value that is none, or options that exclude each other.
    """

    affinity: Affinity = "chain"
    limiter: CapacityLimiter | None = None
    executor: Executor | None = None
    timeout: float | None = None
    abandon_on_cancel: bool = False
    cancel_grace: float | None = None
    on_abandoned: OnAbandoned | None = None
    context: ContextMode = "propagate"

    def __post_init__(self) -> None:
        if self.affinity not in ("chain", "context", "main"):
            raise ValueError(
                f'affinity must be "chain", "context" or "main", not {self.affinity!r}'
            )
        if self.executor is not None and self.affinity != "chain":
            raise ValueError("an executor picks the thread itself; it excludes an affinity")
        if self.context not in ("propagate", "share"):
            raise ValueError(f'context must be "propagate" or "share", not {self.context!r}')
        if self.timeout is not None and not self.timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds, not {self.timeout!r}")
        if self.cancel_grace is not None and not self.cancel_grace >= 0:
            raise ValueError(f"cancel_grace must be a number of seconds, not {self.cancel_grace!r}")
        abandons = self.abandon_on_cancel or self.cancel_grace is not None
        if self.on_abandoned is not None and not abandons:
            raise ValueError("on_abandoned needs abandon_on_cancel=True or a cancel_grace")
        if self.context == "share" and abandons:
            # The task would go on in a context that the thread is still in: neither could run.
            raise ValueError('context="share" excludes abandon_on_cancel and cancel_grace')
