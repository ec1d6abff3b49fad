"""What bindings give: values, definitions, imports, parameters."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.annotations import product
from bridgekit_codemods.program.plugins.decorated import made_around
from bridgekit_codemods.program.plugins.lambdas import passed
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.symbols import Class, Function, Param
from bridgekit_codemods.program.types import (
    NOTHING,
    UNKNOWN,
    TypeRef,
    Types,
    external,
    function,
)

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_ANY: Types = frozenset({UNKNOWN})
_MAPPINGS = frozenset(
    {
        "dict", "collections.defaultdict", "collections.OrderedDict", "collections.UserDict",
        "requests.structures.CaseInsensitiveDict", "weakref.WeakValueDictionary",
    }
)  # fmt: skip
_FILLED = _MAPPINGS | {"list", "set", "collections.deque"}


class Bindings:
    """Evaluates bindings; one instance for one program."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine

    def union(self, bindings: Sequence[Binding]) -> Types:
        """What any of the bindings gives."""
        if len(bindings) == 1:
            return self.of(bindings[0])
        found: Types = NOTHING
        for binding in bindings:
            types = self.of(binding)
            found |= types if types else (NOTHING if binding.kind == "value" else types)
        return found

    def of(self, binding: Binding) -> Types:
        """What one binding gives."""
        known = self.engine.settled.get(binding)
        if known is not None:
            return known
        return self.engine.evaluate(binding, partial(self._binding, binding))

    def _binding(self, binding: Binding) -> Types:
        if binding in self.engine.fixed:
            return self.engine.fixed[binding]
        match binding.kind:
            case "value":
                if binding.node is None:
                    return _ANY
                return self._filled(binding, self.engine.types(binding.node))
            case "annotated":
                return self._filled(binding, self._annotated(binding))
            case "element":
                return (
                    self.engine.elements(self.engine.types(binding.node)) if binding.node else _ANY
                )
            case "entered":
                return (
                    self.engine.entered(self.engine.types(binding.node)) if binding.node else _ANY
                )
            case "item":
                if binding.source is None or binding.index is None:
                    return _ANY
                return self.engine.item(self.of(binding.source), binding.index)
            case "caught":
                return self.engine.instances(binding.node) if binding.node is not None else _ANY
            case "narrowed":
                return self._narrowed(binding)
            case "import":
                return self.module(binding.module, binding.scope.file.path)
            case "from":
                return self._imported(binding)
            case "function":
                assert binding.function is not None
                return self.defined(binding.function)
            case "class":
                assert binding.cls is not None
                return frozenset({TypeRef("type", (TypeRef(binding.cls.qualname),))})
            case "passed":
                return passed(self.engine, binding)
            case "param":
                assert binding.function is not None
                assert binding.param is not None
                return self.parameter(binding.function, binding.param)
            case _:
                return _ANY

    def _narrowed(self, binding: Binding) -> Types:
        """What an `isinstance` test leaves of a value: `list` of a `list[Order] | None`."""
        if binding.node is None:
            return _ANY
        classes = self.engine.instances(binding.node)
        if binding.subject is None:
            return classes
        names = {c.name for c in classes}
        kept = frozenset(
            t
            for t in self.engine.types(binding.subject)
            if t.name in names
            or ((cls := self.engine.facts.classes.get(t.name)) is not None
                and any(isinstance(b, Class) and b.qualname in names for b in cls.mro))
        )  # fmt: skip
        missing = {c for c in classes if not any(t.name == c.name for t in kept)}
        covered = {b.qualname for t in kept for b in self._line(t)}
        return kept | {c for c in missing if c.name not in covered}

    def _line(self, ref: TypeRef) -> list[Class]:
        cls = self.engine.facts.classes.get(ref.name)
        return [b for b in cls.mro if isinstance(b, Class)] if cls is not None else []

    def _filled(self, binding: Binding, made: Types) -> Types:
        """A container with what is put into it after it was made."""
        sources = self.engine.contents.get(binding)
        if sources is None:
            return made
        added = self.union(sources)
        found: Types = NOTHING
        for ref in made:
            open_items = not ref.args or ref.args[-1] == UNKNOWN
            if not added or ref.name not in _FILLED:
                found |= {ref}
            elif ref.name in _MAPPINGS:
                found |= product("dict", [frozenset(ref.args[:1]) or _ANY, added])
                found |= NOTHING if open_items else {ref}
            else:
                found |= product(ref.name, [added])
                found |= NOTHING if open_items else {ref}
        return found

    def _annotated(self, binding: Binding) -> Types:
        assert binding.annotation is not None
        declared = self.engine.annotations.types(binding.annotation, binding.scope)
        if declared <= {UNKNOWN} and binding.node is not None:
            return self.engine.types(binding.node)
        return declared

    def module(self, name: str, importer: str) -> Types:
        path = self.engine.linker.module_path(name, importer)
        if path is not None:
            return frozenset({TypeRef("module", (TypeRef(path),))})
        if self.engine.linker.is_namespace(name):
            return frozenset({TypeRef("namespace", (TypeRef(name), TypeRef(importer)))})
        return frozenset({external(name)})

    def _imported(self, binding: Binding) -> Types:
        importer = binding.scope.file.path
        path = self.engine.linker.module_path(binding.module, importer)
        if path is not None:
            if path == importer and binding.scope.kind == "module":
                inner = self.engine.linker.submodule(path, binding.attribute)
                if inner is not None:
                    return frozenset({TypeRef("module", (TypeRef(inner),))})
            return self.module_member(path, binding.attribute)
        if self.engine.linker.is_namespace(binding.module):
            inner_name = binding.attribute
            if binding.module != ".":
                inner_name = f"{binding.module}.{binding.attribute}"
            return self.module(inner_name, importer)
        return frozenset({external(catalog.canonical(f"{binding.module}.{binding.attribute}"))})

    def module_member(self, path: str, name: str) -> Types:
        """An attribute of a module of the program."""
        found = self.engine.linker.module_names(path, name)
        stored = self.engine.stored_in(f"module:{path}", name)
        if found is not None:
            return self.union(found[1]) | self.union(stored)
        inner = self.engine.linker.submodule(path, name)
        if inner is not None:
            return frozenset({TypeRef("module", (TypeRef(inner),))})
        scope = self.engine.facts.modules.get(path)
        star = self.engine.linker.external_star(scope, name) if scope is not None else None
        if star is not None:
            return frozenset({external(star)})
        return self.union(stored) or _ANY

    def defined(self, fn: Function) -> Types:
        """The value that a `def` statement binds: the function itself, whatever decorates it."""
        if any(
            d.dotted in ("typing.overload", "typing_extensions.overload")
            for d in self.engine.decorators_of(fn)
        ):
            return NOTHING
        found = frozenset({function(fn.qualname, "exact")})
        for other in self.engine.dispatch.registered.get(fn, ()):
            found |= {function(other.qualname, "override")}
        return found

    # -- parameters ------------------------------------------------------------------------

    def parameter(self, fn: Function, param: Param) -> Types:
        return self.engine.evaluate((fn, param), partial(self._parameter, fn, param))

    def _parameter(self, fn: Function, param: Param) -> Types:
        if param.kind == "vararg":
            return product("tuple", [self._declared(fn, param) or _ANY])
        if param.kind == "kwarg":
            value = self._declared(fn, param) or _ANY
            return product("dict", [frozenset({TypeRef("str")}), value])
        if fn.cls is not None and not fn.is_static and fn.params and fn.params[0] is param:
            this = TypeRef(fn.cls.qualname)
            is_class = fn.is_classmethod or fn.name in ("__new__", "__init_subclass__")
            return frozenset({TypeRef("type", (this,)) if is_class else this})
        declared = self._declared(fn, param)
        if declared and not declared <= {UNKNOWN}:
            return declared
        if self.engine.fixtures is not None:
            fixture = self.engine.fixtures.for_parameter(fn, param)
            if fixture is not None:
                return self.engine.fixtures.value(fixture)
            builtin = self.engine.fixtures.builtin(fn, param)
            if builtin is not None:
                return builtin
        if fn.params[0] is param and fn.decorators:
            made = made_around(self.engine, fn)
            if made is not None:
                return made
        if isinstance(param.default, ast.Call):
            injected = self.engine.externals.injected(param.default)
            if injected is not None:
                return injected
        dispatched = self.engine.dispatch.first.get(fn)
        if dispatched is not None and param is fn.params[fn.cls is not None and not fn.is_static]:
            return self.engine.instances(dispatched)
        self.engine.reads.append((fn, param.name))
        flowed = self.engine.flows.get((fn, param.name), NOTHING)
        default = self.engine.types(param.default) if param.default is not None else NOTHING
        if not flowed:
            return default | {UNKNOWN}
        return flowed | default

    def _declared(self, fn: Function, param: Param) -> Types:
        if param.annotation is None:
            return NOTHING
        return self.engine.annotations.types(
            param.annotation, self.engine.facts.definition_scopes[fn]
        )
