"""Templates that call what waits: library code renders them, and does not await."""

from __future__ import annotations

import ast

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.frameworks import renders_in_flask
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program


def rendered_in_thread(program: Program, site: CallSite) -> bool:
    """Says whether a coroutine can send a rendering that waits to a worker thread."""
    return (
        isinstance(site.node, ast.Call)
        and renders_in_flask(program.resolve(site.path, site.node.func))
        and not site.in_lambda
        and not site.in_genexp
    )


def rendering_waits(colours: Colours, site: CallSite) -> str | None:
    """What in the templates that a site renders blocks, in words; None where nothing does."""
    blocking = [t for t in site.targets if colours.native(t.function) or colours.blocks(t.function)]
    if not blocking:
        return f"a template calls {site.externals[0]}, which blocks" if site.externals else None
    first = blocking[0]
    verb = "may call" if first.grade == "guess" else "calls"
    more = f" and {len(blocking) - 1} more" if len(blocking) > 1 else ""
    return f"{first.via} {verb} {first.function.qualname}, which blocks{more}"
