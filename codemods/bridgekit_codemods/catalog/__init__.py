"""What libraries do: which calls block, what they return, who calls back. Data, in `data/*.toml`.

Dotted names are public ones: `canonical` maps the names under which things are also found
("requests.sessions.Session") to them. Methods are looked up through base classes. Data is read when
a name of its library is first asked for.

`use` sets what users add. It is meant for the start of a process: the functions here answer for the
whole process. Asking is safe in any thread as long as nobody calls `use`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import lru_cache

from bridgekit_codemods.catalog.effect import (
    Blocking,
    Blocks,
    Callback,
    Calls,
    Confidence,
    Effect,
    Kind,
    Library,
    Style,
)
from bridgekit_codemods.catalog.schema import CatalogError
from bridgekit_codemods.catalog.store import Extension, Store

__all__ = [
    "ASYNC_MANAGER_DECORATORS",
    "BARE_BASES",
    "CONTEXT_MANAGER_DECORATORS",
    "FIXTURE_DECORATORS",
    "Blocks",
    "Callback",
    "Calls",
    "CatalogError",
    "Confidence",
    "Effect",
    "Extension",
    "Library",
    "attribute",
    "blocking",
    "callback",
    "calls",
    "canonical",
    "declares",
    "fingerprint",
    "importable",
    "is_class",
    "is_coroutine",
    "is_known_member",
    "libraries",
    "object_type",
    "providers",
    "returns",
    "root_class",
    "style",
    "suspected",
    "use",
]

CONTEXT_MANAGER_DECORATORS = frozenset(
    {"contextlib.contextmanager", "contextlib.asynccontextmanager"}
)
ASYNC_MANAGER_DECORATORS = frozenset({"contextlib.asynccontextmanager"})
FIXTURE_DECORATORS = frozenset(
    {"pytest.fixture", "pytest.yield_fixture", "pytest_asyncio.fixture", "_pytest.fixtures.fixture"}
)
BARE_BASES = frozenset(
    {
        "builtins.object", "typing.Generic", "typing.Protocol", "abc.ABC", "typing.NamedTuple",
        "enum.Enum", "enum.StrEnum", "enum.IntEnum", "typing_extensions.Protocol",
        "sqlalchemy.orm.DeclarativeBase", "sqlalchemy.orm.MappedAsDataclass",
        "sqlalchemy.ext.asyncio.AsyncAttrs", "builtins.Exception",
    }
)  # fmt: skip
"""Bases that bring no methods of interest: a member that is not found is not theirs."""

_INTROSPECTED = frozenset(
    {"threading", "logging", "json", "unittest", "http", "socketserver", "html", "collections",
     "io", "enum", "queue", "concurrent", "string", "argparse", "cmd", "configparser", "builtins"}
)  # fmt: skip

_store = Store()


def use(extensions: Iterable[Extension]) -> None:
    """Answer with what users add as well, from now on; later extensions win over earlier ones.

    Replaces what an earlier call set.

    Raises:
        CatalogError: an extension is not well-formed. The catalog is as before then.
    """
    global _store
    given = tuple(extensions)
    store = Store(given)
    for extension in given:
        store.need(extension.library)
    _store = store
    for function in (canonical, _lineage, _effect, returns, attribute, is_class, declares, callback,
                     calls):  # fmt: skip
        function.cache_clear()


def libraries() -> tuple[Library, ...]:
    """Everything the catalog holds, by library. Reads all of it."""
    return _store.libraries()


def fingerprint() -> str:
    """A text that changes whenever an answer of the catalog may, for the keys of caches."""
    return _store.fingerprint()


@lru_cache(maxsize=65536)
def canonical(dotted: str) -> str:
    """The public name of a library object, whatever path it was reached by."""
    for _ in range(4):
        _store.need(dotted)
        prefix, rest = dotted, ""
        while prefix and prefix not in _store.aliases:
            prefix, _, last = prefix.rpartition(".")
            rest = f".{last}{rest}"
        if not prefix:
            return dotted
        dotted = _store.aliases[prefix] + rest
    return dotted


@lru_cache(maxsize=65536)
def _lineage(name: str) -> tuple[str, ...]:
    _store.need(name)
    found = [name]
    for base in _store.bases.get(name, ()):
        found.extend(_lineage(base))
    return tuple(found)


def root_class(name: str) -> str:
    """The most basic library class that the library class is known to derive from, or itself."""
    return _lineage(canonical(name))[-1]


def _inherited(table: dict[str, str], dotted: str) -> str | None:
    found = table.get(dotted)
    if found is not None:
        return found
    owner, _, member = dotted.rpartition(".")
    for base in _lineage(owner)[1:]:
        found = table.get(f"{base}.{member}")
        if found is not None:
            return found
    return None


@lru_cache(maxsize=65536)
def _effect(dotted: str) -> Effect | None:
    """The effect of a library callable however sure it is."""
    name = canonical(dotted)
    _store.need(name)
    owner, _, member = name.rpartition(".")
    found = _store.blocks.get(name)
    if found is not None:
        return _made(name, member, found)
    kind = _store.objects.get(owner)
    lineage = (*_lineage(owner), *(_lineage(kind) if kind else ()))
    for base in lineage[1:]:
        found = _store.blocks.get(f"{base}.{member}")
        if found is not None:
            return _made(dotted, member, found)
    if not member.startswith("_"):
        for base in lineage:
            wildcard = _store.wildcards.get(base)
            if wildcard is not None:
                known = member in wildcard.exceptions
                return None if known else _made(dotted, member, wildcard.blocking)
    return None


def _made(dotted: str, member: str, found: Blocking) -> Effect | None:
    if found.on is None:
        return None
    twin = found.twin.replace("{name}", member) if found.twin is not None else None
    kind = found.kind or _kind(found.of, member)
    return Effect(dotted, found.on, found.note, found.confidence, kind, twin, found.rule,
                  found.differs, found.timeout)  # fmt: skip


def _kind(owner: str, member: str) -> Kind:
    if member in ("__iter__", "__next__"):
        return "iteration"
    if member in ("__enter__", "__exit__"):
        return "context"
    if is_class(owner):
        return "method"
    return "constructor" if is_class(f"{owner}.{member}") else "function"


def blocking(dotted: str) -> Effect | None:
    """The effect of the library callable with this dotted name; None when it does not block.

    Methods are named by class ("requests.Session.get"), special methods too
    ("threading.Lock.__enter__"). What the catalog only guesses is `suspected` and not told here.
    """
    effect = _effect(dotted)
    return effect if effect is not None and effect.confidence != "guess" else None


def suspected(dotted: str) -> Effect | None:
    """The effect of a library callable of which the catalog is not sure; None if it is sure.

    For reports alone: nothing may be awaited, bridged or rewritten because of a guess.
    """
    effect = _effect(dotted)
    return effect if effect is not None and effect.confidence == "guess" else None


def style(dotted: str) -> Style | None:
    """How a rule writes the async form of the library callable, if one does.

    Base classes are not asked: the async side of a class need not have its subclass's methods.
    """
    _store.need(dotted)
    found = _store.blocks.get(dotted)
    return found.style if found is not None else None


@lru_cache(maxsize=65536)
def callback(dotted: str) -> Callback | None:
    """Who calls the function that is given to this library callable, if it is known."""
    name = canonical(dotted)
    owner, _, member = name.rpartition(".")
    for base in _lineage(owner):
        found = _store.callbacks.get(f"{base}.{member}")
        if found is not None:
            return found
    return None


@lru_cache(maxsize=65536)
def calls(dotted: str) -> Calls | None:
    """Which methods of the class that it is called on a library method calls, if any."""
    name = canonical(dotted)
    owner, _, member = name.rpartition(".")
    for base in _lineage(owner):
        found = _store.calls.get(f"{base}.{member}")
        if found is not None:
            return found
    return None


def is_coroutine(dotted: str) -> bool:
    """Whether calling the library callable gives a coroutine, as far as the catalog knows."""
    spec = returns(dotted)
    return spec is not None and spec.startswith("coroutine[")


@lru_cache(maxsize=65536)
def returns(dotted: str) -> str | None:
    """The return type expression of a library callable, if it is known."""
    name = canonical(dotted)
    _store.need(name)
    return _inherited(_store.returns, name)


@lru_cache(maxsize=65536)
def attribute(dotted: str) -> str | None:
    """The type expression of a data attribute of a library class, if it is known.

    A class whose `__getattr__` the catalog knows has every other public name as an attribute.
    """
    _store.need(dotted)
    found = _inherited(_store.attributes, dotted)
    if found is not None:
        return found
    owner, _, member = dotted.rpartition(".")
    made = _store.returns.get(f"{owner}.__getattr__")
    if made is None or member.startswith("_"):
        return None
    known = returns(dotted) is not None or _effect(dotted) is not None
    return None if known else made


def object_type(dotted: str) -> str | None:
    """The class of a module-level library object ("flask.current_app" is a "flask.Flask")."""
    _store.need(dotted)
    return _store.objects.get(dotted)


def providers(dotted: str) -> frozenset[str]:
    """The names by which the program registers the function whose result a library object stands
    for (that of "flask_login.current_user" through "flask_login.LoginManager.user_loader")."""
    _store.need(dotted)
    return _store.providers.get(dotted, frozenset())


def importable(dotted: str) -> str:
    """The name under which a thing of the catalog can be imported.

    That is another one for classes that have no public name ("psycopg2.Connection").
    """
    _store.need(dotted)
    owner, _, member = dotted.rpartition(".")
    if dotted in _store.at:
        return _store.at[dotted]
    return f"{_store.at[owner]}.{member}" if owner in _store.at else dotted


@lru_cache(maxsize=65536)
def is_class(dotted: str) -> bool:
    """Whether a library name is a class: known to be, or written like one."""
    _store.need(dotted)
    if dotted in _store.classes:
        return True
    last = dotted.rpartition(".")[2]
    return last[:1].isupper() and not last.isupper() and "." in dotted


def is_known_member(base: str, name: str) -> bool:
    """Whether the catalog knows a member of a library class."""
    dotted = f"{base}.{name}"
    _store.need(dotted)
    return (
        _inherited(_store.returns, dotted) is not None
        or attribute(dotted) is not None
        or blocking(dotted) is not None
    )


@lru_cache(maxsize=16384)
def declares(base: str, name: str) -> bool:
    """Whether a library class is known to declare, or to call on itself, the method `name`.

    The methods of `object` do not count.
    """
    lineage = _lineage(canonical(base))
    if any(name in _store.hooks.get(b, ()) for b in lineage):
        return True
    if base.partition(".")[0] in _INTROSPECTED and base not in BARE_BASES:
        cls = _stdlib_class(base)
        return cls is not None and hasattr(cls, name) and not hasattr(object, name)
    return False


@lru_cache(maxsize=256)
def _stdlib_class(dotted: str) -> type | None:
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None
