"""BK270 fold-facade: a facade goes when, and only when, nobody needs it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.planning.scope import Scope
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.fold import FoldFacades

RULE = FoldFacades()
LIB = """\
    from bridgekit import async_to_sync


    # the work
    async def work_async(a, *, b=1):
        return a + b  # sum


    def work(a, *, b=1):
        return async_to_sync(work_async)(a, b=b)


    def other():
        return 1
"""


def folded(files: dict[str, str]) -> dict[str, str]:
    """The program after the step, which must exist, compile and be the last one."""
    sources = {path: dedent(text).encode() for path, text in files.items()}
    step = RULE.propose(Program.load(sources), Options(), frozenset())
    assert step is not None
    for path, data in step.changes.items():
        compile(data, path, "exec")
        sources[path] = data
    assert RULE.propose(Program.load(sources), Options(), frozenset()) is None
    return {path: data.decode() for path, data in sources.items()}


def stays(files: dict[str, str]) -> str:
    """Asserts that nothing is folded; the reason that the rule gives."""
    program = Program.load({path: dedent(text).encode() for path, text in files.items()})
    assert RULE.propose(program, Options(), frozenset()) is None
    return RULE.findings(program, Options(), frozenset())[0].reason


def test_the_twin_takes_the_name_everywhere() -> None:
    after = folded(
        {
            "lib.py": LIB,
            "a.py": "from lib import work_async\n\n\n"
            "async def f():\n    return await work_async(1)\n",
            "b.py": "import lib\n\n\nasync def f():\n    return (await lib.work_async(1)).real\n",
            "c.py": "from lib import work_async as w_async\n\n\nasync def f():\n"
            "    return await w_async(1)\n",
        }
    )
    assert after["lib.py"] == dedent(
        """\
        # the work
        async def work(a, *, b=1):
            return a + b  # sum


        def other():
            return 1
        """
    )
    assert after["a.py"] == "from lib import work\n\n\nasync def f():\n    return await work(1)\n"
    assert "(await lib.work(1)).real" in after["b.py"]
    assert after["c.py"] == (
        "from lib import work as w\n\n\nasync def f():\n    return await w(1)\n"
    )


def test_methods_and_their_families_fold_together() -> None:
    after = folded(
        {
            "lib.py": """\
            from bridgekit import async_to_sync


            class A:
                async def go_async(self):
                    return 1

                def go(self):
                    return async_to_sync(self.go_async)()


            class B(A):
                async def go_async(self):
                    return await super().go_async()

                def go(self):
                    return async_to_sync(self.go_async)()


            async def use(a: A):
                return await a.go_async()
            """
        }
    )["lib.py"]
    assert "go_async" not in after
    assert "async_to_sync" not in after
    assert "return await super().go()" in after
    assert "return await a.go()" in after


def test_patches_of_the_twin_follow() -> None:
    after = folded(
        {
            "lib.py": LIB,
            "tests/test_a.py": "from unittest.mock import patch\n\n\ndef test_a():\n"
            '    with patch("lib.work_async") as work:\n        assert work\n',
        }
    )
    assert 'patch("lib.work")' in after["tests/test_a.py"]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("import lib\n\n\ndef f():\n    return lib.work(1)\n", "called at user.py:5"),
        ("import lib\n\nTABLE = {'w': lib.work}\n", "used as a value at user.py:3"),
        (
            "from unittest.mock import patch\n\n\ndef test_a():\n"
            '    with patch("lib.work"):\n        pass\n',
            "patched at user.py:5",
        ),
    ],
)
def test_must_not_touch(user: str, reason: str) -> None:
    assert reason in stays({"lib.py": LIB, "user.py": user})


def test_an_exported_facade_stays() -> None:
    assert "exported by lib.py" in stays({"lib.py": LIB + '\n\n    __all__ = ["work"]\n'})


def test_a_method_that_an_unknown_receiver_may_call_stays() -> None:
    lib = """\
        from bridgekit import async_to_sync


        class A:
            async def go_async(self):
                return 1

            def go(self):
                return async_to_sync(self.go_async)()


        def use(thing):
            return thing.go()
    """
    assert "perhaps called at lib.py:13" in stays({"lib.py": lib})


LIBRARY = {
    "shop.py": dedent(
        """\
        import anyio
        from bridgekit import async_to_sync

        def price(sku):
            return async_to_sync(price_async)(sku)

        async def price_async(sku):
            return await _fetch_async(sku)

        def _fetch(sku):
            return async_to_sync(_fetch_async)(sku)

        async def _fetch_async(sku):
            await anyio.sleep(0)
            return sku
        """
    ).encode()
}


def test_what_goals_name_keeps_its_sync_face_for_callers_elsewhere() -> None:
    options = Options(scope=Scope(goals=("shop.*",)))
    program = Program.load(LIBRARY)
    step = RULE.propose(program, options, frozenset())
    assert step is not None
    assert step.members == ("shop._fetch",)
    after = Program.load({**LIBRARY, **step.changes})  # type: ignore[dict-item]
    assert RULE.propose(after, options, frozenset()) is None
    (found,) = RULE.findings(after, options, frozenset())
    assert (found.function, found.code) == ("shop.price", "BK271")
    assert found.reason.endswith("named by --goal: whoever calls it is not in this program")


@pytest.mark.parametrize("goals", [(), ("views:price",), ("other.*",)])
def test_without_such_a_goal_both_fold(goals: tuple[str, ...]) -> None:
    options = Options(scope=Scope(goals=goals))
    step = RULE.propose(Program.load(LIBRARY), options, frozenset())
    assert step is not None
    assert step.members == ("shop._fetch", "shop.price")


MAYBE = """\
    from bridgekit import async_to_sync


    class A:
        async def go_async(self):
            return 1

        def go(self):
            return async_to_sync(self.go_async)()


    {other}


    async def use(thing):
        return {call}
"""


def test_an_awaited_call_on_an_unknown_receiver_follows() -> None:
    source = dedent(MAYBE).format(other="", call="await thing.go_async()")
    after = folded({"lib.py": source})["lib.py"]
    assert "return await thing.go()" in after
    assert "go_async" not in after


@pytest.mark.parametrize(
    ("other", "call"),
    [
        ("", "thing.go_async()"),
        ("class B:\n    async def go_async(self):\n        return 2\n", "await thing.go_async()"),
    ],
)
def test_a_twin_that_an_unknown_receiver_may_call_stays(other: str, call: str) -> None:
    assert "perhaps called at" in stays({"lib.py": dedent(MAYBE).format(other=other, call=call)})
