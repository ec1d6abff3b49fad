"""The 2.0 forms that take the place of what ends a Query, built as LibCST nodes.

Layout: a chain that stands in its own parentheses, one link a line, stays as it is, and those
parentheses become the ones of the call; a line that would get too long is broken after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from bridgekit_codemods.editing import Edit
from bridgekit_codemods.editing.nodes import expression

_LIMIT = 99
_Space = cst.BaseParenthesizableWhitespace


@dataclass(frozen=True)
class Names:
    """The local names of SQLAlchemy's functions in the file."""

    select: str = "select"
    func: str = "func"
    delete: str = "delete"
    update: str = "update"


@dataclass(frozen=True)
class Site:
    """What a form needs to know about the place: the session's expression, the line's length."""

    session: str
    line_length: int


def _length(node: cst.CSTNode) -> int:
    return len(_code(node))


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def _call(callee: cst.BaseExpression, *args: cst.BaseExpression) -> cst.Call:
    last = len(args) - 1
    return cst.Call(
        func=callee,
        args=[
            cst.Arg(
                arg,
                comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
                if index < last
                else cst.MaybeSentinel.DEFAULT,
            )
            for index, arg in enumerate(args)
        ],
    )


def _method(
    value: cst.BaseExpression, name: str, args: Sequence[cst.Arg] = (), dot: cst.Dot | None = None
) -> cst.Call:
    attribute = cst.Attribute(value=value, attr=cst.Name(name), dot=dot or cst.Dot())
    return cst.Call(func=attribute, args=list(args))


def _split(call: cst.Call) -> tuple[cst.BaseExpression, cst.Dot]:
    """The statement before the last dot, and that dot with the line break it may hold."""
    assert isinstance(call.func, cst.Attribute)
    return call.func.value, call.func.dot


def executed(
    site: Site, method: str, ending: Sequence[str], added: Sequence[tuple[str, str | int]] = ()
) -> Edit:
    """`STATEMENT.end()` -> `session.method(STATEMENT.added(...)).ending[0]().ending[1]()`.

    An ending that starts with a dot is an attribute (".rowcount"). The argument of an added link
    is source text, or the position of an argument of `end` that is handed over as written.
    """

    def edit(call: cst.Call) -> cst.BaseExpression:
        statement, dot = _split(call)
        for name, arguments in added:
            if isinstance(arguments, int):
                args: Sequence[cst.Arg] = [cst.Arg(call.args[arguments].value)]
            else:
                parsed = expression(f"f({arguments})")
                assert isinstance(parsed, cst.Call)
                args = parsed.args
            statement, dot = _method(statement, name, args, dot), cst.Dot()
        dot = _kept_comment(dot)
        return _wrapped(site, call, statement, f"{site.session}.{method}", ending, dot)

    return edit


def handed(callee: str, first: str | None = None, added: Sequence[tuple[str, str]] = ()) -> Edit:
    """`STATEMENT.end(...)` -> `callee(STATEMENT.added(...), ...)`, or `callee(first, ...)`."""

    def edit(call: cst.Call) -> cst.BaseExpression:
        statement, dot = _split(call)
        for name, argument in added:
            value = cst.Arg(expression(argument))
            statement, dot = _method(statement, name, [value], dot), cst.Dot()
        head = expression(first) if first is not None else statement
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        return call.with_changes(
            func=expression(callee),
            args=[
                cst.Arg(head, comma=comma if call.args else cst.MaybeSentinel.DEFAULT),
                *call.args,
            ],
        )

    return edit


def counted(site: Site, names: Names) -> Edit:
    """`STATEMENT.count()` -> `session.scalar(select(func.count()).select_from(STATEMENT...))`."""

    def edit(call: cst.Call) -> cst.BaseExpression:
        statement, dot = _split(call)
        table = _method(statement, "subquery", (), dot)
        counting = expression(f"{names.select}({names.func}.count()).select_from")
        outer = expression(f"{site.session}.scalar")
        before, after = _spaces(call, table, site, _length(counting) + _length(outer) + 4)
        inner = cst.Call(
            func=counting,
            args=[cst.Arg(table, whitespace_after_arg=_deeper(after))],
            whitespace_before_args=_deeper(before),
        )
        result = cst.Call(
            func=outer,
            args=[cst.Arg(inner, whitespace_after_arg=after)],
            whitespace_before_args=before,
        )
        if _own_lines(call):
            # The links keep their column: one level of parentheses takes a line of its own less.
            inner = inner.with_changes(
                args=[cst.Arg(table, whitespace_after_arg=after)], whitespace_before_args=before
            )
            result = result.with_changes(
                args=[cst.Arg(inner)], whitespace_before_args=cst.SimpleWhitespace("")
            )
        return _parenthesized_as(call, result)

    return edit


def _deeper(space: _Space) -> _Space:
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(last_line=cst.SimpleWhitespace(space.last_line.value + "    "))
    return space


def _wrapped(
    site: Site,
    call: cst.Call,
    statement: cst.BaseExpression,
    callee: str,
    ending: Sequence[str],
    dot: cst.Dot,
) -> cst.BaseExpression:
    extra = len(callee) + 2 + sum(len(name) + 3 for name in ending)
    before, after = _spaces(call, statement, site, extra)
    if len(statement.lpar) == 1 and not _own_lines(call):
        # Parentheses of the statement's own become those of the call.
        before, after = statement.lpar[0].whitespace_after, statement.rpar[0].whitespace_before
        statement = statement.with_changes(lpar=[], rpar=[])
    if isinstance(dot.whitespace_before, cst.ParenthesizedWhitespace):
        after = _merged(dot.whitespace_before, after)
    result: cst.BaseExpression = cst.Call(
        func=expression(callee),
        args=[cst.Arg(statement, whitespace_after_arg=after)],
        whitespace_before_args=before,
    )
    for name in ending:
        if name.startswith("."):
            result = cst.Attribute(value=result, attr=cst.Name(name[1:]))
        else:
            result = _method(result, name)
    return _parenthesized_as(call, result)


def looped(site: Site, method: str, ending: Sequence[str]) -> Edit:
    """`for x in STATEMENT` -> `for x in session.method(STATEMENT)`."""

    def edit(node: cst.BaseExpression) -> cst.BaseExpression:
        if isinstance(node, cst.Call):
            return _wrapped(
                site,
                node,
                node.with_changes(lpar=[], rpar=[]),
                f"{site.session}.{method}",
                ending,
                cst.Dot(),
            )
        result: cst.BaseExpression = _call(expression(f"{site.session}.{method}"), node)
        for name in ending:
            result = _method(result, name)
        return result

    return edit


def got(session: str, model: str, options: bool) -> Edit:
    """`session.query(M).options(o).get(key)` -> `session.get(M, key, options=[o])`."""

    def edit(call: cst.Call) -> cst.Call:
        statement, _dot = _split(call)
        key = call.args[0].value
        result = _call(expression(f"{session}.get"), expression(model), key)
        if options:
            assert isinstance(statement, cst.Call)
            loading = expression(
                f"f(options=[{', '.join(_code(a.value) for a in statement.args)}])"
            )
            assert isinstance(loading, cst.Call)
            args = [
                *result.args[:-1],
                result.args[-1].with_changes(
                    comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
                ),
                loading.args[0],
            ]
            result = result.with_changes(args=args)
        return result.with_changes(lpar=call.lpar, rpar=call.rpar)

    return edit


def _own_lines(call: cst.Call) -> bool:
    """Says whether the expression stands in parentheses of its own that begin with a new line."""
    return len(call.lpar) == 1 and isinstance(
        call.lpar[0].whitespace_after, cst.ParenthesizedWhitespace
    )


def _spaces(
    call: cst.Call, statement: cst.BaseExpression, site: Site, extra: int
) -> tuple[_Space, _Space]:
    """White space after the opening and before the closing parenthesis around the statement."""
    if _own_lines(call):
        return call.lpar[0].whitespace_after, call.rpar[-1].whitespace_before
    grown = _length(statement) + extra - _length(call)
    if "\n" not in _code(statement) and site.line_length + grown > _LIMIT:
        return (
            cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace("    ")),
            cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace("")),
        )
    return cst.SimpleWhitespace(""), cst.SimpleWhitespace("")


def _parenthesized_as(call: cst.Call, node: cst.BaseExpression) -> cst.BaseExpression:
    if _own_lines(call):
        return node
    return node.with_changes(lpar=call.lpar, rpar=call.rpar)


def _kept_comment(dot: cst.Dot) -> cst.Dot:
    """The dot if its white space holds a comment, which must not get lost; else a plain one."""
    space = dot.whitespace_before
    if isinstance(space, cst.ParenthesizedWhitespace) and (
        space.first_line.comment or any(line.comment for line in space.empty_lines)
    ):
        return dot
    return cst.Dot()


def _merged(space: cst.ParenthesizedWhitespace, after: _Space) -> _Space:
    if isinstance(after, cst.ParenthesizedWhitespace):
        return space.with_changes(indent=after.indent, last_line=after.last_line)
    return space
