"""`Retry`: how often and when to try again, with urllib3's rules and names."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Collection
from itertools import takewhile
from typing import Any, ClassVar, NamedTuple

from .causes import Cause, MaxRetryError, ResponseError


class RequestHistory(NamedTuple):
    method: str | None
    url: str | None
    error: BaseException | None
    status: int | None
    redirect_location: str | None


class Refused(NamedTuple):
    """What `Retry.increment` is told of a response that is a reason to try again."""

    status: int
    headers: Any
    reason: str | None

    def get_redirect_location(self) -> None:
        """Nothing: the session follows redirects."""


class Retry:
    """A budget of further attempts. Immutable: `increment` returns a new one.

    Parameters are urllib3's. Subclasses may override `increment`, `is_retry`, `get_backoff_time`
    and `parse_retry_after`. ``redirect`` is accepted and has no effect, since redirects are
    followed by the session, as with requests.
    """

    DEFAULT_ALLOWED_METHODS: ClassVar[frozenset[str]] = frozenset(
        ["HEAD", "GET", "PUT", "DELETE", "OPTIONS", "TRACE"]
    )
    RETRY_AFTER_STATUS_CODES: ClassVar[frozenset[int]] = frozenset([413, 429, 503])
    DEFAULT_REMOVE_HEADERS_ON_REDIRECT: ClassVar[frozenset[str]] = frozenset(
        ["Cookie", "Authorization", "Proxy-Authorization"]
    )
    DEFAULT_BACKOFF_MAX: ClassVar[float] = 120
    DEFAULT_RETRY_AFTER_MAX: ClassVar[int] = 21600
    _FIELDS: ClassVar[tuple[str, ...]] = (
        "total",
        "connect",
        "read",
        "redirect",
        "status",
        "other",
        "allowed_methods",
        "status_forcelist",
        "backoff_factor",
        "backoff_max",
        "raise_on_redirect",
        "raise_on_status",
        "history",
        "respect_retry_after_header",
        "remove_headers_on_redirect",
        "backoff_jitter",
        "retry_after_max",
    )

    def __init__(
        self,
        total: bool | int | None = 10,
        connect: int | None = None,
        read: bool | int | None = None,
        redirect: bool | int | None = None,
        status: int | None = None,
        other: int | None = None,
        allowed_methods: Collection[str] | None = DEFAULT_ALLOWED_METHODS,
        status_forcelist: Collection[int] | None = None,
        backoff_factor: float = 0,
        backoff_max: float = DEFAULT_BACKOFF_MAX,
        raise_on_redirect: bool = True,
        raise_on_status: bool = True,
        history: tuple[RequestHistory, ...] | None = None,
        respect_retry_after_header: bool = True,
        remove_headers_on_redirect: Collection[str] = DEFAULT_REMOVE_HEADERS_ON_REDIRECT,
        backoff_jitter: float = 0.0,
        retry_after_max: int = DEFAULT_RETRY_AFTER_MAX,
    ) -> None:
        self.total = total
        self.connect = connect
        self.read = read
        self.redirect = redirect
        self.status = status
        self.other = other
        self.allowed_methods = allowed_methods
        self.status_forcelist = status_forcelist or set()
        self.backoff_factor = backoff_factor
        self.backoff_max = backoff_max
        self.raise_on_redirect = raise_on_redirect
        self.raise_on_status = raise_on_status
        self.history = history or ()
        self.respect_retry_after_header = respect_retry_after_header
        self.remove_headers_on_redirect = frozenset(h.lower() for h in remove_headers_on_redirect)
        self.backoff_jitter = backoff_jitter
        self.retry_after_max = retry_after_max

    def new(self, **changes: Any) -> Retry:
        """Return a copy with *changes*."""
        values = {name: getattr(self, name) for name in self._FIELDS}
        values.update(changes)
        return type(self)(**values)

    @classmethod
    def from_int(cls, retries: Any, **_: Any) -> Retry:
        """Accept a count, a Retry, or any object with urllib3's Retry attributes."""
        if retries is None:
            return cls(3)
        if isinstance(retries, Retry):
            return retries
        if isinstance(retries, (bool, int)):
            return cls(retries)
        if not hasattr(retries, "total"):
            raise TypeError(f"max_retries must be an int or a Retry, not {type(retries).__name__}")
        return cls(
            **{name: getattr(retries, name) for name in cls._FIELDS if hasattr(retries, name)}
        )

    def __repr__(self) -> str:
        return (
            f"Retry(total={self.total}, connect={self.connect}, read={self.read}, "
            f"redirect={self.redirect}, status={self.status})"
        )

    def get_backoff_time(self) -> float:
        """Seconds to wait before the next attempt; none before the first retry."""
        errors = len(list(takewhile(lambda x: x.redirect_location is None, reversed(self.history))))
        if errors <= 1:
            return 0
        value: float = self.backoff_factor * (2 ** (errors - 1))
        if self.backoff_jitter:
            value += random.random() * self.backoff_jitter
        return float(max(0, min(self.backoff_max, value)))

    def parse_retry_after(self, value: str) -> float:
        """Seconds of a ``Retry-After`` header (number or date). Raises ValueError."""
        seconds: float
        if re.match(r"^\s*[0-9]+\s*$", value):
            seconds = int(value)
        else:
            date = email.utils.parsedate_tz(value)
            if date is None:
                raise ValueError(f"Invalid Retry-After header: {value}")
            seconds = email.utils.mktime_tz(date) - time.time()
        return min(max(seconds, 0), self.retry_after_max)

    def pause(self, retry_after: str | None) -> float:
        """Seconds to wait: what the server asked for, else the back-off."""
        if self.respect_retry_after_header and retry_after:
            seconds = self.parse_retry_after(retry_after)
            if seconds:
                return seconds
        return self.get_backoff_time()

    def _is_method_retryable(self, method: str) -> bool:
        return not (self.allowed_methods and method.upper() not in self.allowed_methods)

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Tell whether a response with *status_code* is a reason to try again."""
        if not self._is_method_retryable(method):
            return False
        if self.status_forcelist and status_code in self.status_forcelist:
            return True
        return bool(
            self.total
            and self.respect_retry_after_header
            and has_retry_after
            and status_code in self.RETRY_AFTER_STATUS_CODES
        )

    def is_exhausted(self) -> bool:
        counts = (self.total, self.connect, self.read, self.redirect, self.status, self.other)
        return min((count for count in counts if count), default=0) < 0

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Retry:
        """Return the budget after a failure: *error*, or a *response* with `status`.

        Raises *error* itself where retrying it is switched off, and MaxRetryError at the end.
        """
        kind = "status" if error is None else error.kind if isinstance(error, Cause) else "other"
        if error is not None and (
            self.total is False
            or (kind == "connect" and self.connect is False)
            or (
                kind == "read"
                and (self.read is False or method is None or not self._is_method_retryable(method))
            )
        ):
            raise error

        def less(count: Any, used: bool) -> Any:
            return count - 1 if used and count is not None and count is not False else count

        status = None if error is not None or response is None else response.status
        after = self.new(
            total=less(self.total, True),
            connect=less(self.connect, kind == "connect"),
            read=less(self.read, kind == "read"),
            other=less(self.other, kind == "other"),
            status=less(self.status, status is not None),
            history=(*self.history, RequestHistory(method, url, error, status, None)),
        )
        if after.is_exhausted():
            told = f"too many {status} error responses" if status else "too many error responses"
            reason = error or ResponseError(told)
            raise MaxRetryError(_pool, url, reason) from reason
        return after
