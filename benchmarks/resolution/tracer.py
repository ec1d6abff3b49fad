"""What a program's tests really call: a pytest plugin that writes one JSON file.

Standard library only, because it runs in the measured program's own environment:

    python -m pytest -p tracer        (with this directory on PYTHONPATH)

`TRACE_ROOT` is the program's directory and `TRACE_OUT` the file to write. It is a profile hook on
Python 3.11 and uses `sys.monitoring` from 3.12 on, written without the product's own tracer so that
the two can be held against each other. It also records which sites reach library code, without
which a wrong claim "this calls the program" could not be seen. That makes the profile hook slow;
monitoring leaves library code alone, so that a suite takes little longer than without.
"""

from __future__ import annotations

import atexit
import dis
import functools
import json
import os
import sys
import threading
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any

_ROOT = os.path.realpath(os.environ["TRACE_ROOT"]) + os.sep
_OUT = os.environ["TRACE_OUT"]
_SKIPPED = (os.sep + "site-packages" + os.sep, os.sep + "node_modules" + os.sep)

_CACHE = dis.opmap.get("CACHE", -1)
_IN_C = (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)

_codes: dict[int, CodeType] = {}
_files: dict[str, bool] = {}
_edges: set[tuple[int, int, int]] = set()
_outside: dict[tuple[int, int], set[str]] = {}
_local = threading.local()


def _is_project(filename: str) -> bool:
    known = _files.get(filename)
    if known is None:
        real = os.path.realpath(filename)
        known = (
            not filename.startswith("<")
            and real.startswith(_ROOT)
            and not any(s in real for s in _SKIPPED)
        )
        _files[filename] = known
    return known


def _profile(frame: FrameType, event: str, arg: Any) -> None:
    if event == "call":
        back = frame.f_back
        if back is None:
            return
        caller = back.f_code
        if not _is_project(caller.co_filename):
            return
        callee = frame.f_code
        # a C function of this very caller is running: the call comes from there
        stack = _local.__dict__.get("stack")
        if stack and stack[-1] is back:
            return
        if _is_project(callee.co_filename):
            _edge(caller, back.f_lasti, callee)
        else:
            _note(caller, back.f_lasti, callee.co_qualname)
    elif event == "c_call":
        stack = _local.__dict__.get("stack")
        if stack is None:
            stack = _local.stack = []
        stack.append(frame)
        if _is_project(frame.f_code.co_filename):
            name = getattr(arg, "__qualname__", "?")
            _note(frame.f_code, frame.f_lasti, f"C:{name}")
    elif event != "return":
        stack = _local.__dict__.get("stack")
        if stack:
            stack.pop()


def _edge(caller: CodeType, at: int, callee: CodeType) -> None:
    edge = (id(caller), at, id(callee))
    if edge not in _edges:
        _codes[edge[0]] = caller
        _codes[edge[2]] = callee
        _edges.add(edge)


def _note(caller: CodeType, at: int, name: str) -> None:
    key = (id(caller), at)
    names = _outside.get(key)
    if names is None:
        _codes[key[0]] = caller
        names = _outside[key] = set()
    if len(names) < 20:
        names.add(name)


class _Monitor:
    """The same with `sys.monitoring`: every start of a function of the program, and the calls that
    its functions make. Library code is told to report no more when it first starts."""

    def __init__(self) -> None:
        self._watch: Any = getattr(sys, "monitoring")  # noqa: B009 - newer than 3.11
        self._tool = self._watch.PROFILER_ID
        self._watched: set[int] = set()

    def start(self) -> None:
        events = self._watch.events
        self._watch.use_tool_id(self._tool, "resolution")
        for event, callback in (
            (events.PY_START, self._started),
            (events.CALL, self._called),
            (events.C_RETURN, self._returned),
            (events.C_RAISE, self._returned),
        ):
            self._watch.register_callback(self._tool, event, callback)
        self._watch.set_events(self._tool, events.PY_START)

    def stop(self) -> None:
        self._watch.set_events(self._tool, 0)
        self._watch.free_tool_id(self._tool)

    def _started(self, code: CodeType, at: int) -> Any:
        if not _is_project(code.co_filename):
            return self._watch.DISABLE
        if id(code) not in self._watched:
            self._follow(code)
        back = sys._getframe(1).f_back
        stack = _local.__dict__.get("stack")
        if (
            back is None
            or not _is_project(back.f_code.co_filename)
            or (
                # a C function of this very caller is running: the call comes from there
                stack and stack[-1] is back
            )
        ):
            return None
        _edge(back.f_code, back.f_lasti, code)
        return None

    def _follow(self, code: CodeType) -> None:
        """Have the calls reported that this code and what is defined in it make."""
        self._watched.add(id(code))
        _codes[id(code)] = code
        self._watch.set_local_events(self._tool, code, self._watch.events.CALL)
        for inner in code.co_consts:
            if isinstance(inner, CodeType) and id(inner) not in self._watched:
                self._follow(inner)

    def _called(self, code: CodeType, at: int, called: Any, first: Any) -> None:
        function = called.__func__ if isinstance(called, MethodType) else called
        if isinstance(function, FunctionType):
            callee = function.__code__
            if _is_project(callee.co_filename):
                _edge(code, at, callee)
            else:
                _note(code, at, callee.co_qualname)
            return
        if isinstance(function, _IN_C):
            stack = _local.__dict__.get("stack")
            if stack is None:
                stack = _local.stack = []
            stack.append(sys._getframe(1))
            _note(code, at, f"C:{getattr(function, '__qualname__', '?')}")
        else:
            kind = function if isinstance(function, type) else type(function)
            _note(code, at, kind.__qualname__)

    def _returned(self, code: CodeType, at: int, called: Any, first: Any) -> None:
        function = called.__func__ if isinstance(called, MethodType) else called
        stack = _local.__dict__.get("stack")
        if stack and isinstance(function, _IN_C):
            stack.pop()


@functools.cache
def _path(filename: str) -> str:
    return os.path.realpath(filename)[len(_ROOT) :]


@functools.lru_cache(maxsize=1000)
def _instructions(code: CodeType) -> tuple[list[Any], bytes]:
    return list(code.co_positions()), code.co_code


def _place(code: CodeType, at: int) -> list[Any]:
    positions, instructions = _instructions(code)
    position = positions[at // 2]
    # a call of a Python function has stepped over its inline caches already (3.11)
    while at and instructions[at] == _CACHE:
        at -= 2
    return [_path(code.co_filename), *position, dis.opname[instructions[at]]]


def _write() -> None:
    if _monitor is None:
        sys.setprofile(None)
    else:
        _monitor.stop()
    edges = set()
    for caller, at, callee in sorted(_edges):
        target = _codes[callee]
        place = _place(_codes[caller], at)
        path = _path(target.co_filename)
        edges.add(json.dumps([*place, path, target.co_firstlineno, target.co_qualname]))
    outside = {
        json.dumps([*_place(_codes[caller], at), sorted(names)])
        for (caller, at), names in sorted(_outside.items())
    }
    with open(_OUT, "w", encoding="utf-8") as file:
        json.dump(
            {
                "edges": [json.loads(e) for e in sorted(edges)],
                "outside": [json.loads(e) for e in sorted(outside)],
            },
            file,
        )


atexit.register(_write)
_monitor = _Monitor() if hasattr(sys, "monitoring") else None
if _monitor is None:
    threading.setprofile(_profile)
    sys.setprofile(_profile)
else:
    _monitor.start()
