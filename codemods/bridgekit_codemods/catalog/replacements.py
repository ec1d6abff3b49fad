"""What an async function calls in place of a blocking library call.

A *face* is the async side of an object that has both colours (`session.aio.execute`); the runtime's
integrations provide it. Everything that blocks and has no replacement is bridged to a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["face", "sleep", "run_process", "open"]


@dataclass(frozen=True, slots=True)
class Replacement:
    """`style` says how a call is rewritten, `rename` the name of the async method if it differs."""

    style: Style
    rename: str | None = None


_HTTP = ("get", "options", "head", "post", "put", "patch", "delete", "request")
_SESSION = (
    "execute",
    "scalar",
    "scalars",
    "get",
    "get_one",
    "commit",
    "rollback",
    "flush",
    "refresh",
    "merge",
    "delete",
    "close",
    "connection",
    "invalidate",
    "reset",
    "close_all",
)
_SHIMS = ("bridgekit.integrations.requests", "bridgekit.integrations.requests_httpx2")
_ORM = "bridgekit.integrations.sqlalchemy"

_TABLE: dict[str, Replacement] = {
    **{f"{shim}.{name}": Replacement("face") for shim in _SHIMS for name in _HTTP},
    **{f"{shim}.Session.{name}": Replacement("face") for shim in _SHIMS for name in _HTTP},
    **{f"{_ORM}.Session.{name}": Replacement("face") for name in _SESSION},
    "time.sleep": Replacement("sleep"),
    "subprocess.run": Replacement("run_process"),
    "builtins.open": Replacement("open"),
}

HTTP_SHIMS = _SHIMS
TWO_COLOUR_ORM = _ORM


def replacement(dotted: str) -> Replacement | None:
    """The async form of the library callable `dotted`, if there is one."""
    return _TABLE.get(dotted)
