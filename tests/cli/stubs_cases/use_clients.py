"""What type checkers have to see of ``clients`` through its stub. Never run."""

from __future__ import annotations

import pathlib
from typing import Any, assert_type

import clients


async def in_asynchronous_code() -> None:
    async with clients.AsyncHttp(base_url="http://service", timeout=3) as http:
        response = await http.get("/", params={"a": "b"})
        assert_type(response.status_code, int)
        assert_type(response.json(), Any)
        async for line in response.iter_lines():
            assert_type(line, str)
        async with http.stream("GET", "/") as streamed:
            assert_type(await streamed.read(), bytes)
        await http.get(3)  # type: ignore[arg-type]

    process = await clients.AsyncPopen.create(["ls"], text=True)
    assert_type(await process.communicate(), tuple[str, str])
    assert_type(await clients.AsyncPopen(["ls"]).communicate(), tuple[bytes, bytes])

    waiting: clients.AsyncQueue[int] = clients.AsyncQueue(3)
    await waiting.put(1, timeout=1.0)
    assert_type(await waiting.get(), int)
    assert_type(waiting.qsize(), int)

    path = clients.AsyncPath("/tmp")
    assert_type(await path.read_text(encoding="utf-8"), str)
    assert_type(path.name, str)
    assert_type(await (path / "x").exists(), bool)
    async for child in path.iterdir():
        assert_type(child, clients.AsyncPath)
    await clients.AsyncPath.cwd()
    await path.rename(pathlib.Path("new"))

    async with await clients.AsyncSMTP.create("localhost", 25) as mail:
        assert_type(await mail.noop(), tuple[int, bytes])
    async with clients.AsyncZip("a.zip") as archive:
        assert_type(await archive.namelist(), list[str])
    async with clients.lock as taken:
        assert_type(taken, bool)


def in_synchronous_code() -> None:
    with clients.SyncHttp() as http:
        assert_type(http.get("/").status_code, int)
        with http.stream("GET", "/") as streamed:
            for chunk in streamed.aiter_bytes():
                assert_type(chunk, bytes)
    with clients.SyncAiohttp() as session, session.get("http://service") as response:
        assert_type(response.status, int)
    waiting: clients.SyncQueue[str] = clients.SyncQueue(3)
    waiting.put("a")
    assert_type(waiting.get(), str)
