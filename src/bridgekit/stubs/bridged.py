"""Functions that a bridge turned over: how to tell one, and where its definition is."""

from __future__ import annotations

import ast
import functools
import inspect
from dataclasses import dataclass
from typing import Any

from bridgekit.adapters.proxies.classes import Family
from bridgekit.adapters.proxies.rules import Colour, MemberKind
from bridgekit.stubs.definitions import ClassText, FunctionNode, ModuleText, module_text
from bridgekit.stubs.names import Place
from bridgekit.stubs.signatures import from_runtime

__all__ = ["Bridged", "bridged"]


@dataclass(frozen=True)
class Bridged:
    """A function of one colour over one of the other."""

    inner: Any
    colour: Colour
    kind: MemberKind
    family: Family | None

    def is_own(self, name: str, cls: ClassText | None) -> bool:
        """Whether the function inside is the one that is defined under ``name`` in ``cls``."""
        wanted = f"{cls.qualname}.{name}" if cls is not None else name
        return getattr(self.inner, "__qualname__", None) == wanted

    def definition(self, home: ModuleText) -> tuple[list[FunctionNode], Place]:
        """The definition of the function inside, all overloads, and where it stands."""
        module = getattr(self.inner, "__module__", None)
        qualname = getattr(self.inner, "__qualname__", "")
        text = home if module == home.name else module_text(module) if module else None
        if text is not None:
            owner, _, name = qualname.rpartition(".")
            cls = text.classes.get(owner) if owner else None
            members = cls.members if cls is not None else {} if owner else text.definitions
            nodes = [
                node
                for node in members.get(name, [])
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            if nodes:
                return nodes, Place(text, cls)
        made = from_runtime(self.inner)
        if made is None:
            parsed = ast.parse("def f(*args, **kwargs): ...").body[0]
            assert isinstance(parsed, ast.FunctionDef)
            made = parsed
        made.name = qualname or "f"
        return [made], Place(home)


def bridged(value: Any) -> Bridged | None:
    """What a bridge made ``value`` of; None where none did."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if not inspect.isroutine(value) and not isinstance(value, functools.partial):
        return None
    inner = getattr(value, "__wrapped__", None)
    if inner is None:
        return None
    family: Family | None = getattr(value, "_bridgekit_family", None)
    kind: MemberKind = getattr(value, "_bridgekit_kind", MemberKind.CALL)
    if family is not None:
        return Bridged(inner, family.colour, kind, family)
    is_async, was_async = inspect.iscoroutinefunction(value), inspect.iscoroutinefunction(inner)
    if is_async == was_async:
        return None
    return Bridged(inner, "async" if is_async else "sync", kind, None)
