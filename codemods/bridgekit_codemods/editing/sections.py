"""Puts new import lines where a reader looks for them: standard library, third party, own code.

Only lines that an edit has added move, and only among the imports at the top of the module; what
the author wrote stays in the author's order.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

import libcst as cst

_Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
_FUTURE, _STANDARD, _THIRD_PARTY, _OWN = range(4)


def in_their_sections(
    before: cst.Module, after: cst.Module, first_party: Collection[str]
) -> cst.Module:
    """`after` with the import lines that are not in `before` moved to their sections.

    `first_party` are top-level names of the program's own modules.
    """
    known = {before.code_for_node(statement).strip() for statement in before.body}
    added: list[cst.SimpleStatementLine] = [
        statement
        for statement in after.body
        if isinstance(statement, cst.SimpleStatementLine)
        and _import_of(statement) is not None
        and after.code_for_node(statement).strip() not in known
    ]
    body: list[_Statement] = [s for s in after.body if all(s is not new for new in added)]
    if not added or not any(_import_of(statement) is not None for statement in body):
        return after
    # An addition to a line that was there changes the line: that one stays where it is.
    if len(body) < len(before.body):
        return after
    for statement in added:
        _insert(body, statement, first_party)
    return after.with_changes(body=body)


def _import_of(statement: _Statement) -> cst.Import | cst.ImportFrom | None:
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        node = statement.body[0]
        if isinstance(node, cst.Import | cst.ImportFrom):
            return node
    return None


def _section(node: cst.Import | cst.ImportFrom, first_party: Collection[str]) -> int:
    name = _module(node)
    if name == "__future__":
        return _FUTURE
    top = name.partition(".")[0]
    if not top or top in first_party:
        return _OWN
    return _STANDARD if top in sys.stdlib_module_names else _THIRD_PARTY


def _module(node: cst.Import | cst.ImportFrom) -> str:
    """The dotted name; empty or starting with a dot for a relative import."""
    if isinstance(node, cst.Import):
        return node.names[0].evaluated_name
    if node.relative:
        return ""
    return _dotted(node.module) if node.module is not None else ""


def _dotted(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def _order(node: cst.Import | cst.ImportFrom) -> tuple[bool, str]:
    """Within a section `import x` comes before `from x import y`, each by name."""
    return (isinstance(node, cst.ImportFrom), _module(node).lower())


def _insert(
    body: list[_Statement], statement: cst.SimpleStatementLine, first_party: Collection[str]
) -> None:
    new = _import_of(statement)
    assert new is not None
    section = _section(new, first_party)
    places = [(index, node, _section(node, first_party)) for index, node in _leading_imports(body)]
    same = [(index, node) for index, node, its in places if its == section]
    earlier = [index for index, _, its in places if its < section]
    bare = statement.with_changes(leading_lines=[])
    blank = statement.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    if same:
        smaller = [index for index, node in same if _order(node) <= _order(new)]
        if smaller:
            body.insert(smaller[-1] + 1, bare)
        else:
            _insert_before(body, same[0][0], statement)
    elif earlier:
        place = earlier[-1] + 1
        body.insert(place, blank)
        _separate(body, place + 1)
    else:
        first = places[0][0]
        _insert_before(body, first, statement)
        _separate(body, first + 1)


def _leading_imports(
    body: list[_Statement],
) -> list[tuple[int, cst.Import | cst.ImportFrom]]:
    """The imports before the first statement that is neither an import nor a docstring."""
    found: list[tuple[int, cst.Import | cst.ImportFrom]] = []
    for index, statement in enumerate(body):
        node = _import_of(statement)
        if node is not None:
            found.append((index, node))
        elif found:
            break
    return found


def _insert_before(body: list[_Statement], place: int, statement: cst.SimpleStatementLine) -> None:
    """The new line takes over the empty lines above the one that it precedes, not its comments."""
    following = body[place]
    lines = list(following.leading_lines)
    empty = []
    while lines and lines[0].comment is None:
        empty.append(lines.pop(0))
    body[place] = following.with_changes(leading_lines=lines)
    body.insert(place, statement.with_changes(leading_lines=empty))


def _separate(body: list[_Statement], place: int) -> None:
    """An empty line before the import that begins the next section."""
    if place < len(body) and _import_of(body[place]) is not None:
        following = body[place]
        if not following.leading_lines:
            lines = [cst.EmptyLine(indent=False)]
            body[place] = following.with_changes(leading_lines=lines)
