"""A keyword argument added to a call, laid out as the arguments that are there."""

from __future__ import annotations

import libcst as cst

_NOTHING = cst.SimpleWhitespace("")


_LIMIT = 99
_INDENT = 8
"""What a call on lines of its own is indented by, as a rule; only the layout depends on it."""


def with_keyword(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """`f(a)` -> `f(a, name=value)`; one argument a line where that is the layout of the call."""
    argument = cst.Arg(
        keyword=cst.Name(name),
        value=value,
        equal=cst.AssignEqual(whitespace_before=_NOTHING, whitespace_after=_NOTHING),
    )
    if not call.args:
        return call.with_changes(args=[argument])
    last = call.args[-1]
    ended = isinstance(last.comma, cst.Comma)
    argument = argument.with_changes(
        comma=last.comma if ended else cst.MaybeSentinel.DEFAULT,
        whitespace_after_arg=last.whitespace_after_arg,
    )
    last = last.with_changes(
        comma=cst.Comma(whitespace_after=_separator(call)), whitespace_after_arg=_NOTHING
    )
    result = call.with_changes(args=[*call.args[:-1], last, argument])
    return _one_a_line(result) if not ended and _too_long(result) else result


def _too_long(call: cst.Call) -> bool:
    """Whether the arguments stand together on one line of their own, which got too long."""
    if not isinstance(call.whitespace_before_args, cst.ParenthesizedWhitespace):
        return False
    line = "".join(cst.Module([]).code_for_node(arg) for arg in call.args).rstrip()
    return "\n" not in line and len(line) + _INDENT > _LIMIT


def _one_a_line(call: cst.Call) -> cst.Call:
    between = _without_comments(call.whitespace_before_args)
    *others, last = call.args
    args = [arg.with_changes(comma=cst.Comma(whitespace_after=between)) for arg in others]
    closing = cst.Comma(whitespace_after=last.whitespace_after_arg)
    args.append(last.with_changes(comma=closing, whitespace_after_arg=_NOTHING))
    return call.with_changes(args=args)


def _separator(call: cst.Call) -> cst.BaseParenthesizableWhitespace:
    """The white space between the arguments; before the first one when it is the only one."""
    for arg in call.args[:-1]:
        if isinstance(arg.comma, cst.Comma):
            return _without_comments(arg.comma.whitespace_after)
    last = call.args[-1]
    if isinstance(last.comma, cst.Comma):
        return _without_comments(call.whitespace_before_args)
    return cst.SimpleWhitespace(" ")


def _without_comments(
    space: cst.BaseParenthesizableWhitespace,
) -> cst.BaseParenthesizableWhitespace:
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return space if space.value else cst.SimpleWhitespace(" ")  # type: ignore[attr-defined]
