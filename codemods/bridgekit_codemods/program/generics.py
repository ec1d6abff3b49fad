"""Type variables: what they stand for on a receiver (`Repository[Order]`) and in a call."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from bridgekit_codemods.program.annotations import product
from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, TypeRef, Types

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

Values: TypeAlias = dict[tuple[str, ast.Call], Types]
"""What type variables stand for, by the class whose parameter they are. A variable is known by the
`TypeVar(...)` call that makes it, because every module may import it under another name."""
_GENERIC = frozenset({"typing.Generic", "typing.Protocol"})


class Generics:
    """Solves type variables in results and attributes; one instance for one program.

    Only sure solutions are given: where a variable stays open the caller goes on with what it
    knows without them (the variable's bound, or what the body returns).
    """

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self._in_result: dict[Function, tuple[ast.Call, ...]] = {}
        self._of_class: dict[Class, tuple[ast.Call, ...]] = {}
        self._values: dict[TypeRef, Values] = {}
        self._active: set[TypeRef] = set()

    # -- results and attributes ------------------------------------------------------------

    def result(self, fn: Function, receiver: TypeRef | None, node: ast.Call | None) -> Types | None:
        """The declared result with its type variables solved; None when it has none, or when one
        of them stays open."""
        wanted = self._in_result.get(fn)
        if wanted is None:
            wanted = self._in_result[fn] = self._result_variables(fn)
        if not wanted or fn.node.returns is None:
            return None
        known: dict[ast.Call, Types] = {}
        if fn.cls is not None and receiver is not None:
            values = self.values(receiver)
            for variable in wanted:
                value = values.get((fn.cls.qualname, variable))
                if value:
                    known[variable] = value
        if node is not None:
            self._from_arguments(fn, receiver, node, known)
        if any(known.get(v, NOTHING) <= {UNKNOWN} for v in wanted):
            return None
        scope = self.engine.facts.definition_scopes[fn]
        found = self.engine.annotations.solved(fn.node.returns, scope, known)
        if fn.is_generator or not found or found <= {UNKNOWN}:
            return found if fn.is_generator and found and not found <= {UNKNOWN} else None
        return product("coroutine", [found]) if fn.is_async else found

    def attribute(self, cls: Class, name: str, receiver: TypeRef) -> Types | None:
        """The type of an attribute that `cls` declares with type variables; None otherwise."""
        if not self.parameters(cls):
            return None
        for binding in self.engine.members.attribute_bindings(cls, name):
            if binding.annotation is None:
                continue
            wanted = self._variables(binding.annotation, binding.scope)
            if not wanted:
                return None
            values = self.values(receiver)
            known = {v: values.get((cls.qualname, v), NOTHING) for v in wanted}
            if any(t <= {UNKNOWN} for t in known.values()):
                return None
            found = self.engine.annotations.solved(binding.annotation, binding.scope, known)
            return found if found and not found <= {UNKNOWN} else None
        return None

    def _result_variables(self, fn: Function) -> tuple[ast.Call, ...]:
        if fn.node.returns is None:
            return ()
        return self._variables(fn.node.returns, self.engine.facts.definition_scopes[fn])

    def _from_arguments(
        self,
        fn: Function,
        receiver: TypeRef | None,
        node: ast.Call,
        known: dict[ast.Call, Types],
    ) -> None:
        """`def load(kind: type[T], default: T) -> T`: what the arguments say of T."""
        if any(isinstance(a, ast.Starred) for a in node.args):
            return
        scope = self.engine.facts.definition_scopes[fn]
        params = list(fn.params)
        if receiver is not None and fn.cls is not None and not fn.is_static:
            params = params[1:]
        given: dict[str, ast.expr] = {
            p.name: a
            for p, a in zip(
                (p for p in params if p.kind in ("posonly", "arg")), node.args, strict=False
            )
        }
        given.update({k.arg: k.value for k in node.keywords if k.arg})
        for param in params:
            argument = given.get(param.name)
            if argument is None or param.annotation is None:
                continue
            variable = self.engine.annotations.variable(param.annotation, scope)
            if variable is not None and variable not in known:
                known[variable] = self.engine.types(argument)
                continue
            inner = self._class_argument(param.annotation, scope)
            if inner is not None and inner not in known:
                known[inner] = self.engine.instances(argument)

    def _class_argument(self, node: ast.expr, scope: Scope) -> ast.Call | None:
        node = self.engine.annotations.expression(node)
        if not isinstance(node, ast.Subscript):
            return None
        if self.engine.annotations.dotted(node.value, scope) not in (
            "typing.Type",
            "builtins.type",
        ):
            return None
        return self.engine.annotations.variable(node.slice, scope)

    # -- classes ---------------------------------------------------------------------------

    def values(self, receiver: TypeRef) -> Values:
        """What the variables of the receiver's class and of all its bases stand for."""
        known = self._values.get(receiver)
        if known is not None:
            return known
        cls = self.engine.facts.classes.get(receiver.name)
        if cls is None or not cls.mro or receiver in self._active:
            return {}
        self._active.add(receiver)
        try:
            found: Values = {}
            own = {
                variable: frozenset({argument})
                for variable, argument in zip(self.parameters(cls), receiver.args, strict=False)
            }
            self._add(cls, own, found)
        finally:
            self._active.discard(receiver)
        self._values[receiver] = found
        return found

    def _add(self, cls: Class, own: Mapping[ast.Call, Types], found: Values) -> None:
        for variable, types in own.items():
            found.setdefault((cls.qualname, variable), types)
        scope = self.engine.facts.definition_scopes[cls]
        for base in cls.node.bases:
            target = base.value if isinstance(base, ast.Subscript) else base
            dotted = self.engine.annotations.dotted(target, scope)
            parent = self.engine.facts.classes.get(dotted or "")
            if parent is None or parent is cls or parent not in cls.mro:
                continue
            inner: dict[ast.Call, Types] = {}
            if isinstance(base, ast.Subscript):
                parts = base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]
                for variable, part in zip(self.parameters(parent), parts, strict=False):
                    inner[variable] = self.engine.annotations.solved(part, scope, own, open_to=True)
            self._add(parent, inner, found)

    def parameters(self, cls: Class) -> tuple[ast.Call, ...]:
        """The class's type variables in their order."""
        known = self._of_class.get(cls)
        if known is None:
            known = self._of_class[cls] = self._parameters(cls)
        return known

    def _parameters(self, cls: Class) -> tuple[ast.Call, ...]:
        scope = self.engine.facts.definition_scopes[cls]
        found: dict[ast.Call, None] = {}
        for base in cls.node.bases:
            if not isinstance(base, ast.Subscript):
                continue
            variables = dict.fromkeys(self._variables(base.slice, scope))
            if self.engine.annotations.dotted(base.value, scope) in _GENERIC:
                return tuple(variables)
            found.update(variables)
        return tuple(found)

    def _variables(self, node: ast.expr, scope: Scope) -> tuple[ast.Call, ...]:
        found: dict[ast.Call, None] = {}
        for part in ast.walk(self.engine.annotations.expression(node)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part is not node:
                found.update(dict.fromkeys(self._variables(part, scope)))
            elif isinstance(part, (ast.Name, ast.Attribute)):
                variable = self.engine.annotations.variable(part, scope)
                if variable is not None:
                    found[variable] = None
        return tuple(found)
