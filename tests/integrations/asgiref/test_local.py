"""`Local` of the drop-in: what asgiref's suite does not ask."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from bridgekit.integrations.asgiref.local import Local
from bridgekit.integrations.asgiref.sync import async_to_sync, sync_to_async


def test_values_of_two_siblings_do_not_overwrite_each_other() -> None:
    first, second = Local(), Local()
    both = threading.Barrier(2)

    def change(which: Local) -> None:
        both.wait(20)
        which.value = "changed"

    async def main() -> None:
        first.value = second.value = "set"
        call = sync_to_async(change, thread_sensitive=False)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            loop.create_task(call(first), context=context),
            loop.create_task(call(second), context=context),
        )
        assert await loop.create_task(values(), context=context) == ("changed", "changed")

    async def values() -> tuple[str, str]:
        return first.value, second.value

    asyncio.run(main())


def test_a_context_copied_to_a_foreign_thread_shows_nothing() -> None:
    local = Local()

    async def main() -> None:
        local.value = "the task's"
        context = contextvars.copy_context()

        def copied() -> bool:
            return context.run(hasattr, local, "value")

        assert local.value == "the task's"
        assert await sync_to_async(hasattr)(local, "value")
        thread_sees: list[bool] = []
        thread = threading.Thread(target=lambda: thread_sees.append(copied()))
        thread.start()
        thread.join()
        assert thread_sees == [False]

    asyncio.run(main())
    async_to_sync(main)()


def test_a_thread_that_ended_leaves_nothing_to_one_with_the_same_identifier() -> None:
    local = Local()
    contexts: list[contextvars.Context] = []

    def leave() -> None:
        local.value = 1
        contexts.append(contextvars.copy_context())

    seen: list[bool] = []
    for target in (leave, lambda: seen.append(contexts[0].run(hasattr, local, "value"))):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize("thread_critical", [True, False])
def test_attributes_are_set_read_and_deleted(thread_critical: bool) -> None:
    local = Local(thread_critical)
    local.value = 1
    local.other = 2
    del local.value
    assert local.other == 2
    with pytest.raises(AttributeError, match="value"):
        _ = local.value
    with pytest.raises(AttributeError, match="value"):
        del local.value
    with pytest.raises(AttributeError, match="_data"):
        local._data = 3
