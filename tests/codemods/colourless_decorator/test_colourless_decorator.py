"""BK231 two-colour-decorator."""

from __future__ import annotations

import asyncio
from textwrap import dedent
from typing import Any

import pytest

from bridgekit_codemods.rules.colourless_decorator import ColourlessDecorator

RULE = ColourlessDecorator()

RETRY = '''\
import functools
import time


def retry(times, delay=0.0):
    """Call again on ValueError."""

    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            for attempt in range(times):
                try:
                    return func(*args, **kwargs)  # the call
                except ValueError:
                    if attempt == times - 1:
                        raise
                    time.sleep(delay)

        return wrapper

    return decorate
'''

USE = """

@retry(3)
def load(path):
    with open(path) as file:
        return file.read()
"""


def test_a_factory_gets_a_twin_with_the_same_body(rewritten) -> None:
    after = rewritten(RULE, RETRY + USE)

    expected = RETRY.replace(
        """\
        @functools.wraps(func)
""",
        """\
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def async_wrapper(*args, **kwargs):
                for attempt in range(times):
                    try:
                        return await func(*args, **kwargs)  # the call
                    except ValueError:
                        if attempt == times - 1:
                            raise
                        await anyio.sleep(delay)

            return async_wrapper

        @functools.wraps(func)
""",
    )
    assert after.partition("\n\n\n")[2] == (expected + USE).partition("\n\n\n")[2]
    imports = set(after.partition("\n\n\n")[0].split("\n")) - {""}
    assert imports == {"import functools", "import time", "import inspect", "import anyio"}


def test_plain_functions_behave_as_before_and_coroutine_functions_likewise(rewritten) -> None:
    namespace: dict[str, Any] = {}
    exec(rewritten(RULE, RETRY + USE), namespace)
    calls: list[str] = []

    def fails_once() -> str:
        calls.append("sync")
        if len(calls) == 1:
            raise ValueError
        return "done"

    async def fails_always() -> None:
        calls.append("async")
        raise ValueError

    assert namespace["retry"](2)(fails_once)() == "done"
    twin = namespace["retry"](2)(fails_always)
    assert asyncio.iscoroutinefunction(twin)
    assert twin.__name__ == "fails_always"
    with pytest.raises(ValueError):  # noqa: PT011
        asyncio.run(twin())
    assert calls == ["sync", "sync", "async", "async"]


def test_a_plain_decorator(rewritten) -> None:
    source = """\
        import functools
        import inspect
        import logging
        from time import perf_counter, sleep

        log = logging.getLogger(__name__)


        def timed(func):
            label = func.__qualname__

            # what everybody gets
            @functools.wraps(func)
            def timing(*args, **kwargs):
                started = perf_counter()
                try:
                    return func(*args, **kwargs).strip()
                finally:
                    log.info("%s took %s", label, perf_counter() - started)

            return timing


        @timed
        def work():
            sleep(1)
        """

    after = rewritten(RULE, source)

    twin = """\
            # what everybody gets
            if inspect.iscoroutinefunction(func):

                @functools.wraps(func)
                async def async_timing(*args, **kwargs):
                    started = perf_counter()
                    try:
                        return (await func(*args, **kwargs)).strip()
                    finally:
                        log.info("%s took %s", label, perf_counter() - started)

                return async_timing

            @functools.wraps(func)
        """
    assert after == dedent(
        source.replace(
            "            # what everybody gets\n            @functools.wraps(func)\n",
            twin[: -len("        ")],
        )
    )


def test_a_decorator_on_top_of_another_waits_for_it(propose, found) -> None:
    source = dedent(
        """\
        import functools
        import time


        def outer(view):
            @functools.wraps(view)
            def wrapped(*args):
                return view(*args)

            return wrapped


        def role(name):
            def decorate(view):
                @functools.wraps(view)
                def wrapped(*args):
                    print(name)
                    return view(*args)

                return outer(wrapped)

            return decorate


        @role("admin")
        @outer
        def work():
            time.sleep(1)
        """
    )

    first = propose(RULE, source)
    assert first.members == ("app.outer",)
    assert [reason for *_place, reason in found(RULE, source)] == [
        "outer takes plain functions only"
    ]

    second = propose(RULE, first.changes["app.py"].decode())
    assert second.members == ("app.role",)
    assert b"return outer(async_wrapped)" in second.changes["app.py"]


def decorator(body: str, before: str = "", after: str = "") -> str:
    """A program whose decorator `deco` has that wrapper body, used on something that blocks."""
    pieces = [
        "import functools, threading, time\n\nlock = threading.Lock()\nREGISTRY = {}\n\n\n",
        "def deco(func):\n",
        before and f"    {before}\n",
        "    @functools.wraps(func)\n    def wrapper(*args, **kwargs):\n",
        "".join(f"        {line}\n" for line in body.split("\n")),
        after and f"    {after}\n",
        "    return wrapper\n\n\n",
        "def blocks():\n    time.sleep(1)\n\n\n@deco\ndef work():\n    time.sleep(1)\n",
    ]
    return "".join(pieces)


CALL = "return func(*args, **kwargs)"

LEFT = {
    "holds a lock": (decorator(f"with lock:\n    {CALL}"), "holds lock during the call"),
    "blocks": (decorator(f"open('x')\n{CALL}"), "calls builtins.open"),
    "calls what blocks": (decorator(f"blocks()\n{CALL}"), "calls app.blocks, which blocks"),
    "waits for a lock": (decorator(f"lock.acquire()\n{CALL}"), "which blocks"),
    "generator": (decorator("yield func(*args, **kwargs)"), "generator"),
    "hands it on": (decorator("return submit(func)"), "hands func to other code"),
    "calls it in a lambda": (decorator("return (lambda: func())()"), "nested function"),
    "calls it in a generator": (decorator("return sum(func() for _ in args)"), "generator"),
    "registers it": (decorator(CALL, before="REGISTRY['x'] = func"), "outside its wrapper"),
    "registers by a call": (decorator(CALL, before="REGISTRY.setdefault('x', func)"), "more than"),
    "marks the wrapper": (decorator(CALL, after="wrapper.marked = True"), "outside its wrapper"),
    "keeps it": (decorator(CALL, before="kept = func"), "keeps the function"),
    "never calls it": (decorator("return 1"), "never calls func"),
    "swallows everything": (
        decorator(f"try:\n    {CALL}\nexcept BaseException:\n    return None"),
        "cancellation included",
    ),
    "unknown call": (decorator(f"args[0].refresh()\n{CALL}"), "whether refresh() blocks"),
    "shared sum": (
        decorator("nonlocal total\ntotal += func(*args)\nreturn total", before="total = 0"),
        "adds to shared state",
    ),
    "caching decorator": (
        "import functools, time\n\n\ndef deco(func):\n    return functools.lru_cache(func)\n\n\n"
        "@deco\ndef work():\n    time.sleep(1)\n",
        "does not just define a wrapper",
    ),
}


@pytest.mark.parametrize(("source", "reason"), LEFT.values(), ids=LEFT)
def test_what_is_not_certain_is_left_and_reported(untouched, found, source, reason) -> None:
    untouched(RULE, source)

    ((path, _line, text),) = found(RULE, source)
    assert path == "app.py"
    assert reason in text


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n",
        RETRY,
        RETRY + "\n\n@retry(2)\ndef add(a, b):\n    return a + b\n",
        "import functools, time\n\n\n@functools.lru_cache\ndef work():\n    time.sleep(1)\n",
        "import time\n\n\nclass A:\n    @staticmethod\n    def work():\n        time.sleep(1)\n",
        RETRY.replace(
            "        @functools",
            "        import inspect\n"
            "        if inspect.iscoroutinefunction(func):\n            return func\n"
            "        @functools",
        )
        + USE,
    ],
)
def test_other_programs_are_not_touched(untouched, found, source: str) -> None:
    untouched(RULE, source)
    assert found(RULE, source) == []


def test_a_name_that_is_taken_keeps_the_decorator(untouched, found) -> None:
    source = "inspect = None\n" + decorator(CALL)

    untouched(RULE, source)
    ((_path, _line, reason),) = found(RULE, source)
    assert reason == "the name inspect is taken in the module"
