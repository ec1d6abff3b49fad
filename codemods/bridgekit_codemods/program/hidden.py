"""Functions of the program that library code calls while a call of the program runs.

    sorted(rows, key=cost)      calls `cost`
    schema.load(data)           calls the methods of its class that `@post_load` marks
    form.validate()             calls `validate_name`, and the validators its fields were given

Which library callables do so is the catalog's data: `[[callbacks]]` for what they are given,
`[[calls]]` for methods of the class that they are called on.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.effect import Calls
from bridgekit_codemods.program.externals import FIXTURE_REQUEST
from bridgekit_codemods.program.plugins.decorated import RUN_AT_ONCE
from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import NOTHING, UNKNOWN, TypeRef, Types

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

Reached: TypeAlias = tuple[dict[Function, str], set[str]]
"""Functions of the program with grades, and library callables."""
_ATTRIBUTE = "validate_"


_SPECIAL = {
    f"builtins.{name}": methods
    for name, methods in {
        "len": ("__len__",), "str": ("__str__", "__repr__"), "repr": ("__repr__",),
        "print": ("__str__", "__repr__"), "format": ("__format__", "__str__", "__repr__"),
        "bool": ("__bool__", "__len__"), "hash": ("__hash__",), "int": ("__int__", "__index__"),
        "float": ("__float__",), "bytes": ("__bytes__",), "abs": ("__abs__",),
        "round": ("__round__",), "reversed": ("__reversed__",), "dir": ("__dir__",),
        "divmod": ("__divmod__",), "next": ("__next__",),
    }.items()
}  # fmt: skip
"""Builtins that call special methods of what they are given: the first one that there is."""
_SPECIAL |= {"copy.copy": ("__copy__",), "copy.deepcopy": ("__deepcopy__",),
             "os.fspath": ("__fspath__",), "pickle.dumps": ("__reduce_ex__", "__reduce__"),
             "builtins.str.format": ("__format__", "__str__", "__repr__")}  # fmt: skip
_EVERY = frozenset({"builtins.print", "builtins.str.format"})
"""Those that ask all of their arguments."""
_ALL_OF = {
    "contextlib.ExitStack.enter_context": ("__enter__", "__exit__"),
    "contextlib.closing": ("close",),
}
"""Library callables that call all of these methods of what they are given, now or at the end."""


class Hidden(NamedTuple):
    """What one call of a library makes it call. `lazy`: when the result is iterated."""

    targets: dict[Function, str]
    externals: set[str]
    via: str
    lazy: bool = False


class HiddenCalls:
    """Finds such calls. `reached` says what calling values of these types reaches."""

    def __init__(self, engine: Inference, reached: Callable[[Types], Reached]) -> None:
        self.engine = engine
        self.reached = reached
        self._hooks: dict[tuple[Class, str], dict[Function, str]] = {}

    def of(self, node: ast.Call, callees: Types) -> Iterator[Hidden]:
        """The hidden calls of a call, whose callee has these types."""
        for ref in sorted(callees) if len(callees) > 1 else callees:
            if ref.name != "external":
                continue
            dotted = ref.args[0].name
            found: Hidden | None = None
            callback = catalog.callback(dotted)
            if dotted in _SPECIAL:
                found = self._asked(node, dotted)
            elif dotted in _ALL_OF:
                found = self._all_of(node, dotted)
            elif dotted == "builtins.iter":
                found = self._repeated(node)
            elif dotted in RUN_AT_ONCE:
                found = self._run(ref, dotted)
            elif dotted == FIXTURE_REQUEST and self.engine.fixtures is not None:
                fixtures = self.engine.fixtures.requested(node)
                found = Hidden(dict.fromkeys(fixtures, "exact"), set(), "pytest calls it")
            elif callback is not None:
                if callback.runs == "caller" and callback.parameter:
                    found = self._given(node, callback)
            elif len(ref.args) > 1 and (entry := catalog.calls(dotted)) is not None:
                found = self._hooked(ref.args[1], entry)
            if found is not None and (found.targets or found.externals):
                if UNKNOWN in callees:
                    found = found._replace(targets=dict.fromkeys(found.targets, "guess"))
                yield found

    def _all_of(self, node: ast.Call, dotted: str) -> Hidden | None:
        """All of these methods of the first argument."""
        targets: dict[Function, str] = {}
        types = self.engine.types(node.args[0]) if node.args else NOTHING
        for name in _ALL_OF[dotted]:
            targets.update(self.special(types, (name,)))
        return Hidden(targets, set(), f"{_short(dotted)} calls it") if targets else None

    def _repeated(self, node: ast.Call) -> Hidden | None:
        """`iter(read, b"")` calls its first argument for each element."""
        if len(node.args) != 2:
            return None
        targets, externals = self.reached(self.engine.types(node.args[0]))
        waiting = {name for name in externals if catalog.blocking(name) is not None}
        return Hidden(targets, waiting, "iter calls it", lazy=True)

    def _run(self, ref: TypeRef, dotted: str) -> Hidden | None:
        """The function that a method of what a decorator made of it runs: `task.apply(...)`."""
        inner = ref.args[1].args[0] if len(ref.args) > 1 and ref.args[1].args else UNKNOWN
        if inner.name != "function":
            return None
        targets, externals = self.reached(frozenset({inner}))
        return Hidden(targets, externals, f"{dotted} calls it")

    def _given(self, node: ast.Call, callback: catalog.Callback) -> Hidden | None:
        argument = argument_of(node, callback.parameter, callback.position)
        if argument is None or isinstance(argument, ast.Lambda):
            return None  # what a lambda calls counts as called where it is written
        targets, externals = self.reached(self.engine.types(argument))
        waiting = {name for name in externals if catalog.blocking(name) is not None}
        return Hidden(targets, waiting, f"{_short(callback.dotted)} calls it", callback.lazy)

    def _asked(self, node: ast.Call, dotted: str) -> Hidden | None:
        """The special methods that a builtin calls on what it is given."""
        targets: dict[Function, str] = {}
        for argument in node.args if dotted in _EVERY else node.args[:1]:
            types = self.engine.types(argument)
            for fn, grade in self.special(types, _SPECIAL[dotted]).items():
                targets.setdefault(fn, grade)
        return Hidden(targets, set(), f"{_short(dotted)} calls it") if targets else None

    def special(self, types: Types, names: tuple[str, ...]) -> dict[Function, str]:
        """The first of these methods that each of the program's own classes has."""
        found: dict[Function, str] = {}
        for ref in types:
            cls = self.engine.facts.classes.get(ref.name)
            if ref.name == "type" and self.engine.access.metaclasses:
                made = self.engine.facts.classes.get(ref.args[0].name)
                cls = self.engine.access.metaclasses.get(made) if made is not None else None
            if cls is None:
                continue
            for line, grade in self._lines(cls):
                for name in names:
                    fn = self.engine.members.find_method(line, name)
                    if fn is not None:
                        found.setdefault(fn, grade)
                        break
        return dict.fromkeys(found, "guess") if UNKNOWN in types else found

    def _lines(self, cls: Class) -> Iterator[tuple[Class, str]]:
        yield cls, "method"
        for subclass in self.engine.members.descendants(cls):
            yield subclass, "override"

    def _hooked(self, receiver: TypeRef, entry: Calls) -> Hidden | None:
        """The methods that the library calls on the class of a receiver."""
        inner = receiver.args[0] if receiver.args else receiver
        cls = self.engine.facts.classes.get(inner.name)
        if cls is None:
            return None
        targets = dict(self.hooks(cls, entry))
        for subclass in self.engine.members.descendants(cls):
            for fn, grade in self.hooks(subclass, entry).items():
                targets.setdefault(fn, "override" if grade != "guess" else grade)
        return Hidden(targets, set(), f"{entry.dotted} calls it")

    def hooks(self, cls: Class, entry: Calls) -> dict[Function, str]:
        """The functions of the program that the library method calls for one class."""
        key = (cls, entry.dotted)
        found = self._hooks.get(key)
        if found is None:
            found = self._hooks[key] = {}  # a class may nest itself
            for line in cls.mro:
                if isinstance(line, Class):
                    self._marked(cls, line, entry, found)
                    if entry.given:
                        self._members(cls, line, entry, found)
        return found

    def _marked(self, cls: Class, line: Class, entry: Calls, found: dict[Function, str]) -> None:
        for name, method in line.methods.items():
            if "#" in name:
                continue
            named = any(fnmatchcase(name, pattern) for pattern in entry.methods)
            if not named and not (entry.decorated and _is_marked(method, entry.decorated)):
                continue
            if self.engine.members.find_method(cls, name) is not method:
                continue  # overridden
            sure = not named or not name.startswith(_ATTRIBUTE) or self._is_member(cls, name)
            found[method] = "method" if sure else "guess"

    def _is_member(self, cls: Class, name: str) -> bool:
        """Whether the class has the member that a method `validate_member` is about."""
        member = name.removeprefix(_ATTRIBUTE)
        return any(
            isinstance(line, Class) and member in self.engine.facts.class_scopes[line].names
            for line in cls.mro
        )

    def _members(self, cls: Class, line: Class, entry: Calls, found: dict[Function, str]) -> None:
        for bindings in self.engine.facts.class_scopes[line].names.values():
            for binding in bindings:
                if binding.kind in ("value", "annotated") and isinstance(binding.node, ast.Call):
                    self._made(cls, binding.node, entry, found)

    def _made(self, cls: Class, node: ast.Call, entry: Calls, found: dict[Function, str]) -> None:
        """What the maker of one member was given."""
        makers = {
            catalog.canonical(r.args[0].name)
            for r in self.engine.types(node.func)
            if r.name == "external"
        }
        for given in entry.given:
            if not any(fnmatchcase(maker, given.maker) for maker in makers):
                continue
            argument = argument_of(node, given.parameter, given.position)
            if argument is not None:
                self._argument(cls, argument, entry, found)

    @cached_property
    def _called_in(self) -> dict[Scope, list[ast.Call]]:
        """The calls that are written in each lambda."""
        found: dict[Scope, list[ast.Call]] = {}
        for call in self.engine.facts.calls:
            if call.context.in_lambda:
                scope: Scope | None = call.scope
                while scope is not None and scope.kind != "lambda":
                    scope = scope.parent
                if scope is not None:
                    found.setdefault(scope, []).append(call.node)
        return found

    def _argument(
        self, cls: Class, argument: ast.expr, entry: Calls, found: dict[Function, str]
    ) -> None:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            method = self.engine.members.find_method(cls, argument.value)
            if method is not None:
                found.setdefault(method, "method")
            return
        if isinstance(argument, (ast.List, ast.Tuple)):
            for element in argument.elts:
                self._argument(cls, element, entry, found)
            return
        if isinstance(argument, ast.Lambda):
            for call in self._called_in.get(self.engine.facts.lambdas[argument], ()):
                for fn, grade in self.reached(self.engine.types(call.func))[0].items():
                    found.setdefault(fn, grade)
            return
        if isinstance(argument, ast.Call):
            self._made(cls, argument, entry, found)
        types = self.engine.types(argument)
        values = set(types)
        for ref in types:
            if ref.name in ("list", "tuple", "set"):
                values.discard(ref)
                values.update(self.engine.results.elements(ref))
        root = catalog.root_class(entry.dotted.rpartition(".")[0])
        for ref in sorted(values):
            inner = ref.args[0].name if ref.name == "type" else ref.name
            nested = self.engine.facts.classes.get(inner)
            if nested is not None and any(
                isinstance(base, str) and catalog.root_class(base) == root for base in nested.mro
            ):
                for fn, grade in self.hooks(nested, entry).items():
                    found.setdefault(fn, grade)
                values.discard(ref)
        targets, _ = self.reached(frozenset(v for v in values if v.name != "type"))
        for fn, grade in targets.items():
            found.setdefault(fn, grade)


def argument_of(node: ast.Call, parameter: str, position: int) -> ast.expr | None:
    """The argument for a parameter; None where there is none or it cannot be told."""
    for keyword in node.keywords:
        if keyword.arg == parameter:
            return keyword.value
    if 0 <= position < len(node.args):
        if any(isinstance(argument, ast.Starred) for argument in node.args[: position + 1]):
            return None
        return node.args[position]
    return None


def _is_marked(method: Function, marks: frozenset[str]) -> bool:
    return any(d.dotted and catalog.canonical(d.dotted) in marks for d in method.decorators)


def _short(dotted: str) -> str:
    return dotted.removeprefix("builtins.")
