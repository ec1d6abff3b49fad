"""A rate limiter for upstreams that count our calls."""

import time
from collections import deque


class RateLimiter:
    """At most `per_minute` calls in any 60 s; 0 switches it off. Not for several threads."""

    def __init__(self, per_minute: int, window: float = 60.0) -> None:
        self.per_minute = per_minute
        self.window = window
        self.calls: deque = deque()

    def delay(self) -> float:
        """Seconds until the next call is allowed."""
        if self.per_minute <= 0:
            return 0.0
        now = time.monotonic()
        while self.calls and now - self.calls[0] >= self.window:
            self.calls.popleft()
        if len(self.calls) < self.per_minute:
            return 0.0
        return self.window - (now - self.calls[0])

    def wait(self):
        """Block until a call is allowed, and count it."""
        delay = self.delay()
        if delay > 0:
            time.sleep(delay)
        self.calls.append(time.monotonic())
