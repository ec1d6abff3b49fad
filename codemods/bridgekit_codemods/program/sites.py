"""Call sites from the facts and the inferred types."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from bridgekit_codemods.program.callees import RANK, Callees, add
from bridgekit_codemods.program.calls import (
    CallKind,
    CallSite,
    Grade,
    Target,
)
from bridgekit_codemods.program.facts import Augmented, CallFact, Context, ExpressionFact
from bridgekit_codemods.program.hidden import HiddenCalls
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.plugins.jinja import Templates
from bridgekit_codemods.program.plugins.operators import Operators
from bridgekit_codemods.program.results import MANAGERS
from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import (
    NOTHING,
    UNKNOWN,
    Types,
    is_mock,
    ordered,
)

_CONSUMERS = frozenset(
    {
        "builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "builtins.sorted",
        "builtins.sum", "builtins.any", "builtins.all", "builtins.min", "builtins.max",
        "builtins.next", "builtins.enumerate", "builtins.reversed", "builtins.iter",
        "builtins.dict", "builtins.zip", "builtins.map", "builtins.filter", "builtins.str.join",
        "builtins.list.extend", "builtins.set.update", "builtins.dict.update",
        "collections.deque", "collections.deque.extend", "itertools.chain", "itertools.islice",
    }
)  # fmt: skip
_MEASURING = frozenset(
    {"builtins.list", "builtins.tuple", "builtins.sorted", "builtins.list.extend"}
)
"""Those that ask for the length first, to make room."""
_ACCESSORS: dict[str, type[ast.expr_context]] = {
    "builtins.getattr": ast.Load,
    "builtins.hasattr": ast.Load,
    "builtins.setattr": ast.Store,
    "builtins.delattr": ast.Del,
}
_LENGTH = ("__len__",)
_ACCESSOR_NAMES = frozenset(dotted.rpartition(".")[2] for dotted in _ACCESSORS)


class Sites:
    """Builds the program's call sites; one instance for one program."""

    def __init__(self, engine: Inference, sources: Mapping[str, bytes]) -> None:
        self.engine = engine
        self.facts = engine.facts
        self._known: dict[tuple[Function, str, str], Target] = {}
        self.callees = Callees(engine)
        self.hidden = HiddenCalls(engine, self._reached)
        self.templates = Templates(engine, sources, self._reached)
        self.properties = {
            fn.name for fn in self.facts.functions.values() if fn.cls is not None and fn.is_property
        }

    def all(self) -> list[CallSite]:
        """Every site, in the order of files and positions."""
        found: list[CallSite] = []
        for call in self.facts.calls:
            found.append(self._call(call))
            found += self._consumed(call)
            found += self._hidden(call)
        described, dynamic = self.engine.access.names(), self.engine.access.dynamic
        settled, types = self.engine.settled, self.engine.types
        for attribute in self.facts.attributes:
            name: str = attribute.node.attr  # type: ignore[attr-defined]
            if name in self.properties:
                found += self._attribute(attribute, True)
            elif name in described:
                found += self._attribute(attribute, False)
            elif dynamic:
                owner: ast.expr = attribute.node.value  # type: ignore[attr-defined]
                known = settled.get(owner)
                for ref in types(owner) if known is None else known:
                    if ref.name in dynamic:
                        found += self._attribute(attribute, False)
                        break
        operators = Operators(self.engine, self.hidden.special)
        for fact in self.facts.operations if operators.defined else ():
            targets = operators.of(fact.node)
            if any(fn.name == "__iter__" for fn in targets):
                self._add_steps(targets, "__next__")
            if targets:
                found.append(
                    self._site("operator", fact.node, fact.scope, fact.context, targets,
                               name=min(fn.name for fn in targets), via="an operator calls it")
                )  # fmt: skip
        for fact in self.facts.operations:
            if type(fact.node) is Augmented and self._extends(fact.node):
                added = ExpressionFact(fact.node.right, fact.scope, fact.context)
                found += self._iteration(added, measured=True)
        for fact in self.facts.withs:
            found += self._with(fact)
        for fact in self.facts.iterations:
            found += self._iteration(fact)
        for decorator in self.facts.decorators:
            found += self._decorator(decorator.node, decorator.scope)
        return sorted(found, key=lambda s: (s.path, s.span, s.kind))

    def _site(
        self,
        kind: CallKind,
        node: ast.expr,
        scope: Scope,
        context: Context,
        targets: dict[Function, str],
        externals: Iterable[str] = (),
        *,
        name: str = "",
        receiver: Types = NOTHING,
        awaited: bool = False,
        via: str | Mapping[Function, str] = "",
    ) -> CallSite:
        return CallSite(
            path=scope.file.path,
            span=scope.file.span(node),
            node=node,
            kind=kind,
            caller=scope.function,
            targets=self._targets(targets, via) if targets else (),
            externals=tuple(sorted(set(externals))) if externals else (),
            name=name,
            receiver=receiver,
            in_lambda=context.in_lambda,
            in_comprehension=context.in_comprehension,
            in_genexp=context.in_genexp,
            awaited=awaited,
        )

    def _targets(
        self, grades: dict[Function, str], via: str | Mapping[Function, str]
    ) -> tuple[Target, ...]:
        found: list[Function] = list(grades)
        if len(found) > 1:
            found.sort(key=lambda f: (RANK[grades[f]], f.qualname))
        return tuple(
            self._target(f, grades[f], via if isinstance(via, str) else via[f]) for f in found
        )

    def _target(self, fn: Function, grade: str, via: str) -> Target:
        known = self._known.get((fn, grade, via))
        if known is None:
            known = self._known[fn, grade, via] = Target(fn, _grade(grade), via)
        return known

    # -- calls -----------------------------------------------------------------------------

    def _call(self, fact: CallFact) -> CallSite:
        func = fact.node.func
        callees = self.engine.types(func)
        # only where a class is called does it matter whether a subclass may be meant
        is_class = any(r.name in ("type", "functools.partial") for r in callees)
        is_open = is_class and self.engine.is_open_class(func)
        targets, externals = self.callees.of(callees, is_open)
        receiver = self._receiver(func.value) if isinstance(func, ast.Attribute) else NOTHING
        return self._site(
            "call", fact.node, fact.scope, fact.context, targets, externals,
            name=_last_name(func), receiver=receiver, awaited=fact.awaited,
        )  # fmt: skip

    def _consumed(self, fact: CallFact) -> list[CallSite]:
        """`list(x)`, `next(x)`, `sum(x)`, ...: the call runs the iterator."""
        callees = self.engine.types(fact.node.func)
        names = {r.args[0].name for r in callees if r.name == "external"}
        if not names & _CONSUMERS:
            return []
        found: list[CallSite] = []
        measured = not names.isdisjoint(_MEASURING)
        for argument in fact.node.args:
            if not isinstance(argument, ast.Starred):
                each = ExpressionFact(argument, fact.scope, fact.context)
                found += self._iteration(each, measured=measured)
        return found

    def _receiver(self, node: ast.expr) -> Types:
        return self.engine.stood_for(self.engine.types(node))

    def _reached(self, types: Types) -> tuple[dict[Function, str], set[str]]:
        targets, externals = self.callees.of(types, False)
        return dict(targets), set(externals)

    def _hidden(self, fact: CallFact) -> list[CallSite]:
        """What library code calls before the call returns, or while its result is iterated."""
        callees = self.engine.types(fact.node.func)
        name = _last_name(fact.node.func)
        found = [
            self._site(
                "iter" if hidden.lazy else "hidden", fact.node, fact.scope, fact.context,
                hidden.targets, hidden.externals, name=name, via=hidden.via,
            )
            for hidden in self.hidden.of(fact.node, callees)
        ]  # fmt: skip
        if len(fact.node.args) > 1 and name in _ACCESSOR_NAMES:
            found += self._by_name(fact, callees)
        touched = self.templates.of(fact.node, callees)
        if touched is not None:
            found.append(
                self._site(
                    "template", fact.node, fact.scope, fact.context, touched.targets,
                    touched.externals, name=name, via=touched.places,
                )
            )  # fmt: skip
        return found

    # -- implicit calls --------------------------------------------------------------------

    def _attribute(self, fact: ExpressionFact, is_property: bool) -> list[CallSite]:
        """What access to an attribute runs. `is_property`: some class has a property of the name,
        so that a site is wanted for a receiver that may be of that class too."""
        node = fact.node
        assert isinstance(node, ast.Attribute)
        receivers = self._receiver(node.value)
        contexts = (ast.Load, ast.Store) if fact.augmented else (type(node.ctx),)
        targets: dict[Function, str] = {}
        doubtful = not receivers
        for ref in ordered(receivers):
            if ref == UNKNOWN or ref.name == "external":
                doubtful = True
                continue
            for context in contexts:
                for fn, grade in self.engine.access.functions(ref, node.attr, context).items():
                    add(targets, fn, grade)
        if not targets and not (doubtful and is_property):
            return []
        if doubtful:
            targets = dict.fromkeys(targets, "guess")
        return [
            self._site("property", node, fact.scope, fact.context, targets, name=node.attr,
                       receiver=receivers)
        ]  # fmt: skip

    def _by_name(self, fact: CallFact, callees: Types) -> list[CallSite]:
        """`getattr(order, "total")` and the like: access to an attribute by its name."""
        args = fact.node.args
        names = {ref.args[0].name for ref in callees if ref.name == "external"}
        context = next((_ACCESSORS[n] for n in names if n in _ACCESSORS), None)
        if context is None or not isinstance(args[1], ast.Constant):
            return []
        targets: dict[Function, str] = {}
        receivers = self._receiver(args[0])
        for ref in ordered(receivers):
            for fn, grade in self.engine.access.functions(ref, str(args[1].value), context).items():
                add(targets, fn, grade if UNKNOWN not in receivers else "guess")
        if not targets:
            return []
        via = f"{_last_name(fact.node.func)} calls it"
        return [
            self._site("hidden", fact.node, fact.scope, fact.context, targets,
                       name=_last_name(fact.node.func), via=via)
        ]  # fmt: skip

    def _with(self, fact: ExpressionFact) -> list[CallSite]:
        prefix = "__a" if fact.is_async else "__"
        names = (f"{prefix}enter__", f"{prefix}exit__")
        targets, externals, doubtful = self._protocol(fact.node, names)
        producers = self._producers(fact.node, managers=True)
        for fn, grade in producers.items():
            add(targets, fn, grade)
        return self._implicit("with", fact, targets, externals, doubtful, names[0])

    def _iteration(self, fact: ExpressionFact, *, measured: bool = False) -> list[CallSite]:
        names = ("__aiter__", "__anext__") if fact.is_async else ("__iter__", "__next__")
        targets, externals, doubtful = self._protocol(fact.node, names[:1])
        self._add_steps(targets, names[1])
        if measured and targets:
            for fn, grade in self.hidden.special(self.engine.types(fact.node), _LENGTH).items():
                add(targets, fn, grade)
        for fn, grade in self._producers(fact.node, managers=False).items():
            add(targets, fn, grade)
        return self._implicit("iter", fact, targets, externals, doubtful, names[0])

    def _extends(self, node: ast.BinOp) -> bool:
        """`rows += more`: a list takes in all that it is given."""
        return isinstance(node.op, ast.Add) and any(
            ref.name == "list" for ref in self.engine.types(node.left)
        )

    def _add_steps(self, targets: dict[Function, str], name: str) -> None:
        """Add what gives the elements of the iterators that these functions return."""
        for fn in list(targets):
            for ref in self.engine.results.called(fn, None):
                cls = self.facts.classes.get(ref.name)
                step = self.engine.members.find_method(cls, name) if cls else None
                if step is not None:
                    add(targets, step, targets[fn])

    def _implicit(
        self,
        kind: CallKind,
        fact: ExpressionFact,
        targets: dict[Function, str],
        externals: set[str],
        doubtful: bool,
        name: str,
    ) -> list[CallSite]:
        if not targets and not externals:
            return []
        if targets and (doubtful or externals):
            targets = dict.fromkeys(targets, "guess")
        return [
            self._site(
                kind,
                fact.node,
                fact.scope,
                fact.context,
                targets,
                externals,
                name=name,
                receiver=self.engine.types(fact.node),
            )
        ]

    def _protocol(
        self, node: ast.expr, names: tuple[str, ...]
    ) -> tuple[dict[Function, str], set[str], bool]:
        """The special methods that a statement calls on a value."""
        members = self.engine.members
        targets: dict[Function, str] = {}
        externals: set[str] = set()
        doubtful = False
        for ref in ordered(self.engine.types(node)):
            cls = self.facts.classes.get(ref.name)
            if cls is not None:
                for name in names:
                    fn = members.find_method(cls, name)
                    if fn is not None:
                        add(targets, fn, "method")
                    else:
                        bases = [b for b in cls.mro if isinstance(b, str) and b.count(".")]
                        externals.update(f"{b}.{name}" for b in bases if _is_library_class(b))
                    for subclass in members.descendants(cls):
                        other = members.find_method(subclass, name)
                        if other is not None:
                            add(targets, other, "override")
            elif ref.name == "type":
                for fn, grade in self.hidden.special(frozenset({ref}), names).items():
                    add(targets, fn, grade)
            elif ref == UNKNOWN:
                doubtful = True
            elif "." in ref.name and ref.name not in MANAGERS and not is_mock(ref):
                externals.update(f"{ref.name}.{name}" for name in names)
        return targets, externals, doubtful

    def _producers(self, node: ast.expr, *, managers: bool) -> dict[Function, str]:
        """Project generator functions whose call, written right here, makes the value."""
        if not isinstance(node, ast.Call):
            return self._producers_of_name(node, managers=managers)
        targets, _ = self.callees.of(self.engine.types(node.func), False)
        return {
            fn: grade
            for fn, grade in targets.items()
            if fn.is_generator and managers == _makes_manager(fn)
        }

    def _producers_of_name(self, node: ast.expr, *, managers: bool) -> dict[Function, str]:
        """The same through a local name: `rows = fetch(); for row in rows: ...`."""
        if not isinstance(node, ast.Name):
            return {}
        place = self.facts.places.get(node)
        found = self.engine.linker.lookup(place.scope, node.id) if place is not None else None
        if found is None or len(found[1]) != 1:
            return {}
        binding = found[1][0]
        if binding.kind == "value" and isinstance(binding.node, ast.Call):
            return self._producers(binding.node, managers=managers)
        return {}

    def _decorator(self, node: ast.expr, scope: Scope) -> list[CallSite]:
        targets, externals = self.callees.of(self.engine.types(node), False)
        if not targets and not externals:
            return []
        return [
            self._site(
                "decorator", node, scope, Context(), targets, externals, name=_last_name(node)
            )
        ]


def _grade(text: str) -> Grade:
    return text  # type: ignore[return-value]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return ""


def _makes_manager(fn: Function) -> bool:
    return any((d.dotted or "").startswith("contextlib.") for d in fn.decorators)


def _is_library_class(dotted: str) -> bool:
    return not dotted.startswith(("builtins.", "typing.", "abc.", "enum."))
