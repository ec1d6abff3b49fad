"""Syntax trees of Jinja templates, and what is asked of them again and again."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

try:
    import jinja2
    from jinja2 import nodes
except ImportError:  # the base install has no template engine: then there are no trees
    jinja2 = None  # type: ignore[assignment]

_EXTENSIONS = ("jinja2.ext.do", "jinja2.ext.loopcontrols", "jinja2.ext.i18n")


class Tree(NamedTuple):
    """A parsed template. Compared by identity of what it holds; never changed.

    macros      the macros that it defines
    hides       the blocks of its parent of which it leaves nothing
    mentions    the names that it reads
    attributes  the names of the attributes and literal items that it reads
    takes       the literal names of the templates that it extends, includes and imports from
    """

    root: nodes.Template
    macros: tuple[nodes.Macro, ...]
    hides: frozenset[str]
    mentions: frozenset[str]
    attributes: frozenset[str]
    takes: tuple[str, ...]


@lru_cache(maxsize=2048)
def parse(text: str) -> Tree | None:
    """The tree of a template; None when it has tags of extensions that are not known here.

    Kept for the process: in a walk of many steps the same templates are read again and again.
    """
    if jinja2 is None:
        return None
    try:
        root = jinja2.Environment(extensions=_EXTENSIONS).parse(text)
    except (jinja2.TemplateSyntaxError, RecursionError):
        return None
    macros: list[nodes.Macro] = []
    blocks: list[nodes.Block] = []
    mentions: set[str] = set()
    attributes: set[str] = set()
    takes: list[str] = []
    pending: list[nodes.Node] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Name):
            mentions.add(node.name)
        elif isinstance(node, nodes.Getattr):
            attributes.add(node.attr)
        elif isinstance(node, nodes.Getitem):
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                attributes.add(node.arg.value)
        elif isinstance(node, nodes.Macro):
            macros.append(node)
        elif isinstance(node, nodes.Block):
            blocks.append(node)
        elif isinstance(node, (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
            takes += literals(node.template)
        pending.extend(node.iter_child_nodes())
    return Tree(
        root,
        tuple(macros),
        frozenset(block.name for block in blocks if not _calls_super(block)),
        frozenset(mentions),
        frozenset(attributes),
        tuple(takes),
    )


def _calls_super(block: nodes.Block) -> bool:
    return any(
        isinstance(call.node, nodes.Name) and call.node.name == "super"
        for call in block.find_all(nodes.Call)
    )


def literals(node: nodes.Expr) -> list[str]:
    """The template names that an expression may mean, as far as they are written."""
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return [name for item in node.items for name in literals(item)]
    if isinstance(node, nodes.CondExpr):
        return literals(node.expr1) + (literals(node.expr2) if node.expr2 else [])
    return []
