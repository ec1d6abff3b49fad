"""A set of edits for one file and the transformer that applies them.

Analysis works on the stdlib `ast`; edits happen on a LibCST tree, which keeps every byte it is not
told to change. The two are joined by position: an edit names the kind of LibCST node it wants
("Call", "FunctionDef", ...) and the span at which analysis saw it.

Invariants:

- every registered edit is applied exactly once, or `apply` raises `EditMissed` and nothing is
  returned: a rewrite that half happened would be worse than none;
- edits of one node run in the order in which they were registered, inner nodes before outer ones;
- bytes in, bytes out: encoding, byte order mark and line endings are those of the input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from bridgekit_codemods.editing.imports import ImportChange, change_imports
from bridgekit_codemods.program.source import Span

Replacement = cst.CSTNode | cst.FlattenSentinel[Any] | cst.RemovalSentinel
Edit = Callable[[Any], Replacement]

# A compound statement's end is drawn differently by `ast` and LibCST (trailing comments), its start
# never is; two compound statements cannot start at one position.
_BY_START = frozenset(
    {"FunctionDef", "ClassDef", "With", "For", "If", "Try", "While", "GeneratorExp"}
)
_Key = tuple[str, int, int, int, int]


class EditMissed(RuntimeError):
    """An edit names a node that is not in the file; the program model and the file disagree."""


def _key(kind: str, span: Span) -> _Key:
    if kind in _BY_START:
        return (kind, span.line, span.col, 0, 0)
    return (kind, span.line, span.col, span.end_line, span.end_col)


class FileEdits:
    """The edits of one file. Not thread-safe; one instance serves one `apply`."""

    def __init__(self, path: str, first_party: frozenset[str] = frozenset()) -> None:
        self.path = path
        self._first_party = first_party
        self._edits: dict[_Key, list[Edit]] = defaultdict(list)
        self._imports: list[ImportChange] = []

    def __bool__(self) -> bool:
        return bool(self._edits or self._imports)

    def at(self, kind: str, span: Span, edit: Edit) -> None:
        """Registers `edit` for the LibCST node of class `kind` at `span`.

        Compound statements are found by their start alone; a "GeneratorExp" by the span of the
        first name that it binds.
        """
        self._edits[_key(kind, span)].append(edit)

    def has(self, kind: str, span: Span) -> bool:
        """Says whether some edit is registered for that node already."""
        return _key(kind, span) in self._edits

    def add_import(self, module: str, name: str | None = None, alias: str | None = None) -> None:
        """Asks for `import module` or `from module import name [as alias]` at module level."""
        change = ImportChange("add", module, name, alias)
        if change not in self._imports:
            self._imports.append(change)

    def drop_import(self, module: str, name: str | None = None, alias: str | None = None) -> None:
        """Removes that import if, after the edits, nothing in the file refers to it."""
        change = ImportChange("drop", module, name, alias)
        if change not in self._imports:
            self._imports.append(change)

    def apply(self, data: bytes) -> bytes:
        """Returns the edited file.

        Raises:
            EditMissed: an edit found no node; the message names kind and position.
            libcst.ParserSyntaxError: the file does not parse.
        """
        module = cst.parse_module(data)
        if self._edits:
            wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
            positions = wrapper.resolve(PositionProvider)
            transformer = _SpanTransformer(self._edits, positions)
            module = wrapper.module.visit(transformer)
            missed = transformer.missed()
            if missed:
                kind, line, col = missed[0][:3]
                raise EditMissed(f"{self.path}:{line}:{col}: no {kind} here to edit")
        if self._imports:
            module = change_imports(module, self._imports, self._first_party)
        return module.bytes


class _SpanTransformer(cst.CSTTransformer):
    def __init__(self, edits: dict[_Key, list[Edit]], positions: Any) -> None:
        super().__init__()
        self._edits = edits
        self._positions = positions
        self._kinds = frozenset(key[0] for key in edits)
        self._pending = set(edits)
        self._lines = frozenset(key[1] for key in edits)

    def missed(self) -> Sequence[_Key]:
        return sorted(self._pending)

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef | cst.ClassDef | cst.If | cst.Try | cst.With | cst.For):
            position: CodeRange = self._positions[node]
            # Decorators stand above the position that LibCST reports for a definition.
            first = position.start.line
            for decorator in getattr(node, "decorators", ()):
                first = min(first, self._positions[decorator].start.line)
            last = position.end.line
            return any(first <= line <= last for line in self._lines)
        return True

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        node = _parenthesize_operand(updated_node)
        kind = type(original_node).__name__
        if kind in self._kinds:
            # `ast` counts the parentheses of a call as part of a lone generator argument, LibCST
            # does not; the first name that it binds is at the same place for both.
            anchor = _first_name(original_node) if kind == "GeneratorExp" else original_node
            position: CodeRange = self._positions[anchor]
            start, end = position.start, position.end
            if kind in _BY_START:
                key: _Key = (kind, start.line, start.column, 0, 0)
            else:
                key = (kind, start.line, start.column, end.line, end.column)
            for edit in self._edits.get(key, ()):
                node = edit(node)
                self._pending.discard(key)
        return _parenthesize_operand(node)


def _first_name(generator: cst.GeneratorExp) -> cst.CSTNode:
    target: Any = generator.for_in.target
    while isinstance(target, cst.Tuple | cst.List | cst.Element | cst.StarredElement):
        if isinstance(target, cst.Tuple | cst.List):
            target = target.elements[0]
        else:
            target = target.value
    assert isinstance(target, cst.CSTNode)
    return target


def _parenthesize_operand(node: Any) -> Any:
    """Puts parentheses around an `await` that became the operand of a primary or of an `await`."""
    match node:
        case (
            cst.Attribute(value=cst.Await(lpar=[]) as operand)
            | cst.Subscript(value=cst.Await(lpar=[]) as operand)
        ):
            return node.with_changes(value=_parens(operand))
        case cst.Call(func=cst.Await(lpar=[]) as operand):
            return node.with_changes(func=_parens(operand))
        case cst.Await(expression=cst.Await(lpar=[]) as operand):
            return node.with_changes(expression=_parens(operand))
        case _:
            return node


def _parens(node: cst.Await) -> cst.Await:
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
