"""Errors of the domain; views turn them into replies (see ordertrack.handlers)."""


class OrderTrackError(Exception):
    """Base of all errors this application raises on purpose."""

    status = 500
    code = "error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)
        self.message = message or self.code


class NotFound(OrderTrackError):
    status = 404
    code = "not_found"


class ValidationError(OrderTrackError):
    status = 400
    code = "invalid"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Conflict(OrderTrackError):
    status = 409
    code = "conflict"


class UpstreamError(OrderTrackError):
    status = 502
    code = "upstream_error"

    def __init__(self, service: str, message: str) -> None:
        super().__init__(f"{service}: {message}")
        self.service = service


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class RateLimited(UpstreamError):
    status = 503
    code = "rate_limited"

    def __init__(self, service: str, retry_after: float) -> None:
        super().__init__(service, f"rate limited, retry after {retry_after:g} s")
        self.retry_after = retry_after
