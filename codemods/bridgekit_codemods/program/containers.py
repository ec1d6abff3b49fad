"""What a program puts into the containers that it makes empty or fills later: registries, lists.

    HANDLERS = {"plain": Plain}         a dict that a name or an attribute is bound to
    HANDLERS["rich"] = Rich             filled elsewhere, in another module perhaps
    rows.append(Row())                  likewise

This is found by names alone, before anything is inferred: which binding made the container, and
which expressions go into it. A container that is filled under another name, as a parameter for
example, is not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TypeAlias

from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.scopes import Binding, Scope
from bridgekit_codemods.program.symbols import Class

Contents: TypeAlias = dict[Binding, list[Binding]]
"""By the binding of a container, the bindings that stand for what goes into it."""
_ADDED = {"append": 0, "add": 0, "appendleft": 0, "insert": 1, "setdefault": 1}
_MERGED = ("update", "extend", "extendleft", "__setitem__")
_MAKERS = frozenset(
    {
        "dict", "list", "set", "OrderedDict", "defaultdict", "deque", "UserDict",
        "CaseInsensitiveDict", "WeakValueDictionary",
    }
)  # fmt: skip
_DEPTH = 10


def contents(engine: Inference) -> Contents:
    """Every container of the program that is filled after it was made."""
    found: Contents = {}
    facts = engine.facts
    for store in facts.stores:
        if isinstance(store.target, ast.Subscript) and not isinstance(
            store.target.slice, ast.Slice
        ):
            scope = store.binding.scope
            _add(engine, found, store.target.value, scope, store.binding)
    for call in facts.calls:
        func = call.node.func
        if not isinstance(func, ast.Attribute):
            continue
        if func.attr not in _ADDED and func.attr not in _MERGED:
            continue
        position = (call.node.lineno, call.node.col_offset)
        index = _ADDED.get(func.attr)
        if index is not None and len(call.node.args) > index:
            node = call.node.args[index]
            source = Binding("value", call.scope.block, position, call.scope, node=node)
        elif func.attr in _MERGED:
            source = Binding("opaque", call.scope.block, position, call.scope)
        else:
            continue
        _add(engine, found, func.value, call.scope, source)
    return found


def _add(engine: Inference, found: Contents, base: ast.expr, scope: Scope, source: Binding) -> None:
    for binding in _bindings(engine, base, scope):
        in_program = not binding.scope.file.is_test
        if _makes(binding.node) and not (in_program and scope.file.is_test):
            found.setdefault(binding, []).append(source)


def _makes(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Call):
        func = node.func
        name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
        return name in _MAKERS
    return isinstance(node, (ast.Dict, ast.List, ast.Set))


def _bindings(engine: Inference, base: ast.expr, scope: Scope) -> Iterable[Binding]:
    """The bindings of the name or attribute that a container goes by."""
    if isinstance(base, ast.Name):
        found = engine.linker.lookup(scope, base.id)
        return _followed(engine, found[1]) if found is not None else ()
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
        cls = _own_class(scope, base.value.id)
        if cls is not None:
            return [
                binding
                for line in cls.mro
                if isinstance(line, Class)
                for binding in engine.members.attribute_bindings(line, base.attr)
            ]
        found = engine.linker.lookup(scope, base.value.id)
        path = _module(engine, found[1][-1]) if found is not None else None
        names = engine.linker.module_names(path, base.attr) if path is not None else None
        return _followed(engine, names[1]) if names is not None else ()
    return ()


def _followed(engine: Inference, bindings: list[Binding]) -> list[Binding]:
    """Through `from module import NAME` to where the name is bound."""
    for _ in range(_DEPTH):
        binding = bindings[-1]
        if binding.kind != "from":
            break
        path = engine.linker.module_path(binding.module, binding.scope.file.path)
        names = engine.linker.module_names(path, binding.attribute) if path else None
        if names is None:
            return []
        bindings = names[1]
    return bindings


def _module(engine: Inference, binding: Binding) -> str | None:
    importer = binding.scope.file.path
    if binding.kind == "import":
        return engine.linker.module_path(binding.module, importer)
    if binding.kind == "from":
        return engine.linker.module_path(f"{binding.module}.{binding.attribute}", importer)
    return None


def _own_class(scope: Scope, name: str) -> Class | None:
    """The class whose methods call their receiver by this name here."""
    function = scope.function
    while function is not None and function.cls is None:
        function = function.parent
    if function is None or function.is_static or not function.params:
        return None
    return function.cls if function.params[0].name == name else None
