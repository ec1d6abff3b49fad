"""BK270 fold-facade: a facade that nobody calls any more goes, and its twin takes the name.

Only where that can be seen: no call, no use as a value, no patch, and for a method no call of that
name on a receiver of unknown type.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.arity import accepts
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.goals import goal_functions
from bridgekit_codemods.planning.reach import calls_what_it_wraps
from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.definitions import CACHE_API
from bridgekit_codemods.rules.names import NameUses, absolute_module, folded_alias

_PREFIX = "fold:"


class FoldFacades:
    """Removes the facades that bridge nothing any more."""

    name = "fold-facade"
    code = "BK270"
    safety: Safety = "guarded"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        """All facades that can go in one step; those of a step that turned red, one at a time."""
        colours = program.derived(Colours)
        public = public_goals(program, options.scope)
        unused = {
            facade: twin
            for facade, twin in colours.facades.items()
            if facade not in public and _a_user(colours, facade, twin) is None
        }
        for pairs in _choices(colours, unused, kept):
            return _build(colours, _key(pairs), pairs)
        return None

    def ahead(self, colours: Colours, options: Options, kept: frozenset[str]) -> Iterator[Step]:
        """The steps of a program that will have these colours; they have no changes yet.

        `colours` hold the facades to come. What calls one of them plainly then is what is sync
        even then; patches go with the calls.
        """
        program = colours.program
        used = {r.function for r in program.references} | program.derived(settings).kept.keys()
        used |= public_goals(program, options.scope)
        unused = {
            facade: twin
            for facade, twin in colours.facades.items()
            if facade not in used
            and twin.name != facade.name
            and all(
                site.kind == "call" and site.caller is not None and colours.native(site.caller)
                for site in program.callers_of(facade)
                if not calls_what_it_wraps(site)
            )
            and _hidden_user(program, facade) is None
        }
        for pairs in _choices(colours, unused, kept):
            yield _step(_key(pairs), pairs, {})

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        """The facades that stay, each with one caller that needs it."""
        colours = program.derived(Colours)
        found = []
        public = public_goals(program, options.scope)
        for facade, twin in sorted(colours.facades.items(), key=lambda item: item[0].qualname):
            user = _a_user(colours, facade, twin)
            if user is None and facade in public:
                user = "named by --goal: whoever calls it is not in this program"
            if user is not None:
                found.append(
                    Finding(
                        facade.path,
                        facade.node.lineno,
                        "BK271",
                        f"a sync facade stays: {user}",
                        "none needed: sync callers reach the async function through it",
                        facade.qualname,
                    )
                )
        return tuple(found)


def public_goals(program: Program, scope: Scope) -> frozenset[Function]:
    """The functions that goals name by their dotted names, private ones left out.

    They are goals for the sake of callers elsewhere, sync ones among them.
    """
    return frozenset(
        function
        for pattern in scope.goals
        if ":" not in pattern
        for function in goal_functions(program, pattern)
        if not any(_is_private(part) for part in function.qualname.split("."))
    )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _choices(
    colours: Colours, unused: Mapping[Function, Function], kept: frozenset[str]
) -> Iterator[list[tuple[Function, Function]]]:
    """The sets of facades that may go together, the largest first: families whole, and those of a
    step that turned red one at a time."""
    suspects = {
        name
        for key in kept
        if key.startswith(_PREFIX)
        for name in key.removeprefix(_PREFIX).split(",")
    }
    together: dict[Function, Function] = {}
    alone: list[dict[Function, Function]] = []
    for facade in sorted(unused, key=lambda f: f.qualname):
        family = colours.program.family(facade)
        if any(member not in unused for member in family):
            continue
        pairs = {member: unused[member] for member in family}
        if any(member.qualname in suspects for member in family):
            if facade is min(family, key=lambda f: f.qualname):
                alone.append(pairs)
        else:
            together.update(pairs)
    for chosen in ([together] if together else []) + alone:
        ordered = sorted(chosen.items(), key=lambda item: item[0].qualname)
        if _key(ordered) not in kept:
            yield ordered


def _key(pairs: list[tuple[Function, Function]]) -> str:
    return _PREFIX + ",".join(facade.qualname for facade, _ in pairs)


def _a_user(colours: Colours, facade: Function, twin: Function) -> str | None:
    """Who keeps the facade alive, in words; None if nobody does."""
    program = colours.program
    pattern = program.derived(settings).kept.get(facade)
    if pattern is not None:
        return f"kept sync by the pattern {pattern!r} in pyproject.toml"
    for site in program.callers_of(facade):
        if site.caller is not twin or site.kind != "call":
            return f"called at {site.path}:{site.span.line}"
    for reference in program.references:
        if reference.function is facade:
            return f"used as a value at {reference.path}:{reference.span.line}"
    for patch in program.patches:
        if patch.resolved is facade:
            return f"patched at {patch.path}:{patch.span.line}"
    for site in _guessed(program, twin):
        if not _is_ours(program, twin):
            return f"its async form is perhaps called at {site.path}:{site.span.line}"
    return _hidden_user(program, facade)


def _guessed(program: Program, twin: Function) -> Iterator[CallSite]:
    """The calls of the twin's name on something that is not known well enough."""
    if twin.cls is not None:
        for site in program.unresolved_named(twin.name):
            if not isinstance(site.node, ast.Call) or accepts(twin, site.node):
                yield site


def _is_ours(program: Program, twin: Function) -> bool:
    """Says whether such calls mean the twin: they are awaited, and nothing else has its name."""
    return all(site.awaited for site in _guessed(program, twin)) and not any(
        function.name == twin.name and function is not twin
        for function in program.functions.values()
    )


def _hidden_user(program: Program, facade: Function) -> str | None:
    """Who may keep the facade alive without naming it for certain."""
    if facade.cls is not None:
        for site in program.unresolved_named(facade.name):
            if isinstance(site.node, ast.Call) and not accepts(facade, site.node):
                continue
            return f"perhaps called at {site.path}:{site.span.line}"
        if program.overrides_external(facade) is not None:
            return f"overrides {program.overrides_external(facade)}"
    if facade.name in program.derived(NameUses).listed.get(facade.path, ()):
        return f"exported by {facade.path}"
    return None


def _build(colours: Colours, key: str, pairs: list[tuple[Function, Function]]) -> Step:
    program = colours.program
    draft = Draft(program)
    twins = {twin: facade for facade, twin in pairs}
    for facade, twin in pairs:
        file = program.files[facade.path]
        edits = draft.edits(facade.path)
        edits.at("FunctionDef", file.span(facade.node), nodes.removed)
        edits.at("FunctionDef", file.span(twin.node), nodes.renamed_definition(facade.name))
        edits.drop_import("bridgekit", "async_to_sync")
    for site in program.calls:
        if site.kind != "call" or not isinstance(site.node, ast.Call):
            continue
        targets = {target.function for target in site.targets if target.grade != "guess"}
        if targets and targets <= set(twins) and site.name.endswith(TWIN_SUFFIX):
            plain = site.name.removesuffix(TWIN_SUFFIX)
            draft.edits(site.path).at("Call", site.span, nodes.renamed_callee(plain))
    for twin in twins:
        for site in _guessed(program, twin):
            plain = twin.name.removesuffix(TWIN_SUFFIX)
            draft.edits(site.path).at("Call", site.span, nodes.renamed_callee(plain))
    for reference in program.references:
        if reference.function in twins and isinstance(reference.node, ast.Name | ast.Attribute):
            _rename(draft, program, reference.path, reference.node)
    _rename_cache_uses(program, draft, twins)
    for patch in program.patches:
        if isinstance(patch.resolved, Function) and patch.resolved in twins:
            draft.edits(patch.path).at(
                "SimpleString",
                patch.span,
                lambda node: node.with_changes(
                    value=node.value[:-1].removesuffix(TWIN_SUFFIX) + node.value[-1]
                ),
            )
    _rename_imports(program, draft, twins)
    return _step(key, pairs, draft.changes())


def _step(
    key: str, pairs: list[tuple[Function, Function]], changes: Mapping[str, bytes | None]
) -> Step:
    modules = sorted({facade.module for facade, _ in pairs})
    where = modules[0] if len(modules) == 1 else f"{len(modules)} modules"
    return Step(
        key=key,
        kind="fold",
        title=f"Fold away {len(pairs)} sync facade{'s' if len(pairs) > 1 else ''} of {where}",
        members=tuple(facade.qualname for facade, _ in pairs),
        changes=changes,
        bridges_removed=tuple(f"async_to_sync: facade {facade.qualname}" for facade, _ in pairs),
    )


def _rename(draft: Draft, program: Program, path: str, node: ast.Name | ast.Attribute) -> None:
    written = node.id if isinstance(node, ast.Name) else node.attr
    edit = nodes.renamed(written.removesuffix(TWIN_SUFFIX))
    draft.edits(path).at(type(node).__name__, program.files[path].span(node), edit)


def _rename_cache_uses(program: Program, draft: Draft, twins: dict[Function, Function]) -> None:
    """`f_async.cache_clear()`: neither a call of the twin nor a use of it as a value."""
    names = {twin.qualname for twin in twins}
    attributes = program.derived(NameUses).attributes
    for attr in sorted(CACHE_API):
        for path, node in attributes.get(attr, ()):
            if (
                isinstance(node.value, ast.Name | ast.Attribute)
                and program.resolve(path, node.value) in names
            ):
                _rename(draft, program, path, node.value)


def _rename_imports(program: Program, draft: Draft, twins: dict[Function, Function]) -> None:
    """`from m import f, f_async` -> `from m import f`."""
    names = {twin.qualname for twin in twins if twin.cls is None}
    for path, file in program.files.items():
        if file.tree is None:
            continue
        for node in file.of(ast.ImportFrom):
            module = absolute_module(file.module, path, node)
            for alias in node.names:
                if f"{module}.{alias.name}" in names:
                    edit = folded_alias(alias.name, alias.name.removesuffix(TWIN_SUFFIX))
                    draft.edits(path).at("ImportFrom", file.span(node), edit)
