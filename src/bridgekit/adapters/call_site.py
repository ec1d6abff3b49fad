"""Names for error messages: of a function, and of the line that called into the bridge."""

from __future__ import annotations

import os
import sys

from bridgekit.engine.naming import describe

__all__ = ["caller_line", "describe"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def caller_line() -> str:
    """``file:line`` of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
