"""What the language calls without a call: small programs that run, and what the model says of them.

Each program runs under a profile hook; every function that it was seen to call must be a target in
the function that called it, and what the model claims beyond that is written down.
"""

from __future__ import annotations

import sys
import textwrap
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

from bridgekit_codemods.program import Program

COMMON = """
def wait(value=1):
    return value

class Money:
    def add(self): return wait()
"""


def observed(source: str) -> set[tuple[str, str]]:
    """The calls between functions of the program while its `main` runs."""
    seen: set[tuple[str, str]] = set()
    path = "<observed>"

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_filename != path:
            return
        back = frame.f_back
        while back is not None and back.f_code.co_filename != path:
            back = back.f_back
        if back is not None:
            seen.add((_name(back.f_code), _name(frame.f_code)))

    module = ModuleType("m")
    exec(compile(source, path, "exec"), module.__dict__)
    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        module.__dict__["main"]()
    finally:
        sys.setprofile(before)
    return {edge for edge in seen if not any("<listcomp>" in name for name in edge)}


def _name(code: CodeType) -> str:
    return f"{code.co_qualname}:{code.co_firstlineno}"


def modelled(source: str) -> dict[tuple[str, str], set[str]]:
    """The same as the model has it, with grades."""
    program = Program.load({"m.py": source.encode()})
    names = {}
    for function in program.functions.values():
        lines = [function.node.lineno, *(d.lineno for d in function.node.decorator_list)]
        plain = function.qualname.removeprefix("m.").partition("#")[0]
        names[function] = f"{plain}:{min(lines)}"
    found: dict[tuple[str, str], set[str]] = {}
    for site in program.calls:
        if site.caller is None:
            continue
        for target in site.targets:
            edge = (names[site.caller], names[target.function])
            found.setdefault(edge, set()).add(target.grade)
            # a call of a decorated name enters what the decorator put in its place
            for wrapper in program.wrappers_of(target.function):
                found.setdefault((names[site.caller], names[wrapper]), set()).add(target.grade)
    return found


def compared(source: str) -> tuple[set[str], set[str]]:
    """Calls that were seen and are not known (a guess is no knowledge), and claims of `main` that
    were not seen."""
    source = COMMON + textwrap.dedent(source)
    seen, model = observed(source), modelled(source)
    missing = {
        f"{caller} -> {callee}"
        for caller, callee in seen
        if model.get((caller, callee), {"guess"}) == {"guess"}
    }
    claimed = {
        callee.partition(":")[0]
        for (caller, callee), grades in model.items()
        if caller.startswith("main:") and grades != {"guess"} and (caller, callee) not in seen
    }
    return missing, claimed


DESCRIPTOR = """
class Stored:
    def __get__(self, obj, owner=None):
        if obj is None: return self
        wait()
        return Money()
    def __set__(self, obj, value): wait(2)
    def __delete__(self, obj): wait(3)
class Order:
    total = Stored()
    def __init__(self): self.note = 1
class Special(Order): pass
"""
LAZY = """
class lazy:
    def __init__(self, function): self.function = function
    def __get__(self, obj, owner): return self.function(obj)
def kept(function):
    @property
    def read(self): return function(self)
    return read
class Order:
    @lazy
    def first(self): return Money()
    @kept
    def second(self): return wait()
    def _third(self): return Money()
    def _set_third(self, value): wait(value)
    third = property(_third, fset=_set_third, doc="three")
"""
META = """
class Meta(type):
    def __call__(cls, *args):
        wait()
        return super().__call__(*args)
    def create(cls, *args): return wait()
    @property
    def objects(cls): return wait()
    def __iter__(cls): return iter([wait()])
    def __len__(cls): return wait()
    def __getitem__(cls, key): return wait(key)
    def __contains__(cls, key): return bool(wait())
class Base(metaclass=Meta): pass
class Order(Base):
    def ship(self): return wait()
"""
DYNAMIC = """
class Remote:
    def __init__(self): self.known = 1
    def __getattr__(self, name): return wait(name)
    def method(self): pass
class Tracked:
    def __setattr__(self, name, value): wait()
    def __delattr__(self, name): wait()
class All:
    def __getattribute__(self, name): return wait()
"""
DISPATCH = """
import functools
@functools.singledispatch
def shown(value): return wait()
@shown.register
def _(value: int): return wait()
@shown.register(Money)
def _(value): return value.add()
def shown_list(value): return wait()
shown.register(list, shown_list)
class Writer:
    @functools.singledispatchmethod
    def write(self, value): return wait()
    @write.register
    def _(self, value: int): return wait()
"""
OPERATORS = """
class Counter(dict):
    def __missing__(self, key): return wait(key)
class Sum:
    def __iadd__(self, other): wait(); return self
    def __add__(self, other): wait(); return self
    def __neg__(self): return wait()
    def __invert__(self): return wait()
    def __bool__(self): return bool(wait())
class Right:
    def __radd__(self, other): return wait()
class Holder:
    def __init__(self): self._total = 1
    @property
    def total(self): return wait()
    @total.setter
    def total(self, value): wait()
"""

PAGES = """
import contextlib, functools
class Pages:
    def __init__(self): self.left = 2
    def __iter__(self): return self
    def __next__(self):
        self.left -= 1
        if self.left: return wait()
        raise StopIteration
class Counted(Pages):
    def __len__(self): return wait()
class Names:
    def __str__(self): return str(wait())
    def __format__(self, spec): return str(wait())
    def __bool__(self): return bool(wait())
    def __copy__(self): return wait()
class Resource:
    def __enter__(self): wait(); return self
    def __exit__(self, *error): wait()
    def close(self): wait()
class Timed(contextlib.ContextDecorator):
    def __enter__(self): wait(); return self
    def __exit__(self, *error): wait()
@contextlib.contextmanager
def opened():
    wait()
    yield
@Timed()
def timed(): pass
@opened()
def inside(): pass
def compared(one, other): return wait()
class Verbs:
    def _call(self, verb): return wait()
    def __getattr__(self, name): return functools.partial(self._call, name)
"""


@pytest.mark.parametrize(
    ("setup", "body", "unseen"),
    [
        (PAGES, "rows = []; rows.extend(Pages())", {"Counted.__len__"}),
        (PAGES, "rows = []; rows += Pages()", {"Counted.__len__"}),
        (PAGES, "set().update(Pages())", set()),
        (PAGES, "list(Counted())", set()),
        (PAGES, "rows = []; rows.extend(Counted())", set()),
        (PAGES, "sum(Counted())", set()),
        (PAGES, "2 in Pages()", set()),
        (PAGES, "list(iter(wait, 1))", set()),
        (PAGES, "sorted([1, 2], key=functools.cmp_to_key(compared))", set()),
        (PAGES, "'%s' % Names(); '%s %s' % (Names(), 1)", set()),
        (PAGES, "'{}'.format(Names())", set()),
        (PAGES, "1 % 2; '%s' % 1", set()),
        (PAGES, "assert Names()", set()),
        (PAGES, "import copy; copy.copy(Names())", set()),
        (PAGES, "with contextlib.ExitStack() as s: s.enter_context(Resource())", set()),
        (PAGES, "with contextlib.closing(Resource()): pass", set()),
        (PAGES, "timed()", set()),
        (PAGES, "inside()", set()),
        (PAGES, "Verbs().orders()", set()),
        (DESCRIPTOR, "Order().total", set()),
        (DESCRIPTOR, "Special().total.add()", set()),
        (DESCRIPTOR, "Order.total", set()),
        (DESCRIPTOR, "Order().total = 3", set()),
        (DESCRIPTOR, "del Order().total", set()),
        (DESCRIPTOR, "Order.total = 3", set()),
        (DESCRIPTOR, "o = Order(); o.total = 3; o.total.add()", set()),
        (DESCRIPTOR, "Order().note", set()),
        (DESCRIPTOR, "getattr(Order(), 'total').add()", set()),
        (DESCRIPTOR, "setattr(Order(), 'total', 3); hasattr(Order(), 'total')", set()),
        (LAZY, "Order().first.add()", {"Order.first"}),
        (LAZY, "Order().second", {"Order.second"}),
        (LAZY, "Order().third.add()", set()),
        (LAZY, "Order().third = 3; Order.third", set()),
        (META, "Order()", set()),
        (META, "Order.create()", set()),
        (META, "Order.objects", set()),
        (META, "Order().ship()", set()),
        (META, "for each in Order: pass", set()),
        (META, "[each for each in Order]; len(Order)", set()),
        (META, "Order[3]; 3 in Order", set()),
        (DYNAMIC, "Remote().title", set()),
        (DYNAMIC, "Remote().known; Remote().method()", set()),
        (DYNAMIC, "getattr(Remote(), 'title')", set()),
        (DYNAMIC, "t = Tracked(); t.x = 1", set()),
        (DYNAMIC, "t = Tracked(); del t.x", set()),
        (DYNAMIC, "All().anything", set()),
        (DISPATCH, "shown(1)", {"shown", "_", "shown_list"}),
        (DISPATCH, "shown(Money())", {"shown", "_", "shown_list"}),
        (DISPATCH, "shown([1])", {"shown", "_"}),
        (DISPATCH, "Writer().write(1)", {"Writer.write"}),
        (OPERATORS, "Counter()['k']", set()),
        (OPERATORS, "s = Sum(); s += 1", set()),
        (OPERATORS, "-Sum(); ~Sum()", set()),
        (OPERATORS, "not Sum()", set()),
        (OPERATORS, "n = 1; n += Right()", set()),
        (OPERATORS, "h = Holder(); h.total += 1", set()),
        (OPERATORS, "-1; n = 1; n += 1; Holder(); -n", set()),
    ],
)
def test_what_runs_is_known(setup: str, body: str, unseen: set[str]) -> None:
    missing, claimed = compared(f"{setup}\ndef main():\n    {body}\n")
    assert missing == set()
    assert claimed == unseen


@pytest.mark.parametrize(
    "source",
    [
        # the instance's own attribute is what it is, whatever class its value has
        """
        class Stored:
            def __get__(self, obj, owner): return wait()
            def add(self): return 1
        class Order:
            def __init__(self): self.total = Stored()
        def main():
            Order().total.add()
        """,
        # a descriptor that binds a method makes no property of it
        """
        class bound:
            def __init__(self, function): self.function = function
            def __get__(self, obj, owner): return self.function.__get__(obj, owner)
        class Order:
            @bound
            def ship(self): return wait()
        def main():
            Order().ship()
        """,
        # a metaclass's methods are not those of the instances
        """
        class Meta(type):
            def add(cls): return wait()
        class Order(metaclass=Meta):
            def __init__(self): self.add = wait
        def main():
            Order().add()
        """,
    ],
)
def test_what_only_looks_like_it_is_told_apart(source: str) -> None:
    missing, claimed = compared(source)
    assert missing == set()
    assert claimed == set()


def test_a_decorator_may_make_its_property_by_a_call() -> None:
    source = """
def made(function):
    def read(self): return function(self)
    return property(read)
class Order:
    @made
    def total(self): return wait()
def main():
    return Order().total
"""
    program = Program.load({"m.py": (COMMON + source).encode()})
    (site,) = (s for s in program.calls_in(program.functions["m.main"]) if s.kind == "property")
    assert [t.function.qualname for t in site.targets] == ["m.Order.total"]


def test_an_unknown_receiver_is_no_descriptors_owner() -> None:
    source = textwrap.dedent(DESCRIPTOR + "\ndef main(order):\n    return order.total\n")
    program = Program.load({"m.py": (COMMON + source).encode()})
    assert [s for s in program.calls_in(program.functions["m.main"]) if s.targets] == []
