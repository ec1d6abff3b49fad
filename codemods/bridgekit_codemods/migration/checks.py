"""Static checks of a step's result, before any test runs."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from bridgekit_codemods.program.interpreter import deep_recursion


@dataclass(frozen=True)
class Problem:
    """A file that cannot be processed."""

    path: str
    line: int
    message: str


def syntax_problem(path: str, data: bytes) -> Problem | None:
    """Why a Python file cannot be parsed, or ``None``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        return Problem(path, error.lineno or 1, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(path, 1, str(error) or type(error).__name__)
    return None


def problems(sources: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """Every Python file of a program that cannot be parsed."""
    with deep_recursion():  # as for the program model, so that both say the same
        found = [syntax_problem(path, sources[path]) for path in sources if path.endswith(".py")]
    return tuple(problem for problem in found if problem is not None)


def check_changes(
    before: Mapping[str, bytes | None], changes: Mapping[str, bytes | None]
) -> tuple[str, ...]:
    """What is wrong with the new contents by themselves; empty when nothing is."""
    messages = []
    for path, data in sorted(changes.items()):
        if data is None:
            continue
        if path.endswith(".py") and (message := _compile_error(path, data)):
            messages.append(message)
        if _line_ends_changed(before.get(path), data):
            messages.append(f"{path}: the line ends would change")
    return tuple(messages)


def _compile_error(path: str, data: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        return f"{path}:{line}: does not compile: {getattr(error, 'msg', None) or error}"
    return None


def _line_ends_changed(before: bytes | None, after: bytes) -> bool:
    if not before:
        return False
    old, new = _line_ends(before), _line_ends(after)
    return len(old) == 1 and bool(new) and new != old


def _line_ends(data: bytes) -> set[bytes]:
    return set(re.findall(rb"\r\n|\n|\r", data))
