"""The names under which the outside knows a view: endpoint, blueprint and URL rules.

Read from the decorators and registrations as they are written. What is computed at run time (a rule
in a variable, a blueprint made in a loop) has no name here; the view is still known by its own.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass

from bridgekit_codemods.planning.frameworks import entries
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

_RULES = frozenset({"route", "get", "post", "put", "patch", "delete", "add_url_rule"})
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True)
class View:
    """One registration of a view. `rule` includes the prefixes of its blueprint."""

    function: Function
    endpoint: str
    blueprint: str | None
    rule: str | None
    methods: tuple[str, ...] = ()
    """Upper case; empty when the registration does not say."""


def views(program: Program) -> tuple[View, ...]:
    """Every registration of a view, in the order of the functions' names.

    Ask with `program.derived(views)`.
    """
    blueprints = _blueprints(program)
    found: list[View] = []
    for function in sorted(entries(program), key=lambda f: f.qualname):
        for decorator in function.decorators:
            node = decorator.node
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found += _registered(program, blueprints, function, function.path, node)
    for site in program.calls:
        if site.name == "add_url_rule" and isinstance(site.node, ast.Call):
            view = _view_of(program, site)
            if view is not None:
                found += _registered(program, blueprints, view, site.path, site.node)
    return tuple(found)


@dataclass
class _Blueprint:
    name: str
    prefixes: list[str]


def _registered(
    program: Program,
    blueprints: dict[str, _Blueprint],
    function: Function,
    path: str,
    node: ast.Call,
) -> list[View]:
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _RULES:
        return []
    how = node.func.attr
    owner = program.resolve(path, node.func.value)
    blueprint = blueprints.get(owner or "")
    rule = _text(node, 0, "rule")
    given = _text(node, 1, "endpoint") if how == "add_url_rule" else _text(node, None, "endpoint")
    endpoint = given or function.name
    if blueprint is not None:
        endpoint = f"{blueprint.name}.{endpoint}"
    methods = (how.upper(),) if how in _METHODS else _listed(node, "methods")
    rules = (
        [None]
        if rule is None
        else [_joined(prefix, rule) for prefix in (blueprint.prefixes if blueprint else [""])]
    )
    name = blueprint.name if blueprint else None
    return [View(function, endpoint, name, each, methods) for each in rules]


def _blueprints(program: Program) -> dict[str, _Blueprint]:
    """By the dotted name of the variable that holds it."""
    own: dict[str, tuple[str, str]] = {}
    for site in program.calls:
        node = site.node
        if not isinstance(node, ast.Call) or not _ends(site, "Blueprint"):
            continue
        target = program.files[site.path].parents.get(node)
        name = _text(node, 0, "name")
        variable = target.targets[0] if isinstance(target, ast.Assign) else None
        if isinstance(target, ast.AnnAssign):
            variable = target.target
        if isinstance(variable, ast.Name) and name is not None:
            dotted = f"{program.files[site.path].module}.{variable.id}"
            own[dotted] = (name, _text(node, None, "url_prefix") or "")
    prefixes: dict[str, list[str]] = defaultdict(list)
    for site in program.calls:
        node = site.node
        if site.name != "register_blueprint" or not isinstance(node, ast.Call) or not node.args:
            continue
        registered = program.resolve(site.path, node.args[0])
        if registered in own:
            given = _text(node, None, "url_prefix")
            prefix = own[registered][1] if given is None else given
            func = node.func
            if isinstance(func, ast.Attribute):
                outer = own.get(program.resolve(site.path, func.value) or "")
                prefix = _joined(outer[1], prefix) if outer is not None else prefix
            prefixes[registered].append(prefix)
    return {
        dotted: _Blueprint(name, list(dict.fromkeys(prefixes.get(dotted) or [prefix])))
        for dotted, (name, prefix) in own.items()
    }


def _ends(site: CallSite, name: str) -> bool:
    return any(
        dotted.startswith(("flask.", "quart.", "bridgekit.")) and dotted.endswith(f".{name}")
        for dotted in site.externals
    )


def _view_of(program: Program, site: CallSite) -> Function | None:
    """The function that an `add_url_rule` call registers."""
    node = site.node
    return next(
        (
            reference.function
            for reference in program.references
            if reference.path == site.path
            and reference.kind == "argument"
            and (reference.keyword == "view_func" or reference.position == 2)
            and program.files[site.path].parents.get(reference.node)
            in (node, *(k for k in getattr(node, "keywords", ())))
        ),
        None,
    )


def _text(node: ast.Call, position: int | None, keyword: str) -> str | None:
    """The literal string of an argument."""
    value: ast.expr | None = next((k.value for k in node.keywords if k.arg == keyword), None)
    if value is None and position is not None and len(node.args) > position:
        value = node.args[position]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _listed(node: ast.Call, keyword: str) -> tuple[str, ...]:
    value = next((k.value for k in node.keywords if k.arg == keyword), None)
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        return ()
    return tuple(
        item.value.upper()
        for item in value.elts
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    )


def _joined(prefix: str, rule: str) -> str:
    if not prefix:
        return rule
    return prefix.rstrip("/") + "/" + rule.lstrip("/") if rule else prefix
