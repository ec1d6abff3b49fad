from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from bridgekit.integrations.sqlalchemy import Engine, async_url, create_async_engine
from bridgekit.integrations.sqlalchemy import _drivers as drivers


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    present: set[str] = set()

    def find(name: str) -> Any:
        return importlib.util.spec_from_loader(name, None) if name in present else None

    monkeypatch.setattr(drivers, "find_spec", find)
    return present


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "sqlite+aiosqlite"),
        ("sqlite+pysqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite://", "sqlite+aiosqlite"),
        ("postgresql://u:p@h/d", "postgresql+psycopg"),
        ("postgres://u:p@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg_async://h/d", "postgresql+psycopg_async"),
        ("mysql+pymysql://h/d", "mysql+aiomysql"),
        ("mysql+asyncmy://h/d", "mysql+asyncmy"),
        ("mariadb://h/d", "mariadb+aiomysql"),
        ("oracle://h/d", "oracle+oracledb"),
        ("mssql+pyodbc://h/d", "mssql+aioodbc"),
    ],
)
def test_mapping(url: str, expected: str, installed: set[str]) -> None:
    mapped = async_url(url)
    assert mapped.drivername == expected
    assert mapped.set(drivername="x") == make_url(url).set(drivername="x")
    assert async_url(mapped) == mapped


def test_the_installed_driver_is_taken(installed: set[str]) -> None:
    installed.update({"asyncpg", "asyncmy"})
    assert async_url("postgresql://h/d").drivername == "postgresql+asyncpg"
    assert async_url(make_url("mysql://h/d")).drivername == "mysql+asyncmy"


def test_unknown_database_is_refused_without_its_password() -> None:
    with pytest.raises(ArgumentError, match="'access'") as caught:
        async_url("access://user:secret@h/d")
    assert "secret" not in str(caught.value)


@pytest.mark.asyncio
async def test_the_final_engine_is_sqlalchemys_own() -> None:
    engine = create_async_engine("sqlite://")
    assert type(engine) is AsyncEngine
    assert not isinstance(engine.sync_engine, Engine)
    async with engine.connect() as connection:
        assert await connection.scalar(text("select 1")) == 1
    await engine.dispose()
