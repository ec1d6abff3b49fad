"""Proxy classes and turned-over functions as a type checker should see them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from bridgekit.adapters.proxies.classes import Family, ProxyClass
from bridgekit.adapters.proxies.rules import Colour, MemberKind, defines, kind_of, static_member
from bridgekit.adapters.proxies.special import PASSED_ON
from bridgekit.stubs.classes import Level, Typed, parameters
from bridgekit.stubs.definitions import FunctionNode
from bridgekit.stubs.members import Members
from bridgekit.stubs.names import Imports, Note, Place, Qualified, Translator, load
from bridgekit.stubs.signatures import Signatures, body, function
from bridgekit.stubs.turned import FunctionWriter

__all__ = ["ProxyStubs"]


class ProxyStubs:
    """The proxy classes of one stub: those that the module names, and those they lead to."""

    def __init__(self, translator: Translator, imports: Imports, notes: list[Note]) -> None:
        self.translator = translator
        self.imports = imports
        self.notes = notes
        self.names: dict[ProxyClass, str] = {}
        self._wanted: list[ProxyClass] = []

    def name_for(self, cls: ProxyClass) -> str:
        """The name of a proxy class in the stub; one that nothing names is written as private."""
        if cls not in self.names:
            wanted = f"_{cls.__name__}"
            while wanted in self.imports.taken:
                wanted += "_"
            self.imports.taken.add(wanted)
            self.names[cls] = wanted
            self._wanted.append(cls)
        return self.names[cls]

    def unnamed(self) -> list[ast.stmt]:
        """The classes that results lead to and that the module gives no name."""
        written: list[ast.stmt] = []
        while self._wanted:
            cls = self._wanted.pop(0)
            node = self.class_stub(cls, self.names[cls])
            node.decorator_list.append(self.translator.typing("type_check_only"))
            written.append(node)
        return written

    def signatures(self, family: Family | None) -> Signatures:
        """How parameters and results are written under the rules of ``family``."""

        def proxy_of(qualified: Qualified) -> ast.expr | None:
            found = load(qualified)
            if family is None or not isinstance(found, type) or not family.rules.wraps(found):
                return None
            return ast.Name(self.name_for(family.class_for(found)), ast.Load())

        def for_parameter(qualified: Qualified) -> list[ast.expr] | None:
            proxy = proxy_of(qualified)
            return None if proxy is None else [self.translator.reference(qualified), proxy]

        def for_result(qualified: Qualified) -> list[ast.expr] | None:
            bound = made.bound_of(qualified)
            proxy = proxy_of(bound if bound is not None else qualified)
            return None if proxy is None else [proxy]

        deep = family is not None and family.rules.deep
        made = Signatures(self.translator, for_parameter, for_result, deep)
        return made

    def class_stub(self, cls: ProxyClass, name: str) -> ast.ClassDef:
        """The definition of a proxy class."""
        return _ClassWriter(self, cls).write(name)

    def functions(
        self,
        name: str,
        nodes: list[FunctionNode],
        place: Place,
        colour: Colour,
        *,
        family: Family | None = None,
        kind: MemberKind = MemberKind.CALL,
        first: str | None = None,
        decorators: tuple[str, ...] = (),
    ) -> list[FunctionNode]:
        """A function in ``colour``, all its overloads.

        :param first: ``self`` or ``cls`` for methods.
        """
        writer = FunctionWriter(self.signatures(family), colour)
        return writer.methods(name, nodes, kind, place, {}, first=first, decorators=decorators)


class _ClassWriter(FunctionWriter):
    """One proxy class."""

    def __init__(self, stubs: ProxyStubs, cls: ProxyClass) -> None:
        self.name = cls.__name__
        self.family = cls._bridgekit_family
        self.origin = cls._bridgekit_origin
        super().__init__(stubs.signatures(self.family), self.family.colour)
        self.members = Members(self.origin, self.translator)

    def write(self, name: str) -> ast.ClassDef:
        self.name = name
        members: dict[str, list[Any]] = {}
        names = sorted(self.members.names())
        shadowed = self.translator.shadowed
        self.translator.shadowed = frozenset(names)
        try:
            members["__init__"] = self._constructor("__init__")
            if self.colour == "async" and not defines(self.origin, "create"):
                members["create"] = self._constructor("create")
            for member in names:
                members[member] = self._member(member)
            members.update(self._protocols())
            bases = self._bases()
        finally:
            self.translator.shadowed = shadowed
        lines: list[ast.stmt] = [node for nodes in members.values() for node in nodes]
        made = ast.parse(f"class {name}: ...").body[0]
        assert isinstance(made, ast.ClassDef)
        made.bases, made.body = bases, lines or body()
        return made

    def _bases(self) -> list[ast.expr]:
        text = self.members.levels[0].text if self.members.levels else None
        names = parameters(text, self.translator) if text is not None else []
        if not names or text is None:
            return []
        place = Place(text.module)
        written = [self.translator.annotation(ast.Name(name, ast.Load()), place) for name in names]
        return [self.reference("typing", "Generic", *written)]

    def _itself(self) -> ast.expr:
        """The class, with its parameters where it is generic, for type checkers to solve."""
        bases = self._bases()
        if not bases or not isinstance(bases[0], ast.Subscript):
            return self.translator.typing("Self")
        return ast.Subscript(ast.Name(self.name, ast.Load()), bases[0].slice, ast.Load())

    def self_annotation(
        self, node: FunctionNode, place: Place, variables: Mapping[str, ast.expr]
    ) -> ast.expr | None:
        positional = [*node.args.posonlyargs, *node.args.args]
        annotation = positional[0].annotation if positional else None
        typed = Typed(annotation, place, variables)
        qualified = self.signatures.qualified(typed)
        if not isinstance(annotation, ast.Subscript) or qualified is None:
            return None
        if load(qualified) is not self.origin:
            return None
        index = self.translator.annotation(annotation.slice, place, variables=variables)
        return ast.Subscript(ast.Name(self.name, ast.Load()), index, ast.Load())

    def _member(self, name: str) -> list[Any]:
        rules = self.family.rules
        try:
            member = static_member(self.origin, name)
        except AttributeError:
            awaited = rules.names(rules.awaited, self.origin, name)
            kind = MemberKind.AWAITED if awaited else MemberKind.ATTRIBUTE
            return self._attribute(name, kind)
        kind = kind_of(self.origin, name, member, rules, self.colour)
        if kind is MemberKind.CLASS:
            return self._nested(name, member)
        is_property = not (inspect.isroutine(member) and callable(member)) and not isinstance(
            member, (staticmethod, classmethod)
        )
        if kind is MemberKind.ATTRIBUTE or (kind is MemberKind.AWAITED and is_property):
            return self._attribute(name, kind)
        level, nodes = self.members.definition(name)
        decorators: tuple[str, ...] = ()
        first: str | None = "self"
        if isinstance(member, staticmethod):
            decorators, first = ("staticmethod",), None
        elif isinstance(member, classmethod) or _is_class_method(nodes):
            decorators, first = ("classmethod",), "cls"
        return [
            *self.methods(
                name, nodes, kind, level.place, level.variables, first=first, decorators=decorators
            )
        ]

    def _nested(self, name: str, member: type) -> list[Any]:
        wrapped = self.family.nested_class(member)
        if isinstance(wrapped, ProxyClass):
            stubs_name = self.signatures.for_result(
                Qualified(member.__module__, member.__qualname__)
            )
            value = stubs_name[0] if stubs_name else self.translator.typing("Any")
        else:
            value = self.translator.reference(Qualified(member.__module__, member.__qualname__))
        return [ast.Assign([ast.Name(name, ast.Store())], value, lineno=0)]

    def _attribute(self, name: str, kind: MemberKind) -> list[Any]:
        found = self.members.text_of(name)
        if found is not None and isinstance(found[1][0], (ast.FunctionDef, ast.AsyncFunctionDef)):
            level, nodes = found
            return self._property(name, kind, level, nodes)
        typed, at = self.members.type_of_attribute(name, found)
        value = self.signatures.result(typed, f"the attribute {name!r}", at)
        if kind is MemberKind.AWAITED:
            return [self._awaited_property(name, value)]
        return [ast.AnnAssign(ast.Name(name, ast.Store()), value, None, 1)]

    def _property(
        self, name: str, kind: MemberKind, level: Level, nodes: list[ast.stmt]
    ) -> list[Any]:
        written: list[Any] = []
        for node in nodes:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            last = [ast.unparse(d).rpartition(".")[2] for d in node.decorator_list]
            if "setter" in last:
                if kind is MemberKind.ATTRIBUTE:
                    args = self.signatures.arguments(
                        node, level.place, level.variables, first="self"
                    )
                    decorator = ast.parse(f"{name}.setter", mode="eval").body
                    setter = function(name, args, self.none(), decorators=[decorator])
                    written.append(setter)
            elif "deleter" not in last:
                typed = Typed(node.returns, level.place, level.variables)
                if self.colour == "sync" and kind is MemberKind.AWAITED:
                    typed = self.signatures.awaited(typed)
                value = self.signatures.result(typed, f"the property {name!r}", node)
                if kind is MemberKind.AWAITED:
                    return [self._awaited_property(name, value)]
                written.append(self._read_only(name, value))
        return written

    def _read_only(self, name: str, value: ast.expr) -> FunctionNode:
        args = ast.parse("def f(self): ...").body[0].args  # type: ignore[attr-defined]
        return function(name, args, value, decorators=[ast.Name("property", ast.Load())])

    def _awaited_property(self, name: str, value: ast.expr) -> FunctionNode:
        if self.colour == "sync":
            return self._read_only(name, value)
        return self._read_only(name, self.reference("collections.abc", "Awaitable", value))

    def _constructor(self, name: str) -> list[Any]:
        source = next(
            (
                n
                for level in self.members.levels
                for n in ("__init__", "__new__")
                if (level.text is not None and n in level.text.members)
                or (
                    n in level.cls.__dict__
                    and (level.text is None or not level.text.module.is_stub)
                )
            ),
            None,
        )
        if source is None:
            nodes = [ast.parse("def f(self): ...").body[0]]
            level = self.members.any_level()
        else:
            level, found = self.members.definition(source)
            nodes = [*found]
            if dataclasses.is_dataclass(level.cls) and self.members.text_of(source) is None:
                _annotate_fields(found[0], level)
        kept = [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        if name == "create":
            # Unlike __init__, an ordinary method may not take what a class is covariant in.
            variables = {**level.variables, **self.members.covariant(level)}
            return [
                *self.methods(
                    name, kept, MemberKind.CALL, level.place, variables, first="cls",
                    decorators=("classmethod",), returns=self._itself(),
                )
            ]  # fmt: skip
        return [
            *self.methods(
                name, kept, MemberKind.PLAIN, level.place, level.variables, first="self",
                returns=self.none(),
            )
        ]  # fmt: skip

    def _protocols(self) -> dict[str, list[Any]]:
        """The special methods, as the proxy has them."""
        written: dict[str, list[Any]] = {}
        rules = self.family.rules
        for name in sorted(PASSED_ON):
            if defines(self.origin, name) and self.members.text_of(name) is not None:
                awaited = rules.names(rules.awaited, self.origin, name)
                kind = MemberKind.CALL if awaited else MemberKind.PLAIN
                written[name] = self._special(name, name, kind)
        if defines(self.origin, "__call__") and self.members.text_of("__call__") is not None:
            member = static_member(self.origin, "__call__")
            kind = kind_of(self.origin, "__call__", member, rules, self.colour)
            written["__call__"] = self._special("__call__", "__call__", kind)
        there, here = ("", "a") if self.colour == "async" else ("a", "")
        # Of two protocols the asynchronous one counts, as at run time.
        source = "a" if defines(self.origin, "__aenter__") else ""
        kind = MemberKind.NATIVE if source == here else MemberKind.CALL
        for part in ("enter", "exit"):
            if defines(self.origin, f"__{source}{part}__"):
                name = f"__{here}{part}__"
                written[name] = self._special(name, f"__{source}{part}__", kind)
        written.update(self._iteration(there, here))
        return written

    def _iteration(self, there: str, here: str) -> dict[str, list[Any]]:
        if defines(self.origin, f"__{here}iter__"):
            names = [f"__{here}iter__", f"__{here}next__"]
            return {
                name: self._special(name, name, MemberKind.NATIVE)
                for name in names
                if defines(self.origin, name)
            }
        if defines(self.origin, f"__{there}next__"):
            args = ast.parse("def f(self): ...").body[0].args  # type: ignore[attr-defined]
            returns = self.translator.typing("Self")
            step = self._special(f"__{here}next__", f"__{there}next__", MemberKind.CALL)
            return {
                f"__{here}iter__": [function(f"__{here}iter__", args, returns)],
                f"__{here}next__": step,
            }
        if defines(self.origin, f"__{there}iter__"):
            name = f"__{here}iter__"
            return {name: self._special(name, f"__{there}iter__", MemberKind.ITERATOR)}
        return {}

    def _special(self, name: str, source: str, kind: MemberKind) -> list[Any]:
        level, nodes = self.members.definition(source)
        return [*self.methods(name, nodes, kind, level.place, level.variables, first="self")]


def _is_class_method(nodes: list[FunctionNode]) -> bool:
    return any(ast.unparse(d) == "classmethod" for d in nodes[0].decorator_list)


def _annotate_fields(node: FunctionNode, level: Level) -> None:
    """The annotations of a data class's fields, for the constructor that it generates."""
    for argument in (*node.args.args, *node.args.kwonlyargs):
        members = level.text.members.get(argument.arg, []) if level.text is not None else []
        if members and isinstance(members[0], ast.AnnAssign):
            argument.annotation = members[0].annotation
