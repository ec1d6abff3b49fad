"""Reads one library's table of the catalog: checks every key, and says plainly what is wrong."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast, get_args

from bridgekit_codemods.catalog.effect import (
    Blocking,
    Blocks,
    Callback,
    Calls,
    Confidence,
    Given,
    Kind,
    Library,
    Runs,
    Style,
    Wildcard,
)

Table: TypeAlias = Mapping[str, Any]

_TOP = frozenset(
    {
        "title", "distribution", "checked", "like", "aliases", "at", "bases", "returns",
        "attributes", "objects", "providers", "hooks", "classes", "coroutines", "blocks",
        "callbacks", "calls", "past", "unchecked",
    }
)  # fmt: skip
_GROUP = frozenset(
    {
        "on", "of", "names", "except", "kind", "twin", "confidence", "rule", "style", "note",
        "differs", "timeout",
    }
)  # fmt: skip
_CALLBACK = frozenset({"of", "names", "parameter", "runs", "awaits", "position", "passes", "lazy"})
_CALLS = frozenset({"of", "names", "methods", "decorated", "given"})
_GIVEN = re.compile(r"([\w.]+(?:\.\*)?):(\w+)(?::(\d+))?\Z")
_CHOICES = {
    "kind": get_args(Kind),
    "confidence": get_args(Confidence),
    "style": get_args(Style),
    "runs": get_args(Runs),
}
_ON = (*get_args(Blocks), "nothing")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
_RULE = re.compile(r"BK\d{3}\Z")


class CatalogError(Exception):
    """The catalog cannot be read; the message names the file, the key, and what to do."""

    def __init__(self, origin: str, key: str, problem: str, remedy: str) -> None:
        place = f"{origin}: {key}" if key else origin
        super().__init__(f"{place}: {problem}; {remedy}")


def parse(text: str, origin: str) -> Table:
    """The table of a TOML file.

    Raises:
        CatalogError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(origin, "", f"not valid TOML: {error}", "correct it there") from None


def renamed(text: str, old: str, new: str) -> str:
    """The text of a catalog file with the library `old` called `new`."""
    return re.sub(rf"(?<![\w.]){re.escape(old)}(?!\w)", new, text)


def read_library(name: str, table: Table, origin: str, base: Library | None = None) -> Library:
    """The library `name` of a catalog table; what `base` says and the table does not is kept.

    Raises:
        CatalogError: a key is unknown, a value has the wrong form, or a name is not the library's.
    """
    return _Reader(name, table, origin).library(base or Library(name))


class _Reader:
    def __init__(self, name: str, table: Table, origin: str) -> None:
        self.name = name
        self.table = table
        self.origin = origin

    def library(self, base: Library) -> Library:
        if not _DOTTED.match(self.name):
            raise self._error("", f"{self.name!r} is no dotted name", "name it like the library")
        self._known_keys(self.table, _TOP, "")
        blocks, wildcards = self._blocks()
        return Library(
            name=self.name,
            title=self._text(self.table, "title", "") or base.title or self.name,
            distribution=self._text(self.table, "distribution", "") or base.distribution,
            checked=self._text(self.table, "checked", "") or base.checked,
            unchecked=self._text(self.table, "unchecked", "") or base.unchecked,
            origin=self.origin,
            aliases={**base.aliases, **self._names("aliases")},
            at={**base.at, **self._names("at")},
            bases={**base.bases, **{k: tuple(v) for k, v in self._lists("bases").items()}},
            returns={**base.returns, **self._types("returns")},
            attributes={**base.attributes, **self._types("attributes")},
            objects={**base.objects, **self._names("objects")},
            providers={
                **base.providers,
                **{k: frozenset(v) for k, v in self._lists("providers").items()},
            },
            hooks={**base.hooks, **{k: frozenset(v) for k, v in self._lists("hooks").items()}},
            classes=base.classes | self._classes(),
            coroutines=base.coroutines | self._members("coroutines"),
            past=base.past | self._members("past"),
            blocks={**base.blocks, **blocks},
            wildcards={**base.wildcards, **wildcards},
            callbacks={**base.callbacks, **self._callbacks()},
            calls={**base.calls, **self._calls()},
        )

    # -- parts ---------------------------------------------------------------------------------

    def _names(self, part: str) -> dict[str, str]:
        """A table of dotted name to dotted name."""
        found: dict[str, str] = {}
        for key, value in self._table(part).items():
            self._own(key, f"{part}.{key!r}")
            found[key] = self._dotted(value, f"{part}.{key!r}")
        return found

    def _lists(self, part: str) -> dict[str, list[str]]:
        """A table of dotted name to blank-separated names."""
        found: dict[str, list[str]] = {}
        for key, value in self._table(part).items():
            self._own(key, f"{part}.{key!r}")
            found[key] = self._words(value, f"{part}.{key!r}")
        return found

    def _types(self, part: str) -> dict[str, str]:
        """Tables by owner, of blank-separated names to one type expression."""
        found: dict[str, str] = {}
        for owner, entries in self._table(part).items():
            self._own(owner, f"{part}.{owner!r}")
            if not isinstance(entries, dict):
                raise self._error(
                    f"{part}.{owner!r}", "is no table", 'write it as { "name" = "type" }'
                )
            for names, spec in entries.items():
                where = f"{part}.{owner!r}.{names!r}"
                if not isinstance(spec, str):
                    raise self._error(where, "is no string", "write a type expression")
                for name in names.split():
                    found[f"{owner}.{name}"] = spec
        return found

    def _classes(self) -> frozenset[str]:
        names = self._words(self.table.get("classes", ""), "classes")
        for name in names:
            self._own(name, "classes")
        return frozenset(names)

    def _members(self, part: str) -> frozenset[str]:
        """The full names of a table of owner to blank-separated names."""
        return frozenset(
            f"{owner}.{name}" for owner, names in self._lists(part).items() for name in names
        )

    def _blocks(self) -> tuple[dict[str, Blocking], dict[str, Wildcard]]:
        found: dict[str, Blocking] = {}
        wildcards: dict[str, Wildcard] = {}
        for where, group in self._groups("blocks", _GROUP):
            blocking = self._blocking(group, where)
            names = self._required_names(group, where)
            if names == ["*"]:
                exceptions = self._words(group.get("except", ""), f"{where}.except")
                wildcards[blocking.of] = Wildcard(blocking, frozenset(exceptions))
                continue
            if "except" in group:
                raise self._error(where, "`except` without names = '*'", "leave the names out")
            for name in names:
                found[f"{blocking.of}.{name}"] = blocking
        return found, wildcards

    def _blocking(self, group: Table, where: str) -> Blocking:
        on = group.get("on")
        if on not in _ON:
            raise self._error(f"{where}.on", f"is {on!r}", f"write one of {', '.join(_ON)}")
        rule = self._text(group, "rule", where) or None
        if rule is not None and not _RULE.match(rule):
            raise self._error(f"{where}.rule", f"is {rule!r}", "write a code such as BK240")
        twin = self._text(group, "twin", where) or None
        if twin is not None and not _DOTTED.match(twin.replace("{name}", "name")):
            raise self._error(
                f"{where}.twin", f"is {twin!r}", "write a dotted name, with {name} for the name"
            )
        confidence = cast(Confidence, self._choice(group, "confidence", where) or "sure")
        if confidence == "guess" and (rule is not None or "style" in group):
            raise self._error(
                where, "a guess with a rule or a style", "nothing is rewritten on a guess: drop one"
            )
        return Blocking(
            on=None if on == "nothing" else cast(Blocks, on),
            of=self._of(group, where),
            kind=cast("Kind | None", self._choice(group, "kind", where)),
            twin=twin,
            confidence=confidence,
            rule=rule,
            style=cast("Style | None", self._choice(group, "style", where)),
            note=self._text(group, "note", where),
            differs=self._text(group, "differs", where),
            timeout=self._text(group, "timeout", where) or None,
        )

    def _callbacks(self) -> dict[str, Callback]:
        found: dict[str, Callback] = {}
        for where, group in self._groups("callbacks", _CALLBACK):
            owner = self._of(group, where)
            runs = self._choice(group, "runs", where)
            if runs is None:
                raise self._error(f"{where}.runs", "is missing", "say where the function is called")
            awaits = group.get("awaits", False)
            if not isinstance(awaits, bool):
                raise self._error(f"{where}.awaits", f"is {awaits!r}", "write true or false")
            for name in self._required_names(group, where):
                dotted = f"{owner}.{name}"
                parameter = self._text(group, "parameter", where)
                position = group.get("position", -1)
                if not isinstance(position, int) or isinstance(position, bool):
                    raise self._error(f"{where}.position", f"is {position!r}", "write a number")
                lazy = group.get("lazy", False)
                if not isinstance(lazy, bool):
                    raise self._error(f"{where}.lazy", f"is {lazy!r}", "write true or false")
                passes = self._text(group, "passes", where)
                found[dotted] = Callback(
                    dotted, parameter, cast(Runs, runs), awaits, position, passes, lazy
                )
        return found

    def _calls(self) -> dict[str, Calls]:
        found: dict[str, Calls] = {}
        for where, group in self._groups("calls", _CALLS):
            owner = self._of(group, where)
            methods = tuple(self._words(group.get("methods", ""), f"{where}.methods"))
            decorated = frozenset(self._words(group.get("decorated", ""), f"{where}.decorated"))
            given: list[Given] = []
            for text in self._words(group.get("given", ""), f"{where}.given"):
                parts = _GIVEN.match(text)
                if parts is None:
                    raise self._error(
                        f"{where}.given", f"is {text!r}", "write package.Maker:parameter:position"
                    )
                given.append(Given(parts[1], parts[2], int(parts[3] or -1)))
            for name in self._required_names(group, where):
                dotted = f"{owner}.{name}"
                found[dotted] = Calls(dotted, methods, decorated, tuple(given))
        return found

    # -- values --------------------------------------------------------------------------------

    def _error(self, key: str, problem: str, remedy: str) -> CatalogError:
        return CatalogError(self.origin, key, problem, remedy)

    def _known_keys(self, table: Table, known: frozenset[str], where: str) -> None:
        for key in table:
            if key not in known:
                dotted = f"{where}.{key}" if where else key
                raise self._error(
                    dotted, "there is no such key", f"known are {', '.join(sorted(known))}"
                )

    def _table(self, part: str) -> Table:
        value = self.table.get(part, {})
        if not isinstance(value, dict):
            raise self._error(part, "is no table", f"write it as [{part}]")
        return value

    def _groups(self, part: str, known: frozenset[str]) -> Iterator[tuple[str, Table]]:
        groups = self.table.get(part, [])
        if not isinstance(groups, list):
            raise self._error(part, "is no array of tables", f"write each group as [[{part}]]")
        for index, group in enumerate(groups):
            where = f"{part}[{index}]"
            if not isinstance(group, dict):
                raise self._error(where, "is no table", f"write each group as [[{part}]]")
            self._known_keys(group, known, where)
            yield where, group

    def _of(self, group: Table, where: str) -> str:
        owner = self._text(group, "of", where) or self.name
        self._own(owner, f"{where}.of")
        return owner

    def _required_names(self, group: Table, where: str) -> list[str]:
        names = self._words(group.get("names", ""), f"{where}.names")
        if not names:
            raise self._error(f"{where}.names", "is missing", 'write names = "one another"')
        return names

    def _own(self, dotted: str, where: str) -> None:
        if not _DOTTED.match(dotted):
            raise self._error(where, f"{dotted!r} is no dotted name", "write package.Class")
        if dotted != self.name and not dotted.startswith(f"{self.name}."):
            raise self._error(
                where,
                f"{dotted!r} is not below {self.name!r}",
                "put it into the table of its own library",
            )

    def _dotted(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not _DOTTED.match(value):
            raise self._error(where, f"{value!r} is no dotted name", "write package.Class")
        return value

    def _words(self, value: object, where: str) -> list[str]:
        if isinstance(value, str):
            return value.split()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise self._error(where, "is no list of names", 'write "one another" or ["one", "another"]')

    def _text(self, table: Table, key: str, where: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self._error(f"{where}.{key}".lstrip("."), f"is {value!r}", "write a string")
        return value

    def _choice(self, group: Table, key: str, where: str) -> str | None:
        value = group.get(key)
        if value is not None and value not in _CHOICES[key]:
            choices = ", ".join(_CHOICES[key])
            raise self._error(f"{where}.{key}", f"is {value!r}", f"write one of {choices}")
        return cast("str | None", value)


def check_types(library: Library) -> None:
    """Check the type expressions, which are otherwise read when they are first needed.

    Raises:
        CatalogError: one is no Python expression.
    """
    for part, table in (("returns", library.returns), ("attributes", library.attributes)):
        for dotted, spec in table.items():
            try:
                ast.parse(spec, mode="eval")
            except SyntaxError:
                raise CatalogError(
                    library.origin,
                    f"{part}: {dotted}",
                    f"{spec!r} is no type expression",
                    "write it like an annotation, e.g. list[str]",
                ) from None
