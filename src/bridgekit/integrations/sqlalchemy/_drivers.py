"""From the URL of a synchronous driver to the URL of its asyncio counterpart."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

#: Per backend, the asyncio drivers in order of preference, as (name, module to import).
ASYNC_DRIVERS: dict[str, tuple[tuple[str, str], ...]] = {
    "sqlite": (("aiosqlite", "aiosqlite"),),
    # psycopg first: it takes the same connection parameters (sslmode, options), paramstyle and
    # exception classes as the synchronous psycopg, so nothing else in the program has to change.
    "postgresql": (("psycopg", "psycopg"), ("asyncpg", "asyncpg")),
    "mysql": (("aiomysql", "aiomysql"), ("asyncmy", "asyncmy")),
    "mariadb": (("aiomysql", "aiomysql"), ("asyncmy", "asyncmy")),
    "oracle": (("oracledb", "oracledb"),),
    "mssql": (("aioodbc", "aioodbc"),),
}

#: Drivers that serve both colours under one name; such a URL is left as it is.
_BOTH_COLOURS = frozenset({"psycopg", "oracledb"})


def async_url(url: str | URL) -> URL:
    """Return ``url`` with the asyncio driver of its database in place of a synchronous one.

    A URL that already names an asyncio driver is returned unchanged, so the function may be
    applied to any URL any number of times. Of several drivers the first one installed is taken
    (:data:`ASYNC_DRIVERS` has the order); with none installed, the first, whose import error
    then says what is missing.

    Raises:
        ArgumentError: the database has no asyncio driver known here.
    """
    parsed = make_url(url)
    backend, _, driver = parsed.drivername.partition("+")
    if backend == "postgres":
        # The alias that SQLAlchemy dropped in 1.4 and hosting platforms still hand out.
        backend = "postgresql"
    candidates = ASYNC_DRIVERS.get(backend)
    if candidates is None:
        raise ArgumentError(
            f"no asyncio driver is known for the database {backend!r} of {parsed!r}; "
            "name one in the URL, as in 'backend+driver://'"
        )
    if driver in _BOTH_COLOURS or driver.endswith("_async") or driver in dict(candidates):
        return parsed
    chosen = next((name for name, module in candidates if find_spec(module)), candidates[0][0])
    return parsed.set(drivername=f"{backend}+{chosen}")
