"""What a program's tests really call: a pytest plugin that writes one JSON file.

Standard library only, because it runs in the measured program's own environment:

    python -m pytest -p tracer        (with this directory on PYTHONPATH)

`TRACE_ROOT` is the program's directory and `TRACE_OUT` the file to write. It is a profile hook
(every interpreter has one), written without the product's own tracer so that the two can be held
against each other. Slow, and meant to be: it also records which sites reach library code, without
which a wrong claim "this calls the program" could not be seen.
"""

from __future__ import annotations

import atexit
import dis
import json
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

_ROOT = os.path.realpath(os.environ["TRACE_ROOT"]) + os.sep
_OUT = os.environ["TRACE_OUT"]
_SKIPPED = (os.sep + "site-packages" + os.sep, os.sep + "node_modules" + os.sep)

_CACHE = dis.opmap.get("CACHE", -1)

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
            edge = (id(caller), back.f_lasti, id(callee))
            if edge not in _edges:
                _codes[edge[0]] = caller
                _codes[edge[2]] = callee
                _edges.add(edge)
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


def _note(caller: CodeType, at: int, name: str) -> None:
    key = (id(caller), at)
    names = _outside.get(key)
    if names is None:
        _codes[key[0]] = caller
        names = _outside[key] = set()
    if len(names) < 20:
        names.add(name)


def _place(code: CodeType, at: int) -> list[Any]:
    position = list(code.co_positions())[at // 2]
    # a call of a Python function has stepped over its inline caches already (3.11)
    while at and code.co_code[at] == _CACHE:
        at -= 2
    operation = dis.opname[code.co_code[at]]
    return [os.path.realpath(code.co_filename)[len(_ROOT) :], *position, operation]


def _write() -> None:
    sys.setprofile(None)
    edges = set()
    for caller, at, callee in _edges:
        target = _codes[callee]
        path = os.path.realpath(target.co_filename)[len(_ROOT) :]
        edges.add(
            json.dumps(
                [*_place(_codes[caller], at), path, target.co_firstlineno, target.co_qualname]
            )
        )
    outside = {
        json.dumps([*_place(_codes[caller], at), sorted(names)])
        for (caller, at), names in _outside.items()
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
threading.setprofile(_profile)
sys.setprofile(_profile)
