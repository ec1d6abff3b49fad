"""Turns a `def` into an `async def`, in place or as a twin behind a sync facade."""

from __future__ import annotations

import ast

import libcst as cst

from bridgekit_codemods.editing import Edit, FileEdits, nodes
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.decorators import CACHES
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft


def flip_in_place(file: SourceFile, edits: FileEdits, function: Function) -> None:
    """`def f` -> `async def f`."""
    edits.at("FunctionDef", file.span(function.node), nodes.asynchronous)


def flip_to_twin(file: SourceFile, edits: FileEdits, function: Function) -> None:
    """`def f` -> `async def f_async`, followed by a sync `f` for callers that are not async yet."""
    span = file.span(function.node)
    if any(decorator.dotted in CACHES for decorator in function.decorators):
        edits.at("FunctionDef", span, _async_cache(function))
        edits.add_import("bridgekit.caching", "async_lru_cache")
        edits.drop_import("functools")
        edits.drop_import("functools", "lru_cache")
        edits.drop_import("functools", "cache")
    edits.at("FunctionDef", span, nodes.renamed_definition(function.name + TWIN_SUFFIX))
    edits.at("FunctionDef", span, nodes.asynchronous)
    edits.at("FunctionDef", span, nodes.followed_by(lambda node: [_facade(function, node)]))
    edits.add_import("bridgekit", "async_to_sync")


def rename_cache_uses(
    program: Program, draft: Draft, function: Function
) -> dict[tuple[str, str], list[tuple[ast.Name, Function]]]:
    """`f.cache_clear()` and its like speak to the cache, which the twin has now.

    Returns the renamed names by file, for their imports.
    """
    renamed: dict[tuple[str, str], list[tuple[ast.Name, Function]]] = {}
    if not any(decorator.dotted in CACHES for decorator in function.decorators):
        return renamed
    for path, file in program.files.items():
        for node in file.of(ast.Attribute):
            if node.attr not in CACHE_API:
                continue
            if program.resolve(path, node.value) != function.qualname:
                continue
            owner = node.value
            if isinstance(owner, ast.Name | ast.Attribute):
                written = owner.id if isinstance(owner, ast.Name) else owner.attr
                edit = nodes.renamed(written + TWIN_SUFFIX)
                draft.edits(path).at(type(owner).__name__, file.span(owner), edit)
                if isinstance(owner, ast.Name):
                    renamed.setdefault((path, written), []).append((owner, function))
    return renamed


CACHE_API = frozenset({"cache_clear", "cache_info", "cache_parameters"})


def _async_cache(function: Function) -> Edit:
    def edit(node: cst.FunctionDef) -> cst.FunctionDef:
        decorators = []
        for known, decorator in zip(function.decorators, node.decorators, strict=True):
            if known.dotted in CACHES:
                call = decorator.decorator
                plain = "async_lru_cache"
                if known.dotted == "functools.cache":
                    plain = "async_lru_cache(maxsize=None)"
                changed = (
                    call.with_changes(func=nodes.expression(plain))
                    if isinstance(call, cst.Call)
                    else nodes.expression(plain)
                )
                decorator = decorator.with_changes(decorator=changed)
            decorators.append(decorator)
        return node.with_changes(decorators=decorators)

    return edit


def _facade(function: Function, twin: cst.FunctionDef) -> cst.FunctionDef:
    """The sync function that callers see until they are async: the twin's signature, no body."""
    kept = [
        decorator
        for known, decorator in zip(function.decorators, twin.decorators, strict=True)
        if (known.dotted or "").removeprefix("builtins.") in ("staticmethod", "classmethod")
    ]
    callee = twin.name.value
    if function.cls is not None:
        first = function.params[0].name if function.params else ""
        owner = function.cls.name if function.is_static else first
        callee = f"{owner}.{callee}"
    call = f"async_to_sync({callee})({', '.join(_forwarded(function))})"
    body = cst.parse_module(f"return {call}\n").body
    blank = cst.EmptyLine(indent=False)
    return twin.with_changes(
        name=cst.Name(function.name),
        asynchronous=None,
        decorators=kept,
        body=cst.IndentedBlock(body=body),
        leading_lines=[blank] if function.cls is not None else [blank, blank],
        lines_after_decorators=[],
    )


def _forwarded(function: Function) -> list[str]:
    params = function.params
    if function.cls is not None and not function.is_static:
        params = params[1:]
    forms = {
        "posonly": "{0}",
        "arg": "{0}",
        "vararg": "*{0}",
        "kwonly": "{0}={0}",
        "kwarg": "**{0}",
    }
    return [forms[param.kind].format(param.name) for param in params]
