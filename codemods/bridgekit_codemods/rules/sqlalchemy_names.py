"""The names of SQLAlchemy that have a two-coloured counterpart in bridgekit, as a table."""

from __future__ import annotations

from bridgekit_codemods.program.types import Types

SHIM = "bridgekit.integrations.sqlalchemy"
FLASK_SHIM = "bridgekit.integrations.flask_sqlalchemy"

_TWO_COLOURED = {
    "create_engine": ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.future"),
    "Session": ("sqlalchemy.orm", "sqlalchemy.orm.session"),
    "sessionmaker": ("sqlalchemy.orm", "sqlalchemy.orm.session"),
    "scoped_session": ("sqlalchemy.orm", "sqlalchemy.orm.scoping"),
}


_EXTENSION = ("flask_sqlalchemy", "flask_sqlalchemy.extension")


def counterpart(dotted: str) -> tuple[str, str] | None:
    """The module and the name that take the place of the library's `dotted`."""
    module, _, name = dotted.rpartition(".")
    if name == "SQLAlchemy" and module in _EXTENSION:
        return FLASK_SHIM, name
    return (SHIM, name) if module in _TWO_COLOURED.get(name, ()) else None


def extension_names() -> frozenset[str]:
    """Every dotted name of Flask-SQLAlchemy's class, the two-coloured one included."""
    return frozenset(f"{module}.SQLAlchemy" for module in (*_EXTENSION, FLASK_SHIM))


def names_of(name: str) -> frozenset[str]:
    """Every dotted name under which `name` of the table is known, the shim's included."""
    return frozenset(f"{module}.{name}" for module in (*_TWO_COLOURED[name], SHIM))


_SESSIONS = names_of("Session") | names_of("scoped_session")


def is_session(types: Types) -> bool:
    """Says whether a value of these types is an ORM session and nothing else (but None)."""
    found = {ref.name for ref in types} - {"None"}
    return bool(found) and found <= _SESSIONS
