"""The plan of a library's async twin: what gets one, under which name, and what is in the way."""

from __future__ import annotations

import pytest

from bridgekit_codemods.planning.library import LibraryPlan, is_public, library_plan
from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.program.program import Program

FILES = {
    "shop/__init__.py": b"from shop.client import Client\n",
    "shop/client.py": (
        b"import contextlib\nimport time\n\nimport requests\n\n"
        b"VERSION = requests.get('http://v', timeout=1).text\n\n\n"
        b"class Client:\n"
        b"    def __init__(self):\n        self.info = _send('info')\n\n"
        b"    def __enter__(self):\n        _send('open')\n        return self\n\n"
        b"    def __exit__(self, *error):\n        self.close()\n\n"
        b"    def close(self):\n        _send('close')\n\n"
        b"    async def aclose(self):\n        pass\n\n"
        b"    @property\n    def status(self):\n        return _send('status')\n\n"
        b"    def items(self):\n        for n in range(3):\n            yield _send(n)\n\n"
        b"    def name(self):\n        return 'client'\n\n\n"
        b"class AsyncClient:\n    pass\n\n\n"
        b"def _send(what):\n    return requests.get(f'http://x/{what}', timeout=1).text\n\n\n"
        b"def _unused():\n    time.sleep(1)\n\n\n"
        b"def pause():\n    time.sleep(1)\n"
    ),
    "shop/aio/__init__.py": b"",
    "shop/aio/client.py": b"",
    "tests/test_client.py": b"import time\n\n\ndef test_x():\n    time.sleep(0)\n",
}


@pytest.fixture(scope="module")
def plan() -> LibraryPlan:
    return library_plan(Program.load(FILES))


def test_what_waits_and_is_public_gets_a_twin_and_what_is_behind_it(plan: LibraryPlan) -> None:
    twins = {twin.function.rpartition("client.")[2]: twin for twin in plan.twins}
    assert {name: twin.twin.removeprefix("shop.aio.client.") for name, twin in twins.items()} == {
        "Client.__init__": "AsyncClient.create",
        "Client.__enter__": "AsyncClient.__aenter__",
        "Client.__exit__": "AsyncClient.__aexit__",
        "Client.close": "AsyncClient.aclose",
        "Client.status": "AsyncClient.status",
        "Client.items": "AsyncClient.items",
        "_send": "_send",
        "pause": "pause",
    }
    assert not twins["_send"].public
    assert twins["pause"].public
    assert twins["pause"].waits_for == ("sleep",)


def test_what_cannot_be_a_plain_coroutine_function(plan: LibraryPlan) -> None:
    needs = {t.function.rpartition(".")[2]: t.needs for t in plan.twins if t.needs is not None}
    assert needs.keys() == {"__init__", "status", "items"}
    assert "classmethod `create`" in (needs["__init__"] or "")
    assert "the twin is a method" in (needs["status"] or "")
    assert "async for" in (needs["items"] or "")


def test_where_the_twins_go_and_the_other_way(plan: LibraryPlan) -> None:
    assert plan.modules == {"shop.client": "shop.aio.client"}
    assert plan.sources == {"shop.client": ("shop._async.client", "shop._sync.client")}
    assert plan.classes == {"shop.client.Client": "shop.aio.client.AsyncClient"}
    assert plan.tokens == {
        "AsyncClient": "Client",
        "__aenter__": "__enter__",
        "__aexit__": "__exit__",
        "aclose": "close",
    }


def test_names_that_are_taken(plan: LibraryPlan) -> None:
    assert {clash.name for clash in plan.clashes} == {
        "shop.aio.client", "shop.client.AsyncClient", "shop.client.Client.aclose",
    }  # fmt: skip


def test_what_waits_while_a_module_is_imported(plan: LibraryPlan) -> None:
    (clash,) = plan.at_import
    assert (clash.path, clash.line, clash.reason) == ("shop/client.py", 6, "waits for http")


def test_what_the_twins_would_call(plan: LibraryPlan) -> None:
    assert {leaf.name: leaf.calls for leaf in plan.leaves} == {"requests.get": 1, "time.sleep": 1}


def test_a_scope_limits_it() -> None:
    plan = library_plan(Program.load(FILES), Scope(frozenset({"sleep"})))
    assert [twin.function for twin in plan.twins] == ["shop.client.pause"]


def test_what_is_kept_by_configuration_has_no_twin() -> None:
    files = {**FILES, "pyproject.toml": b'[tool.bridgekit]\nkeep = ["shop.client.Client"]\n'}
    plan = library_plan(Program.load(files))
    assert [twin.function for twin in plan.twins] == ["shop.client.pause"]


def test_the_advice_counts_what_would_exist_twice(plan: LibraryPlan) -> None:
    assert plan.advice.startswith(("generate the sync code:", "write the twins beside:"))
    nothing = library_plan(Program.load({"m.py": b"def f():\n    return 1\n"}))
    assert nothing.advice == "nothing waits: the library needs no async API"
    small = b"import time\n\n\ndef f():\n    time.sleep(1)\n" + b"\nX = 1\n" * 40
    assert library_plan(Program.load({"m.py": small})).advice.startswith("write the twins beside")
    large = b"import time\n\n\ndef f():\n" + b"    time.sleep(1)\n" * 40
    assert library_plan(Program.load({"m.py": large})).advice.startswith("generate the sync code")


def test_a_module_without_a_package_has_its_twins_beside_it() -> None:
    plan = library_plan(Program.load({"m.py": b"import time\n\n\ndef f():\n    time.sleep(1)\n"}))
    assert plan.modules == {"m": "m_aio"}
    assert plan.sources == {"m": ("m_async", "m_sync")}


def test_private_parts_make_a_name_private() -> None:
    program = Program.load(
        {
            "a/__init__.py": b"",
            "a/_b.py": b"def f(): ...\n",
            "a/c.py": b"class C:\n    def __call__(self): ...\n\n    def _g(self): ...\n",
        }
    )
    assert {n: is_public(f) for n, f in program.functions.items()} == {
        "a._b.f": False, "a.c.C.__call__": True, "a.c.C._g": False,
    }  # fmt: skip
