"""Writes the `for` and `with` over objects that wait so that a worker thread drives them.

`for x in f(a)` becomes `async for x in async_iterator(f, strict=True)(a)`, `with f(a) as x` becomes
`async with async_context_manager(f)(a) as x`. Strict, because the body of a loop may do what the
next step looks at: `os.walk` reads the list of directories that the body has changed.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from bridgekit_codemods.editing import Edit, FileEdits, nodes
from bridgekit_codemods.planning.waiting_blocks import Loop
from bridgekit_codemods.program.source import SourceFile


def drive_loop(
    file: SourceFile,
    edits: FileEdits,
    node: ast.expr,
    loop: Loop,
    options: Sequence[str],
    closed_as: str | None = None,
) -> None:
    """Registers the edits for a loop or comprehension over `node`.

    `closed_as` is the name of the iterator of a loop that closes it where it ends.
    """
    _wrap(file, edits, node, "async_iterator", ("strict=True", *options))
    if isinstance(loop, ast.For):
        edits.at("For", file.span(loop), nodes.asynchronous)
        if closed_as is not None:
            edits.at("For", file.span(loop), _closing(closed_as))
        return
    assert isinstance(loop, ast.ListComp | ast.SetComp | ast.DictComp)
    place = next(i for i, part in enumerate(loop.generators) if part.iter is node)
    edits.at(type(loop).__name__, file.span(loop), _asynchronous_part(place))


def _closing(name: str) -> Edit:
    """`async for x in f()` -> `async with f() as name:`, and in it `async for x in name`."""

    def edit(loop: cst.For) -> cst.With:
        inner = loop.with_changes(iter=cst.Name(name), leading_lines=[])
        item = cst.WithItem(loop.iter, asname=cst.AsName(cst.Name(name)))
        return cst.With(
            items=[item],
            body=cst.IndentedBlock([inner]),
            asynchronous=cst.Asynchronous(),
            leading_lines=loop.leading_lines,
        )

    return edit


def drive_block(
    file: SourceFile,
    edits: FileEdits,
    node: ast.expr,
    statement: ast.With,
    options: Sequence[str],
) -> None:
    """Registers the edits for a `with` over `node`."""
    _wrap(file, edits, node, "async_context_manager", options)
    edits.at("With", file.span(statement), nodes.asynchronous)


def _wrap(
    file: SourceFile, edits: FileEdits, node: ast.expr, adapter: str, options: Sequence[str]
) -> None:
    edits.at(type(node).__name__, file.span(node), _adapted(adapter, options))


def _adapted(adapter: str, options: Sequence[str]) -> Edit:
    def edit(node: cst.BaseExpression) -> cst.BaseExpression:
        if isinstance(node, cst.Call):
            return node.with_changes(func=_call(adapter, node.func, options))
        return _call(adapter, node, options)

    return edit


def _call(adapter: str, argument: cst.BaseExpression, options: Sequence[str]) -> cst.Call:
    call = nodes.expression(f"{adapter}({', '.join(('_', *options))})")
    assert isinstance(call, cst.Call)
    first, *rest = call.args
    return call.with_changes(args=[first.with_changes(value=argument), *rest])


def _asynchronous_part(place: int) -> Edit:
    """The `for` at that place of a comprehension -> `async for`."""

    def edit(comprehension: cst.BaseComp) -> cst.BaseComp:
        return comprehension.with_changes(for_in=changed(comprehension.for_in, place))

    def changed(part: cst.CompFor, left: int) -> cst.CompFor:
        if left == 0:
            return nodes.asynchronous(part)  # type: ignore[no-any-return]
        inner = part.inner_for_in
        assert inner is not None
        return part.with_changes(inner_for_in=changed(inner, left - 1))

    return edit
