"""DB-API drivers: sqlite3, psycopg2, psycopg, pymysql; aiosqlite for the migrated form."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_ROOTS = ("sqlite3", "psycopg2", "psycopg", "pymysql", "MySQLdb")
_CONNECTION = "execute executemany executescript commit rollback close backup __exit__"
_CURSOR = "execute executemany executescript fetchone fetchall fetchmany __iter__ __next__"
_SERVER_CURSOR = "callproc copy copy_from copy_to copy_expert"


def _driver(root: str) -> Library:
    connection, cursor = f"{root}.Connection", f"{root}.Cursor"
    return Library(
        aliases={
            f"{root}.extensions.connection": connection,
            f"{root}.extensions.cursor": cursor,
            f"{root}.connections.Connection": connection,
            f"{root}.dbapi2": root,
        },
        returns={
            f"{root}.connect": connection,
            f"{connection}.__enter__": connection,
            **each(connection, "execute executemany executescript cursor", cursor),
            **each(cursor, "execute executemany executescript __enter__", cursor),
            **each(cursor, "fetchone", f"{root}.Row|None"),
            **each(cursor, "fetchall fetchmany", f"list[{root}.Row]"),
            f"{cursor}.__iter__": f"generator[{root}.Row]",
            f"{cursor}.__next__": f"{root}.Row",
        },
        blocks={
            "db": (
                f"{root}.connect",
                *members(connection, _CONNECTION),
                *members(cursor, _CURSOR),
                *(members(cursor, _SERVER_CURSOR) if root != "sqlite3" else ()),
            )
        },
    )


LIBRARIES = tuple(_driver(root) for root in _ROOTS)
AIOSQLITE = Library(
    aliases={"aiosqlite.core": "aiosqlite", "aiosqlite.cursor": "aiosqlite"},
    returns={
        "aiosqlite.connect": "aiosqlite.Connection",
        "aiosqlite.Connection.__await__": "Self",
        "aiosqlite.Connection.__aenter__": "Self",
        **each("aiosqlite.Connection", "commit rollback close", "coroutine[None]"),
        **each(
            "aiosqlite.Connection",
            "execute executemany executescript cursor",
            "coroutine[aiosqlite.Cursor]",
        ),
        "aiosqlite.Connection.execute_fetchall": "coroutine[list[sqlite3.Row]]",
        "aiosqlite.Cursor.fetchone": "coroutine[sqlite3.Row|None]",
        "aiosqlite.Cursor.fetchall": "coroutine[list[sqlite3.Row]]",
        "aiosqlite.Cursor.__aiter__": "async_generator[sqlite3.Row]",
        "aiosqlite.Cursor.__aenter__": "Self",
    },
)
