"""Which blocks over a file or a streamed response have an async form: the shape of their uses."""

from __future__ import annotations

import ast

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.symbols import Function

STREAM_LOOPS = {"iter_content": "aiter_content", "iter_lines": "aiter_lines"}
_STREAM_PLAIN = frozenset({"raise_for_status", "status_code", "headers", "ok", "reason", "url"})
_FILE_METHODS = frozenset(
    {"read", "readline", "readlines", "write", "writelines", "seek", "tell", "flush", "truncate"}
)


def is_streaming(site: CallSite) -> bool:
    """Says whether the site is a request with `stream=` that is not the literal False."""
    return isinstance(site.node, ast.Call) and any(
        keyword.arg == "stream"
        and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in site.node.keywords
    )


def async_blocks(colours: Colours, function: Function) -> set[ast.AST]:
    """The expressions of `with` and `for` that get an async form with the file or response that
    they use."""
    found: set[ast.AST] = set()
    for site in colours.sites(function):
        uses: list[ast.AST] = []
        if "builtins.open" in site.externals:
            uses = file_uses(colours, site)
        elif is_streaming(site):
            uses = stream_uses(colours, site)
        if uses:
            found.add(site.node)
            found |= {use.iter for use in uses if isinstance(use, ast.For)}
    return found


def with_around(colours: Colours, site: CallSite) -> ast.With | None:
    """The `with` statement of which the site is the context expression, if it is its only."""
    parents = colours.parents(site.path)
    item = parents.get(site.node)
    statement = parents.get(item) if isinstance(item, ast.withitem) else None
    if isinstance(statement, ast.With) and len(statement.items) == 1:
        return statement
    return None


def file_uses(colours: Colours, site: CallSite) -> list[ast.AST]:
    """The nodes to await in the block of `with open(...) as f`; empty if some use has no form.

    Known uses are `f.read(...)`, `f.write(...)` and their like as calls, and `for line in f`.
    """
    statement = with_around(colours, site)
    if statement is None or not isinstance(statement.items[0].optional_vars, ast.Name):
        return []
    name = statement.items[0].optional_vars.id
    parents = colours.parents(site.path)
    uses: list[ast.AST] = []
    for node in ast.walk(ast.Module(body=statement.body, type_ignores=[])):
        if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
            return []
        if not (isinstance(node, ast.Name) and node.id == name):
            continue
        parent = parents[node]
        call = parents.get(parent)
        match parent:
            case ast.Attribute(attr=attr) if (
                attr in _FILE_METHODS and isinstance(call, ast.Call) and call.func is parent
            ):
                uses.append(call)
            case ast.For(iter=iterated) if iterated is node:
                uses.append(parent)
            case _:
                return []
    return uses


def stream_uses(colours: Colours, site: CallSite) -> list[ast.AST]:
    """The loops over a streamed response inside its `with` block; empty if there is any use
    that has no async form, or no loop."""
    statement = with_around(colours, site)
    if statement is None or not isinstance(statement.items[0].optional_vars, ast.Name):
        return []
    name = statement.items[0].optional_vars.id
    parents = colours.parents(site.path)
    uses: list[ast.AST] = []
    for node in ast.walk(ast.Module(body=statement.body, type_ignores=[])):
        if not (isinstance(node, ast.Name) and node.id == name):
            continue
        parent = parents[node]
        call = parents.get(parent)
        loop = parents.get(call) if call is not None else None
        match parent:
            case ast.Attribute(attr=attr) if attr in _STREAM_PLAIN:
                continue
            case ast.Attribute(attr=attr) if (
                attr in STREAM_LOOPS
                and isinstance(call, ast.Call)
                and isinstance(loop, ast.For)
                and loop.iter is call
            ):
                uses.append(loop)
            case _:
                return []
    return uses
