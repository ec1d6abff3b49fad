"""`Request`, `PreparedRequest` and `Response`."""

from __future__ import annotations

from ._bound import PreparedRequest, Request, Response

__all__ = [
    "PreparedRequest",
    "Request",
    "Response",
]
