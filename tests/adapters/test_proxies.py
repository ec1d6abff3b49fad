"""Objects and classes turned over: what a proxy is, whatever its colour."""

from __future__ import annotations

import asyncio
import copy
import enum
import gc
import pickle
import queue
import threading
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from bridgekit import async_to_sync
from bridgekit.adapters.proxies import (
    AsyncProxy,
    ProxyRules,
    SyncProxy,
    async_proxy,
    sync_proxy,
    unwrap,
)


class Cursor:
    def __init__(self, owner: Client, rows: list[int]) -> None:
        self.owner = owner
        self.rows = rows

    def fetch(self) -> list[int]:
        return self.rows


class Client:
    """A client that blocks."""

    scheme = "db"

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.threads: list[int] = []

    def query(self, *rows: int) -> Cursor:
        self.threads.append(threading.get_ident())
        return Cursor(self, list(rows))

    def owner_of(self, cursor: Cursor) -> Client:
        assert type(cursor) is Cursor
        return cursor.owner

    def all(self) -> list[Cursor]:
        return [Cursor(self, []), Cursor(self, [1])]

    def upper(self) -> str:
        self.threads.append(threading.get_ident())
        return self.name.upper()

    @classmethod
    def named(cls, name: str) -> Client:
        return cls(name)

    @staticmethod
    def thread() -> int:
        return threading.get_ident()

    @property
    def title(self) -> str:
        return self.name.title()

    @property
    def remote(self) -> int:
        return threading.get_ident()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Client) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __len__(self) -> int:
        return len(self.name)

    def __getitem__(self, key: int) -> str:
        return self.name[key]

    def __add__(self, other: Client) -> Client:
        assert type(other) is Client
        return Client(self.name + other.name)

    def __call__(self, x: int) -> int:
        self.threads.append(threading.get_ident())
        return x + 1


AsyncClient = async_proxy(
    Client,
    wrap={Cursor},
    plain={"upper"},
    awaited={"remote"},
)


def test_a_proxy_passes_for_its_target() -> None:
    client = AsyncClient("a")
    assert isinstance(client, Client)
    assert isinstance(client, AsyncClient)
    assert isinstance(client, AsyncProxy)
    assert not isinstance(client, SyncProxy)
    assert not isinstance(Client(), AsyncClient)
    assert type(unwrap(client)) is Client
    assert unwrap(AsyncClient) is Client
    assert unwrap(3) == 3


def test_attributes_are_the_targets() -> None:
    client = AsyncClient("a")
    client.name = "changed"
    assert unwrap(client).name == client.name == "changed"
    assert client.title == "Changed"
    assert AsyncClient.scheme == client.scheme == "db"
    del client.name
    with pytest.raises(AttributeError, match="name"):
        _ = client.name
    with pytest.raises(AttributeError, match="nothing"):
        _ = client.nothing
    with pytest.raises(AttributeError, match="nothing"):
        _ = AsyncClient.nothing
    assert {"query", "upper", "scheme"} <= set(dir(AsyncClient)) & set(dir(client))


def test_equality_hash_and_operators_are_the_targets() -> None:
    one, two = AsyncClient("a"), AsyncClient("a")
    assert one == two
    assert one == unwrap(two)
    assert unwrap(one) == two
    assert one != AsyncClient("b")
    assert len({one, two, unwrap(one)}) == 1
    assert len(one) == 1
    assert one[0] == "a"
    added = one + two
    assert isinstance(added, AsyncClient)
    assert added.name == "aa"
    assert str(one) == str(unwrap(one))
    assert "AsyncClient of" in repr(one)


def test_one_proxy_for_one_target_while_it_lives() -> None:
    target = Client()
    proxy = async_proxy(target)
    assert async_proxy(target) is proxy
    assert async_proxy(proxy) is proxy
    assert async_proxy(target, serialized=True) is not proxy
    gone = weakref.ref(proxy)
    del proxy
    assert gone() is None
    assert isinstance(async_proxy(target), Client)


def test_the_same_rules_make_the_same_class() -> None:
    assert async_proxy(Client, wrap={Cursor}, plain=["upper"], awaited=("remote",)) is AsyncClient
    assert async_proxy(Client) is not AsyncClient
    assert async_proxy(Client, rules=ProxyRules(plain=frozenset({"upper"}))) is async_proxy(
        Client, plain={"upper"}
    )


def test_methods_run_on_a_worker_and_plain_ones_here() -> None:
    async def main() -> None:
        client = AsyncClient()
        await client.query()
        await client(1)
        assert threading.get_ident() not in client.threads
        client.upper()
        assert client.threads.pop() == threading.get_ident()
        assert await AsyncClient.thread() != threading.get_ident()
        assert await client.thread() != threading.get_ident()
        assert await client.remote != threading.get_ident()

    asyncio.run(main())


def test_methods_are_turned_over_once_and_lazily() -> None:
    class Lazy:
        looked_at: ClassVar[list[str]] = []

        def method(self) -> int:
            return 1

        @property
        def prop(self) -> int:
            self.looked_at.append("prop")
            return 2

    Turned = async_proxy(Lazy)
    proxy = Turned()
    assert Lazy.looked_at == []
    assert "method" not in vars(Turned)
    assert asyncio.iscoroutinefunction(proxy.method)
    assert vars(Turned)["method"] is Turned.method
    assert asyncio.run(Turned.method(proxy)) == 1


def test_results_of_declared_classes_are_proxies_and_arguments_are_not() -> None:
    async def main() -> None:
        client = AsyncClient()
        cursor = await client.query(1, 2)
        assert isinstance(cursor, AsyncProxy)
        assert isinstance(cursor, Cursor)
        assert await cursor.fetch() == [1, 2]
        assert cursor.owner is client
        assert await client.owner_of(cursor) is client
        assert await client.owner_of(cursor=cursor) is client
        assert [type(found) for found in await client.all()] == [Cursor, Cursor]
        named = await AsyncClient.named("x")
        assert isinstance(named, AsyncClient)
        assert named.name == "x"

    asyncio.run(main())


def test_containers_are_looked_into_when_asked() -> None:
    class Many:
        def find(self) -> dict[str, Cursor]:
            return {"a": Cursor(Client(), [])}

        def count(self, cursors: list[Cursor]) -> int:
            return sum(type(cursor) is Cursor for cursor in cursors)

    async def main() -> None:
        many = async_proxy(Many(), wrap={Cursor}, deep=True)
        (cursor,) = (await many.find()).values()
        assert isinstance(cursor, AsyncProxy)
        assert await many.count([cursor, unwrap(cursor)]) == 2

    asyncio.run(main())


def test_wrapping_by_module() -> None:
    async def main() -> None:
        client = async_proxy(Client(), wrap={Client.__module__})
        assert isinstance(await client.query(), AsyncProxy)
        elsewhere = async_proxy(Client(), wrap={"elsewhere"})
        assert type(await elsewhere.query()) is Cursor

    asyncio.run(main())


def test_construction_on_a_worker() -> None:
    class Slow:
        def __init__(self) -> None:
            self.thread = threading.get_ident()

    async def main() -> None:
        Turned = async_proxy(Slow)
        assert Turned().thread == threading.get_ident()
        made = await Turned.create()
        assert made.thread != threading.get_ident()
        assert isinstance(made, Turned)

    asyncio.run(main())


def test_a_class_with_create_keeps_its_own() -> None:
    class Factory:
        def create(self) -> int:
            return 7

    assert asyncio.run(async_proxy(Factory)().create()) == 7


def test_a_program_may_derive_from_a_proxy_class() -> None:
    class Mine(AsyncClient):  # type: ignore[misc, valid-type]
        async def twice(self) -> list[int]:
            return [*(await (await self.query(1)).fetch()), 1]

        @property
        def shout(self) -> str:
            return str(self.name + "!")

        @shout.setter
        def shout(self, value: str) -> None:
            self.name = value.rstrip("!")

    async def main() -> None:
        mine = Mine("m")
        assert isinstance(mine, Mine)
        assert isinstance(mine, AsyncClient)
        assert isinstance(mine, Client)
        assert await mine.twice() == [1, 1]
        mine.shout = "new!"
        assert mine.name == "new"
        assert isinstance(await Mine.create("x"), Mine)

    asyncio.run(main())
    with pytest.raises(TypeError, match="__init__"):
        type(AsyncClient)("Bad", (AsyncClient,), {"__init__": lambda self: None})


def test_proxies_of_a_hierarchy_follow_it() -> None:
    class Derived(Client):
        pass

    class Factory:
        def make(self) -> Client:
            return Derived()

    async def main() -> None:
        factory = async_proxy(Factory, wrap={Client})
        made = await factory().make()
        assert isinstance(made, Derived)
        family = async_proxy(Client)
        assert isinstance(async_proxy(family()), Client)

    asyncio.run(main())


def test_functions_and_modules_can_be_turned_over() -> None:
    def connect(name: str) -> Client:
        return Client(name)

    async def main() -> None:
        turned = async_proxy(connect, wrap={Client, Cursor})
        assert asyncio.iscoroutinefunction(turned)
        assert turned.__name__ == "connect"
        client = await turned("x")
        assert isinstance(await client.query(), AsyncProxy)
        module = async_proxy(queue, wrap={queue.Queue}, plain={"Queue.qsize"})
        waiting = module.Queue(1)
        await waiting.put(1)
        assert waiting.qsize() == 1

    asyncio.run(main())


def test_methods_set_on_the_instance_are_found() -> None:
    client = Client()
    client.extra = lambda x: (threading.get_ident(), x)  # type: ignore[attr-defined]
    thread, value = asyncio.run(async_proxy(client).extra(5))
    assert thread != threading.get_ident()
    assert value == 5


def test_a_dynamic_client_is_turned_over() -> None:
    class Rpc:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)

            def call(*args: Any) -> tuple[str, tuple[Any, ...]]:
                return name, args

            return call

    assert asyncio.run(async_proxy(Rpc()).system_list(1)) == ("system_list", (1,))


def test_a_metaclass_adds_no_members() -> None:
    class Colour(enum.Enum):  # its metaclass has __len__, __iter__, __call__ and __getitem__
        RED = 1

    for turn in (async_proxy, sync_proxy):
        proxy = turn(Colour.RED)
        assert proxy.value == 1
        assert not callable(proxy)
        for name in ("__len__", "__iter__", "__aiter__", "__getitem__", "mro"):
            assert not hasattr(proxy, name), name


def test_a_special_method_that_is_none_stays_refused() -> None:
    class Closed:
        __contains__ = None
        __hash__ = None  # type: ignore[assignment]

        def __getitem__(self, key: int) -> int:
            return key

    proxy = async_proxy(Closed())
    with pytest.raises(TypeError):
        _ = 1 in proxy
    with pytest.raises(TypeError, match="unhashable"):
        hash(proxy)
    assert proxy[3] == 3


def test_what_cannot_be_done_is_refused() -> None:
    client = AsyncClient()
    with pytest.raises(TypeError, match="unwrap"):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="unwrap"):
        copy.copy(client)
    with pytest.raises(AttributeError, match="awaited"):
        client.remote = 3
    with pytest.raises(ValueError, match="both"):
        async_proxy(Client, plain={"x"}, awaited={"x"})
    with pytest.raises(ValueError, match="__len__"):
        async_proxy(Client, awaited={"__len__"})
    with pytest.raises(TypeError, match="collection of names"):
        async_proxy(Client, plain="upper")
    with pytest.raises(TypeError, match="wrap"):
        async_proxy(Client, rules=ProxyRules(), wrap={Cursor})


def test_an_awaited_subscription() -> None:
    client = async_proxy(Client("abc"), awaited={"__getitem__"})

    async def main() -> str:
        found: str = await client[1]
        return found

    assert asyncio.run(main()) == "b"


def test_calls_on_one_target_do_not_overlap_when_serialized() -> None:
    class Fragile:
        def __init__(self) -> None:
            self.inside = 0
            self.most = 0
            self.barrier = threading.Barrier(2)

        def part(self) -> Part:
            return Part(self)

        def work(self) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            # Broken at once when calls overlap; times out when they do not.
            try:
                self.barrier.wait(0.05)
            except threading.BrokenBarrierError:
                self.barrier.reset()
            self.inside -= 1

    class Part:
        def __init__(self, whole: Fragile) -> None:
            self.whole = whole

        def work(self) -> None:
            self.whole.work()

    async def most(serialized: bool) -> int:
        fragile = async_proxy(Fragile(), wrap={Part}, serialized=serialized)
        part = await fragile.part()
        await asyncio.gather(fragile.work(), part.work())
        found: int = fragile.most
        return found

    assert asyncio.run(most(True)) == 1
    assert asyncio.run(most(False)) == 2


def test_exceptions_cross_unchanged() -> None:
    error = KeyError("x")

    class Failing:
        def fail(self) -> None:
            raise error

        async def fail_async(self) -> None:
            raise error

    with pytest.raises(KeyError) as caught:
        asyncio.run(async_proxy(Failing()).fail())
    assert caught.value is error
    with pytest.raises(KeyError) as caught:
        sync_proxy(Failing()).fail_async()
    assert caught.value is error


def use_and_forget() -> weakref.WeakSet[type]:
    class Local:
        def part(self) -> Part:
            return Part()

        def numbers(self) -> Iterator[int]:
            yield 1
            yield 2

    class Part:
        pass

    async def use() -> weakref.ref[Any]:
        proxy = async_proxy(Local, wrap={Part})()
        await proxy.part()
        assert [n async for n in proxy.numbers()] == [1, 2]
        return weakref.ref(unwrap(proxy))

    gc.disable()
    try:
        assert asyncio.run(use())() is None
    finally:
        gc.enable()
    return weakref.WeakSet([Local, Part])


def test_nothing_is_left_behind() -> None:
    classes = use_and_forget()
    gc.collect()  # the proxy classes, whose rules hold the classes
    gc.collect()
    assert len(classes) == 0


def test_nested_bridges_inside_a_proxied_call() -> None:
    class Nested:
        def call(self) -> int:
            async def inner() -> int:
                return 3

            return async_to_sync(inner)()

    assert asyncio.run(async_proxy(Nested()).call()) == 3
