"""What the program's own classes do when an attribute is read, assigned or deleted.

    @property
    def total(self)         a property, also one that a decorator of the program's own makes
    total = Stored()        a class attribute with `__get__`, `__set__` or `__delete__`
    def __getattr__(...)    whatever the instance does not have
    class Meta(type)        methods and properties of the class itself

What of this a program has not costs it a look at an empty table.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, TypeRef, Types

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_DESCRIPTOR: dict[type[ast.expr_context], str] = {
    ast.Load: "__get__",
    ast.Store: "__set__",
    ast.Del: "__delete__",
}
_ACCESSOR: dict[type[ast.expr_context], str] = {
    ast.Load: "",
    ast.Store: "#setter",
    ast.Del: "#deleter",
}
_DYNAMIC: dict[type[ast.expr_context], tuple[str, ...]] = {
    ast.Load: ("__getattribute__", "__getattr__"),
    ast.Store: ("__setattr__",),
    ast.Del: ("__delattr__",),
}
_PARAMETERS: dict[type[ast.expr_context], tuple[int, str]] = {
    ast.Load: (0, "fget"),
    ast.Store: (1, "fset"),
    ast.Del: (2, "fdel"),
}
_PROPERTIES = frozenset({"builtins.property", "functools.cached_property"})
_DYNAMIC_NAMES = frozenset(name for names in _DYNAMIC.values() for name in names)


class AttributeAccess:
    """Finds the functions that attribute access runs; one instance for one program."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.descriptors: frozenset[str] = frozenset()
        """The classes whose instances are descriptors."""
        self.has_descriptors = False
        self.metaclasses: dict[Class, Class] = {}
        self.dynamic: dict[str, dict[str, Function]] = {}
        """The methods that answer for attributes of any name, by class and by their own name."""
        self.made: dict[tuple[Class, str], ast.Call] = {}
        """Properties that a class body makes by calling `property(...)`."""

    def find(self) -> None:
        """Look through the classes. Their orders must be known."""
        classes = self.engine.facts.classes
        protocol = frozenset(_DESCRIPTOR.values())
        self.descriptors = frozenset(name for name, cls in classes.items() if _has(cls, protocol))
        for name, cls in classes.items():
            meta = self._metaclass(cls)
            if meta is not None:
                self.metaclasses[cls] = meta
            if _has(cls, _DYNAMIC_NAMES):
                find = self.engine.members.find_method
                methods = ((special, find(cls, special)) for special in sorted(_DYNAMIC_NAMES))
                self.dynamic[name] = {special: fn for special, fn in methods if fn is not None}
        for cls, scope in self.engine.facts.class_scopes.items():
            for name, bindings in scope.names.items():
                node = bindings[-1].node
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "property"
                    and bindings[-1].kind == "value"
                ):
                    self.made[cls, name] = node
        self.has_descriptors = bool(self.descriptors or self.made)

    def makes_property(self, fn: Function) -> bool:
        """Whether a decorator of the program's own makes reading the method a call of it."""
        if fn.cls is None:
            return False
        for decorator in fn.decorators:
            if isinstance(decorator.node, ast.Call):
                continue
            if decorator.dotted in self.descriptors:
                return _calls_what_it_holds(self._get_of(decorator.dotted))
            if decorator.project is not None and self._returns_property(decorator.project):
                return True
        return False

    def _get_of(self, name: str) -> Function | None:
        cls = self.engine.facts.classes[name]
        return self.engine.members.find_method(cls, "__get__")

    def _returns_property(self, decorator: Function) -> bool:
        """`def lazy(fn): @property def read(self): ...; return read`, or `return property(...)`."""
        facts, linker = self.engine.facts, self.engine.linker
        scope = facts.function_scopes[decorator]
        for value in facts.returns.get(decorator, ()):
            if isinstance(value, ast.Call):
                if linker.dotted(scope, value.func) in _PROPERTIES:
                    return True
            elif isinstance(value, ast.Name):
                inner = facts.functions.get(linker.dotted(scope, value) or "")
                if inner is not None and any(d.dotted in _PROPERTIES for d in inner.decorators):
                    return True
        return False

    def _metaclass(self, cls: Class) -> Class | None:
        for base in cls.mro:
            for keyword in base.node.keywords if isinstance(base, Class) else ():
                if keyword.arg == "metaclass" and isinstance(base, Class):
                    scope = self.engine.facts.definition_scopes[base]
                    dotted = self.engine.linker.dotted(scope, keyword.value)
                    return self.engine.facts.classes.get(dotted or "")
        return None

    # -- types -----------------------------------------------------------------------------

    def got(self, cls: Class, name: str, own: Types) -> Types:
        """The types of an attribute of an instance, when `own` is what `cls` assigns to it."""
        if (cls, name) in self.made:
            read = self._given(self.made[cls, name], ast.Load)
            this = TypeRef(cls.qualname)
            return frozenset[TypeRef]().union(
                *(self.engine.results.called(fn, this) for fn in read)
            ) or frozenset({UNKNOWN})
        if self.descriptors.isdisjoint(ref.name for ref in own):
            return own
        body = self._in_body(cls, name)
        descriptors = frozenset(self._descriptors(cls, name))
        found = own - descriptors
        if any(self._method(ref, "__set__") is not None for ref in descriptors):
            found = body - descriptors  # what instances are assigned goes to the descriptor
        for ref in descriptors:
            if self._method(ref, "__get__") is not None:
                found |= self.engine.results.special(ref, "__get__") - {ref}
            else:
                found |= {ref, UNKNOWN}  # the instance may have an attribute of its own
        return found

    def of_metaclass(self, cls: Class, name: str) -> Types:
        """The types of an attribute that a class has from its metaclass; nothing if it has not."""
        meta = self.metaclasses.get(cls)
        return self.engine.members.of_line(meta, name) if meta is not None else NOTHING

    def _in_body(self, cls: Class, name: str) -> Types:
        """What a class itself assigns to a class attribute."""
        scope = self.engine.facts.class_scopes[cls]
        values = [b.node for b in scope.names.get(name, ()) if b.function is None and b.node]
        return self.engine.union(values)

    def _descriptors(self, cls: Class, name: str) -> list[TypeRef]:
        return [ref for ref in sorted(self._in_body(cls, name)) if ref.name in self.descriptors]

    def _method(self, ref: TypeRef, name: str) -> Function | None:
        cls = self.engine.facts.classes.get(ref.name)
        return self.engine.members.find_method(cls, name) if cls is not None else None

    def _given(self, node: ast.Call, context: type[ast.expr_context]) -> list[Function]:
        """The functions that `property(...)` was given for reading, assigning or deleting."""
        index, parameter = _PARAMETERS[context]
        values = [keyword.value for keyword in node.keywords if keyword.arg == parameter]
        if not values and len(node.args) > index:
            values = [node.args[index]]
        refs = sorted(self.engine.union(values))
        named = (self.engine.facts.functions.get(r.args[0].name) for r in refs if r.args)
        return [fn for fn in named if fn is not None]

    # -- calls -----------------------------------------------------------------------------

    def names(self) -> frozenset[str]:
        """The names of all class attributes that are descriptors."""
        found = {name for _, name in self.made}
        if self.descriptors:
            found.update(
                name
                for cls, scope in self.engine.facts.class_scopes.items()
                for name, bindings in scope.names.items()
                if any(b.function is None and b.node is not None for b in bindings)
                and self._descriptors(cls, name)
            )
            found.update(
                fn.name
                for fn in self.engine.facts.functions.values()
                if fn.cls is not None and fn.decorators and self._binds(fn)
            )
        return frozenset(found)

    def _binds(self, fn: Function) -> dict[Function, str]:
        """The `__get__` of a decorator of the method, which runs when the method is read."""
        gets = (self._get_of(d.dotted) for d in fn.decorators if d.dotted in self.descriptors)
        return {get: "method" for get in gets if get is not None}

    def functions(
        self, ref: TypeRef, name: str, context: type[ast.expr_context]
    ) -> dict[Function, str]:
        """The functions that access to an attribute of a value runs, with grades."""
        on_class = ref.name == "type"
        if ref.name == "super":
            return self._property_of_super(ref, name, context)
        cls = self.engine.facts.classes.get(ref.args[0].name if on_class else ref.name)
        if cls is None:
            return {}
        owner = self.metaclasses.get(cls) if on_class else cls
        found = self._properties(owner, name, context) if owner is not None else {}
        if not found and self.has_descriptors and (not on_class or context is ast.Load):
            found = self._described(cls, name, context, on_class=on_class)
        if not found and not on_class and cls.qualname in self.dynamic:
            found = self._answered(cls, name, context)
        return found

    def _properties(
        self, cls: Class, name: str, context: type[ast.expr_context]
    ) -> dict[Function, str]:
        key = name + _ACCESSOR[context]
        members = self.engine.members
        found: dict[Function, str] = {}
        fn = members.find_method(cls, key)
        if fn is not None and fn.is_property:
            found[fn] = "method"
        for subclass in members.descendants(cls):
            fn = members.find_method(subclass, key)
            if fn is not None and fn.is_property:
                found.setdefault(fn, "override")
        return found

    def _property_of_super(
        self, ref: TypeRef, name: str, context: type[ast.expr_context]
    ) -> dict[Function, str]:
        cls = self.engine.facts.classes.get(ref.args[0].name)
        if cls is None:
            return {}
        fn = self.engine.members.find_method(cls, name + _ACCESSOR[context], after=cls)
        return {fn: "method"} if fn is not None and fn.is_property else {}

    def _described(
        self, cls: Class, name: str, context: type[ast.expr_context], *, on_class: bool
    ) -> dict[Function, str]:
        for base in cls.mro:
            if isinstance(base, str):
                if base == "?" or catalog.declares(base, name):
                    return {}
                continue
            if name in base.methods:
                return self._binds(base.methods[name]) if context is ast.Load else {}
            if (base, name) in self.made:
                given = self._given(self.made[base, name], context)
                return {} if on_class else dict.fromkeys(given, "method")
            if name in self.engine.facts.class_scopes[base].names:
                methods = (
                    self._method(ref, _DESCRIPTOR[context]) for ref in self._descriptors(base, name)
                )
                return {fn: "method" for fn in methods if fn is not None}
        return {}

    def _answered(
        self, cls: Class, name: str, context: type[ast.expr_context]
    ) -> dict[Function, str]:
        if name.startswith("__") and name.endswith("__"):
            return {}
        found: dict[Function, str] = {}
        for special in _DYNAMIC[context]:
            fn = self.dynamic[cls.qualname].get(special)
            if fn is None:
                continue
            grade = "method" if special != "__getattr__" else self._missing(cls, name)
            if grade is not None:
                found[fn] = grade
        return found

    def _missing(self, cls: Class, name: str) -> str | None:
        """How sure it is that instances lack an attribute; None when they have it."""
        grade = "method"
        members = self.engine.members
        for line in (cls, *members.descendants(cls)):
            for base in line.mro:
                if isinstance(base, str):
                    if base not in catalog.BARE_BASES:
                        if catalog.declares(base, name) or catalog.is_known_member(base, name):
                            return None
                        grade = "guess"
                elif name in base.methods or members.attribute_bindings(base, name):
                    return None
        return grade


def _has(cls: Class, names: frozenset[str]) -> bool:
    return any(isinstance(base, Class) and not names.isdisjoint(base.methods) for base in cls.mro)


def _calls_what_it_holds(get: Function | None) -> bool:
    """`def __get__(self, obj, owner): ... self.function(obj)`, unlike one that binds a method."""
    if get is None or len(get.params) < 2:
        return False
    this, *given = (param.name for param in get.params)
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == this
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id in given
        for node in ast.walk(get.node)
    )
