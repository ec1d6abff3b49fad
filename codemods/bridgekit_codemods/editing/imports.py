"""Module-level imports that a rewrite needs or no longer needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor, RemoveImportsVisitor

from bridgekit_codemods.editing.sections import in_their_sections


@dataclass(frozen=True)
class ImportChange:
    """`import module` (no name) or `from module import name [as alias]`, to add or to drop.

    A drop takes effect only where nothing refers to the imported name any more.
    """

    action: Literal["add", "drop"]
    module: str
    name: str | None = None
    alias: str | None = None


def change_imports(
    module: cst.Module, changes: Sequence[ImportChange], first_party: Collection[str] = ()
) -> cst.Module:
    """Applies the additions, then the removals that nothing needs any more.

    `first_party` are the top-level names of the program itself, by which new imports find their
    section.
    """
    context = CodemodContext()
    for change in changes:
        if change.action == "add":
            AddImportsVisitor.add_needed_import(context, change.module, change.name, change.alias)
    before = module
    module = in_their_sections(
        before, AddImportsVisitor(context).transform_module(before), first_party
    )
    drops = [change for change in changes if change.action == "drop"]
    if drops:
        context = CodemodContext()
        for change in drops:
            RemoveImportsVisitor.remove_unused_import(
                context, change.module, change.name, change.alias
            )
        module = _without_blank_start(RemoveImportsVisitor(context).transform_module(module))
    return module


def _without_blank_start(module: cst.Module) -> cst.Module:
    """Takes away the empty lines that a removed first import leaves at the top of the file."""
    if not module.body or any(line.comment is not None for line in module.header):
        return module
    first = module.body[0]
    lines = list(first.leading_lines)
    while lines and lines[0].comment is None:
        del lines[0]
    if len(lines) == len(first.leading_lines):
        return module
    return module.with_changes(
        header=[], body=[first.with_changes(leading_lines=lines), *module.body[1:]]
    )
