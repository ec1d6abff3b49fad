"""Recognises decorators of the usual shape: a function that defines a wrapper and returns it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.bridges import body_without_docstring
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.decorators import is_two_coloured
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.bindings import bound_names

_SLEEP = "time.sleep"
_ABOUT = frozenset({"__name__", "__qualname__", "__doc__", "__module__", "__annotations__"})
# Methods of the standard library's values that no project class is likely to give I/O to; only
# consulted where the receiver's type is unknown.
_HARMLESS = frozenset(
    {
        "append", "add", "get", "items", "keys", "values", "pop", "setdefault", "update", "copy",
        "format", "join", "split", "strip", "startswith", "endswith", "lower", "upper", "replace",
        "debug", "info", "warning", "error", "exception", "critical", "log", "isEnabledFor",
        "total_seconds", "isoformat",
    }
)  # fmt: skip
_IMPURE_BUILTINS = frozenset({"open", "input", "exec", "eval"})
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.GeneratorExp


class Leave(Exception):
    """The decorator keeps its one colour; `line` is where, `reason` why."""

    def __init__(self, node: ast.AST, reason: str) -> None:
        super().__init__(reason)
        self.line: int = getattr(node, "lineno", 1)
        self.reason = reason


@dataclass(frozen=True)
class Wrapping:
    """A decorator that can get a twin."""

    parameter: str
    """The name under which the wrapper knows the decorated function."""
    wrapper: Function
    twin: str
    """The name of the async twin: free in the decorator."""
    returned: ast.expr
    """What the decorator returns: the wrapper's name, or another decorator's call of it."""
    sleeps: frozenset[str]
    """How the wrapper writes `time.sleep`; empty if it never sleeps."""


def read_wrapping(
    colours: Colours, decorator: Function, assumed: frozenset[Function] = frozenset()
) -> Wrapping:
    """Takes the decorator apart. Those of `assumed` count as converted already.

    Raises:
        Leave: some part of it might not mean the same around an awaited call.
    """
    direct = _direct(colours, decorator)
    body = body_without_docstring(direct)
    *before, last = body
    wrappers = [node for node in before if isinstance(node, ast.FunctionDef)]
    if len(wrappers) != 1 or not isinstance(last, ast.Return) or last.value is None:
        raise Leave(decorator.node, "the decorator does not just define a wrapper and return it")
    wrapper = _nested(colours, direct, wrappers[0])
    if not direct.params:
        raise Leave(decorator.node, "the decorator takes no function")
    parameter = direct.params[0].name
    _check_returned(colours, direct, wrapper, last.value, assumed)
    for statement in before:
        if statement is not wrapper.node:
            _check_beside(direct, statement, parameter, wrapper.name)
    _check_wrapper(colours, wrapper, parameter)
    twin = f"async_{wrapper.name}"
    if twin in bound_names(direct.node):
        raise Leave(wrapper.node, f"the name {twin} is taken")
    _check_module_names(colours, direct)
    return Wrapping(parameter, wrapper, twin, last.value, _sleeps(colours, wrapper))


def can_be_two_coloured(
    colours: Colours, decorator: Function, assumed: frozenset[Function] = frozenset()
) -> bool:
    """Says whether the decorator has a shape of which a twin for coroutine functions is known.

    Those of `assumed` count as converted already.
    """
    try:
        read_wrapping(colours, decorator, assumed)
    except Leave:
        return False
    return True


def _direct(colours: Colours, decorator: Function) -> Function:
    """The function that takes the decorated one: the decorator, or what a factory returns."""
    body = body_without_docstring(decorator)
    match body[-1]:
        case ast.Return(value=ast.Name(id=name)):
            pass
        case _:
            return decorator
    inner = [s for s in body if isinstance(s, ast.FunctionDef) and s.name == name]
    if len(inner) != 1:
        return decorator
    # A factory's inner function defines the wrapper; a wrapper's own inner functions are not ours.
    nested = _nested(colours, decorator, inner[0])
    defines = [s for s in body_without_docstring(nested) if isinstance(s, ast.FunctionDef)]
    returns = body_without_docstring(nested)[-1]
    if not defines or not isinstance(returns, ast.Return) or returns.value is None:
        return decorator
    if not any(isinstance(n, ast.Name) and n.id == defines[-1].name for n in ast.walk(returns)):
        return decorator
    for statement in body[:-1]:
        if statement is not inner[0] and not isinstance(statement, ast.Assign | ast.AnnAssign):
            raise Leave(statement, "the decorator does more than define a wrapper and return it")
    return nested


def _nested(colours: Colours, outer: Function, node: ast.FunctionDef) -> Function:
    for function in colours.program.functions.values():
        if function.node is node:
            return function
    raise Leave(outer.node, "the wrapper was not found")


def _check_returned(
    colours: Colours,
    direct: Function,
    wrapper: Function,
    value: ast.expr,
    assumed: frozenset[Function],
) -> None:
    match value:
        case ast.Name(id=name) if name == wrapper.name:
            return
        case ast.Call(func=callee, args=[ast.Name(id=name)], keywords=[]) if name == wrapper.name:
            dotted = colours.program.resolve(direct.path, callee)
            other = colours.program.functions.get(dotted or "")
            if other is not None and (other in assumed or is_two_coloured(other)):
                return
            raise Leave(value, f"{ast.unparse(callee)} takes plain functions only")
        case _:
            raise Leave(value, "what the decorator returns is not its wrapper")


def _check_beside(direct: Function, statement: ast.stmt, parameter: str, wrapper: str) -> None:
    """What stands next to the wrapper must not keep the function or the wrapper elsewhere."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        raise Leave(statement, "the decorator does more than define a wrapper and return it")
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if not all(isinstance(target, ast.Name) for target in targets):
        raise Leave(statement, "the decorator keeps something outside its wrapper")
    parents = {c: p for p in ast.walk(statement) for c in ast.iter_child_nodes(p)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in (parameter, wrapper):
            parent = parents.get(node)
            about = isinstance(parent, ast.Attribute) and parent.attr in _ABOUT
            if not about and not _is_signature(parent, node):
                raise Leave(node, f"{direct.name} keeps the function it is given")


def _is_signature(parent: ast.AST | None, node: ast.AST) -> bool:
    match parent:
        case ast.Call(func=ast.Attribute(attr="signature") | ast.Name(id="signature"), args=[only]):
            return only is node
        case _:
            return False


def _check_wrapper(colours: Colours, wrapper: Function, parameter: str) -> None:
    node = wrapper.node
    if wrapper.is_async or wrapper.is_generator:
        raise Leave(node, "the wrapper is a generator or asynchronous itself")
    for decorator in wrapper.decorators:
        if decorator.dotted != "functools.wraps":
            raise Leave(decorator.node, "the wrapper is decorated by more than functools.wraps")
    if parameter in bound_names(node):
        raise Leave(node, f"the wrapper binds the name {parameter} itself")
    parents = colours.parents(wrapper.path)
    called = False
    for inner in _body(wrapper):
        match inner:
            case ast.Name(id=name) if name == parameter:
                called |= _check_use(parents, inner, node)
            case ast.With(items=items):
                for item in items:
                    _check_context(colours, wrapper, item.context_expr)
            case ast.AsyncWith() | ast.AsyncFor() | ast.Await():
                raise Leave(inner, "the wrapper awaits")
            case ast.ExceptHandler():
                _check_handler(colours, wrapper, inner)
            case ast.AugAssign(target=target, value=value):
                if _shared(target, wrapper) and _mentions(value, parameter):
                    raise Leave(inner, "the wrapper adds to shared state what the call returns")
            case _:
                pass
    if not called:
        raise Leave(node, f"the wrapper never calls {parameter} itself")
    for site in colours.program.calls_in(wrapper):
        _check_site(colours, wrapper, site, parameter)


def _body(wrapper: Function) -> Iterator[ast.AST]:
    for statement in wrapper.node.body:
        yield from ast.walk(statement)


def _check_use(parents: dict[ast.AST, ast.AST], use: ast.Name, top: ast.AST) -> bool:
    """Whether the use is a call of the function; other uses than that or its name raise."""
    parent = parents.get(use)
    if isinstance(parent, ast.Attribute) and parent.attr in _ABOUT:
        return False
    if not isinstance(parent, ast.Call) or parent.func is not use:
        raise Leave(use, f"the wrapper hands {use.id} to other code")
    around: ast.AST | None = parents.get(parent)
    while around is not None and around is not top:
        if isinstance(around, _Scope):
            raise Leave(use, f"{use.id} is called inside a nested function or generator")
        around = parents.get(around)
    return True


def _check_context(colours: Colours, wrapper: Function, expr: ast.expr) -> None:
    callee = expr.func if isinstance(expr, ast.Call) else None
    if (
        callee is not None
        and colours.program.resolve(wrapper.path, callee) == "contextlib.suppress"
    ):
        return
    raise Leave(
        expr, f"the wrapper holds {ast.unparse(expr)} during the call; a lock or a resource of a "
        "thread must not be held across an await",
    )  # fmt: skip


def _check_handler(colours: Colours, wrapper: Function, handler: ast.ExceptHandler) -> None:
    """Cancellation must get through: catching everything without raising again would stop it."""
    everything = handler.type is None or (
        isinstance(handler.type, ast.Name | ast.Attribute)
        and (colours.program.resolve(wrapper.path, handler.type) or "").split(".")[-1]
        == "BaseException"
    )
    if everything and not any(isinstance(node, ast.Raise) for node in ast.walk(handler)):
        raise Leave(handler, "the wrapper catches every exception, cancellation included")


def _shared(target: ast.expr, wrapper: Function) -> bool:
    if not isinstance(target, ast.Name):
        return True
    return any(
        isinstance(node, ast.Nonlocal | ast.Global) and target.id in node.names
        for node in _body(wrapper)
    )


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def _check_site(colours: Colours, wrapper: Function, site: CallSite, parameter: str) -> None:
    node = site.node
    callee = node.func if isinstance(node, ast.Call) else None
    if isinstance(callee, ast.Name) and callee.id == parameter:
        return
    for target in site.targets:
        if colours.native(target.function) or colours.blocks(target.function):
            raise Leave(node, f"the wrapper calls {target.function.qualname}, which blocks")
    for dotted in site.externals:
        effect = blocking(dotted)
        if effect is not None and (dotted != _SLEEP or site.in_lambda or site.in_genexp):
            raise Leave(node, f"the wrapper calls {dotted}, which blocks")
    if site.targets or site.externals or site.kind != "call":
        return
    match callee:
        case ast.Name(id=name) if hasattr(builtins, name) and name not in _IMPURE_BUILTINS:
            return
        case ast.Attribute(attr=name) if name in _HARMLESS and not _project_method(colours, name):
            return
        case ast.Name() | ast.Attribute() if (
            colours.program.resolve(site.path, callee) in colours.program.classes
        ):
            return
        case _:
            pass
    raise Leave(node, f"it is not known whether {site.name}() blocks")


def _project_method(colours: Colours, name: str) -> bool:
    return any(name in cls.methods for cls in colours.program.classes.values())


def _sleeps(colours: Colours, wrapper: Function) -> frozenset[str]:
    return frozenset(
        ast.unparse(site.node.func)
        for site in colours.program.calls_in(wrapper)
        if site.kind == "call" and _SLEEP in site.externals and isinstance(site.node, ast.Call)
    )


def _check_module_names(colours: Colours, direct: Function) -> None:
    tree = colours.program.files[direct.path].tree
    assert tree is not None
    imported = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname is None
    }
    for name in ("inspect", "anyio"):
        if name in bound_names(tree) and name not in imported:
            raise Leave(direct.node, f"the name {name} is taken in the module")
