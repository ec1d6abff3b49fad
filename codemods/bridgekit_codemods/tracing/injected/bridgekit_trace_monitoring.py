"""Sees the calls of one interpreter through `sys.monitoring` (Python 3.12 and later).

Two tools share the work. One is told of every function's first start, once and for all, and says
which belong to the program; code of libraries costs nothing from then on. The other watches the
functions of the program alone. What it is told of is switched off at once, and on again when the
next test begins, only for the functions that ran since: so a test costs as much as the functions
that it runs, however often it runs them. `restart_events` would bring back every place of every
library instead.

A call stays on as long as it shows functions that are new there: `for f in handlers: f()` is seen
whole. Calls of a function that has shown nothing new in a test are watched again after one more
test that runs it, then after three, seven and so on. Each function that starts tells which call
started it, the first time in a test and then for as long as the calls are new.
"""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
)
from typing import Any

from bridgekit_trace_collector import (  # type: ignore[import-not-found]
    Collector,
    beginning,
    operation_at,
)

_NAMES = ("bridgekit", "bridgekit (program)")
_NUMBERS = (4, 3, 5)  # those that no kind of tool has a claim on come first
_MAXIMUM = 200_000
_LOOKS = 16  # starts of a function that are looked at whether they repeat themselves or not
_Remembering = type(lru_cache(print))
_C = (BuiltinFunctionType, MethodDescriptorType)


class Monitor:
    """Fills a collector; see the module. Callbacks run on every thread of the program."""

    def __init__(self, collector: Collector, monitoring: Any, finder: int, watcher: int) -> None:
        self.collector = collector
        self.files = collector.files
        self.codes = collector.codes
        self.calls = collector.calls
        self.set_events = monitoring.set_local_events
        self.off = monitoring.DISABLE
        self.watcher = watcher
        self.call = monitoring.events.CALL
        self.all = monitoring.events.PY_START | monitoring.events.CALL
        self.fresh: set[int] = set()  # functions that have shown new calls since the test began
        self.waits: dict[int, tuple[int, int]] = {}  # how long their calls are left alone; left
        self.looked: dict[int, int] = {}  # how many starts of each function
        self.ran: dict[int, CodeType] = {}  # since the test began
        self.starts: set[tuple[int, int, int]] = set()  # which have been looked at
        self.shown: set[tuple[int, int, int]] = set()  # calls by what they run, libraries too
        self.direct: set[tuple[int, int]] = set()  # calls that run Python code
        self.indirect: set[tuple[int, int]] = set()  # calls that run C code
        monitoring.use_tool_id(finder, _NAMES[0])
        monitoring.use_tool_id(watcher, _NAMES[1])
        monitoring.register_callback(finder, monitoring.events.PY_START, self.found)
        monitoring.register_callback(watcher, monitoring.events.PY_START, self.started)
        monitoring.register_callback(watcher, monitoring.events.CALL, self.called)
        monitoring.set_events(finder, monitoring.events.PY_START)

    def rearm(self) -> None:
        """Make the functions that ran report once more."""
        ran, self.ran = self.ran, {}
        for key, code in ran.items():
            whole, left = self.waits.get(key, (0, 0))
            if left:
                left -= 1
            elif key in self.fresh:
                self.fresh.discard(key)
                whole = 0
            else:
                whole = left = 2 * whole + 1
            self.waits[key] = whole, left
            # what stays on across the two is not switched on anew: calls that were never made
            # report all the same, those that were stay off
            self.set_events(self.watcher, code, self.call if left else 0)
            self.set_events(self.watcher, code, self.all)

    def found(self, code: CodeType, offset: int) -> Any:
        """The first start of a function, of whatever code."""
        known = self.files.get(code.co_filename)
        if known is None:
            known = self.collector.is_project(code.co_filename)
        if known:
            self.codes[id(code)] = code
            self.set_events(self.watcher, code, self.all)
            self.begins(code, sys._getframe(1).f_back)
            self.ran[id(code)] = code
        return self.off

    def started(self, code: CodeType, offset: int) -> Any:
        """A start of a function of the program, until it repeats itself."""
        result = None if self.begins(code, sys._getframe(1).f_back) else self.off
        # Last, because no other thread runs between this and the return: none may switch the
        # function on before this one switches it off, for then it would stay off.
        self.ran[id(code)] = code
        return result

    def begins(self, code: CodeType, back: FrameType | None) -> bool:
        """A function of the program starts. Says whether more of its starts are worth seeing."""
        key = id(code)
        self.collector.current.add(key)
        looked = self.looked[key] = self.looked.get(key, 0) + 1
        if back is None or not self.files.get(back.f_code.co_filename):
            self.collector.entered(code, back)
            return looked < _LOOKS
        edge = (id(back.f_code), back.f_lasti, key)
        if edge in self.starts:
            return looked < _LOOKS
        self.starts.add(edge)
        self.reached(edge, back.f_code)
        return len(self.starts) < _MAXIMUM

    def reached(self, edge: tuple[int, int, int], caller: CodeType) -> None:
        """A start that comes from a place of the program for the first time."""
        key = edge[2]
        code = self.codes[key]
        self.codes.setdefault(edge[0], caller)
        site = (edge[0], beginning(caller, edge[1]))
        if (*site, key) in self.calls:
            return
        operation = operation_at(caller, site[1])
        if operation.startswith("CALL"):
            # 3.12 says nothing of `f(*args)` where f is a Python function
            direct = operation == "CALL_FUNCTION_EX" or site in self.direct
            if site in self.indirect or not direct:
                self.collector.entered(code, None)  # by way of a C function, such as `sorted`
                return
        self.calls.add((*site, key))

    def called(self, code: CodeType, offset: int, function: Any, argument: Any) -> Any:
        """A call in a function of the program, until it repeats itself."""
        kind = type(function)
        if kind is FunctionType:
            what: Any = function.__code__
        elif kind in _C:
            self.indirect.add((id(code), offset))
            return self.off
        else:
            what = _lasting(function, kind)
        shown = (id(code), offset, id(what))
        if shown in self.shown or len(self.shown) > _MAXIMUM:
            return self.off
        self.shown.add(shown)
        self.fresh.add(shown[0])
        if kind is _Remembering:
            targets = []  # it may run or not
            is_direct = bool(codes_of(function.__wrapped__))
        else:
            targets = codes_of(function)
            is_direct = bool(targets)
        (self.direct if is_direct else self.indirect).add(shown[:2])
        for target in targets:
            if self.collector.is_project(target.co_filename):
                self.codes.setdefault(id(target), target)
                self.calls.add((*shown[:2], id(target)))
        return None


def _lasting(function: Any, kind: type) -> Any:
    """What tells an object's calls from those of others; unlike the object, it is not made anew for
    every call, so that no other takes its place in memory."""
    if kind is MethodType:
        return function.__func__
    if kind is partial:
        return function.func
    is_itself = kind is _Remembering or isinstance(function, type)
    return function if is_itself else kind


def codes_of(function: Any) -> list[CodeType]:
    """The code that calling an object runs, as far as its type says without running any."""
    kind = type(function)
    if kind is FunctionType:
        return [function.__code__]
    if kind is MethodType:
        return codes_of(function.__func__)
    if kind is partial:
        return codes_of(function.func)
    if isinstance(function, type):
        found: list[CodeType] = []
        for name in ("__new__", "__init__"):
            for base in type.mro(function) if function is not type else ():
                method = base.__dict__.get(name)
                method = getattr(method, "__func__", method)
                if method is not None:
                    code = getattr(method, "__code__", None)
                    if code is not None:
                        found.append(code)
                    break
        return found
    if kind.__module__ == "builtins" or kind.__module__ == "functools":
        return []
    method = None
    for base in type.mro(kind):
        method = base.__dict__.get("__call__")
        if method is not None:
            break
    code = getattr(method, "__code__", None)
    return [code] if code is not None else []


def start(collector: Collector) -> bool:
    """Begin to see; False where other tools have left no room for the two."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    free = [number for number in _NUMBERS if monitoring.get_tool(number) is None]
    if len(free) < 2:
        return False
    collector.rearm = Monitor(collector, monitoring, *free[:2]).rearm
    return True
