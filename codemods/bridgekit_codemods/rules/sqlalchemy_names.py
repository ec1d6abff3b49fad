"""The names of SQLAlchemy that have a two-coloured counterpart in bridgekit, as a table."""

from __future__ import annotations

from bridgekit_codemods.program.types import Types

SHIM = "bridgekit.integrations.sqlalchemy"

_TWO_COLOURED = {
    "create_engine": ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.future"),
    "Session": ("sqlalchemy.orm", "sqlalchemy.orm.session"),
    "sessionmaker": ("sqlalchemy.orm", "sqlalchemy.orm.session"),
    "scoped_session": ("sqlalchemy.orm", "sqlalchemy.orm.scoping"),
}


def counterpart(dotted: str) -> str | None:
    """The name in the shim that takes the place of the library's `dotted`."""
    module, _, name = dotted.rpartition(".")
    return name if module in _TWO_COLOURED.get(name, ()) else None


def names_of(name: str) -> frozenset[str]:
    """Every dotted name under which `name` of the table is known, the shim's included."""
    return frozenset(f"{module}.{name}" for module in (*_TWO_COLOURED[name], SHIM))


_SESSIONS = names_of("Session") | names_of("scoped_session")


def is_session(types: Types) -> bool:
    """Says whether a value of these types is an ORM session and nothing else (but None)."""
    found = {ref.name for ref in types} - {"None"}
    return bool(found) and found <= _SESSIONS
