"""Attributes: what `x.name` is for a value of a given type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.plugins.decorated import of_decorated
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import (
    NONE,
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
_EMPTY_BASES = catalog.BARE_BASES - {"typing.NamedTuple"}


class Members:
    """Looks attributes up on modules, classes, instances and library objects."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.lines: dict[Class, list[Class]] = {}
        """All subclasses of a class, once they have been asked for."""

    def of(self, ref: TypeRef, name: str) -> Types:
        """The types of attribute `name` of a value of type `ref`."""
        cls = self.engine.facts.classes.get(ref.name)
        if cls is not None:
            return self._of_instance(cls, ref, name)
        if ref == UNKNOWN:
            return _ANY
        if ref == NONE:
            return NOTHING
        match ref.name:
            case "module":
                return self.engine.bindings.module_member(ref.args[0].name, name)
            case "namespace":
                return self.engine.bindings.module(f"{ref.args[0].name}.{name}", ref.args[1].name)
            case "external":
                return self._of_external(ref, name)
            case "type":
                return self._of_class(ref, name)
            case "super":
                return self._of_super(ref, name)
            case "function":
                return of_decorated(self.engine, ref, name)
            case "lambda":
                return _ANY
        return self._of_library_instance(ref, name)

    def _of_external(self, ref: TypeRef, name: str) -> Types:
        base = ref.args[0].name
        stored = self.engine.stored_in(f"object:{base}", name)
        if stored:
            return self.engine.bindings.union(stored)
        provided = self.engine.provided(base)
        if provided and name != "_get_current_object":
            return frozenset().union(*(self.of(p, name) for p in provided))
        dotted = catalog.canonical(f"{base}.{name}")
        spec = catalog.attribute(dotted)
        if spec is not None:
            return self.engine.externals.evaluate(spec, None, ref)
        kind = catalog.object_type(base)
        if kind is not None:
            stored = self.engine.stored_in(kind, name)
            if stored:
                return self.engine.bindings.union(stored)
        if base in ("flask.g", "quart.g") and name not in ("get", "pop", "setdefault"):
            return _ANY
        return frozenset({external(dotted, ref.args[1] if len(ref.args) > 1 else None)})

    def _of_library_instance(self, ref: TypeRef, name: str) -> Types:
        stored = self.engine.stored_in(ref.name, name)
        if stored:
            return self.engine.bindings.union(stored)
        base = ref.name if "." in ref.name else f"builtins.{ref.name}"
        dotted = catalog.canonical(f"{base}.{name}")
        spec = catalog.attribute(dotted)
        if spec is not None:
            return self.engine.externals.evaluate(spec, None, ref)
        return frozenset({external(dotted, ref)})

    # -- project classes -------------------------------------------------------------------

    def find_method(self, cls: Class, name: str, after: Class | None = None) -> Function | None:
        """The method that `name` names on instances of `cls`; None when it is not the program's.

        With `after`, the search starts behind that class in the method resolution order. An
        unknown base in front of the method hides it.
        """
        mro = cls.mro
        if after is not None:
            mro = mro[mro.index(after) + 1 :] if after in mro else ()
        for base in mro:
            if isinstance(base, str):
                if base == "?" or catalog.declares(base, name):
                    return None
                continue
            method = base.methods.get(name)
            if method is not None:
                return method
        return None

    def lacks(self, cls: Class, name: str) -> bool:
        """Whether a special method is surely missing from a class and from all its subclasses."""
        return all(
            name not in base.methods if isinstance(base, Class) else base in _EMPTY_BASES
            for line in (cls, *self.descendants(cls))
            for base in line.mro
        )

    def descendants(self, cls: Class) -> list[Class]:
        """All subclasses, direct or not, in a stable order."""
        known = self.lines.get(cls)
        if known is not None:
            return known
        found: dict[Class, None] = {}
        pending = list(self.engine.subclasses.get(cls, ()))
        while pending:
            current = pending.pop(0)
            if current not in found:
                found[current] = None
                pending.extend(self.engine.subclasses.get(current, ()))
        self.lines[cls] = list(found)
        return self.lines[cls]

    def bind(self, fn: Function, receiver: TypeRef, grade: str, *, on_class: bool) -> TypeRef:
        """A method got from an instance or a class, with its receiver where it is bound."""
        bound: TypeRef | None = receiver
        if fn.is_static or (on_class and not fn.is_classmethod):
            bound = None
        return function(fn.qualname, grade, bound)

    def _method(self, fn: Function, receiver: TypeRef, grade: str) -> Types:
        if fn.is_property:
            return self.engine.results.called(fn, receiver)
        found = frozenset({self.bind(fn, receiver, grade, on_class=False)})
        for other in self.engine.dispatch.registered.get(fn, ()):
            found |= {self.bind(other, receiver, "override", on_class=False)}
        return found

    def _of_instance(self, cls: Class, ref: TypeRef, name: str) -> Types:
        if name == "__class__":
            return frozenset({TypeRef("type", (ref,))})
        found, complete = self._walk(cls.mro, ref, name, "method")
        seen = {r.args[0].name for r in found if r.name == "function"}
        for subclass in [] if _is_private(name) else self.descendants(cls):
            method = self.find_method(subclass, name)
            if method is not None:
                if method.qualname not in seen:
                    seen.add(method.qualname)
                    found |= self._method(method, TypeRef(subclass.qualname), "override")
                complete = True
            elif (own := self.own_attribute(subclass, name)) is not None:
                if self._is_double_of(subclass, cls):
                    continue
                found |= own
                complete = True
        if found or complete:
            return found
        return self._inherited(cls, ref, name)

    def of_line(self, cls: Class, name: str) -> Types:
        """What an attribute of an instance is, as far as classes of the program define it."""
        return self._walk(cls.mro, TypeRef(cls.qualname), name, "method")[0]

    def _is_double_of(self, cls: Class, of: Class) -> bool:
        """Whether a class of the tests stands in for one of the program: the values that it puts
        into attributes say nothing about the program's."""
        scopes = self.engine.facts.class_scopes
        return scopes[cls].file.is_test and not scopes[of].file.is_test

    def _inherited(self, cls: Class, ref: TypeRef, name: str) -> Types:
        """A member that no project class defines: it comes from a library base, if any."""
        bases = [b for b in cls.mro if isinstance(b, str)]
        if "?" in bases:
            return _ANY
        for base in bases:
            if catalog.declares(base, name) or catalog.is_known_member(base, name):
                return self._of_library_instance(TypeRef(base, (ref,)), name)
        named = [b for b in bases if b not in catalog.BARE_BASES]
        answers = self.find_method(cls, "__getattr__")
        if answers is not None and not named and not _is_special(name):
            return self.engine.results.called(answers, ref) - {NONE} or _ANY
        if not named or answers is not None:
            return _ANY
        found: set[TypeRef] = set()
        for base in named:
            found |= self._of_library_instance(TypeRef(base, (ref,)), name)
        return frozenset(found)

    def _walk(
        self, mro: tuple[Class | str, ...], ref: TypeRef, name: str, grade: str
    ) -> tuple[Types, bool]:
        """The first class in the order that defines the member, and whether one does."""
        for base in mro:
            if isinstance(base, str):
                if base == "?":
                    return self._behind_unknown(mro, ref, name)
                if catalog.declares(base, name):
                    return self._of_library_instance(TypeRef(base, (ref,)), name), True
                continue
            method = base.methods.get(name)
            own = self.own_attribute(base, name)
            if own is not None:
                own = self.engine.generics.attribute(base, name, ref) or own
                if self.engine.access.has_descriptors:
                    own = self.engine.access.got(base, name, own)
            if method is None and own is None:
                continue
            found: Types = own or NOTHING
            if method is not None:
                found |= self._method(method, ref, grade)
            return found, True
        return NOTHING, False

    def _behind_unknown(
        self, mro: tuple[Class | str, ...], ref: TypeRef, name: str
    ) -> tuple[Types, bool]:
        rest = tuple(b for b in mro[mro.index("?") + 1 :] if b != "?")
        found, complete = self._walk(rest, ref, name, "guess")
        return (found | {UNKNOWN}, True) if complete else (NOTHING, False)

    def attribute_bindings(self, cls: Class, name: str) -> list[Binding]:
        """Where a class or its instances get the attribute from, in the class itself."""
        scope = self.engine.facts.class_scopes[cls]
        in_body = [b for b in scope.names.get(name, ()) if b.function is None]
        return [*in_body, *self.engine.stored_in(cls.qualname, name)]

    def own_attribute(self, cls: Class, name: str) -> Types | None:
        """The types of an attribute that `cls` itself defines; None when it does not."""
        bindings = self.attribute_bindings(cls, name)
        if not bindings:
            return None
        declared = [b for b in bindings if b.kind == "annotated"]
        if declared:
            types = self.engine.bindings.union(declared)
            if types and not types <= {UNKNOWN}:
                return types
        return self.engine.bindings.union(bindings)

    def _of_class(self, ref: TypeRef, name: str) -> Types:
        target = ref.args[0]
        cls = self.engine.facts.classes.get(target.name)
        if cls is None:
            return self._of_external(external(target.name), name)
        for base in cls.mro:
            if isinstance(base, str):
                if base == "?":
                    return _ANY
                if catalog.is_known_member(base, name) or catalog.declares(base, name):
                    return self._class_member(base, target, name)
                continue
            method = base.methods.get(name)
            if method is not None:
                found: set[TypeRef] = set()
                if method.is_property:
                    return _ANY
                found.add(self.bind(method, target, "exact", on_class=True))
                return frozenset(found)
            own = self.own_attribute(base, name)
            if own is not None and is_enumeration(base):
                return frozenset({target})
            if own is not None:
                return own if not self.is_model_column(base, name) else _ANY
        of_metaclass = self.engine.access.of_metaclass(cls, name)
        if of_metaclass:
            return of_metaclass
        for base in cls.mro:
            if isinstance(base, str) and base not in catalog.BARE_BASES:
                return self._class_member(base, target, name)
        if name in ("__name__", "__qualname__", "__module__", "__doc__"):
            return frozenset({TypeRef("str")})
        return _ANY

    def class_overrides(self, ref: TypeRef, name: str) -> Types:
        """Methods of subclasses that `cls.name` may mean where `cls` is any of them."""
        cls = self.engine.facts.classes.get(ref.args[0].name) if ref.name == "type" else None
        if cls is None or _is_private(name):
            return NOTHING
        found: set[TypeRef] = set()
        for subclass in self.descendants(cls):
            method = subclass.methods.get(name)
            if method is not None and not method.is_property:
                this = TypeRef(subclass.qualname)
                found.add(self.bind(method, this, "override", on_class=True))
        return frozenset(found)

    def _class_member(self, base: str, target: TypeRef, name: str) -> Types:
        receiver = TypeRef(base, (target,))
        dotted = catalog.canonical(f"{base}.{name}")
        spec = catalog.attribute(dotted)
        if spec is not None:
            return self.engine.externals.evaluate(spec, None, receiver)
        return frozenset({external(dotted, receiver)})

    def is_model_column(self, cls: Class, name: str) -> bool:
        """Whether a class attribute is an ORM descriptor, which is no plain value on the class."""
        for binding in self.attribute_bindings(cls, name):
            if binding.annotation is not None:
                dotted = self.engine.linker.dotted(
                    binding.scope, getattr(binding.annotation, "value", binding.annotation)
                )
                if dotted is not None and dotted.startswith("sqlalchemy."):
                    return True
        return False

    def _of_super(self, ref: TypeRef, name: str) -> Types:
        cls = self.engine.facts.classes.get(ref.args[0].name)
        if cls is None:
            return _ANY
        this = ref.args[0]
        found, complete = self._walk(cls.mro[1:], this, name, "method")
        seen = {r.args[0].name for r in found if r.name == "function"}
        for subclass in self.descendants(cls):
            method = self.find_method(subclass, name, after=cls)
            if method is not None and method.qualname not in seen:
                seen.add(method.qualname)
                found |= self._method(method, this, "override")
                complete = True
        if found or complete:
            return found
        bases = [b for b in cls.mro[1:] if isinstance(b, str)]
        if "?" in bases:
            return _ANY
        for base in bases:
            if base not in catalog.BARE_BASES:
                return self._of_library_instance(TypeRef(base, (this,)), name)
        return frozenset({external(f"builtins.object.{name}", this)})


def is_enumeration(cls: Class) -> bool:
    """Whether the class attributes are its instances."""
    return any(isinstance(b, str) and b.startswith("enum.") for b in cls.mro)


def _is_private(name: str) -> bool:
    """Names that Python mangles belong to one class and are never overridden."""
    return name.startswith("__") and not name.endswith("__")


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
