"""Signatures of functions in the other colour: parameters, results, iterators, managers."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridgekit.stubs.classes import Typed, class_text, is_type_variable, parameters
from bridgekit.stubs.definitions import FunctionNode, module_text
from bridgekit.stubs.names import Place, Qualified, Replace, Translator, load, name_of

__all__ = ["Signatures", "body", "from_runtime", "function"]

_ITERATORS = {
    "Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator",
    "list", "tuple", "set", "frozenset", "List", "Set", "Sequence", "Collection", "deque",
}  # fmt: skip
_MANAGERS = {
    "AbstractContextManager", "ContextManager", "_GeneratorContextManager",
    "AbstractAsyncContextManager", "AsyncContextManager", "_AsyncGeneratorContextManager",
}  # fmt: skip
_AWAITABLES = {"Awaitable": 0, "Coroutine": 2, "Future": 0, "Task": 0, "CoroutineType": 2}
_KNOWN_DECORATORS = {
    "overload", "property", "staticmethod", "classmethod", "abstractmethod", "override", "final",
    "deprecated", "contextmanager", "asynccontextmanager", "cached_property", "wraps", "setter",
    "getter", "deleter", "coroutine", "type_check_only", "sync_to_async", "async_to_sync",
    "lru_cache", "cache",
}  # fmt: skip


def body() -> list[ast.stmt]:
    """The body of everything in a stub."""
    return [ast.Expr(ast.Constant(...))]


def function(
    name: str,
    args: ast.arguments,
    returns: ast.expr,
    *,
    is_async: bool = False,
    decorators: list[ast.expr] | None = None,
) -> FunctionNode:
    """A function without code."""
    node = ast.AsyncFunctionDef if is_async else ast.FunctionDef
    made = node(
        name=name,
        args=args,
        body=body(),
        decorator_list=decorators or [],
        returns=returns,
        type_comment=None,
    )
    if hasattr(made, "type_params") or "type_params" in node._fields:
        made.type_params = []  # type: ignore[union-attr, unused-ignore]
    return made


def from_runtime(value: Any) -> FunctionNode | None:
    """A definition without annotations of a function that has no text, by its signature."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    empty = inspect.Parameter.empty
    parts = [
        parameter.replace(
            annotation=empty, default=... if parameter.default is not empty else empty
        )
        for parameter in signature.parameters.values()
    ]
    text = str(inspect.Signature(parts)).replace("Ellipsis", "...")
    made = ast.parse(f"def f{text}: ...").body[0]
    assert isinstance(made, ast.FunctionDef)
    return made


@dataclass
class Signatures:
    """Writes parameters and results; the two replacements know which classes have proxies."""

    translator: Translator
    for_parameter: Replace
    for_result: Replace
    deep: bool

    def arguments(
        self,
        node: FunctionNode,
        place: Place,
        variables: Mapping[str, ast.expr],
        *,
        first: str | None,
    ) -> ast.arguments:
        """The parameters of ``node``.

        :param first: the name to give the first one, which is then not annotated (``self``,
            ``cls``); None for functions without one.
        """
        written = copy.deepcopy(node.args)
        positional = [*written.posonlyargs, *written.args]
        for argument in (*positional, *written.kwonlyargs, written.vararg, written.kwarg):
            if argument is None:
                continue
            if first is not None and positional and argument is positional[0]:
                argument.arg, argument.annotation = first, None
                continue
            argument.annotation = self.translator.annotation(
                argument.annotation,
                place,
                replace=self.for_parameter,
                deep=self.deep,
                variables=variables,
                what=f"the parameter {argument.arg!r} of {node.name}",
                at=argument if hasattr(argument, "lineno") else node,
            )
        if first is not None and not positional:
            written.args.insert(0, ast.arg(first))  # def method(*args): ...
        written.defaults = [_default(value) for value in written.defaults]
        written.kw_defaults = [
            None if value is None else _default(value) for value in written.kw_defaults
        ]
        return written

    def result(self, typed: Typed, what: str, at: ast.AST | None) -> ast.expr:
        """A type that a call returns, with proxies for what becomes one."""
        return self.translator.annotation(
            typed.node,
            typed.place,
            replace=self.for_result,
            deep=self.deep,
            variables=typed.variables,
            what=what,
            at=at,
        )

    def qualified(self, typed: Typed) -> Qualified | None:
        """The name that the expression, or what it subscripts, is made of."""
        node = typed.node
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return None
        if isinstance(node, ast.Subscript):
            node = node.value
        dotted = name_of(node) if node is not None else None
        return self.translator.resolve(dotted, typed.place) if dotted else None

    def argument_of(self, typed: Typed, position: int = 0) -> Typed:
        """One of the arguments of a generic type."""
        node = typed.node
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        if not isinstance(node, ast.Subscript):
            return typed.at(None)
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return typed.at(items[position] if position < len(items) else None)

    def awaited(self, typed: Typed) -> Typed:
        """What awaiting gives, if the type is one that is awaited; else the type itself."""
        qualified = self.qualified(typed)
        if qualified is not None and qualified.name in _AWAITABLES:
            return self.argument_of(typed, _AWAITABLES[qualified.name])
        return typed

    def item(self, typed: Typed) -> Typed:
        """What iterating over the type gives."""
        typed = self.awaited(typed)
        qualified = self.qualified(typed)
        if qualified is None:
            return typed.at(None)
        if qualified.name in _ITERATORS:
            return self.argument_of(typed)
        return self._through(typed, qualified, ("__iter__", "__aiter__"), self.item, self.item)

    def entered(self, typed: Typed) -> Typed:
        """What entering the type gives, where it is a context manager or a function of one."""
        typed = self.awaited(typed)
        qualified = self.qualified(typed)
        if qualified is None:
            return typed.at(None)
        if qualified.name in _MANAGERS or qualified.name in _ITERATORS:
            return self.argument_of(typed)
        return self._through(
            typed, qualified, ("__enter__", "__aenter__"), self.entered, lambda t: t
        )

    def _through(
        self,
        typed: Typed,
        qualified: Qualified,
        methods: tuple[str, ...],
        again: Callable[[Typed], Typed],
        then: Callable[[Typed], Typed],
    ) -> Typed:
        alias = self._alias(qualified)
        if alias is not None:
            return again(alias)
        cls = load(qualified)
        for owner in cls.__mro__ if isinstance(cls, type) else ():
            text = class_text(owner)
            for name in methods:
                for node in text.members.get(name, ()) if text is not None else ():
                    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and text:
                        found = Typed(node.returns, Place(text.module, text))
                        inner = self.qualified(found)
                        if inner is not None and is_type_variable(inner):
                            names = parameters(text, self.translator)
                            if inner.name in names:
                                return self.argument_of(typed, names.index(inner.name))
                            return typed  # a type variable for the type of `self`
                        if inner is not None and inner.name == "Self":
                            return typed
                        return then(found)
        return typed.at(None)

    def _alias(self, qualified: Qualified) -> Typed | None:
        """What a name stands for that is defined as another name of a parametrized type."""
        text = module_text(qualified.module)
        nodes = text.definitions.get(qualified.name, []) if text is not None else []
        node = nodes[0] if nodes else None
        if text is None or not isinstance(node, (ast.Assign, ast.AnnAssign)):
            return None
        if not isinstance(node.value, ast.Subscript):
            return None
        return Typed(node.value, Place(text))

    def bound_of(self, qualified: Qualified) -> Qualified | None:
        """The bound of a type variable."""
        text = module_text(qualified.module)
        call = text.type_variables.get(qualified.name) if text is not None else None
        if text is None or call is None:
            return None
        for keyword in call.keywords:
            if keyword.arg == "bound":
                return self.qualified(Typed(keyword.value, Place(text)))
        return None

    def unknown_decorators(self, node: FunctionNode) -> list[str]:
        """Decorators that may change the signature in ways that cannot be told."""
        found = []
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            dotted = name_of(target) or ast.unparse(target)
            if dotted.rpartition(".")[2] not in _KNOWN_DECORATORS:
                found.append(dotted)
        return found


def _default(value: ast.expr) -> ast.expr:
    negative = isinstance(value, ast.UnaryOp) and isinstance(value.operand, ast.Constant)
    if isinstance(value, ast.Constant) or negative:
        return value
    return ast.Constant(...)
