"""The colours of a program as they will be: the preparation done, and some functions flipped.

Nothing is rewritten or read again. A call of `requests.get` counts as what it will be once the
program is on the other client, and a function that a step flips counts as native from then on. So
the whole walk can be followed in one model of the program.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from bridgekit_codemods.catalog import blocking
from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours, LazyLoad
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules import requests_names, sqlalchemy_names

_BRIDGE = frozenset({"bridge"})
_QUERY = ("sqlalchemy.orm.Query.", "flask_sqlalchemy.query.Query.")
_EXECUTED = f"{sqlalchemy_names.SHIM}.Session.scalars"


class Preparation:
    """What some preparing steps will have changed, as far as colours depend on it."""

    def __init__(self, steps: Iterable[Step], client: str = "httpx") -> None:
        self.shim: str | None = None
        self.session = False
        self.relationships: frozenset[str] = frozenset()
        self.selects: frozenset[str] = frozenset()
        self.decorators: frozenset[str] = frozenset()
        self.application = False
        for step in steps:
            match step.kind:
                case "http-client":
                    self.shim = requests_names.SHIMS[client]
                case "engine":
                    self.session = True
                case "eager":
                    self.relationships |= set(step.members)
                case "select":
                    self.selects |= set(step.members)
                case "decorator":
                    self.decorators |= set(step.members)
                case "views":
                    self.application = True

    def name(self, dotted: str, module: str) -> str:
        """The name that a library's callable will have when it is called in that module."""
        if self.shim is not None and dotted.startswith(("requests.", "urllib3.")):
            place = requests_names.place(dotted)
            if place is not None:
                return ".".join(part for part in (self.shim, *place) if part)
        if self.session and dotted.startswith(("sqlalchemy.", "flask_sqlalchemy.")):
            if dotted.startswith(_QUERY) and module in self.selects:
                return _EXECUTED
            owner, _, member = dotted.rpartition(".")
            found = sqlalchemy_names.counterpart(dotted)
            if found is not None:
                return ".".join(found)
            found = sqlalchemy_names.counterpart(owner)
            if found is not None:
                return ".".join((*found, member))
        return dotted


class Ahead(Colours):
    """Colours of a program at some point of the walk; `flip` goes on from there.

    Not shared: whoever follows a walk makes an instance of its own.
    """

    def __init__(self, program: Program, preparation: Preparation) -> None:
        super().__init__(program)
        self.preparation = preparation

    def sites(self, function: Function) -> tuple[CallSite, ...]:
        """The sites of a function, under the names that libraries' callables will have."""
        return self._sites.get(function, ())

    @cached_property
    def _sites(self) -> dict[Function, tuple[CallSite, ...]]:
        found: dict[Function, tuple[CallSite, ...]] = {}
        for function, sites in self.program.derived(Colours).all_sites.items():
            found[function] = tuple(map(self._renamed, sites))
        return found

    def _renamed(self, site: CallSite) -> CallSite:
        if not site.externals:
            return site
        module = self.program.files[site.path].module
        names = tuple(self._name(dotted, module) for dotted in site.externals)
        return site if names == site.externals else replace(site, externals=names)

    def _name(self, dotted: str, module: str) -> str:
        after = self.preparation.name(dotted, module)
        if after == _EXECUTED and dotted.startswith(_QUERY):
            # the links of a chain describe a statement; its end runs it
            return after if blocking(dotted) is not None else dotted
        return after

    @cached_property
    def lazy_loads(self) -> dict[Function, list[LazyLoad]]:
        """The lazy loads that no step takes away."""
        loads = self.program.derived(Colours).lazy_loads
        if not self.preparation.relationships:
            return loads
        eager = self.preparation.relationships
        classes: dict[str, set[str]] = defaultdict(set)
        for relationship in self.program.relationships.values():
            if f"{relationship.cls.qualname}.{relationship.attr}" not in eager:
                classes[relationship.attr].add(relationship.cls.qualname)
        receivers = {use.node: use.receiver for use in self.program.attribute_uses}
        found: dict[Function, list[LazyLoad]] = {}
        for function, each in loads.items():
            left = [
                load
                for load in each
                if any(ref.name in classes[load.node.attr] for ref in receivers[load.node])
            ]
            if left:
                found[function] = left
        return found

    def flip(self, members: Iterable[Function]) -> frozenset[Function]:
        """Count these functions as async from now on; returns those whose surroundings changed.

        Entries and tests become async in place. Any other gets a twin; what is left under its name
        waits for the twin.
        """
        members = tuple(members)
        changed = set(members)
        blocks = self._blocks
        for function in members:
            in_place = function in self.entries or self.program.files[function.path].is_test
            name = function.name if in_place else function.name + TWIN_SUFFIX
            rest = function.qualname.removesuffix(function.name)
            twin = replace(function, name=name, qualname=rest + name, is_async=True)
            self.facades[function] = twin
            blocks[function] = frozenset() if in_place else _BRIDGE
        pending = [function for function in members if blocks[function]]
        while pending:
            callee = pending.pop()
            for caller in self._callers.get(callee, ()):
                changed.add(caller)
                if self.native(caller) or "bridge" in blocks[caller]:
                    continue
                blocks[caller] |= _BRIDGE
                pending.append(caller)
        return frozenset(changed)

    def users_of(self, members: Iterable[Function]) -> frozenset[Function]:
        """Those that call them, themselves or through others."""
        seen: set[Function] = set()
        pending = list(members)
        while pending:
            for caller in self._callers.get(pending.pop(), ()):
                if caller not in seen:
                    seen.add(caller)
                    pending.append(caller)
        return frozenset(seen)

    @cached_property
    def _callers(self) -> dict[Function, set[Function]]:
        found: dict[Function, set[Function]] = defaultdict(set)
        for function, sites in self._sites.items():
            for site in sites:
                for target in site.targets:
                    found[target.function].add(function)
        return found


class ObstaclesAhead(Obstacles):
    """What will stand in the way at that point of the walk."""

    colours: Ahead

    def of(self, function: Function) -> tuple[Finding, ...]:
        """The obstacles that the preparation does not take away."""
        if function not in self._found:
            self._found[function] = tuple(
                o for o in self._look(function) if not self._passing(function, o)
            )
        return self._found[function]

    def _passing(self, function: Function, obstacle: Finding) -> bool:
        if obstacle.code != "BK308":
            return False
        here = [d for d in function.decorators if d.node.lineno == obstacle.line]
        converted = self.colours.preparation.decorators
        return any(d.project is not None for d in here) and all(
            d.project is None or d.project.qualname in converted for d in here
        )

    def refuse(self, function: Function) -> None:
        """Count this function as one that cannot be converted."""
        self.kept |= {function.qualname}
        self.forget((function,))

    def forget(self, functions: Iterable[Function]) -> None:
        """Look again at these functions when they are asked for next."""
        for function in functions:
            self._found.pop(function, None)
        self.__dict__.pop("movable", None)
        self.__dict__.pop("blocking_methods", None)
