"""What uses a `threading.local` stays on the thread of its request (BK350)."""

from __future__ import annotations

import asyncio
import sys
from textwrap import dedent
from types import ModuleType

import pytest
from tests.codemods.stdlib.conftest import flipped

from bridgekit.adapters.contexts import ThreadSensitiveContext

STATE = """\
    import threading
    import time


    class State(threading.local):
        user = None


    plain = threading.local()
    state = State()


    def remember(user):
        plain.user = user
        setattr(state, "user", user)


    def recall():
        return plain.user, getattr(state, "user")


    def through():
        return recall()


    def forget():
        del plain.user


    def top(user=0):
        remember(user)
        for _ in range(3):
            time.sleep(0.001)
        seen = through()
        forget()
        return seen
"""


def test_requests_do_not_see_each_others_values() -> None:
    text, _ = flipped(STATE)
    module = ModuleType("service_of_thread_locals")
    sys.modules[module.__name__] = module
    exec(compile(text, "service.py", "exec"), module.__dict__)
    peak = 0

    async def request(user: int) -> object:
        nonlocal peak
        async with ThreadSensitiveContext():
            peak += 1
            return await module.top_async(user)

    async def requests() -> list[object]:
        return await asyncio.gather(*map(request, range(12)))

    assert asyncio.run(requests()) == [(user, user) for user in range(12)]
    assert peak == 12
    del sys.modules[module.__name__]


def test_the_values_are_reached_on_the_thread_of_the_request() -> None:
    text, _ = flipped(STATE)
    assert 'await to_thread.run_sync(remember, user, affinity="context")' in text
    assert 'await to_thread.run_sync(through, affinity="context")' in text
    for name in ("remember", "recall", "through", "forget"):
        assert f"def {name}_async(" not in text


@pytest.mark.parametrize(
    "use",
    [
        "plain.user = 1",
        "print(plain.user)",
        "del plain.user",
        "plain.__dict__.clear()",
        "setattr(plain, 'user', 1)",
        "print(hasattr(plain, 'user'))",
        "alias = plain\n    alias.count = 1",
        "print(vars(plain))",
        "plain.count += 1",
        "print(State().user)",
        "print(Holder().own.user)",
    ],
)
def test_a_function_that_uses_one_does_not_flip(use: str) -> None:
    body = dedent(
        f"""\
        import threading
        import time


        class State(threading.local):
            user = 1


        class Holder:
            def __init__(self):
                self.own = State()


        plain = threading.local()


        def top():
            time.sleep(0)
            {use.replace(chr(10) + "    ", chr(10) + "            ")}
        """
    )
    text, findings = flipped(body)
    assert text == body
    assert [f.code for f in findings if f.function == "service.top"] == ["BK350"]


def test_context_variables_and_plain_objects_are_no_reason_to_stay() -> None:
    text, _ = flipped(
        """\
        import contextvars
        import threading
        import time
        from types import SimpleNamespace

        user = contextvars.ContextVar("user", default=None)
        shared = SimpleNamespace(local=1)
        unused = threading.local()


        def top():
            user.set(1)
            time.sleep(0)
            shared.local = 2
            return user.get()
        """
    )
    assert "async def top_async():" in text
