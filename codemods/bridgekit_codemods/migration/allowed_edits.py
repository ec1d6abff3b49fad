"""The edits a step may make to a test, as data, and their undoing.

:class:`Normaliser` brings an expression of the old test and one of the new test to a common form:
equal results mean that they differ only by these edits.  To allow another edit, add a line to a
table; to allow one that a table cannot say, pass a function from node to node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TypeVar

from bridgekit_codemods.planning.bridges import THREAD_OPTIONS

ExpressionRule = Callable[[ast.expr], ast.expr]
_Node = TypeVar("_Node", bound=ast.AST)

ASYNC_MARKS = frozenset({"asyncio", "anyio", "trio"})
"""Marks of ``pytest.mark`` that only say how a test is run."""

ROOTS = {
    "pytest_asyncio": "pytest",
    "quart": "flask",
    "httpx2": "httpx",
}
"""First names of dotted names that stand for one another."""

NAMES = {
    "requests.exceptions.ConnectionError": "requests.ConnectionError",
    "requests.exceptions.HTTPError": "requests.HTTPError",
    "requests.exceptions.RequestException": "requests.RequestException",
    "requests.exceptions.Timeout": "requests.Timeout",
    "requests.exceptions.ReadTimeout": "requests.ReadTimeout",
    "requests.exceptions.ConnectTimeout": "requests.ConnectTimeout",
    "httpx.HTTPError": "requests.RequestException",
    "httpx.RequestError": "requests.RequestException",
    "httpx.HTTPStatusError": "requests.HTTPError",
    "httpx.ConnectError": "requests.ConnectionError",
    "httpx.TimeoutException": "requests.Timeout",
    "httpx.ReadTimeout": "requests.ReadTimeout",
    "httpx.ConnectTimeout": "requests.ConnectTimeout",
    "sqlalchemy.ext.asyncio.AsyncSession": "sqlalchemy.orm.Session",
}
"""Dotted names that stand for one another, after :data:`ROOTS`."""

WORDS = {
    "AsyncMock": "Mock",
    "MagicMock": "Mock",
    "FaceMock": "Mock",
    "MagicFaceMock": "Mock",
    "AsyncClient": "Client",
    "AsyncSession": "Session",
    "IsolatedAsyncioTestCase": "TestCase",
    "asyncSetUp": "setUp",
    "asyncTearDown": "tearDown",
    "is_success": "ok",
    "reason_phrase": "reason",
    "await_count": "call_count",
    "await_args": "call_args",
    "await_args_list": "call_args_list",
    "assert_awaited": "assert_called",
    "assert_awaited_once": "assert_called_once",
    "assert_awaited_with": "assert_called_with",
    "assert_awaited_once_with": "assert_called_once_with",
    "assert_any_await": "assert_any_call",
    "assert_has_awaits": "assert_has_calls",
    "assert_not_awaited": "assert_not_called",
}
"""Single names (of variables, attributes) that stand for one another."""

SUFFIX = "_async"
"""What the async twin of a function carries while both exist."""

STEPS_ASIDE = frozenset({"aio", "awaitable_attrs"})
"""Attributes through which the async form of the next attribute is reached."""

KEYWORDS = {"form": "data"}
"""Keyword arguments that stand for one another (the test clients of Quart and Flask)."""

CALLS_ITS_FIRST = frozenset({"to_thread.run_sync", "asyncio.to_thread", "from_thread.run"})
"""``wrapper(f, a)`` is ``f(a)``; matched against the end of the dotted name."""

RETURNS_ITS_FIRST = frozenset({"sync_to_async", "async_to_sync", "asyncio.run", "anyio.run"})
"""``wrapper(x)`` is ``x``; matched against the end of the dotted name."""

METHOD_FOR_ATTRIBUTE = {"get_data": "data", "get_json": "json"}
"""``x.method()`` is ``x.attribute``."""


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of a chain of attributes on a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return None


class Normaliser(ast.NodeTransformer):
    """Undoes the allowed edits.  Changes the nodes it is given: parse afresh for other uses."""

    def __init__(self, rules: Iterable[ExpressionRule] = ()) -> None:
        self._rules = tuple(rules)

    def text(self, node: ast.AST) -> str:
        """The common form of a node as source text."""
        return ast.unparse(ast.fix_missing_locations(self.visit(node)))

    def visit(self, node: ast.AST) -> ast.AST:
        result: ast.AST = super().visit(node)
        if isinstance(result, ast.expr):
            for rule in self._rules:
                result = rule(result)
        return result

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.generic_visit(_sync(node, ast.For))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self.generic_visit(_sync(node, ast.With))

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.generic_visit(_sync(node, ast.FunctionDef))

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.is_async = 0
        return self.generic_visit(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self.generic_visit(ast.ListComp(elt=node.elt, generators=node.generators))

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg is not None:
            node.arg = KEYWORDS.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(id=ROOTS.get(node.id, word(node.id)), ctx=node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr in STEPS_ASIDE:
            return self.visit(node.value)
        value = self.visit(node.value)
        assert isinstance(value, ast.expr)
        result = ast.Attribute(value=value, attr=word(node.attr), ctx=node.ctx)
        same = NAMES.get(dotted(result) or "")
        return ast.parse(same, mode="eval").body if same else result

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = dotted(node.func) or ""
        if node.args and _ends(name, CALLS_ITS_FIRST):
            return self.visit(_called(node))
        if len(node.args) == 1 and _ends(name, RETURNS_ITS_FIRST):
            return self.visit(node.args[0])
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHOD_FOR_ATTRIBUTE:
            arguments = [ast.unparse(word) for word in (*node.args, *node.keywords)]
            attribute = METHOD_FOR_ATTRIBUTE[node.func.attr]
            if attribute == "data" and arguments in (["as_text=True"], ["True"]):
                attribute, arguments = "text", []
            if not arguments:
                return self.visit(ast.Attribute(node.func.value, attribute, ast.Load()))
        return self.generic_visit(node)


def _called(node: ast.Call) -> ast.expr:
    """``f(a)`` for ``wrapper(f, a)``, through ``partial`` and a plain lambda."""
    first, rest = node.args[0], node.args[1:]
    keywords = [keyword for keyword in node.keywords if keyword.arg not in THREAD_OPTIONS]
    if isinstance(first, ast.Lambda) and not rest and not ast.unparse(first.args):
        return first.body
    if isinstance(first, ast.Call) and _ends(dotted(first.func) or "", {"partial"}):
        words = [*first.keywords, *keywords]
        return ast.Call(first.args[0], [*first.args[1:], *rest], words)
    return ast.Call(first, rest, keywords)


def word(name: str) -> str:
    """The name that stands for this one in the common form."""
    name = name.removesuffix(SUFFIX) or name
    return WORDS.get(name, name)


def _ends(name: str, known: Iterable[str]) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in known)


def _sync(node: ast.AST, kind: type[_Node]) -> _Node:
    return kind(**{name: getattr(node, name, None) for name in node._fields})
