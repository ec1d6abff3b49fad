"""What a type checker adds to the call sites: the functions that it takes them to reach.

It has a say where the program's own resolution knows no target, or guesses. Where both have an
answer and the two differ, the program's own stands, and the site is noted as disputed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from bridgekit_codemods.engines.answers import Answers
from bridgekit_codemods.program.calls import CallSite, Target
from bridgekit_codemods.program.facts import Facts
from bridgekit_codemods.program.hierarchy import Families
from bridgekit_codemods.program.members import Members
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class, Function
from bridgekit_codemods.tracing.record import Definition, Place

_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")


class Reached(NamedTuple):
    """The functions of an answer with their overrides, those that the answer names itself, and
    whether library code is reached too."""

    functions: set[Function]
    named: set[Function]
    elsewhere: bool


class Answered:
    """Joins the answers with the static sites; one instance for one program."""

    def __init__(
        self,
        answers: Answers,
        facts: Facts,
        files: Mapping[str, SourceFile],
        members: Members,
        families: Families,
        wrappers: Callable[[Function], tuple[Function, ...]],
    ) -> None:
        self.answers = answers
        self.files = files
        self.members = members
        self.families = families
        self.wrappers = wrappers
        self.disputed: dict[CallSite, tuple[Function, ...]] = {}
        """Sites for which the answer is another one, with the functions of the answer (none where
        it says that library code alone is reached)."""
        self._functions: dict[Definition, Function] = {}
        self._classes: dict[Definition, Class] = {}
        if answers.calls:
            self._functions = _implementations(facts.functions.values())
            self._classes = {_definition(c): c for c in facts.classes.values()}

    def sites(self, sites: Iterable[CallSite]) -> list[CallSite]:
        """The sites with what was answered about them."""
        return [self._site(site) for site in sites]

    def reached(self, site: CallSite) -> Reached | None:
        """What the answer about a site comes to in this program; None where there is none that
        could be used."""
        if site.kind != "call" or not isinstance(site.node, ast.Call):
            return None
        node = site.node
        place = Place(
            site.path, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
        )
        answer = self.answers.calls.get(place)
        if answer is None:
            return None
        named = self._known(answer.functions)
        if named is None or not all(self._is_meant(f, site) for f in named):
            return None
        return Reached(self._with_overrides(named, site), named, answer.elsewhere)

    def _site(self, site: CallSite) -> CallSite:
        found = self.reached(site)
        if found is None:
            return site
        guesses = {t.function for t in site.targets if t.grade == "guess"}
        if len(guesses) < len(site.targets) or (site.externals and not guesses):
            self._compare(site, found)
            return site
        if not found.functions or found.elsewhere:
            return site
        if not guesses <= found.functions:
            self._dispute(site, found)
            return site
        via = f"{self.answers.engine} says so"
        ordered = sorted(found.functions, key=lambda f: (f not in found.named, f.qualname))
        targets = tuple(Target(f, "engine", via) for f in ordered)
        return replace(site, targets=targets, externals=())

    def _known(self, definitions: Iterable[Definition]) -> set[Function] | None:
        """The functions at these places; of a class those that make an instance."""
        found: set[Function] = set()
        for definition in definitions:
            cls = self._classes.get(definition)
            function = self._functions.get(definition)
            if cls is not None:
                made = (self.members.find_method(cls, name) for name in _CONSTRUCTORS)
                found.update(f for f in made if f is not None)
            elif function is not None:
                found.add(function)
            else:
                return None
        return found

    def _is_meant(self, function: Function, site: CallSite) -> bool:
        """Whether the answer can be taken for this site.

        A checker takes a variable or a container that is filled in several places for what the
        first of them put in, so that a function under another name is no good answer. And what a
        test puts in the place of the program's own is no part of the program.
        """
        named = function.name in (site.name, "__call__", *_CONSTRUCTORS)
        return named and (self.files[site.path].is_test or not self.files[function.path].is_test)

    def _with_overrides(self, named: set[Function], site: CallSite) -> set[Function]:
        """The functions with all that override them or that they override.

        A checker takes a registry for what is written into it first. Another class of the same
        family may well have been put in, and methods of a family change colour together anyway.
        """
        found = set(named)
        if _is_super(site.node):
            own = site.caller.cls if site.caller is not None else None
            for line in () if own is None else (own, *self.members.descendants(own)):
                # with several bases, the next class in line depends on the object's own
                after = self.members.find_method(line, site.name, after=own)
                found.update(() if after is None else (after,))
            return found
        for function in named:
            found |= self.families.of(function)
            if function.name in _CONSTRUCTORS and function.cls is not None:
                for subclass in self.members.descendants(function.cls):
                    if function.name in subclass.methods:
                        found.add(subclass.methods[function.name])
        return found

    # -- differences -----------------------------------------------------------------------

    def _compare(self, site: CallSite, found: Reached) -> None:
        """Note a site whose own targets have nothing to do with the answer."""
        sure = {t.function for t in site.targets if t.grade != "guess"}
        if found.functions:
            own = {*sure, *(w for f in sure for w in self.wrappers(f))}
            made = {f.cls for f in sure if f.name in _CONSTRUCTORS}
            if not own & found.functions and not any(
                f.name in _CONSTRUCTORS and f.cls in made for f in found.functions
            ):
                self._dispute(site, found)
        elif sure and found.elsewhere and not any(f.decorators for f in sure):
            # (what a decorator makes of a function may be library code)
            self._dispute(site, found)

    def _dispute(self, site: CallSite, found: Reached) -> None:
        self.disputed[site] = tuple(sorted(found.functions, key=lambda f: f.qualname))


def _implementations(functions: Iterable[Function]) -> dict[Definition, Function]:
    """The functions by their places; overloads lead to what they are overloads of."""
    found: dict[Definition, Function] = {}
    pending: list[Function] = []
    for function in functions:
        found[_definition(function)] = function
        if any((d.dotted or "").rpartition(".")[2] == "overload" for d in function.decorators):
            pending.append(function)
            continue
        for other in pending:
            if (other.path, other.name, other.cls) == (function.path, function.name, function.cls):
                found[_definition(other)] = function
        pending = []
    return found


def _definition(found: Function | Class) -> Definition:
    return Definition(found.path, found.node.lineno, found.name)


def _is_super(node: ast.AST) -> bool:
    """Whether the call goes to one class and none below: `super().save()`."""
    func = node.func if isinstance(node, ast.Call) else node
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Call):
        return False
    maker = func.value.func
    return isinstance(maker, ast.Name) and maker.id == "super"
