"""Listeners of SQLAlchemy's connection events that look at the class of the driver's connection.

With an asyncio driver a listener is handed SQLAlchemy's adapter, whatever the engine. A test such
as ``isinstance(dbapi_connection, sqlite3.Connection)`` is then false, and what it guards (a PRAGMA
that turns foreign keys on, say) is skipped without a word.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile

_Callee = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

# Events whose listeners are given the driver's connection.
_EVENTS = frozenset(
    {
        "checkin", "checkout", "close", "close_detached", "connect", "detach", "first_connect",
        "invalidate", "reset", "soft_invalidate",
    }
)  # fmt: skip
# An event is always named by a literal.
_EVENT = re.compile(rf"""["'](?:{"|".join(sorted(_EVENTS))})["']""")
_DRIVERS = frozenset(
    {
        "MySQLdb", "cx_Oracle", "mysql", "oracledb", "psycopg", "psycopg2", "pymysql", "pyodbc",
        "sqlite3",
    }
)  # fmt: skip
_CONNECTIONS = frozenset({"Connection", "MySQLConnection", "connection"})


def connection_class_tests(program: Program, source: SourceFile) -> Iterator[ast.expr]:
    """The expressions in a file's listeners, and in what these call, that test for a class."""
    assert source.tree is not None
    seen: set[ast.AST] = set()
    for listener, given in _listeners(program, source):
        if listener in seen:
            continue
        seen.add(listener)
        yield from _tests(program, source, listener, given)
        for where, helper in _helpers(program, source, listener):
            if any(True for _ in _tests(program, where, helper, None)):
                yield from _calls_of(program, source, listener, helper)


def _listeners(program: Program, source: SourceFile) -> Iterator[tuple[_Callee, str | None]]:
    """Each listener in the file, with the name of its parameter for the connection."""
    assert source.tree is not None
    if not _EVENT.search(source.text):
        return
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = [
        *source.of(ast.FunctionDef),
        *source.of(ast.AsyncFunctionDef),
    ]
    for node in functions:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and _subscribes(
                program, source, decorator, "listens_for"
            ):
                yield node, _first_parameter(node)
    for call in source.of(ast.Call):
        if _subscribes(program, source, call, "listen"):
            for listener in _functions_named(program, source, _argument(call, 2, "fn")):
                yield listener, _first_parameter(listener)


def _subscribes(program: Program, source: SourceFile, call: ast.Call, name: str) -> bool:
    identifier = _argument(call, 1, "identifier")
    if not isinstance(identifier, ast.Constant) or identifier.value not in _EVENTS:
        return False
    found = program.resolve(source.path, call.func)
    return found is not None and found.startswith("sqlalchemy.") and found.endswith(f".{name}")


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _functions_named(
    program: Program, source: SourceFile, node: ast.expr | None
) -> Iterator[_Callee]:
    """The functions that the expression may stand for; local ones are found by their name."""
    match node:
        case ast.Lambda():
            yield node
        case ast.Name(id=name) | ast.Attribute(attr=name):
            known = program.functions.get(program.resolve(source.path, node) or "")
            if known is not None:
                yield known.node
                return
            assert source.tree is not None
            for other in ast.walk(source.tree):
                if isinstance(other, ast.FunctionDef | ast.AsyncFunctionDef) and other.name == name:
                    yield other


def _first_parameter(listener: _Callee) -> str | None:
    names = [a.arg for a in (*listener.args.posonlyargs, *listener.args.args)]
    if names and names[0] in ("self", "cls"):
        names = names[1:]
    return names[0] if names else None


def _tests(
    program: Program, source: SourceFile, function: _Callee, connection: str | None
) -> Iterator[ast.expr]:
    """Tests for a driver's class, and any test for the class of the connection itself."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[tested, *classes]):
                if _is_of(tested, connection) or any(
                    _names_driver(program, source, each) for each in classes
                ):
                    yield node
            case ast.Compare(left=left, comparators=others):
                operands = [left, *others]
                if any(_is_class_of(each, connection) for each in operands) or any(
                    _names_driver(program, source, each) for each in operands
                ):
                    yield node
            case ast.MatchClass(cls=wanted):
                if _names_driver(program, source, wanted):
                    yield wanted


def _is_of(node: ast.expr, connection: str | None) -> bool:
    """`connection`, `type(connection)` or `connection.__class__`."""
    match node:
        case ast.Name(id=name):
            return name == connection
        case _:
            return _is_class_of(node, connection)


def _is_class_of(node: ast.expr, connection: str | None) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]):
            return name == connection
        case ast.Attribute(value=ast.Name(id=name), attr="__class__"):
            return name == connection
        case ast.Attribute(value=value, attr="__module__" | "__name__" | "__qualname__"):
            return _is_class_of(value, connection)
        case _:
            return False


def _names_driver(program: Program, source: SourceFile, node: ast.expr) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Name | ast.Attribute):
            found = (program.resolve(source.path, each) or "").split(".")
            if found[0] in _DRIVERS and found[-1] in _CONNECTIONS:
                return True
    return False


def _helpers(
    program: Program, source: SourceFile, listener: _Callee
) -> Iterator[tuple[SourceFile, _Callee]]:
    for node in ast.walk(listener):
        if isinstance(node, ast.Call):
            called = program.functions.get(program.resolve(source.path, node.func) or "")
            if called is not None and called.node is not listener:
                yield program.files[called.path], called.node


def _calls_of(
    program: Program, source: SourceFile, listener: _Callee, helper: _Callee
) -> Iterator[ast.expr]:
    for node in ast.walk(listener):
        if isinstance(node, ast.Call):
            called = program.functions.get(program.resolve(source.path, node.func) or "")
            if called is not None and called.node is helper:
                yield node
