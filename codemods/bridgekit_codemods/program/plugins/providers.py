"""Library objects that stand for what a function of the program gives.

`flask_login.current_user` is what the function registered by `@login_manager.user_loader` returns.
Which objects there are, and how their functions are registered, is the catalog's data.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bridgekit_codemods import catalog
from bridgekit_codemods.program.scopes import Scope
from bridgekit_codemods.program.symbols import Function

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference


def providers(engine: Inference) -> dict[str, tuple[Function, ...]]:
    """The functions that the program registers, by the object that stands for their results.

    The decorators must have their names. What tests register does not count where the program
    registers something itself.
    """
    objects = _objects(engine)
    if not objects:
        return {}
    registered: dict[str, dict[Function, None]] = {}
    for fn in engine.facts.functions.values():
        for decorator in fn.decorators:
            name = catalog.canonical(decorator.dotted) if decorator.dotted else ""
            registered.setdefault(name, {})[fn] = None
    wanted = frozenset().union(*objects.values())
    last_names = {name.rpartition(".")[2] for name in wanted}
    for call in engine.facts.calls:
        func = call.node.func
        if isinstance(func, ast.Attribute) and func.attr in last_names and call.node.args:
            names = {r.args[0].name for r in engine.types(func) if r.name == "external"}
            for ref in sorted(engine.types(call.node.args[0])):
                given = ref.name == "function" and engine.facts.functions.get(ref.args[0].name)
                if given:
                    for name in names & wanted:
                        registered.setdefault(name, {})[given] = None
    found: dict[str, tuple[Function, ...]] = {}
    for dotted, registrations in objects.items():
        functions = [fn for name in sorted(registrations) for fn in registered.get(name, ())]
        own = [fn for fn in functions if not engine.facts.definition_scopes[fn].file.is_test]
        if functions:
            found[dotted] = tuple(own or functions)
    return found


def _objects(engine: Inference) -> dict[str, frozenset[str]]:
    """The objects of the catalog that the program imports."""
    found: dict[str, frozenset[str]] = {}
    pending: list[Scope] = list(engine.facts.modules.values())
    pending += engine.facts.function_scopes.values()
    for scope in pending:
        for bindings in scope.names.values():
            for binding in bindings:
                if binding.kind == "from":
                    dotted = catalog.canonical(f"{binding.module}.{binding.attribute}")
                    registrations = catalog.providers(dotted)
                    if registrations:
                        found[dotted] = registrations
    return found
