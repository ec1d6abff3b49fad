"""What may be given as a timeout."""

from __future__ import annotations

from typing import Any


def split_timeout(timeout: Any) -> tuple[float | None, float | None]:
    """Return the seconds to connect and to wait for data.

    Raises ValueError, worded like requests.
    """
    if type(timeout) is float and timeout > 0:
        return timeout, timeout
    if timeout is None or isinstance(timeout, (int, float)):
        connect = read = timeout
    elif isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(
                f"Invalid timeout {timeout}. Pass a (connect, read) timeout tuple, or a single "
                "float to set both timeouts to the same value."
            ) from None
    elif hasattr(timeout, "connect") and hasattr(timeout, "read"):
        connect, read = timeout.connect, timeout.read  # httpx.Timeout
    elif hasattr(timeout, "connect_timeout"):
        connect, read = timeout.connect_timeout, timeout.read_timeout  # urllib3.Timeout
    else:
        connect = read = timeout
    for name, value in (("connect", connect), ("read", read)):
        if value is None:
            continue
        if isinstance(value, bool):
            raise ValueError("Timeout cannot be a boolean value. It must be an int, float or None.")
        try:
            bad = float(value) <= 0
        except (TypeError, ValueError):
            raise ValueError(
                f"Timeout value {name} was {value}, but it must be an int, float or None."
            ) from None
        if bad:
            raise ValueError(
                f"Attempted to set {name} timeout to {value}, but the timeout cannot be set to a "
                "value less than or equal to 0."
            )
    return connect, read
