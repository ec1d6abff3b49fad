"""urllib.request and urllib3 have no async form that does the same: they go to worker threads.

Both forms of each function run against one server and must come to the same.
"""

from __future__ import annotations

import asyncio
import gc
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from tests.codemods.flip.test_flip import APP, walk
from tests.integrations.requests.stub import Server

FUNCTIONS = {
    "read": "return urlopen(url, timeout=5).read().decode()",
    "managed": """\
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    """,
    "posted": "return urllib.request.urlopen(url, data=b'x=1', timeout=5).read()",
    "opened": """\
        opener = urllib.request.build_opener()
        request = urllib.request.Request(url, headers={"X-A": "1"}, method="PUT")
        return opener.open(request, timeout=3).status
    """,
    "caught": """\
        try:
            return urllib.request.urlopen(url, timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code, error.read()
    """,
    "pooled": "return POOL.request('GET', url, timeout=5.0, retries=False).data",
    "fields": "return urllib3.request('POST', url, fields={'a': '1'}).status",
    "streamed": """\
        response = POOL.request("GET", url, preload_content=False, timeout=5.0)
        try:
            return response.read(3), response.read()
        finally:
            response.release_conn()
    """,
}
HEAD = """\
import time
import urllib.error
import urllib.request
from urllib.request import urlopen

import urllib3

POOL = urllib3.PoolManager()


def top(url):
    time.sleep(0)
    return work(url)


def work(url):
    time.sleep(0)
"""
PATHS = ["/echo?a=1", "/status/404", "/status/500", "/redirect/302", "/disconnect", "/hang"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error).__name__


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_forms_come_to_the_same(name: str, server: Server) -> None:
    before = HEAD + textwrap.indent(textwrap.dedent(FUNCTIONS[name]), "    ")
    before = before.replace("timeout=5.0", "timeout=1.0").replace("timeout=5", "timeout=1")
    after = walk({"app.py": APP, "service.py": before})["service.py"]
    assert "async def work" in after
    assert "to_thread.run_sync(" in after
    sync: dict[str, Any] = {}
    awaited: dict[str, Any] = {}
    exec(before, sync)
    exec(after, awaited)
    work = awaited.get("work_async", awaited["work"])
    paths = PATHS if name in ("read", "pooled") else PATHS[:-2]
    for path in paths:
        url = server.url + path
        expected = outcome(lambda url=url: sync["work"](url))
        assert outcome(lambda url=url: asyncio.run(work(url))) == expected, path
        sync["POOL"].clear()
        awaited["POOL"].clear()
    gc.collect()  # urllib leaves its sockets to the collector, in either form
