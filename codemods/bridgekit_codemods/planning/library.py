"""The plan for a library: an async API beside the sync one, because its users cannot be broken.

A library's functions are called by programs that nobody here sees, so none of them may change
colour. What waits gets an async twin instead: the same functions in a package `aio` beside the
modules, classes under the name `AsyncX`. Or the async code becomes the only source and the sync one
is generated from it, in the manner of unasync. This plan says what either comes to; nothing is
rewritten.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.scope import EVERYTHING, Scope
from bridgekit_codemods.planning.settings import settings
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Class, Function

AIO = "aio"
"""The package of the twins, beside the modules they belong to."""

_DUNDERS = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
    "__next__": "__anext__",
    "__call__": "__call__",
}
_METHODS = {"close": "aclose", "__init__": "create", "__new__": "create"}
_TOKENS = {"close": "aclose"} | _DUNDERS


@dataclass(frozen=True)
class Twin:
    """A function that gets an async twin."""

    function: str
    path: str
    line: int
    public: bool
    """Users of the library call it; otherwise a public one does."""
    waits_for: tuple[str, ...]
    twin: str
    """Qualified name of the twin."""
    needs: str | None
    """What the twin cannot be, and what it becomes instead; None when it is a plain `async def`."""


@dataclass(frozen=True)
class Clash:
    """A name that the plan needs and that is taken, or means something else."""

    path: str
    line: int
    name: str
    reason: str


@dataclass(frozen=True)
class LeafUse:
    """A library callable that the twins would call."""

    name: str
    calls: int
    twin: str | None
    """Its async counterpart by the catalog; None when it goes to a worker thread."""


@dataclass(frozen=True)
class LibraryPlan:
    """Both ways to offer an async API, with what each needs."""

    twins: tuple[Twin, ...]
    classes: dict[str, str]
    """Classes with twins, by qualified name, and the qualified names of their async classes."""
    modules: dict[str, str]
    """Modules with twins, and the modules that hold them."""
    sources: dict[str, tuple[str, str]]
    """The other way: for each module the async source and the module generated from it."""
    tokens: dict[str, str]
    """The words that generating replaces, the async one first."""
    clashes: tuple[Clash, ...]
    leaves: tuple[LeafUse, ...]
    at_import: tuple[Clash, ...]
    """Calls that wait while a module is imported, which no twin can await."""
    lines: int
    """Lines of the functions that exist twice."""
    all_lines: int
    """Lines of the modules that hold them."""

    @property
    def advice(self) -> str:
        """Which way costs less, and why."""
        if not self.twins:
            return "nothing waits: the library needs no async API"
        share = self.lines / self.all_lines if self.all_lines else 0.0
        if share > 0.5:
            return (
                f"generate the sync code: {share:.0%} of the lines in these modules would exist "
                "twice"
            )
        return (
            f"write the twins beside: only {share:.0%} of the lines in these modules depend on the "
            "colour, the rest is shared"
        )


def library_plan(program: Program, scope: Scope | None = None) -> LibraryPlan:
    """The plan for the program taken as a library. A pure function of the program."""
    scope = scope or EVERYTHING
    colours = program.derived(Colours)
    chosen = _chosen(program, colours, scope)
    classes = _classes(chosen)
    modules = {name: twin_module(name) for name in sorted({f.module for f in chosen})}
    twins = tuple(
        Twin(
            function.qualname,
            function.path,
            function.node.lineno,
            is_public(function),
            tuple(sorted(colours.blocks(function))),
            _twin_name(function, classes, modules),
            _needs(function),
        )
        for function in chosen
    )
    tokens = _tokens(chosen, classes)
    files = {function.path for function in chosen}
    return LibraryPlan(
        twins=twins,
        classes={c.qualname: f"{modules[c.module]}.{_async_class(c)}" for c in classes},
        modules=modules,
        sources={name: _generated(name) for name in modules},
        tokens=tokens,
        clashes=tuple(_clashes(program, chosen, classes, modules, tokens)),
        leaves=_leaves(colours, chosen),
        at_import=tuple(_at_import(program, colours, files)),
        lines=sum((f.node.end_lineno or f.node.lineno) - f.node.lineno + 1 for f in _outer(chosen)),
        all_lines=sum(program.files[path].text.count("\n") for path in files),
    )


def is_public(function: Function) -> bool:
    """Says whether users of the library may call the function: no part of its name is private."""
    parts = function.qualname.split(".")
    return not any(
        part == "<locals>" or (part.startswith("_") and not part.endswith("__")) for part in parts
    )


def twin_module(module: str) -> str:
    """The module that holds the twins of a module: `shop.aio.http.client` of `shop.http.client`."""
    return _inside(module, AIO)


def _generated(module: str) -> tuple[str, str]:
    """The async source of a module, and the module that is made of it."""
    return _inside(module, "_async"), _inside(module, "_sync")


def _inside(module: str, room: str) -> str:
    """The module of the same name in a package of its own, or beside it if it has no package."""
    top, _, rest = module.partition(".")
    return f"{top}.{room}.{rest}" if rest else f"{top}_{room.strip('_')}"


def _chosen(program: Program, colours: Colours, scope: Scope) -> list[Function]:
    """What waits and is public, and what waits below it, families whole."""
    kept = program.derived(settings).kept

    def waits(function: Function) -> bool:
        return (
            not colours.native(function)
            and scope.includes(colours.blocks(function))
            and bool(colours.blocks(function))
            and function not in kept
            and function not in colours.sync_entries
            and not program.files[function.path].is_test
        )

    pending = [f for f in program.functions.values() if is_public(f) and waits(f)]
    seen = set(pending)
    while pending:
        function = pending.pop()
        below = {t.function for site in colours.sites(function) for t in site.targets}
        for other in below | program.family(function):
            if other not in seen and (waits(other) or other in program.family(function)):
                seen.add(other)
                pending.append(other)
    return sorted(
        (f for f in seen if not program.files[f.path].is_test),
        key=lambda f: (f.path, f.node.lineno),
    )


def _outer(chosen: Iterable[Function]) -> list[Function]:
    """Those that stand in no other of them."""
    members = set(chosen)
    found = []
    for function in members:
        around = function.parent
        while around is not None and around not in members:
            around = around.parent
        if around is None:
            found.append(function)
    return found


def _classes(chosen: Iterable[Function]) -> list[Class]:
    found = {function.cls for function in chosen if function.cls is not None}
    return sorted(found, key=lambda cls: cls.qualname)


def _async_class(cls: Class) -> str:
    private = len(cls.name) - len(cls.name.lstrip("_"))
    return cls.name[:private] + "Async" + cls.name[private:]


def _twin_name(function: Function, classes: list[Class], modules: dict[str, str]) -> str:
    name = _DUNDERS.get(function.name, _METHODS.get(function.name, function.name))
    rest = function.qualname.removeprefix(function.module + ".").split(".")
    renamed = {cls.name: _async_class(cls) for cls in classes if cls.module == function.module}
    parts = [renamed.get(part, part) for part in rest[:-1]]
    last = name if function.cls is not None else rest[-1]
    return ".".join([modules[function.module], *parts, last])


def _needs(function: Function) -> str | None:
    name = function.name
    if name in _DUNDERS:
        return None
    if name in ("__init__", "__new__"):
        return "a constructor cannot await: the twin is an async classmethod `create`"
    if name.startswith("__") and name.endswith("__"):
        return f"the language calls {name} and does not await: the twin is a method of another name"
    if function.is_property:
        return "a property cannot be awaited where it is read: the twin is a method"
    if any((d.dotted or "").startswith("contextlib.contextmanager") for d in function.decorators):
        return "a context manager: the twin is an asynccontextmanager, used with `async with`"
    if function.is_generator:
        return "a generator: the twin is an async generator, used with `async for`"
    return None


def _tokens(chosen: list[Function], classes: list[Class]) -> dict[str, str]:
    found = {_async_class(cls): cls.name for cls in classes}
    for function in chosen:
        other = _TOKENS.get(function.name)
        if other is not None and other != function.name and function.cls is not None:
            found[other] = function.name
    return dict(sorted(found.items()))


def _clashes(
    program: Program,
    chosen: list[Function],
    classes: list[Class],
    modules: dict[str, str],
    tokens: dict[str, str],
) -> Iterator[Clash]:
    for module, twin in modules.items():
        for new in (twin, *_generated(module)):
            if new in program.modules:
                yield Clash(program.modules[new], 1, new, "there is such a module already")
    taken = {cls.name: cls for cls in program.classes.values()}
    for cls in classes:
        other = taken.get(_async_class(cls))
        if other is not None:
            yield Clash(
                other.path, other.node.lineno, other.qualname, f"the name of the twin of {cls.name}"
            )
    for function in chosen:
        name = _DUNDERS.get(function.name, _METHODS.get(function.name))
        if function.cls is None or name is None or name == function.name:
            continue
        method = function.cls.methods.get(name)
        if method is not None:
            yield Clash(
                method.path, method.node.lineno, method.qualname,
                f"{function.cls.name} has both {function.name} and {name}: generating would make "
                "one of the other",
            )  # fmt: skip
    own = {function.path for function in chosen}
    for path in sorted(own):
        for node in program.files[path].nodes:
            if isinstance(node, ast.Name) and node.id in tokens:
                yield Clash(
                    path, node.lineno, node.id,
                    f"generating would replace this word by {tokens[node.id]}",
                )  # fmt: skip


def _leaves(colours: Colours, chosen: Iterable[Function]) -> tuple[LeafUse, ...]:
    calls: Counter[str] = Counter()
    for function in chosen:
        for site in colours.sites(function):
            if colours.external_effects(site):
                calls[site.externals[0]] += 1
    found = []
    for name, number in calls.items():
        effect = blocking(name)
        found.append(LeafUse(name, number, effect.twin if effect is not None else None))
    return tuple(sorted(found, key=lambda leaf: (-leaf.calls, leaf.name)))


def _at_import(program: Program, colours: Colours, files: set[str]) -> Iterator[Clash]:
    for site in program.calls:
        if site.caller is not None or site.path not in files or site.kind == "decorator":
            continue
        kinds = set(colours.external_effects(site))
        for target in site.targets:
            kinds |= colours.blocks(target.function)
        if kinds:
            yield Clash(
                site.path, site.span.line, site.name, f"waits for {', '.join(sorted(kinds))}"
            )
