from __future__ import annotations

from typing import Any

import pytest

CLIENT = """
import requests
class Client:
    def __init__(self, url):
        self.session = requests.Session()
    def quote(self, sku):
        return self.session.get(sku)
class Other:
    def quote(self, sku): pass
"""


def client(code: str) -> dict[str, str]:
    return {"c.py": CLIENT, "m.py": "from c import Client, Other\n" + code}


@pytest.mark.parametrize(
    "code",
    [
        "x = Client('u')\nx.quote(1)",
        "def f(x: Client): x.quote(1)",
        "def f(x: 'Client'): x.quote(1)",
        "def f(x: Client | None = None): x.quote(1)",
        "from typing import Optional\ndef f(x: Optional['Client']): x.quote(1)",
        "from typing import Annotated\ndef f(x: Annotated[Client, 1]): x.quote(1)",
        "def make() -> Client: ...\nx = make()\nx.quote(1)",
        "def make(): return Client('u')\ndef f():\n    x = make()\n    x.quote(1)",
        "def f(x): x.quote(1)\nf(Client('u'))",
        "def f(x): g(x)\ndef g(x): x.quote(1)\nf(Client('u'))",
        "def f(x=None): x.quote(1)\nf(x=Client('u'))\nf()",
        "def f(xs: list[Client]):\n    for x in xs: x.quote(1)",
        "def f(xs: list[Client]): return [x.quote(1) for x in xs]",
        "def f(xs: dict[str, Client]):\n    for k, x in xs.items(): x.quote(1)",
        "def f(xs):\n    for i, x in enumerate(xs): x.quote(1)\nf([Client('a')])",
        "def f(xs: list[Client]):\n    x = xs[0]\n    x.quote(1)",
        "xs = {'a': Client('u')}\nxs['a'].quote(1)\nx = xs['b']\nx.quote(1)",
        "def f(x):\n    assert isinstance(x, Client)\n    x.quote(1)",
        "def f(x):\n    if isinstance(x, Client):\n        y = x\n    x = Client('u')\n"
        "    x.quote(1)",
        "def f(x):\n    x = x or Client('u')\n    x = Client('v')\n    x.quote(1)",
        "x = None\ndef f():\n    global x\n    x = Client('u')\ndef g(): x.quote(1)",
        "def f():\n    x = None\n    def g():\n        nonlocal x\n        x = Client('u')\n"
        "    x.quote(1)",
        "class A:\n    x = Client('u')\n    def f(self): self.x.quote(1)\nx = A().x\nx.quote(1)",
        "class A:\n    def __init__(self, c: Client): self.c = c\n"
        "def f(a: A):\n    x = a.c\n    x.quote(1)",
        "class A:\n    def __init__(self, c): self.c = c\nx = A(Client('u')).c\nx.quote(1)",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    c: Client\n"
        "def f(a: A):\n    x = a.c\n    x.quote(1)",
        "class A:\n    @property\n    def c(self): return Client('u')\nx = A().c\nx.quote(1)",
        "class A:\n    @classmethod\n    def make(cls): return cls()\n    @staticmethod\n"
        "    def c(): return Client('u')\nx = A.make().c()\nx.quote(1)",
        "def f(flag):\n    x = Client('u') if flag else None\n    x.quote(1)",
        "def f():\n    if (x := Client('u')): x.quote(1)",
        "a, x = 1, Client('u')\nx.quote(1)",
        "def two(): return 1, Client('u')\na, x = two()\nx.quote(1)",
        "from contextlib import contextmanager\n@contextmanager\ndef cm():\n    yield Client('u')\n"
        "with cm() as x: x.quote(1)",
        "class M:\n    def __enter__(self): return Client('u')\n    def __exit__(self, *a): ...\n"
        "with M() as x: x.quote(1)",
        "def gen():\n    yield Client('u')\nfor x in gen(): x.quote(1)",
        "def gen():\n    yield Client('u')\nx = next(gen())\nx.quote(1)",
        "class It:\n    def __iter__(self): return self\n"
        "    def __next__(self): return Client('u')\n"
        "for x in It(): x.quote(1)",
        "async def make(): return Client('u')\nasync def f():\n    x = await make()\n"
        "    x.quote(1)",
        "from functools import partial\nmake = partial(Client, 'u')\nx = make()\nx.quote(1)",
        "from functools import lru_cache\n@lru_cache\ndef make(): return Client('u')\n"
        "x = make()\nx.quote(1)",
        "Json = Client\ndef f(x: Json): x.quote(1)",
        "from typing import TypeVar\nT = TypeVar('T', bound=Client)\ndef f(x: T): x.quote(1)",
        "def f(cls: type[Client]):\n    x = cls('u')\n    x.quote(1)",
        "REGISTRY = {'a': Client}\nx = REGISTRY['a']('u')\nx.quote(1)",
        "import copy\nx = copy.copy(Client('u'))\nx.quote(1)",
        "x = getattr(Client('u'), 'missing', None) or Client('u')\nx = Client('v')\nx.quote(1)",
        "import threading\ndef f(x): x.quote(1)\nthreading.Thread(target=f, args=(Client('u'),))",
        "from concurrent.futures import ThreadPoolExecutor\ndef f(x): x.quote(1)\n"
        "with ThreadPoolExecutor() as pool:\n    pool.submit(f, Client('u'))\n"
        "    pool.map(f, [Client('v')])",
    ],
)  # fmt: skip
def test_receivers_that_are_known(build: Any, code: str) -> None:
    assert build(client(code)).targets("x.quote(1)") == {"c.Client.quote": "method"}


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): x.quote(1)",
        "import lib\nx = lib.make()\nx.quote(1)",
        "from typing import Any\ndef f(x: Any): x.quote(1)",
        "import json\nx = json.loads('1')\nx.quote(1)",
        "def f(*args):\n    x = args[0]\n    x.quote(1)",
        "def f(**kw):\n    x = kw['a']\n    x.quote(1)",
        "f = lambda x: x.quote(1)",
        "class A:\n    def __getattr__(self, n): ...\nx = A().any\nx.quote(1)",
        "def f(x): x.quote(1)\nf(unknown)",
        "import lib\nclass A(lib.Base): pass\ndef f(a: A):\n    x = a.thing()\n    x.quote(1)",
    ],
)
def test_receivers_that_are_not_known(build: Any, code: str) -> None:
    loaded = build(client(code))
    site = loaded.site("x.quote(1)")
    assert site.targets == ()
    assert site in loaded.program.unresolved_named("quote")


@pytest.mark.parametrize(
    "code",
    [
        "import lib\ndef f(flag):\n    x = Client('u') if flag else lib.make()\n    x.quote(1)",
        "import lib\ndef f(x): x.quote(1)\nf(Client('u'))\nf(lib.make())",
        "import lib\ndef f(x: Client | lib.Thing): x.quote(1)",
        "def f(flag, y):\n    x = Client('u')\n    if flag:\n        x = y\n    x.quote(1)",
        "def f(y):\n    x = Client('u')\n    for i in y:\n        x.quote(1)\n        x = i",
        "def view(x): x.quote(1)\nview(Client('u'))\nimport lib\nlib.register(view)",
        "import lib\n@lib.task\ndef view(x): x.quote(1)\nview(Client('u'))",
        "import lib\ndef f(x): x.quote(1)\nf(Client('u'))\nf(*lib.args())",
    ],
)
def test_receivers_that_are_half_known_are_guesses(build: Any, code: str) -> None:
    loaded = build(client(code))
    site = loaded.site("x.quote(1)")
    assert {t.grade for t in site.targets} <= {"guess"}
    if "lib.Thing" not in code:
        assert site in loaded.program.unresolved_named("quote")


def test_objects_of_libraries_are_named(build: Any) -> None:
    loaded = build(client("import lib\nx = lib.thing\nx.quote(1)"))
    assert loaded.targets("x.quote(1)") == {}
    assert loaded.externals("x.quote(1)") == ("lib.thing.quote",)


def test_only_the_binding_in_force_counts(build: Any) -> None:
    loaded = build(
        client(
            """
def f(flag):
    x = Other()
    x.quote(0)
    x = Client('u')
    x.quote(1)
    if flag:
        x = Other()
        x.quote(2)
    x.quote(3)
"""
        )
    )
    assert loaded.targets("x.quote(0)") == {"c.Other.quote": "method"}
    assert loaded.targets("x.quote(1)") == {"c.Client.quote": "method"}
    assert loaded.targets("x.quote(2)") == {"c.Other.quote": "method"}
    assert loaded.targets("x.quote(3)") == {"c.Client.quote": "method", "c.Other.quote": "method"}


def test_inheritance_and_overrides(build: Any) -> None:
    loaded = build(
        """
        from abc import ABC, abstractmethod
        class Base(ABC):
            @abstractmethod
            def fetch(self): ...
            def run(self): return self.fetch()
        class A(Base):
            def fetch(self): return 1
            def run(self): return super().run()
        class B(A):
            def fetch(self): return super().fetch()
        def use(b: Base, a: A):
            b.fetch()
            a.fetch()
            a.run()
            B().run()
            Base.run(a)
        """
    )
    assert loaded.targets("b.fetch()") == {
        "m.Base.fetch": "method", "m.A.fetch": "override", "m.B.fetch": "override",
    }  # fmt: skip
    assert loaded.targets("a.fetch()") == {"m.A.fetch": "method", "m.B.fetch": "override"}
    assert loaded.targets("a.run()") == {"m.A.run": "method"}
    assert loaded.targets("B().run()") == {"m.A.run": "method"}
    assert loaded.targets("Base.run(a)") == {"m.Base.run": "exact"}
    assert loaded.targets("super().run()") == {"m.Base.run": "method"}
    assert loaded.targets("super().fetch()") == {"m.A.fetch": "method"}
    family = loaded.program.family(loaded.program.functions["m.A.fetch"])
    assert {f.qualname for f in family} == {"m.Base.fetch", "m.A.fetch", "m.B.fetch"}


def test_mixins_find_what_they_are_mixed_with(build: Any) -> None:
    loaded = build(
        """
        class Mixin:
            def go(self): return self.load()
        class Loader:
            def load(self): pass
        class Both(Mixin, Loader): pass
        """
    )
    assert loaded.targets("self.load()") == {"m.Loader.load": "override"}


def test_protocols_reach_their_implementers(build: Any) -> None:
    loaded = build(
        """
        from typing import Protocol
        class Store(Protocol):
            def put(self, x): ...
        class Disk:
            def put(self, x): pass
        class Half:
            def get(self, x): pass
        def f(s: Store): s.put(1)
        """
    )
    assert loaded.targets("s.put(1)") == {"m.Store.put": "method", "m.Disk.put": "override"}
    family = loaded.program.family(loaded.program.functions["m.Disk.put"])
    assert {f.qualname for f in family} == {"m.Store.put", "m.Disk.put"}


def test_constructors_are_no_family(build: Any) -> None:
    loaded = build(
        "class A:\n    def __init__(self): pass\nclass B(A):\n"
        "    def __init__(self): super().__init__()\nB()\n"
    )
    assert loaded.targets("B()") == {"m.B.__init__": "exact"}
    assert loaded.targets("super().__init__()") == {"m.A.__init__": "method"}
    assert len(loaded.program.family(loaded.program.functions["m.B.__init__"])) == 1


def test_library_bases(build: Any) -> None:
    loaded = build(
        """
        import requests, threading, unknown
        class Api(requests.Session):
            def request(self, method, url): return super().request(method, url)
            def go(self): return self.get("u")
        class Worker(threading.Thread):
            def run(self): pass
        class Strange(unknown.Base):
            def run(self): pass
        class Dynamic(unknown.make()):
            def run(self): pass
        def f(d: Dynamic): d.run()
        """
    )
    program = loaded.program
    assert loaded.externals('self.get("u")') == ("requests.Session.get",)
    assert loaded.externals("super().request(method, url)") == ("requests.Session.request",)
    assert program.overrides_external(program.functions["m.Api.request"]) == "requests.Session"
    assert program.overrides_external(program.functions["m.Api.go"]) is None
    assert program.overrides_external(program.functions["m.Worker.run"]) == "threading.Thread"
    assert program.overrides_external(program.functions["m.Strange.run"]) is None
    assert [str(b) for b in program.classes["m.Dynamic"].bases] == ["?"]


def test_properties_with_and_loops_are_calls(build: Any) -> None:
    loaded = build(
        """
        from contextlib import contextmanager
        class P:
            @property
            def size(self): return 1
            @size.setter
            def size(self, v): pass
            def __enter__(self): return self
            def __exit__(self, *a): pass
            def __iter__(self): yield 1
        @contextmanager
        def cm(): yield 1
        def gen(): yield 1
        def f(p: P, unknown):
            a = p.size
            p.size = 2
            unknown.size
            with p: pass
            with cm(): pass
            for x in p: pass
            for x in gen(): pass
            list(gen())
            yield from gen()
        """
    )
    first, second = loaded.sites("p.size", "property")
    assert [t.function.qualname for t in first.targets] == ["m.P.size"]
    assert [t.function.qualname for t in second.targets] == ["m.P.size#setter"]
    assert loaded.site("unknown.size", "property").targets == ()
    assert loaded.program.unresolved_named("size") == (loaded.site("unknown.size", "property"),)
    assert loaded.targets("p", "with") == {"m.P.__enter__": "method", "m.P.__exit__": "method"}
    assert loaded.targets("cm()", "with") == {"m.cm": "exact"}
    assert loaded.targets("p", "iter") == {"m.P.__iter__": "method"}
    assert [s.span.line for s in loaded.sites("gen()", "iter")] == [21, 22, 23]


def test_calls_in_lambdas_and_comprehensions_belong_to_the_function(build: Any) -> None:
    loaded = build(
        """
        def f(x): pass
        def g(xs):
            a = lambda: f(1)
            b = [f(2) for _ in xs]
            c = list(f(3) for _ in xs)
            d = [lambda: f(4) for _ in xs]
            e = [x for x in f(5)]
        """
    )
    flags = {
        n: (s.in_lambda, s.in_comprehension, s.in_genexp)
        for n in range(1, 6)
        for s in [loaded.site(f"f({n})")]
    }
    assert flags == {
        1: (True, False, False),
        2: (False, True, False),
        3: (False, False, True),
        4: (True, False, False),
        5: (False, False, False),
    }
    assert {s.caller.qualname for s in loaded.program.calls if s.caller} == {"m.g"}


def test_decorated_functions_and_their_wrappers(build: Any) -> None:
    loaded = build(
        """
        import functools
        def logged(fn):
            @functools.wraps(fn)
            def inner(*a, **k):
                return fn(*a, **k)
            return inner
        def retry(n):
            def deco(fn):
                def again(*a): return fn(*a)
                return again
            return deco
        @logged
        def one(): return 1
        @retry(3)
        def two(x): return 2
        one()
        two(1)
        """
    )
    program = loaded.program
    assert loaded.targets("one()") == {"m.one": "exact"}
    assert loaded.targets("fn(*a, **k)") == {"m.one": "exact"}
    assert loaded.targets("fn(*a)") == {"m.two": "exact"}
    assert loaded.targets("logged", "decorator") == {"m.logged": "exact"}
    assert loaded.targets("retry(3)", "decorator") == {"m.retry.<locals>.deco": "exact"}
    assert program.wrappers_of(program.functions["m.one"]) == (
        program.functions["m.logged.<locals>.inner"],
    )
    decorator = program.functions["m.two"].decorators[0]
    assert (decorator.dotted, decorator.project) == ("m.retry", program.functions["m.retry"])


def test_references(build: Any) -> None:
    loaded = build(
        """
        import threading, functools
        def work(x): pass
        def run(fn, x): return fn(x)
        class A:
            def go(self): return threading.Thread(target=self.step)
            def step(self): pass
        TABLE = {"a": work}
        alias = work
        run(work, 1)
        sorted([1], key=work)
        functools.partial(work, 1)(2)
        def get(): return work
        """
    )
    found = {
        (r.function.name, r.kind, r.consumer, r.keyword, r.position)
        for r in loaded.program.references
    }
    assert found == {
        ("step", "argument", "threading.Thread", "target", None),
        ("work", "container", None, None, None),
        ("work", "assigned", None, None, None),
        ("work", "argument", "m.run", None, 0),
        ("work", "argument", "builtins.sorted", "key", None),
        ("work", "argument", "functools.partial", None, 0),
        ("work", "returned", None, None, None),
    }
    assert loaded.targets("fn(x)") == {"m.work": "exact"}
    assert loaded.targets("functools.partial(work, 1)(2)") == {"m.work": "exact"}


def test_enclosing_and_indexes(build: Any) -> None:
    loaded = build("def f(a=g()):\n    def h(): return g()\n    return h()\ndef g(): pass\n")
    program = loaded.program
    default, inner = loaded.sites("g()")
    assert default.caller is None
    assert program.enclosing("m.py", default.node) is None
    assert program.enclosing("m.py", inner.node) is program.functions["m.f.<locals>.h"]
    assert program.callers_of(program.functions["m.g"]) == (default, inner)
    assert program.calls_in(program.functions["m.f"]) == (loaded.site("h()"),)


def test_private_methods_are_not_overridden(build: Any) -> None:
    loaded = build(
        """
        class A:
            def go(self): return self.__step()
            def __step(self): pass
        class B(A):
            def __step(self): pass
        """
    )
    assert loaded.targets("self.__step()") == {"m.A.__step": "method"}
    assert len(loaded.program.family(loaded.program.functions["m.B.__step"])) == 1


def test_a_hundred_possible_classes_are_still_known(build: Any) -> None:
    classes = "".join(f"class C{n}:\n    def go(self): pass\n" for n in range(60))
    table = ", ".join(f"'{n}': C{n}" for n in range(60))
    loaded = build(f"{classes}ALL = {{{table}}}\ndef f(k):\n    x = ALL[k]()\n    x.go()\n")
    assert set(loaded.targets("x.go()").values()) == {"method"}
    assert len(loaded.site("x.go()").targets) == 60


def test_members_of_enumerations_are_instances(build: Any) -> None:
    loaded = build(
        """
        from enum import Enum
        class Status(str, Enum):
            NEW = "new"
            def label(self): pass
        Status.NEW.label()
        Status("new").label()
        Status["NEW"].label()
        for s in Status: s.label()
        """
    )
    for text in ("Status.NEW.label()", 'Status("new").label()', 'Status["NEW"].label()'):
        assert loaded.targets(text) == {"m.Status.label": "method"}, text
    assert loaded.targets("s.label()") == {"m.Status.label": "method"}


def test_class_methods_through_cls_reach_subclasses(build: Any) -> None:
    loaded = build(
        """
        class A:
            @classmethod
            def make(cls):
                cls.load()
                cls()
            @classmethod
            def load(cls): pass
            def again(self): type(self).load(1)
        class B(A):
            def __init__(self): pass
            @classmethod
            def load(cls): pass
        A.load(2)
        """
    )
    both = {"m.A.load": "exact", "m.B.load": "override"}
    assert loaded.targets("cls.load()") == both
    assert loaded.targets("type(self).load(1)") == both
    assert loaded.targets("A.load(2)") == {"m.A.load": "exact"}
    assert loaded.targets("cls()") == {"m.B.__init__": "override"}


def test_names_bound_again_are_not_the_function(build: Any) -> None:
    loaded = build(
        """
        import lib
        def f(): pass
        f = lib.wrap(f)
        f(1)
        def g(): return f(2)
        """
    )
    assert loaded.targets("f(1)") == {}
    assert loaded.targets("f(2)") == {"m.f": "guess"}
