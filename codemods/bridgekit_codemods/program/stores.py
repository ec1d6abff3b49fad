"""Assignments to attributes and items: which object they store into, and under what name."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from bridgekit_codemods.program.facts import CallFact, Facts, StoreFact
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.symbols import Class
from bridgekit_codemods.program.types import UNKNOWN, TypeRef, ordered


def own_stores(facts: Facts) -> tuple[dict[tuple[str, str], list[StoreFact]], list[StoreFact]]:
    """Assignments to attributes of `self`/`cls`, by class and attribute, and all the others."""
    own: dict[tuple[str, str], list[StoreFact]] = {}
    others: list[StoreFact] = []
    for store in facts.stores:
        target = store.target
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            place = facts.places.get(target.value)
            method = place.scope.function if place is not None else None
            while method is not None and method.cls is None:
                method = method.parent
            if (
                method is not None
                and method.cls is not None
                and method.params
                and not method.is_static
                and method.params[0].name == target.value.id
            ):
                own.setdefault((method.cls.qualname, target.attr), []).append(store)
                continue
        others.append(store)
    return own, others


def stored_names(stores: Iterable[StoreFact]) -> frozenset[str]:
    """The names of the attributes and literal items that these assignments assign to."""
    found: set[str] = set()
    for store in stores:
        if isinstance(store.target, ast.Attribute):
            found.add(store.target.attr)
        elif isinstance(store.target.slice, ast.Constant):
            found.add(str(store.target.slice.value))
    return frozenset(found)


def add_foreign_stores(engine: Inference, stores: Iterable[StoreFact]) -> list[tuple[str, str]]:
    """File assignments to attributes of other objects under the types of those objects.

    Returns the owners and names that are assigned in a way that was not known.
    """
    added: list[tuple[str, str]] = []
    pending: list[tuple[tuple[str, str], StoreFact]] = []
    for store in stores:
        target = store.target
        if isinstance(target, ast.Subscript):
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                owner = engine.item_owner(target.value)
                if owner is not None and not store.binding.scope.file.is_test:
                    pending.append(((owner, target.slice.value), store))
            continue
        for ref in ordered(engine.types(target.value)):
            for key in _owners(engine, ref, store.binding.scope.file.is_test):
                pending.append(((key, target.attr), store))
    for place, store in pending:
        if (place, store.binding) not in engine.filed:
            engine.filed.add((place, store.binding))
            engine.stored.setdefault(place, []).append(store.binding)
            added.append(place)
    return added


def parser_defaults(facts: Facts) -> list[tuple[str, CallFact, Binding]]:
    """What `parser.set_defaults(func=run)` says: the attribute, the call, and the value's binding.

    Values that tests give are left out.
    """
    return [
        (
            keyword.arg,
            call,
            Binding(
                "value",
                call.scope.block,
                (call.node.lineno, call.node.col_offset),
                call.scope,
                node=keyword.value,
            ),
        )
        for call in facts.calls
        if isinstance(call.node.func, ast.Attribute)
        and call.node.func.attr == "set_defaults"
        and not call.scope.file.is_test
        for keyword in call.node.keywords
        if keyword.arg is not None
    ]


def add_parser_defaults(
    engine: Inference, defaults: Iterable[tuple[str, CallFact, Binding]]
) -> list[tuple[str, str]]:
    """File the functions that argparse hands out (`args.func(args)`) under its namespace.

    Returns the owners and names that are assigned in a way that was not known.
    """
    added: list[tuple[str, str]] = []
    for name, call, binding in defaults:
        assert isinstance(call.node.func, ast.Attribute)
        parsers = engine.types(call.node.func.value)
        if any(ref != UNKNOWN and ref.name != "argparse.ArgumentParser" for ref in parsers):
            continue
        assert binding.node is not None
        if not any(ref.name == "function" for ref in engine.types(binding.node)):
            continue
        known = engine.stored.setdefault(("argparse.Namespace", name), [])
        if binding not in known:
            known.append(binding)
            added.append(("argparse.Namespace", name))
    return added


def _owners(engine: Inference, ref: TypeRef, in_tests: bool) -> list[str]:
    cls = engine.facts.classes.get(ref.name)
    if cls is not None:
        if in_tests and not _is_test_class(engine, cls):
            return []
        library = [b for b in cls.mro if isinstance(b, str) and b != "?" and b.count(".")]
        return [cls.qualname, *(b for b in library if not b.startswith("builtins."))]
    if in_tests:
        return []
    if ref.name == "module":
        return [f"module:{ref.args[0].name}"]
    if ref.name == "external":
        return [f"object:{ref.args[0].name}"]
    if ref.name == "type" and ref.args[0].name in engine.facts.classes:
        return [ref.args[0].name]
    return [ref.name] if "." in ref.name else []


def _is_test_class(engine: Inference, cls: Class) -> bool:
    return engine.facts.class_scopes[cls].file.is_test
