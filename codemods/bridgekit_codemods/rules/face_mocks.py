"""Mocks that tests put in the place of a session learn to be awaited.

When code begins to use the async face of an object (`await session.aio.get(...)`), a plain mock in
its place would be awaited and fail. The mock becomes one with both faces, which share fakes and
calls; the rest of the test stays as it is. Only where the mock is known to stand for the object: a
patch of its class, or an argument for a parameter that is annotated with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.catalog.replacements import replacement
from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function, Param
from bridgekit_codemods.rules.base import Draft
from bridgekit_codemods.rules.bindings import Needed
from bridgekit_codemods.rules.moves import replaced_by

_HOME = "bridgekit.testing.mocks"
_WITH_FACES = {
    "unittest.mock.Mock": "FaceMock",
    "unittest.mock.MagicMock": "MagicFaceMock",
}
_OWN_FAKE = frozenset({"new", "new_callable", "autospec", "spec", "spec_set"})


def give_mocks_faces(colours: Colours, draft: Draft, flipped: set[Function]) -> None:
    """Registers the edits of all mocks that stand for an object whose face `flipped` uses."""
    program = colours.program
    owners = frozenset(_owners(colours, flipped))
    if not owners:
        return
    found: dict[str, dict[tuple[int, int], ast.Call]] = {}
    for patch in program.patches:
        call = patch.node
        if (
            patch.resolved in owners
            and patch.style != "monkeypatch.setattr"
            and len(call.args) == (1 if patch.style == "mock.patch" else 2)
            and not _OWN_FAKE & {keyword.arg for keyword in call.keywords}
        ):
            needed = Needed(program.files[patch.path], "bridgekit")
            local = needed.name(_HOME, "MagicFaceMock")
            _import(draft, patch.path, needed)
            draft.edits(patch.path).at(
                "Call",
                program.files[patch.path].span(call),
                nodes.with_keywords([f"new_callable={local}"]),
            )
    for site in program.calls:
        if site.kind == "call" and program.files[site.path].is_test:
            for mock in _handed(program, site, owners):
                found.setdefault(site.path, {})[mock.lineno, mock.col_offset] = mock
    for path, mocks in sorted(found.items()):
        needed = Needed(program.files[path], "bridgekit")
        for mock in mocks.values():
            kind = _WITH_FACES[program.resolve(path, mock.func) or ""]
            draft.edits(path).at(
                type(mock.func).__name__,
                program.files[path].span(mock.func),
                replaced_by(needed.name(_HOME, kind)),
            )
        _import(draft, path, needed)


def _import(draft: Draft, path: str, needed: Needed) -> None:
    for module, name, alias in needed.imports.values():
        draft.edits(path).add_import(module, name, alias)


def _owners(colours: Colours, flipped: set[Function]) -> Iterator[str]:
    """The classes of the objects whose async face these functions will use."""
    for function in flipped:
        for site in colours.sites(function):
            for dotted in site.externals:
                form = replacement(dotted)
                if form is not None and form.style == "face":
                    yield dotted.rpartition(".")[0]


def _handed(program: Program, site: CallSite, owners: frozenset[str]) -> Iterator[ast.Call]:
    """The mocks among the arguments of a call whose parameters are annotated with an owner."""
    call = site.node
    if not isinstance(call, ast.Call):
        return
    for target in site.targets:
        if target.grade == "guess":
            continue
        function = target.function
        params = list(function.params)
        if function.cls is not None and not function.is_static and params:
            params = params[1:]
        for param, value in _arguments(call, params):
            if _is_annotated(program, function, param, owners):
                yield from _mocks(program, site, value)


def _arguments(call: ast.Call, params: list[Param]) -> Iterator[tuple[Param, ast.expr]]:
    named = {param.name: param for param in params if param.kind in ("arg", "kwonly")}
    for keyword in call.keywords:
        if keyword.arg in named:
            yield named[keyword.arg], keyword.value
    if not any(isinstance(value, ast.Starred) for value in call.args):
        plain = [param for param in params if param.kind in ("posonly", "arg")]
        yield from zip(plain, call.args, strict=False)


def _is_annotated(
    program: Program, function: Function, param: Param, owners: frozenset[str]
) -> bool:
    if param.annotation is None:
        return False
    return any(
        program.resolve(function.path, node) in owners
        for node in ast.walk(param.annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )


def _mocks(program: Program, site: CallSite, value: ast.expr) -> Iterator[ast.Call]:
    """The call that made the mock: the value itself, or what its name was bound to just once."""
    made: list[ast.expr] = [value]
    if isinstance(value, ast.Name):
        if site.caller is None:
            return
        bound = [
            (node.targets[0], node.value)
            for node in ast.walk(site.caller.node)
            if isinstance(node, ast.Assign) and len(node.targets) == 1
        ]
        made = [
            what for target, what in bound if isinstance(target, ast.Name) and target.id == value.id
        ]
    (call,) = made if len(made) == 1 else (None,)
    if isinstance(call, ast.Call) and program.resolve(site.path, call.func) in _WITH_FACES:
        yield call
