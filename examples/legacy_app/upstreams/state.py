"""What the stub was told to do: latency, faults and limits, and what it has seen."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass
class Fault:
    """Spoils the next `count` replies of one service (-1: until reset)."""

    status: int = 0
    drop: bool = False
    delay_ms: float = 0.0
    count: int = 1
    path: str = ""


@dataclass
class State:
    latency_ms: float = 0.0
    summary_per_minute: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)
    recent: deque = field(default_factory=lambda: deque(maxlen=50))
    summary_calls: deque = field(default_factory=deque)

    def reset(self, latency_ms: float, summary_per_minute: int) -> None:
        self.latency_ms = latency_ms
        self.summary_per_minute = summary_per_minute
        self.faults.clear()
        self.counts.clear()
        self.recent.clear()
        self.summary_calls.clear()

    def take_fault(self, service: str, path: str) -> Fault | None:
        fault = self.faults.get(service)
        if fault is None or fault.path not in path:
            return None
        if fault.count > 0:
            fault.count -= 1
            if fault.count == 0:
                del self.faults[service]
        return fault

    def summary_retry_after(self) -> float | None:
        """Seconds until the summary API takes another call; None when it takes this one."""
        if self.summary_per_minute <= 0:
            return None
        now = time.monotonic()
        while self.summary_calls and now - self.summary_calls[0] >= 60.0:
            self.summary_calls.popleft()
        if len(self.summary_calls) >= self.summary_per_minute:
            return 60.0 - (now - self.summary_calls[0])
        self.summary_calls.append(now)
        return None

    def describe(self) -> dict:
        return {
            "latency_ms": self.latency_ms,
            "summary_per_minute": self.summary_per_minute,
            "faults": {name: vars(fault) for name, fault in self.faults.items()},
            "counts": dict(self.counts),
            "recent": list(self.recent),
        }
