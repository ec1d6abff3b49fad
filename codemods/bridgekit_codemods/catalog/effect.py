"""The shape of the catalog's entries. docs/catalog.md explains the files they are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Blocks: TypeAlias = Literal[
    "http", "db", "cache", "queue", "sleep", "file", "subprocess", "lock", "thread", "socket",
    "mail", "input",
]  # fmt: skip
"""What a call waits for."""
Confidence: TypeAlias = Literal["sure", "likely", "guess"]
"""`sure`: read in the library's source or documentation. `likely`: true of nearly all calls under
that name. `guess`: reported, and never a reason to await, bridge or rewrite."""
Kind: TypeAlias = Literal["function", "method", "constructor", "property", "iteration", "context"]
Style: TypeAlias = Literal["face", "sleep", "run_process", "open", "run"]
"""How a rule writes the async form of the call; see `replacements`."""
Runs: TypeAlias = Literal["loop", "caller", "thread", "process", "later"]
"""Where a library calls back: on the event loop, before the call returns, in another thread or
process, or at a later time in the thread that runs the library."""


class Blocking(NamedTuple):
    """What the callables of one group have in common. `on` is None for those that do not block
    though a base class or a wildcard says so."""

    on: Blocks | None
    of: str
    kind: Kind | None = None
    twin: str | None = None
    confidence: Confidence = "sure"
    rule: str | None = None
    style: Style | None = None
    note: str = ""
    differs: str = ""
    timeout: str | None = None


class Effect(NamedTuple):
    """The library callable `dotted` may block the calling thread on `blocks`.

    twin      its async counterpart, a dotted name; None when it is only ever bridged to a thread
    rule      code of the codemod that rewrites it
    differs   what the counterpart does otherwise
    timeout   the parameter that bounds the wait
    """

    dotted: str
    blocks: Blocks
    note: str = ""
    confidence: Confidence = "sure"
    kind: Kind = "function"
    twin: str | None = None
    rule: str | None = None
    differs: str = ""
    timeout: str | None = None


class Callback(NamedTuple):
    """The library callable `dotted` takes a function and calls it.

    parameter  the name of the parameter that is called; empty for a decorator
    position   its place among the positional arguments; -1 where it has none or it is not known
    passes     what it is called with: the places of arguments, of each of which an element is
               passed ("x" for what is not known)
    lazy       whether it is called when the result is iterated
    runs       where it is called
    awaits     whether a coroutine function is awaited
    """

    dotted: str
    parameter: str
    runs: Runs
    awaits: bool
    position: int = -1
    passes: str = ""
    lazy: bool = False


class Given(NamedTuple):
    """The functions that a member of a class is given when the class is written.

    maker      what the member is made by, a dotted name or a pattern ("marshmallow.fields.*")
    parameter  the parameter of it that takes the function, its name, or a class with such members
    position   its place among the positional arguments; -1 where it has none
    """

    maker: str
    parameter: str
    position: int


class Calls(NamedTuple):
    """The library method `dotted` calls methods of the class that it is called on.

    methods    their names, or patterns of names
    decorated  the decorators that mark them
    given      functions that the members of the class are made with
    """

    dotted: str
    methods: tuple[str, ...]
    decorated: frozenset[str]
    given: tuple[Given, ...]


class Wildcard(NamedTuple):
    """All public methods of a class that makes them up at run time, save some."""

    blocking: Blocking
    exceptions: frozenset[str]


@dataclass(frozen=True)
class Library:
    """What one catalog file says.

    name          the dotted prefix of everything in it
    title         the name people use
    distribution  the name on the package index; empty for the standard library
    checked       the version of the distribution that the names were held against
    unchecked     why no test can hold the names against the library; empty when one does
    origin        where it was read from, for messages
    aliases       other dotted prefixes under which things are found, and their public ones
    at            where classes can really be imported from, if not under their catalog name
    bases         base classes of library classes, so that methods are inherited
    returns       return type expressions of callables (program/externals.py has the language);
                  `Class.__enter__`, `__iter__` and so on say what using an instance gives
    attributes    type expressions of data attributes
    objects       module-level objects and their class
    providers     objects that stand for what a function of the program gives, and the names by
                  which that function is registered
    hooks         methods that the library itself calls on subclasses, by class
    classes       names of classes that are not written like one
    coroutines    coroutine functions
    past          names that older versions of the library have and the checked one has not
    blocks        callables that may block
    wildcards     classes of which all methods may block
    callbacks     callables that call back
    calls         methods that call methods of the class that they are called on
    """

    name: str
    title: str = ""
    distribution: str = ""
    checked: str = ""
    unchecked: str = ""
    origin: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    at: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hooks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    coroutines: frozenset[str] = frozenset()
    past: frozenset[str] = frozenset()
    blocks: Mapping[str, Blocking] = field(default_factory=dict)
    wildcards: Mapping[str, Wildcard] = field(default_factory=dict)
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    calls: Mapping[str, Calls] = field(default_factory=dict)
