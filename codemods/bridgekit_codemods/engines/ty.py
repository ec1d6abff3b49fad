"""Asks ty's language server for each call expression where its callee is defined.

ty writes no call graph. Of a value that may be something unknown as well (`Shop | Any`) the server
names the known part alone, so that the type of the callee is asked for too: only where it is made
of functions and classes, and of nothing else, the answer counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from bridgekit_codemods.engines.answers import Answer, Answers
from bridgekit_codemods.engines.server import Server
from bridgekit_codemods.tracing.record import Definition, Place

_CALLABLE = ("bound method ", "def ", "class ", "type[", "<class ", "Overload[")
_Defined = dict[tuple[str, int, int], Definition]
"""Functions and classes by file and the line and byte column of their names."""


def read(server: Server, root: Path, sources: Mapping[str, bytes]) -> Answers:
    """The answers about the program below `root`. Raises `ServerError`."""
    answers = Answers()
    trees = {path: tree for path, data in sources.items() if (tree := _parsed(path, data))}
    defined: _Defined = {}
    for path, tree in trees.items():
        defined.update(_definitions(path, tree, sources[path].splitlines()))
    for path, tree in trees.items():
        uri = (root / path).as_uri()
        for node in ast.walk(tree):
            name = _name_position(node) if isinstance(node, ast.Call) else None
            if name is None:
                continue
            assert isinstance(node, ast.Call)
            answer = _ask(server, uri, name, root, defined)
            if answer is not None:
                end = (node.end_lineno or 0, node.end_col_offset or 0)
                answers.calls[Place(path, node.lineno, node.col_offset, *end)] = answer
    return answers


def _ask(
    server: Server, uri: str, name: dict[str, int], root: Path, defined: _Defined
) -> Answer | None:
    """What a callee is, whose name stands there; None when that is not known to be all."""
    asked = {"textDocument": {"uri": uri}, "position": name}
    functions = set()
    elsewhere = other = False
    for link in server.request("textDocument/definition", asked) or ():
        path = _path(link.get("targetUri") or link["uri"], root)
        start = (link.get("targetSelectionRange") or link["range"])["start"]
        if path is None:
            elsewhere = True
        elif (at := (path, start["line"] + 1, start["character"])) in defined:
            functions.add(defined[at])
        else:
            other = True  # the variable that holds the callee
    if not functions:
        # a variable of the program may hold anything
        return Answer(frozenset(), elsewhere=True) if elsewhere and not other else None
    if not all_known(_type(server.request("textDocument/hover", asked))):
        return None
    return Answer(frozenset(functions), elsewhere=elsewhere)


def _type(hover: dict[str, Any] | None) -> str:
    """The type that a hover shows, without the documentation below it."""
    contents = (hover or {}).get("contents") or {}
    return str(contents.get("value", "")).partition("\n-----")[0]


def all_known(text: str) -> bool:
    """Whether a type, as ty writes it, is made of functions and classes and of nothing else."""
    parts = list(_alternatives(text.strip()))
    if len(parts) > 1:
        parts = [p[1:] if p.startswith("(") else p for p in parts]
    return all(part.startswith(_CALLABLE) for part in parts)


def _alternatives(text: str) -> Iterator[str]:
    """The members of a union or an intersection."""
    depth = start = 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in "|&" and not depth and not text[start:].startswith(_CALLABLE):
            # (what follows a signature's `->` belongs to it: a union has its functions in brackets)
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


def _parsed(path: str, data: bytes) -> ast.Module | None:
    if not path.endswith(".py"):
        return None
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _definitions(path: str, tree: ast.Module, lines: list[bytes]) -> Iterator[
    tuple[tuple[str, int, int], Definition]
]:  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            line = lines[node.lineno - 1] if node.lineno <= len(lines) else b""
            word = b"class" if isinstance(node, ast.ClassDef) else b"def"
            column = line.find(node.name.encode(), line.find(word, node.col_offset) + len(word))
            yield (path, node.lineno, column), Definition(path, node.lineno, node.name)


def _name_position(node: ast.Call) -> dict[str, int] | None:
    """The last character of the name that is called, as the protocol counts."""
    func = node.func
    if not isinstance(func, (ast.Name, ast.Attribute)):
        return None
    return {"line": (func.end_lineno or 0) - 1, "character": (func.end_col_offset or 0) - 1}


def _path(uri: str, root: Path) -> str | None:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    path = Path(url2pathname(unquote(parts.path)))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None
