"""Moves what tests patch along with what the code calls.

A patched name is moved when every use of it that the patch can affect has become async: the patch
then replaces the twin (or the async face of the library) by an `AsyncMock`, with the test's own
fake behind it. Where sync uses are left, a second patch is put beside the first. The assertions of
the test stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

import libcst as cst

from bridgekit_codemods.catalog.replacements import replacement
from bridgekit_codemods.editing import Edit, nodes
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite, PatchTarget
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft


def retarget_patches(colours: Colours, draft: Draft, flipped: set[Function]) -> None:
    """Registers the edits of all patch targets that the flip of `flipped` makes move."""
    known = {(patch.user, patch.dotted) for patch in colours.program.patches}
    for patch in colours.program.patches:
        affected = list(_affected(colours, patch))
        if not any(site.caller in flipped for site in affected):
            continue
        sites = _within_reach(colours, patch, affected)
        moved = [site for site in sites if _is_async(site, flipped)]
        if not any(site.caller in flipped for site in moved):
            continue
        place = _async_place(colours, patch, flipped)
        if place is None:
            continue
        if len(moved) == len(sites):
            _retarget(colours, draft, patch, place)
        elif (patch.user, place.dotted(patch)) not in known:
            _duplicate(colours, draft, patch, place)


def _within_reach(colours: Colours, patch: PatchTarget, sites: list[CallSite]) -> list[CallSite]:
    """Of the affected sites those that the test itself calls, if it calls any.

    A test that goes through the test client reaches views that the call graph does not show; then
    all sites count.
    """
    user = patch.user or _decorated(colours, patch)
    if user is None:
        return sites
    seen = {user}
    pending = [user]
    while pending:
        for site in colours.sites(pending.pop()):
            for target in site.targets:
                function = colours.facades.get(target.function, target.function)
                if function not in seen:
                    seen.add(function)
                    pending.append(function)
    reached = [site for site in sites if site.caller in seen]
    return reached or sites


def _decorated(colours: Colours, patch: PatchTarget) -> Function | None:
    """The test that the patch decorates, if it is a decorator of one."""
    node = colours.parents(patch.path).get(patch.node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for function in colours.program.functions.values():
            if function.node is node:
                return function
    return None


@dataclass(frozen=True)
class _Place:
    """What async callers use in place of the patched thing: `name` of the same owner, of the
    owner's attribute `through`, or of another `module`."""

    name: str
    through: str | None = None
    module: str | None = None

    def dotted(self, patch: PatchTarget) -> str:
        owner = patch.dotted.rpartition(".")[0]
        if self.module is not None:
            owner = ".".join(part for part in (owner.rpartition(".")[0], self.module) if part)
        return ".".join(part for part in (owner, self.through, self.name) if part)


def _is_async(site: CallSite, flipped: set[Function]) -> bool:
    return site.caller is not None and (site.caller in flipped or site.caller.is_async)


def _async_place(colours: Colours, patch: PatchTarget, flipped: set[Function]) -> _Place | None:
    if isinstance(patch.resolved, Function):
        function = patch.resolved
        if function.is_async or not (function in flipped or function in colours.facades):
            return None
        return _Place(function.name + TWIN_SUFFIX)
    form = replacement(patch.resolved) if patch.resolved is not None else None
    if form is None or patch.resolved is None:
        return None
    if form.style == "face":
        return _Place(form.rename or patch.resolved.rsplit(".", 1)[-1], through="aio")
    if form.style == "sleep":
        return _Place("sleep", module="anyio")
    return None


def _duplicate(colours: Colours, draft: Draft, patch: PatchTarget, place: _Place) -> None:
    """Where sync and async code both use the patched thing, a second patch covers the twin.

    Only for `monkeypatch.setattr` as a statement: its fake serves both.
    """
    statement = colours.parents(patch.path).get(patch.node)
    fake = _fake(patch, _is_separate(colours, patch))
    if patch.style != "monkeypatch.setattr" or fake is None or not isinstance(statement, ast.Expr):
        return
    edits = draft.edits(patch.path)
    setattr_ = ast.unparse(patch.node.func)
    value = ast.unparse(_value(patch, fake))
    wrapper = _wrapper(patch, fake)
    wrapped = f"{wrapper}={value})" if wrapper.endswith("side_effect") else f"{wrapper}{value})"
    source = f'{setattr_}("{place.dotted(patch)}", {wrapped})\n'
    span = colours.program.files[patch.path].span(statement)
    edits.at(
        "SimpleStatementLine",
        span,
        nodes.followed_by(lambda _node: [cst.parse_statement(source)]),
    )
    _import_wrapper(draft, patch, wrapper)


def _wrapper(patch: PatchTarget, fake: int | str) -> str:
    """How a sync fake is made awaitable: the start of a call that holds it.

    A fake that stands for a method gets `self` as the method does, which a mock would not pass on.
    """
    value = _value(patch, fake)
    function = patch.resolved
    bound = isinstance(function, Function) and function.cls is not None and not function.is_static
    if bound and isinstance(value, ast.Lambda | ast.Name):
        return "sync_to_async("
    return "AsyncMock(side_effect"


def _value(patch: PatchTarget, fake: int | str) -> ast.expr:
    """The fake at a position or under a keyword."""
    if isinstance(fake, int):
        return patch.node.args[fake]
    return next(k.value for k in patch.node.keywords if k.arg == fake)


def _is_separate(colours: Colours, patch: PatchTarget) -> bool:
    """Says whether the object and the name of its attribute are given separately."""
    return patch.style == "mock.patch.object" or (
        patch.style == "monkeypatch.setattr"
        and len(patch.node.args) > 1
        and isinstance(patch.node.args[1], ast.Constant)
        and colours.program.files[patch.path].span(patch.node.args[1]) == patch.span
    )


def _import_wrapper(draft: Draft, patch: PatchTarget, wrapper: str) -> None:
    if wrapper.startswith("AsyncMock"):
        draft.edits(patch.path).add_import("unittest.mock", "AsyncMock")
    else:
        draft.edits(patch.path).add_import("bridgekit", "sync_to_async")


def _affected(colours: Colours, patch: PatchTarget) -> Iterable[CallSite]:
    """The call sites that look up the patched name where it is patched."""
    program = colours.program
    owner = patch.dotted.rpartition(".")[0]
    while owner and owner not in program.modules:
        owner = owner.rpartition(".")[0]
    path = program.modules.get(owner)
    if isinstance(patch.resolved, Function):
        candidates: Iterable[CallSite] = program.callers_of(patch.resolved)
    else:
        candidates = program.derived(_by_library_name).get(patch.resolved or "", ())
    for site in candidates:
        if site.kind != "call" or program.files[site.path].is_test or site.awaited:
            continue
        if isinstance(patch.resolved, Function):
            by_name = isinstance(site.node, ast.Call) and isinstance(site.node.func, ast.Name)
            if by_name and patch.resolved.cls is None and site.path != path:
                continue
        elif path is not None and site.path != path:
            continue
        yield site


def _by_library_name(program: Program) -> dict[str, list[CallSite]]:
    """The sites that call each library callable, in the order of the program's calls."""
    found: dict[str, list[CallSite]] = {}
    for site in program.calls:
        for dotted in dict.fromkeys(site.externals):
            found.setdefault(dotted, []).append(site)
    return found


def _retarget(colours: Colours, draft: Draft, patch: PatchTarget, place: _Place) -> None:
    edits = draft.edits(patch.path)
    file = colours.program.files[patch.path]
    separate = _is_separate(colours, patch)
    edits.at("SimpleString", patch.span, _text(place.name if separate else place.dotted(patch)))
    owner = patch.node.args[0]
    if separate and place.through is not None:
        edits.at(type(owner).__name__, file.span(owner), _attribute(place.through))
    elif separate and place.module is not None:
        module = place.module
        edits.at(type(owner).__name__, file.span(owner), lambda _node: cst.Name(module))
        edits.add_import(module)
    call_span = file.span(patch.node)
    fake = _fake(patch, separate)
    if fake is not None:
        wrapper = _wrapper(patch, fake)
        edits.at("Call", call_span, _wrapped_fake(fake, wrapper))
        _import_wrapper(draft, patch, wrapper)
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


def _text(text: str) -> Edit:
    def edit(node: cst.SimpleString) -> cst.SimpleString:
        return node.with_changes(value=f"{node.prefix}{node.quote}{text}{node.quote}")

    return edit


def _attribute(name: str) -> Edit:
    def edit(node: cst.BaseExpression) -> cst.Attribute:
        return cst.Attribute(value=node, attr=cst.Name(name))

    return edit


def _wrapped_fake(fake: int | str, wrapper: str) -> Edit:
    """`setattr(target, fake)` -> `setattr(target, AsyncMock(side_effect=fake))`."""

    def edit(call: cst.Call) -> cst.Call:
        args = list(call.args)
        for index, arg in enumerate(args):
            keyword = arg.keyword.value if arg.keyword is not None else None
            if index == fake or (keyword is not None and keyword == fake):
                args[index] = arg.with_changes(value=_wrapped(wrapper, arg.value))
        return call.with_changes(args=args)

    return edit


def _wrapped(wrapper: str, value: cst.BaseExpression) -> cst.Call:
    name, _, keyword = wrapper.partition("(")
    if not keyword:
        return cst.Call(func=cst.Name(name), args=[cst.Arg(value)])
    plain = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    arg = cst.Arg(keyword=cst.Name(keyword), value=value, equal=plain)
    return cst.Call(func=cst.Name(name), args=[arg])
