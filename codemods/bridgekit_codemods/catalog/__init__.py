"""What libraries do: which calls block, what they return, who calls back. Data only.

Dotted names are public ones: `canonical` maps the names under which things are also found
("requests.sessions.Session") to them. Methods are looked up through base classes.
"""

from __future__ import annotations

import importlib
from functools import lru_cache

from bridgekit_codemods.catalog import (
    bridges,
    dbapi,
    flask,
    httpx,
    requests,
    sqlalchemy,
    stdlib,
)
from bridgekit_codemods.catalog.effect import Blocks, Effect, Library

__all__ = [
    "Blocks",
    "Effect",
    "Library",
    "attribute",
    "blocking",
    "canonical",
    "declares",
    "is_class",
    "is_known_member",
    "object_type",
    "returns",
]

LIBRARIES: tuple[Library, ...] = (
    requests.LIBRARY,
    requests.DROP_IN,
    requests.DROP_IN_HTTPX2,
    requests.NIQUESTS,
    httpx.LIBRARY,
    httpx.HTTPX2,
    httpx.DROP_IN,
    httpx.DROP_IN_HTTPX2,
    sqlalchemy.LIBRARY,
    *dbapi.LIBRARIES,
    dbapi.AIOSQLITE,
    flask.FLASK,
    flask.QUART,
    flask.BRIDGED,
    flask.CLICK,
    flask.EXTENSIONS,
    stdlib.FILES,
    stdlib.PROCESSES,
    stdlib.TIME_AND_THREADS,
    stdlib.NETWORK,
    stdlib.BUILTINS,
    bridges.LIBRARY,
)

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

_ALIASES: dict[str, str] = {}
_BASES: dict[str, tuple[str, ...]] = {}
_RETURNS: dict[str, str] = {}
_ATTRIBUTES: dict[str, str] = {}
_OBJECTS: dict[str, str] = {}
_EFFECTS: dict[str, Effect] = {}
_HOOKS: dict[str, frozenset[str]] = {}
_INTROSPECTED = frozenset(
    {"threading", "logging", "json", "unittest", "http", "socketserver", "html", "collections",
     "io", "enum", "queue", "concurrent", "string", "argparse", "cmd", "configparser", "builtins"}
)  # fmt: skip

for _library in LIBRARIES:
    _ALIASES.update(_library.aliases)
    _BASES.update(_library.bases)
    _RETURNS.update(_library.returns)
    _ATTRIBUTES.update(_library.attributes)
    _OBJECTS.update(_library.objects)
    _HOOKS.update({name: frozenset(hooks) for name, hooks in _library.hooks.items()})
    for _kind, _names in _library.blocks.items():
        for _name in _names:
            _EFFECTS[_name] = Effect(_name, _kind, _library.notes.get(_name, ""))

_CLASSES = frozenset(
    name
    for source in (_RETURNS, _ATTRIBUTES, _EFFECTS, _HOOKS, _BASES)
    for dotted in source
    for name in (dotted, dotted.rpartition(".")[0])
    if name.rpartition(".")[2][:1].isupper()
)
_LOWER_CLASSES = frozenset(
    {
        "builtins.str", "builtins.bytes", "builtins.int", "builtins.float", "builtins.bool",
        "builtins.list", "builtins.dict", "builtins.set", "builtins.frozenset", "builtins.tuple",
        "builtins.object", "builtins.complex", "builtins.range",
        "socket.socket", "collections.deque", "threading.local",
        "sqlalchemy.orm.sessionmaker", "sqlalchemy.orm.scoped_session",
        "sqlalchemy.ext.asyncio.async_sessionmaker",
        "datetime.datetime", "datetime.date", "datetime.timedelta", "datetime.time",
    }
)  # fmt: skip


@lru_cache(maxsize=65536)
def canonical(dotted: str) -> str:
    """The public name of a library object, whatever path it was reached by."""
    for _ in range(4):
        prefix, rest = dotted, ""
        while prefix and prefix not in _ALIASES:
            prefix, _, last = prefix.rpartition(".")
            rest = f".{last}{rest}"
        if not prefix:
            return dotted
        dotted = _ALIASES[prefix] + rest
    return dotted


def _lineage(name: str) -> tuple[str, ...]:
    found = [name]
    for base in _BASES.get(name, ()):
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


def blocking(dotted: str) -> Effect | None:
    """The effect of the library callable with this dotted name; None when it does not block.

    Methods are named by class ("requests.Session.get"), special methods too
    ("threading.Lock.__enter__").
    """
    name = canonical(dotted)
    found = _EFFECTS.get(name)
    if found is not None:
        return found
    owner, _, member = name.rpartition(".")
    kind = _OBJECTS.get(owner)
    for base in (*_lineage(owner)[1:], *(_lineage(kind) if kind else ())):
        found = _EFFECTS.get(f"{base}.{member}")
        if found is not None:
            return Effect(dotted, found.blocks, found.note)
    return None


def returns(dotted: str) -> str | None:
    """The return type expression of a library callable, if it is known."""
    return _inherited(_RETURNS, canonical(dotted))


def attribute(dotted: str) -> str | None:
    """The type expression of a data attribute of a library class, if it is known."""
    return _inherited(_ATTRIBUTES, dotted)


def object_type(dotted: str) -> str | None:
    """The class of a module-level library object ("flask.current_app" is a "flask.Flask")."""
    return _OBJECTS.get(dotted)


def is_class(dotted: str) -> bool:
    """Whether a library name is a class: known to be, or written like one."""
    if dotted in _CLASSES or dotted in _LOWER_CLASSES:
        return True
    last = dotted.rpartition(".")[2]
    return last[:1].isupper() and not last.isupper() and "." in dotted


def is_known_member(base: str, name: str) -> bool:
    """Whether the catalog knows a member of a library class."""
    dotted = f"{base}.{name}"
    return (
        _inherited(_RETURNS, dotted) is not None
        or _inherited(_ATTRIBUTES, dotted) is not None
        or blocking(dotted) is not None
    )


@lru_cache(maxsize=16384)
def declares(base: str, name: str) -> bool:
    """Whether a library class is known to declare, or to call on itself, the method `name`.

    The methods of `object` do not count.
    """
    lineage = _lineage(canonical(base))
    if any(name in _HOOKS.get(b, ()) for b in lineage):
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
