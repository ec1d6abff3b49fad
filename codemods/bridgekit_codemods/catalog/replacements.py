"""What an async function calls in place of a blocking library call.

A *face* is the async side of an object that has both colours (`session.aio.execute`); the runtime's
integrations provide it. What blocks and has no replacement is bridged to a thread. The catalog's
data says which calls have a replacement (`style`); how it is written is the rules' matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.effect import Style


@dataclass(frozen=True, slots=True)
class Replacement:
    """`style` says how a call is rewritten, `rename` the name of the async method if it differs."""

    style: Style
    rename: str | None = None


def replacement(dotted: str) -> Replacement | None:
    """The async form of the library callable `dotted`, if there is one.

    Only of what is listed under this very name: a subclass may do otherwise.
    """
    style = catalog.style(dotted)
    if style is None:
        return None
    effect = catalog.blocking(dotted)
    twin = effect.twin if effect is not None else None
    name = dotted.rpartition(".")[2]
    last = twin.rpartition(".")[2] if twin is not None else name
    return Replacement(style, last if style == "face" and last != name else None)
