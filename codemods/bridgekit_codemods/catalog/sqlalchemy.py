"""SQLAlchemy 2: core, ORM, and the asyncio extension."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_ORM, _AIO = "sqlalchemy.orm", "sqlalchemy.ext.asyncio"
_TWO = "bridgekit.integrations.sqlalchemy"  # one session of both colours
_SESSION, _ASESSION = f"{_ORM}.Session", f"{_AIO}.AsyncSession"
_QUERY = f"{_ORM}.Query"
_FLASK_QUERY = "flask_sqlalchemy.query.Query"
_RESULT, _SCALARS = "sqlalchemy.Result", "sqlalchemy.ScalarResult"
_SELECT = "sqlalchemy.Select"
_ENGINE, _CONNECTION = "sqlalchemy.Engine", "sqlalchemy.Connection"
_AENGINE, _ACONNECTION = f"{_AIO}.AsyncEngine", f"{_AIO}.AsyncConnection"

_CHAINED = (
    "where filter filter_by order_by limit offset group_by having join outerjoin options distinct "
    "select_from execution_options with_for_update correlate union union_all with_only_columns "
    "join_from outerjoin_from params add_columns prefix_with suffix_with yield_per "
    "populate_existing autoflush reset_joinpoint enable_eagerloads"
)
_FETCH = (
    "execute scalar scalars get get_one flush commit rollback refresh merge delete close "
    "bulk_save_objects bulk_insert_mappings bulk_update_mappings prepare invalidate connection "
    "__exit__"
)
_QUERY_RUNS = "all first one one_or_none scalar count get delete update __iter__ __getitem__"


def _results(name: str, item: str) -> dict[str, str]:
    """Fetching methods of a result whose elements are `item`."""
    return {
        **each(name, "first one_or_none fetchone", f"{item}|None"),
        **each(name, "one", item),
        **each(name, "all fetchall fetchmany", f"list[{item}]"),
        **each(name, "__iter__ partitions", f"generator[{item}]"),
        **each(name, "unique yield_per columns", "Self"),
    }


def _session(name: str, wrap: str) -> dict[str, str]:
    """Return types of a session; `wrap` is the form of an awaited result ("%s" when plain)."""

    def result(inner: str) -> str:
        return wrap % inner if wrap else inner

    return {
        f"{name}.execute": result(f"{_RESULT}[Rs]"),
        f"{name}.scalars": result(f"{_SCALARS}[R0]"),
        f"{name}.scalar": result("R0|None"),
        f"{name}.get": result("A0|None"),
        f"{name}.get_one": result("A0"),
        f"{name}.merge": result("E0"),
        f"{name}.connection": result(_CONNECTION if not wrap else _ACONNECTION),
        **each(name, "flush commit rollback refresh delete close", result("None")),
        **each(name, "add add_all expire expunge expire_all expunge_all", "None"),
    }


LIBRARY = Library(
    aliases={
        f"{_ORM}.session": _ORM,
        f"{_ORM}.query": _ORM,
        f"{_ORM}.scoping": _ORM,
        f"{_ORM}.decl_api": _ORM,
        f"{_ORM}.DynamicMapped": f"{_ORM}.AppenderQuery",
        f"{_ORM}.WriteOnlyMapped": f"{_ORM}.WriteOnlyCollection",
        "sqlalchemy.engine": "sqlalchemy",
        "sqlalchemy.engine.result": "sqlalchemy",
        "sqlalchemy.engine.base": "sqlalchemy",
        "sqlalchemy.future": "sqlalchemy",
        "sqlalchemy.sql.select": "sqlalchemy.select",
        "sqlalchemy.sql.expression.select": "sqlalchemy.select",
        "sqlalchemy.ext.declarative.declarative_base": f"{_ORM}.declarative_base",
        f"{_AIO}.session": _AIO,
        f"{_AIO}.engine": _AIO,
    },
    bases={
        f"{_TWO}.Session": (_SESSION,),
        f"{_TWO}.sessionmaker": (f"{_ORM}.sessionmaker",),
        f"{_TWO}.scoped_session": (f"{_TWO}.Session",),
        f"{_TWO}.Engine": (_ENGINE,),
        f"{_TWO}.AsyncSession": (_ASESSION,),
        f"{_TWO}.AsyncEngine": (_AENGINE,),
        f"{_ORM}.scoped_session": (_SESSION,),
        f"{_AIO}.async_scoped_session": (_ASESSION,),
        f"{_ORM}.AppenderQuery": (_QUERY,),
        _FLASK_QUERY: (_QUERY,),
        "sqlalchemy.MappingResult": (_RESULT,),
        "sqlalchemy.CursorResult": (_RESULT,),
        "sqlalchemy.ChunkedIteratorResult": (_RESULT,),
    },
    returns={
        f"{_TWO}.create_engine": f"{_TWO}.Engine",
        f"{_TWO}.create_async_engine": _AENGINE,
        f"{_TWO}.sessionmaker": f"{_TWO}.sessionmaker",
        f"{_TWO}.sessionmaker.__call__": f"{_TWO}.Session",
        f"{_TWO}.sessionmaker.begin": f"contextlib.ContextManager[{_TWO}.Session]",
        f"{_TWO}.scoped_session": f"{_TWO}.scoped_session",
        f"{_TWO}.scoped_session.__call__": f"{_TWO}.Session",
        "sqlalchemy.create_engine": _ENGINE,
        f"{_AIO}.create_async_engine": _AENGINE,
        f"{_ORM}.sessionmaker": f"{_ORM}.sessionmaker[{_SESSION}]",
        f"{_ORM}.sessionmaker.__call__": _SESSION,
        f"{_ORM}.sessionmaker.begin": f"contextlib.ContextManager[{_SESSION}]",
        f"{_ORM}.scoped_session": f"{_ORM}.scoped_session",
        f"{_ORM}.scoped_session.__call__": _SESSION,
        f"{_AIO}.async_sessionmaker": f"{_AIO}.async_sessionmaker",
        f"{_AIO}.async_sessionmaker.__call__": _ASESSION,
        f"{_AIO}.async_sessionmaker.begin": f"contextlib.AsyncContextManager[{_ASESSION}]",
        f"{_AIO}.async_scoped_session": f"{_AIO}.async_scoped_session",
        f"{_AIO}.async_scoped_session.__call__": _ASESSION,
        f"{_ORM}.declarative_base": f"type[{_ORM}.DeclarativeBase]",
        f"{_SESSION}.__enter__": "Self",
        f"{_ASESSION}.__aenter__": "Self",
        f"{_SESSION}.begin": f"contextlib.ContextManager[{_ORM}.SessionTransaction]",
        f"{_SESSION}.begin_nested": f"contextlib.ContextManager[{_ORM}.SessionTransaction]",
        f"{_ASESSION}.begin": f"contextlib.AsyncContextManager[{_AIO}.AsyncSessionTransaction]",
        f"{_ASESSION}.run_sync": "coroutine[W0]",
        f"{_ASESSION}.stream": f"coroutine[{_AIO}.AsyncResult[Rs]]",
        f"{_ASESSION}.stream_scalars": f"coroutine[{_AIO}.AsyncScalarResult[R0]]",
        f"{_AIO}.AsyncResult.__aiter__": "async_generator[sqlalchemy.Row[Args]]",
        f"{_AIO}.AsyncScalarResult.__aiter__": "async_generator[T]",
        **_session(_SESSION, ""),
        **_session(_ASESSION, "coroutine[%s]"),
        f"{_SESSION}.query": f"{_QUERY}[As]",
        f"{_ORM}.scoped_session.query_property": f"{_QUERY}[Unknown]",
        **each(_QUERY, _CHAINED, "Self"),
        **each(_QUERY, "with_entities from_self with_session", f"{_QUERY}[Unknown]"),
        **each(_QUERY, "all", "list[T]"),
        **each(_QUERY, "first one_or_none get", "T|None"),
        **each(_QUERY, "one", "T"),
        **each(_FLASK_QUERY, "first_or_404 one_or_404 get_or_404", "T"),
        f"{_QUERY}.count": "int",
        f"{_QUERY}.scalar": "Unknown",
        f"{_FLASK_QUERY}.paginate": "flask_sqlalchemy.pagination.Pagination[T]",
        f"{_QUERY}.__iter__": "generator[T]",
        f"{_QUERY}.__getitem__": "T",
        "flask_sqlalchemy.pagination.Pagination.__iter__": "generator[T]",
        f"{_ORM}.WriteOnlyCollection.select": f"{_SELECT}[T]",
        "sqlalchemy.select": f"{_SELECT}[As]",
        **each(_SELECT, _CHAINED, "Self"),
        "sqlalchemy.insert": "sqlalchemy.Insert[A0]",
        "sqlalchemy.update": "sqlalchemy.Update[A0]",
        "sqlalchemy.delete": "sqlalchemy.Delete[A0]",
        **each("sqlalchemy.Insert", "values returning on_conflict_do_nothing", "Self"),
        **each("sqlalchemy.Update", "values where returning execution_options", "Self"),
        **each("sqlalchemy.Delete", "where returning execution_options", "Self"),
        **_results(_RESULT, "sqlalchemy.Row[Args]"),
        **_results(_SCALARS, "T"),
        f"{_RESULT}.scalars": f"{_SCALARS}[T]",
        f"{_RESULT}.scalar_one": "T",
        **each(_RESULT, "scalar scalar_one_or_none", "T|None"),
        f"{_RESULT}.mappings": "sqlalchemy.MappingResult",
        **each("sqlalchemy.MappingResult", "first one one_or_none", "sqlalchemy.RowMapping"),
        "sqlalchemy.MappingResult.all": "list[sqlalchemy.RowMapping]",
        "sqlalchemy.MappingResult.__iter__": "generator[sqlalchemy.RowMapping]",
        f"{_ENGINE}.connect": _CONNECTION,
        f"{_ENGINE}.begin": f"contextlib.ContextManager[{_CONNECTION}]",
        f"{_CONNECTION}.execute": f"{_RESULT}[Rs]",
        f"{_CONNECTION}.__enter__": "Self",
        f"{_CONNECTION}.begin": "contextlib.ContextManager[sqlalchemy.Transaction]",
        f"{_AENGINE}.connect": _ACONNECTION,
        f"{_AENGINE}.begin": f"contextlib.AsyncContextManager[{_ACONNECTION}]",
        f"{_AENGINE}.dispose": "coroutine[None]",
        f"{_ACONNECTION}.execute": f"coroutine[{_RESULT}[Rs]]",
        f"{_ACONNECTION}.run_sync": "coroutine[W0]",
        f"{_ACONNECTION}.__aenter__": "Self",
        f"{_ACONNECTION}.__await__": "Self",
        **each("sqlalchemy", "text", "sqlalchemy.TextClause"),
    },
    attributes={
        f"{_TWO}.Session.aio": _ASESSION,
        f"{_TWO}.Engine.aio": _AENGINE,
        f"{_ASESSION}.sync_session": _SESSION,
        f"{_AENGINE}.sync_engine": _ENGINE,
        f"{_RESULT}.rowcount": "int",
        f"{_ORM}.DeclarativeBase.metadata": "sqlalchemy.MetaData",
        f"{_ORM}.DeclarativeBase.registry": f"{_ORM}.registry",
        "flask_sqlalchemy.SQLAlchemy.metadata": "sqlalchemy.MetaData",
        "flask_sqlalchemy.SQLAlchemy.session": f"{_ORM}.scoped_session",
        "flask_sqlalchemy.SQLAlchemy.engine": _ENGINE,
        "flask_sqlalchemy.SQLAlchemy.Model.query": f"{_FLASK_QUERY}[T]",
        "flask_sqlalchemy.pagination.Pagination.items": "list[T]",
    },
    blocks={
        "db": (
            *members(_SESSION, _FETCH),
            *members(_QUERY, _QUERY_RUNS),
            *members(_FLASK_QUERY, "first_or_404 one_or_404 get_or_404 paginate"),
            *members(_CONNECTION, "execute scalar scalars commit rollback close __exit__"),
            *members(_CONNECTION, "exec_driver_sql"),
            *members(_ENGINE, "connect begin raw_connection dispose"),
            f"{_ORM}.sessionmaker.begin",
            f"{_SESSION}.begin_nested",
            f"{_ORM}.SessionTransaction.commit",
            f"{_ORM}.SessionTransaction.rollback",
            f"{_ORM}.scoped_session.remove",
            *members("sqlalchemy.MetaData", "create_all drop_all reflect"),
            *members("flask_sqlalchemy.SQLAlchemy", "create_all drop_all get_or_404 first_or_404"),
            *members("flask_sqlalchemy.SQLAlchemy", "one_or_404 paginate"),
            "sqlalchemy.inspect",
        )
    },
    notes={
        f"{_SESSION}.__exit__": "returns the connection, with a rollback when one is open",
        "sqlalchemy.inspect": "reads the schema when it is given an engine or a connection",
        f"{_ENGINE}.begin": "takes a connection, and commits at the end of the block",
    },
    hooks={
        "sqlalchemy.types.TypeDecorator": (
            "process_bind_param", "process_result_value", "load_dialect_impl", "bind_processor",
            "result_processor", "coerce_compared_value", "copy",
        ),
        _SESSION: (*_FETCH.split(), "add", "query", "get_bind", "begin"),
        _QUERY: _QUERY_RUNS.split(),
    },
)  # fmt: skip
