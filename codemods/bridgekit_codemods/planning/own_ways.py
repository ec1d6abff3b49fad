"""What a call of the standard library does in a way that a coroutine cannot: reasons to stay sync.

They come beside the obstacles that hold for every blocking call (`obstacles`).
"""

from __future__ import annotations

from collections.abc import Iterator

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.waiting_blocks import loop_over, waits_when_iterated
from bridgekit_codemods.program.calls import CallSite

_OWN_LOOP = ("asyncio.AbstractEventLoop.run_", "asyncio.set_event_loop", "asyncio.Runner")
Obstacle = tuple[str, str, str]
"""Code, reason and remedy."""


def own_ways(colours: Colours, site: CallSite) -> Iterator[Obstacle]:
    """The obstacles of one call."""
    if (
        site.kind == "call"
        and waits_when_iterated(colours, site)
        and loop_over(colours, site) is None
    ):
        yield (
            "BK353",
            f"{site.name}(...) gives an iterator that waits at each step, used in a shape that has "
            "no async form",
            "iterate it in a `for`, or make a list of it where it is made",
        )
    if any(dotted.startswith(_OWN_LOOP) for dotted in site.externals):
        yield (
            "BK351",
            f"{site.name}(...) runs an event loop of its own",
            "none needed: it runs in a worker thread; asyncio.run(f(...)) would become an await",
        )
