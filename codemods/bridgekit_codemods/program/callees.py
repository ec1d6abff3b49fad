"""What calling a value reaches: functions of the program with grades, and library names."""

from __future__ import annotations

import builtins

from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.program.types import (
    NONE,
    TypeRef,
    Types,
    external,
    is_mock,
    ordered,
)

RANK: dict[str, int] = {
    "exact": 0, "method": 1, "override": 2, "traced": 3, "engine": 4, "guess": 5,
}  # fmt: skip


def add(targets: dict[Function, str], fn: Function, grade: str) -> None:
    """Add a function, under the better grade if it is known already."""
    known = targets.get(fn)
    if known is None or RANK[grade] < RANK[known]:
        targets[fn] = grade


class Callees:
    """Finds what calls reach; one instance for one program."""

    def __init__(self, engine: Inference) -> None:
        self.engine = engine
        self.facts = engine.facts

    def of(self, callees: Types, open_class: bool) -> tuple[dict[Function, str], set[str]]:
        """Project functions with grades, and library names, that calling these values reaches."""
        targets: dict[Function, str] = {}
        externals: set[str] = set()
        doubtful = False
        for ref in ordered(callees):
            if ref == NONE:
                continue
            known = self._add_value(ref, open_class, targets, externals)
            doubtful = doubtful or not known
        if targets and externals:
            # a double stands in for the real thing and does not make it doubtful
            externals -= {name for name in externals if is_mock(external(name))}
        if targets and (doubtful or externals):
            targets = dict.fromkeys(targets, "guess")
        return targets, externals

    def _add_value(
        self, ref: TypeRef, open_class: bool, targets: dict[Function, str], externals: set[str]
    ) -> bool:
        """Add what calling one value reaches; False when that is not known to be all."""
        if ref.name == "function":
            fn = self.facts.functions.get(ref.args[0].name)
            if fn is not None:
                add(targets, fn, ref.args[1].name)
            return fn is not None
        if ref.name == "functools.partial" and ref.args:
            return self._add_value(ref.args[0], open_class, targets, externals)
        if ref.name == "type":
            cls = self.facts.classes.get(ref.args[0].name)
            if cls is not None:
                self._constructor(cls, open_class, targets, externals)
            return cls is not None
        if ref.name == "external":
            name = ref.args[0].name
            root, _, last = name.rpartition(".")
            if root == "builtins" and not hasattr(builtins, last):
                return False
            externals.add(name)
            return True
        cls = self.facts.classes.get(ref.name)
        if cls is not None:
            fn = self.engine.members.find_method(cls, "__call__")
            if fn is None:
                return False
            add(targets, fn, "method")
            for subclass in self.engine.members.descendants(cls):
                other = self.engine.members.find_method(subclass, "__call__")
                if other is not None:
                    add(targets, other, "override")
            return True
        if ref.name.startswith("bridgekit."):
            externals.add(ref.name)
            return True
        if "." in ref.name:
            externals.add(f"{ref.name}.__call__")
            return True
        return False

    def _constructor(
        self, cls: Class, open_class: bool, targets: dict[Function, str], externals: set[str]
    ) -> None:
        members = self.engine.members
        found = False
        meta = self.engine.access.metaclasses.get(cls)
        if meta is not None and (fn := members.find_method(meta, "__call__")) is not None:
            add(targets, fn, "exact")
        for name in ("__new__", "__init__", "__post_init__"):
            fn = members.find_method(cls, name)
            if fn is not None:
                add(targets, fn, "exact")
                found = True
        if open_class:
            for subclass in members.descendants(cls):
                fn = members.find_method(subclass, "__init__")
                if fn is not None:
                    add(targets, fn, "override")
        if not found:
            bases = [b for b in cls.mro if isinstance(b, str) and b != "?"]
            externals.update(bases[:1])
