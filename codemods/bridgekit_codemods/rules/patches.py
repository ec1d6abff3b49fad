"""Moves what tests patch along with what the code calls.

A patched name is moved when every use of it that the patch can affect has become async: the patch
then replaces the twin (or the async face of the library) by an `AsyncMock`, with the test's own
fake behind it. Where sync uses are left, a second patch is put beside the first. The assertions of
the test stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

import libcst as cst

from bridgekit_codemods.catalog.replacements import replacement
from bridgekit_codemods.editing import Edit, nodes
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite, PatchTarget
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft


def retarget_patches(colours: Colours, draft: Draft, flipped: set[Function]) -> None:
    """Registers the edits of all patch targets that the flip of `flipped` makes move."""
    known = {(patch.user, patch.dotted) for patch in colours.program.patches}
    for patch in colours.program.patches:
        sites = list(_affected(colours, patch))
        moved = [site for site in sites if _is_async(site, flipped)]
        if not any(site.caller in flipped for site in moved):
            continue
        form = _async_form(colours, patch, flipped)
        if form is None:
            continue
        name, through = form
        if len(moved) == len(sites):
            _retarget(colours, draft, patch, name, through)
        elif (patch.user, _dotted(patch, name, through)) not in known:
            _duplicate(colours, draft, patch, name, through)


def _is_async(site: CallSite, flipped: set[Function]) -> bool:
    return site.caller is not None and (site.caller in flipped or site.caller.is_async)


def _async_form(
    colours: Colours, patch: PatchTarget, flipped: set[Function]
) -> tuple[str, str | None] | None:
    """The last name of what async callers use in place of the patched thing, and its face."""
    if isinstance(patch.resolved, Function):
        function = patch.resolved
        if function.is_async or not (function in flipped or function in colours.facades):
            return None
        return function.name + TWIN_SUFFIX, None
    form = replacement(patch.resolved) if patch.resolved is not None else None
    if form is None or patch.resolved is None or form.style != "face":
        return None
    return form.rename or patch.resolved.rsplit(".", 1)[-1], "aio"


def _dotted(patch: PatchTarget, name: str, through: str | None) -> str:
    owner = patch.dotted.rpartition(".")[0]
    return ".".join(part for part in (owner, through, name) if part)


def _duplicate(
    colours: Colours, draft: Draft, patch: PatchTarget, name: str, through: str | None
) -> None:
    """Where sync and async code both use the patched thing, a second patch covers the twin.

    Only for `monkeypatch.setattr("dotted.name", fake)` as a statement: its fake serves both.
    """
    parents = colours.parents(patch.path)
    statement = parents.get(patch.node)
    if (
        patch.style != "monkeypatch.setattr"
        or len(patch.node.args) != 2
        or not isinstance(statement, ast.Expr)
    ):
        return
    target = _dotted(patch, name, through)
    fake = ast.unparse(patch.node.args[1])
    source = f'{ast.unparse(patch.node.func)}("{target}", AsyncMock(side_effect={fake}))\n'
    edits = draft.edits(patch.path)
    span = colours.program.files[patch.path].span(statement)
    edits.at(
        "SimpleStatementLine",
        span,
        nodes.followed_by(lambda _node: [cst.parse_statement(source)]),
    )
    edits.add_import("unittest.mock", "AsyncMock")


def _affected(colours: Colours, patch: PatchTarget) -> Iterable[CallSite]:
    """The call sites that look up the patched name where it is patched."""
    program = colours.program
    owner = patch.dotted.rpartition(".")[0]
    while owner and owner not in program.modules:
        owner = owner.rpartition(".")[0]
    path = program.modules.get(owner)
    for site in program.calls:
        if site.kind != "call" or program.files[site.path].is_test or site.awaited:
            continue
        if isinstance(patch.resolved, Function):
            if all(target.function is not patch.resolved for target in site.targets):
                continue
            by_name = isinstance(site.node, ast.Call) and isinstance(site.node.func, ast.Name)
            if by_name and patch.resolved.cls is None and site.path != path:
                continue
        elif patch.resolved not in site.externals or (path is not None and site.path != path):
            continue
        yield site


def _retarget(
    colours: Colours, draft: Draft, patch: PatchTarget, name: str, through: str | None
) -> None:
    edits = draft.edits(patch.path)
    file = colours.program.files[patch.path]
    separate = patch.style == "mock.patch.object" or (
        patch.style == "monkeypatch.setattr"
        and len(patch.node.args) > 1
        and isinstance(patch.node.args[1], ast.Constant)
        and file.span(patch.node.args[1]) == patch.span
    )
    edits.at("SimpleString", patch.span, _last_name(name, None if separate else through))
    if separate and through is not None:
        owner = patch.node.args[0]
        edits.at(type(owner).__name__, file.span(owner), _attribute(through))
    call_span = file.span(patch.node)
    fake = _fake(patch, separate)
    if fake is not None:
        edits.at("Call", call_span, _wrapped_fake(fake))
        edits.add_import("unittest.mock", "AsyncMock")
    elif not {"return_value", "side_effect", "new_callable"} & {
        keyword.arg for keyword in patch.node.keywords
    }:
        # The children of an AsyncMock are async too; what the call returns must not be.
        edits.at("Call", call_span, nodes.with_keywords(["return_value=MagicMock()"]))
        edits.add_import("unittest.mock", "MagicMock")


def _fake(patch: PatchTarget, separate: bool) -> int | str | None:
    """Where the call has its replacement: a position, a keyword, or nowhere."""
    position = 2 if separate else 1
    if len(patch.node.args) > position:
        return position
    for keyword in patch.node.keywords:
        if keyword.arg in ("new", "value"):
            return keyword.arg
    return None


def _last_name(name: str, through: str | None) -> Edit:
    def edit(node: cst.SimpleString) -> cst.SimpleString:
        text = node.raw_value
        owner = text.rpartition(".")[0]
        parts = [part for part in (owner, through, name) if part]
        return node.with_changes(value=f"{node.prefix}{node.quote}{'.'.join(parts)}{node.quote}")

    return edit


def _attribute(name: str) -> Edit:
    def edit(node: cst.BaseExpression) -> cst.Attribute:
        return cst.Attribute(value=node, attr=cst.Name(name))

    return edit


def _wrapped_fake(fake: int | str) -> Edit:
    """`setattr(target, fake)` -> `setattr(target, AsyncMock(side_effect=fake))`."""

    def edit(call: cst.Call) -> cst.Call:
        args = list(call.args)
        for index, arg in enumerate(args):
            keyword = arg.keyword.value if arg.keyword is not None else None
            if index == fake or (keyword is not None and keyword == fake):
                mock = cst.Call(
                    func=cst.Name("AsyncMock"),
                    args=[
                        cst.Arg(
                            keyword=cst.Name("side_effect"),
                            value=arg.value,
                            equal=cst.AssignEqual(
                                cst.SimpleWhitespace(""), cst.SimpleWhitespace("")
                            ),
                        )
                    ],
                )
                args[index] = arg.with_changes(value=mock)
        return call.with_changes(args=args)

    return edit
