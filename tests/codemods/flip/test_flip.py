"""BK240 flip: who becomes async, in which form, and who must not."""

from __future__ import annotations

import inspect
from textwrap import dedent

import pytest

from bridgekit import to_thread
from bridgekit_codemods.planning.bridges import THREAD_OPTIONS
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.flip import Flip

RULE = Flip()
APP = """\
    from bridgekit.integrations.flask import Flask

    import service

    app = Flask(__name__)


    @app.route("/")
    def index():
        return service.top()
"""


def walk(files: dict[str, str], **options: object) -> dict[str, str]:
    """All steps of the rule, one after another; every result compiles."""
    sources = {path: dedent(text).encode() for path, text in files.items()}
    for _ in range(30):
        step = RULE.propose(Program.load(sources), Options(**options), frozenset())
        if step is None:
            return {path: data.decode() for path, data in sources.items()}
        for path, data in step.changes.items():
            compile(data, path, "exec")
            sources[path] = data
    raise AssertionError("the walk does not end")


def service(body: str, app: str = APP) -> str:
    """The service module after the walk."""
    return walk({"app.py": app, "service.py": body})["service.py"]


def test_a_leaf_becomes_a_twin_behind_a_facade_and_its_caller_awaits_the_twin() -> None:
    after = walk(
        {
            "app.py": APP,
            "service.py": """\
                import time


                # waits a little
                def wait(seconds, *, scale=1):  # scale of the wait
                    time.sleep(seconds * scale)
                    return seconds


                def top():
                    return str(wait(1, scale=2))
            """,
        }
    )
    assert after["service.py"] == dedent(
        """\
        import anyio
        from bridgekit import async_to_sync


        # waits a little
        async def wait_async(seconds, *, scale=1):  # scale of the wait
            await anyio.sleep(seconds * scale)
            return seconds


        def wait(seconds, *, scale=1):
            return async_to_sync(wait_async)(seconds, scale=scale)


        async def top_async():
            return str(await wait_async(1, scale=2))


        def top():
            return async_to_sync(top_async)()
        """
    )
    assert "async def index():\n    return await service.top_async()" in after["app.py"]


def test_methods_families_and_super_move_together() -> None:
    after = service(
        """\
        import time


        class Base:
            def load(self):
                time.sleep(1)

            def run(self):
                return self.load()


        class Child(Base):
            def load(self):
                super().load()
                return 1


        def top():
            worker: Base = Child()
            return worker.run()
        """
    )
    assert after.count("async def load_async(self):") == 2
    assert "await super().load_async()" in after
    assert "return await self.load_async()" in after
    assert "return async_to_sync(self.load_async)()" in after


def test_what_has_no_async_form_goes_to_a_thread() -> None:
    after = service(
        """\
        import shutil
        import time


        def top():
            time.sleep(1)
            shutil.copyfile("a", "b", follow_symlinks=False)
        """
    )
    assert 'await to_thread.run_sync(shutil.copyfile, "a", "b", follow_symlinks=False)' in after


def test_keywords_of_the_bridge_still_reach_the_function() -> None:
    after = service(
        """\
        import time
        import urllib.request


        def top(url, **options):
            time.sleep(1)
            urllib.request.urlopen(url, None, **options)
            return urllib.request.urlopen(url, timeout=5)
        """
    )
    assert "to_thread.run_sync(lambda: urllib.request.urlopen(url, timeout=5))" in after
    assert "to_thread.run_sync(lambda: urllib.request.urlopen(url, None, **options))" in after


def test_the_keywords_of_the_bridge_are_those_of_the_runtime() -> None:
    own = inspect.signature(to_thread.run_sync).parameters.values()
    assert {each.name for each in own if each.kind is each.KEYWORD_ONLY} == THREAD_OPTIONS


def test_objects_of_one_thread_stay_on_it_in_one_trip() -> None:
    after = service(
        """\
        import sqlite3
        import time


        def connect():
            return sqlite3.connect("x.db")


        def top():
            time.sleep(1)
            return connect().execute("SELECT 1").fetchone()
        """
    )
    assert "def connect():\n    return sqlite3.connect" in after
    assert (
        'await to_thread.run_sync(lambda: connect().execute("SELECT 1").fetchone(), '
        'affinity="context")' in after
    )


def test_comprehensions_and_generators_consumed_at_once_await() -> None:
    after = service(
        """\
        import time


        def one(x):
            time.sleep(x)
            return x


        def top():
            return sum(one(x) for x in range(3)), [one(x) for x in range(2)]
        """
    )
    assert "sum([await one_async(x) for x in range(3)])" in after
    assert "[await one_async(x) for x in range(2)]" in after


def test_files_become_async_files() -> None:
    after = service(
        """\
        import time


        def top():
            time.sleep(0)
            with open("x", encoding="utf-8") as file:
                for line in file:
                    print(line)
                return file.read()
        """
    )
    assert 'async with await anyio.open_file("x", encoding="utf-8") as file:' in after
    assert "async for line in file:" in after
    assert "return await file.read()" in after


def test_subprocesses_keep_their_semantics() -> None:
    after = service(
        """\
        import subprocess
        import time


        def top():
            time.sleep(0)
            subprocess.run(["a", "b"], check=True, text=True)
            return subprocess.run(["a", "b"], capture_output=True)
        """
    )
    assert 'await to_thread.run_sync(subprocess.run, ["a", "b"], check=True, text=True)' in after
    assert 'return await anyio.run_process(["a", "b"], check=False)' in after


def test_recursion_and_caches() -> None:
    after = service(
        """\
        import functools
        import time


        @functools.lru_cache(maxsize=3)
        def rate(name):
            time.sleep(1)
            return 1


        def count(n):
            rate("a")
            return n and count(n - 1)


        def top():
            rate.cache_clear()
            return count(3)
        """
    )
    assert "@async_lru_cache(maxsize=3)\nasync def rate_async(name):" in after
    assert "def rate(name):\n    return async_to_sync(rate_async)(name)" in after
    assert "rate_async.cache_clear()" in after
    assert "return n and await count_async(n - 1)" in after


def test_streams_of_the_http_client() -> None:
    after = service(
        """\
        from bridgekit.integrations import requests


        def top(url, path):
            with requests.get(url, stream=True, timeout=5) as response:
                response.raise_for_status()
                with open(path, "wb") as target:
                    for chunk in response.iter_content(100):
                        target.write(chunk)
        """
    )
    assert "async with await requests.aio.get(url, stream=True, timeout=5) as response:" in after
    assert "async for chunk in response.aiter_content(100):" in after
    assert "await target.write(chunk)" in after


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a property", "class T:\n    @property\n    def p(self):\n        return wait()\n"),
        ("__init__", "class T:\n    def __init__(self):\n        wait()\n"),
        ("a generator", "def t():\n    yield wait()\n"),
        ("a lambda", "def t():\n    return lambda: wait()\n"),
        ("any()", "def t():\n    return any(wait() for _ in 'ab')\n"),
        ("a lock", "import threading\n\nL = threading.Lock()\n\n\n"
                   "def t():\n    with L:\n        wait()\n"),
        ("an unknown decorator", "import other\n\n\n@other.deco\ndef t():\n    wait()\n"),
        ("a callback", "def t(callback=wait):\n    wait()\n    callback()\n"),
        ("a command", "import click\n\n\n@click.command()\ndef t():\n    wait()\n"),
    ],
)  # fmt: skip
def test_must_not_touch(name: str, body: str) -> None:
    """The function keeps its text and is reached through a thread or by sync callers only."""
    use = "T" if "class T" in body else "t"
    source = (
        "import time\n\n\ndef wait():\n    time.sleep(1)\n\n\n"
        + body
        + f"\n\ndef top():\n    wait()\n    return {use}()\n"
    )
    after = service(source)
    assert body.split("\n\n\n")[-1] in after, name


def test_functions_that_no_view_reaches_are_left_alone() -> None:
    source = """\
        import time


        def nightly():
            time.sleep(1)


        def top():
            return 1
    """
    assert service(source) == dedent(source)


def test_nothing_is_flipped_where_the_framework_would_not_serve_async_views() -> None:
    app = APP.replace("bridgekit.integrations.flask", "flask")
    files = {"app.py": app, "service.py": "import time\n\n\ndef top():\n    time.sleep(1)\n"}
    assert walk(files) == {path: dedent(text) for path, text in files.items()}


def test_a_call_through_an_unknown_receiver_is_never_awaited() -> None:
    source = """\
        import time


        class Client:
            def fetch(self):
                time.sleep(1)


        def top(client):
            time.sleep(2)
            return client.fetch()
    """
    app = APP.replace("service.top()", "service.top(unknown())").replace(
        "import service", "import service\nfrom elsewhere import unknown"
    )
    after = service(source, app)
    assert "def top(client):\n    time.sleep(2)\n    return client.fetch()" in after


def test_a_step_that_was_red_is_tried_again_one_function_at_a_time() -> None:
    files = {
        "app.py": APP,
        "service.py": "import time\n\n\ndef a():\n    time.sleep(1)\n\n\ndef b():\n"
        "    time.sleep(2)\n\n\ndef top():\n    a()\n    b()\n",
    }
    sources = {path: dedent(text).encode() for path, text in files.items()}
    program = Program.load(sources)
    first = RULE.propose(program, Options(), frozenset())
    assert first is not None
    assert first.key == "flip:service.a,service.b"
    second = RULE.propose(program, Options(), frozenset({first.key}))
    assert second is not None
    assert second.key == "flip:service.a"
    third = RULE.propose(program, Options(), frozenset({first.key, second.key}))
    assert third is not None
    assert third.key == "flip:service.b"
    reasons = [f.reason for f in RULE.findings(program, Options(), {first.key, second.key})]
    assert "kept back: the guard was red, no test reaches it, or someone left it out" in reasons


@pytest.mark.parametrize(
    ("granularity", "first"),
    [
        ("function", "flip:one.a"),
        ("module", "flip:one.a,one.b"),
        ("layer", "flip:one.a,one.b,two.c"),
    ],
)
def test_steps_are_as_large_as_the_user_wants(granularity: str, first: str) -> None:
    files = {
        "app.py": APP,
        "one.py": "import time\n\n\ndef a():\n    time.sleep(1)\n\n\ndef b():\n    time.sleep(1)\n",
        "two.py": "import time\n\n\ndef c():\n    time.sleep(1)\n",
        "service.py": "import one\nimport two\n\n\n"
        "def top():\n    one.a()\n    one.b()\n    two.c()\n",
    }
    sources = {path: dedent(text).encode() for path, text in files.items()}
    options = Options(granularity=granularity)  # type: ignore[arg-type]
    step = RULE.propose(Program.load(sources), options, frozenset())
    assert step is not None
    assert step.key == first
