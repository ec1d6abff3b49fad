"""Records the calls of one interpreter while its tests run. Standard library only.

It runs in the environment of the traced program, next to whatever the program does. What it sees:

* calls: which function of the program each call expression of the program reached;
* functions of the program that other code called, and which code that was;
* for every pytest test, the functions of the program that ran in it.

From Python 3.12 on it uses `sys.monitoring`: every place reports once a test and is then switched
off, which costs next to nothing. Before, it is a profile hook, which every call in the process
passes through. Places are kept by code object; a code object of the program is kept alive, those
of libraries are not, because some generate code without end.

Every process writes a file of its own into the directory `BRIDGEKIT_TRACE_OUT`.
"""

from __future__ import annotations

import atexit
import dis
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

_TOOL = "bridgekit"
_SKIPPED = ("site-packages", "dist-packages", "node_modules")
_CACHE = dis.opmap.get("CACHE", -1)
_KINDS = {"LOAD_ATTR": "property", "LOAD_METHOD": "property", "STORE_ATTR": "property",
          "BEFORE_WITH": "with", "GET_ITER": "iter", "FOR_ITER": "iter"}  # fmt: skip
_MAXIMUM = 200_000
_PER_FUNCTION = 8


class Collector:
    """What was seen in this process. Sets and dictionaries only grow; each update is one operation
    of the interpreter, so that threads need no lock."""

    def __init__(self, root: str, out: str) -> None:
        self.root = os.path.realpath(root) + os.sep
        self.out = out
        self.files: dict[str, bool] = {}
        self.codes: dict[int, CodeType] = {}
        self.calls: set[tuple[int, int, int]] = set()
        self.outside: dict[int, set[str]] = {}
        self.tests: dict[str, set[int]] = {}
        self.current: set[int] = set()
        self.direct: set[tuple[int, int]] = set()  # places that call Python code, not C
        self.watched: set[int] = set()  # functions whose calls are reported
        self.instructions: dict[tuple[int, int], int] = {}
        self.tool = -1
        self.written = False

    def is_project(self, filename: str) -> bool:
        known = self.files.get(filename)
        if known is None:
            known = False
            if not filename.startswith("<"):
                real = os.path.realpath(filename)
                parts = real[len(self.root) :].split(os.sep) if real.startswith(self.root) else ()
                known = bool(parts) and not any(
                    p in _SKIPPED or self.is_environment(parts[:n]) for n, p in enumerate(parts)
                )
            if len(self.files) < _MAXIMUM:
                self.files[filename] = known
        return known

    def is_environment(self, parts: Iterable[str]) -> bool:
        return os.path.exists(os.path.join(self.root, *parts, "pyvenv.cfg"))

    def entered(self, code: CodeType, back: FrameType | None) -> None:
        """A function of the program was called by `back`, a frame of other code or none."""
        callers = self.outside.setdefault(id(code), set())
        if back is not None and len(callers) < _PER_FUNCTION:
            module = back.f_globals.get("__name__", "?")
            callers.add(f"{module}.{_qualname(back.f_code)}")

    def begin(self, test: str) -> None:
        """From here on, functions run for `test`."""
        self.current = self.tests.setdefault(test, set())
        if monitoring is not None:
            monitoring.restart_events()

    def end(self) -> None:
        self.current = set()

    # -- before 3.12 -----------------------------------------------------------------------

    def profile(self) -> Callable[[FrameType, str, Any], None]:
        """A profile hook for one thread."""
        files, codes, calls = self.files, self.codes, self.calls
        running: list[FrameType] = []  # the frames whose C call has not returned

        def hook(frame: FrameType, event: str, argument: Any) -> None:
            if event == "call":
                code = frame.f_code
                known = files.get(code.co_filename)
                if known is None:
                    known = self.is_project(code.co_filename)
                if not known:
                    return
                key = id(code)
                if key not in codes:
                    codes[key] = code
                self.current.add(key)
                back = frame.f_back
                if back is None:
                    self.entered(code, None)
                    return
                caller = back.f_code
                if not files.get(caller.co_filename):
                    self.entered(code, back)
                elif running and running[-1] is back:
                    self.entered(code, None)  # by way of a C function, such as `sorted`
                else:
                    edge = (id(caller), back.f_lasti, key)
                    if edge not in calls:
                        codes.setdefault(edge[0], caller)
                        calls.add(edge)
            elif event == "c_call":
                running.append(frame)
            elif event != "return" and running:
                running.pop()

        return hook

    def first_event(self, frame: FrameType, event: str, argument: Any) -> None:
        """Gives a new thread a hook with memory of its own."""
        hook = self.profile()
        sys.setprofile(hook)
        if event == "call":
            hook(frame, event, argument)

    # -- 3.12 and later --------------------------------------------------------------------

    def started(self, code: CodeType, offset: int) -> Any:
        """PY_START: the first call of a function since the test began."""
        known = self.files.get(code.co_filename)
        if known is None:
            known = self.is_project(code.co_filename)
        if not known:
            return monitoring.DISABLE
        key = id(code)
        if key not in self.watched:
            self.watched.add(key)
            self.codes[key] = code
            monitoring.set_local_events(self.tool, code, monitoring.events.CALL)
        self.current.add(key)
        back = sys._getframe(1).f_back
        if back is None or not self.files.get(back.f_code.co_filename):
            self.entered(code, back)
        else:
            caller = back.f_code
            site = (id(caller), self.instruction(caller, back.f_lasti))
            if site in self.direct or not _operation(caller, site[1]).startswith("CALL"):
                self.codes.setdefault(id(caller), caller)
                self.calls.add((*site, key))
            else:
                self.entered(code, None)  # by way of a C function, such as `sorted`
        return monitoring.DISABLE

    def instruction(self, code: CodeType, offset: int) -> int:
        """Where the instruction begins whose inline caches the frame stands in."""
        key = (id(code), offset)
        known = self.instructions.get(key)
        if known is None:
            text = code.co_code
            known = offset
            while known and text[known] == _CACHE:
                known -= 2
            self.instructions[key] = known
            self.codes.setdefault(key[0], code)
        return known

    def called(self, code: CodeType, offset: int, function: Any, argument: Any) -> Any:
        """CALL: a call in a function of the program, for the first time since the test began."""
        targets = _codes_of(function)
        if targets:
            self.direct.add((id(code), offset))
        for target in targets:
            if self.is_project(target.co_filename):
                self.codes.setdefault(id(target), target)
                self.calls.add((id(code), offset, id(target)))
        return monitoring.DISABLE

    # -- the result ------------------------------------------------------------------------

    def write(self) -> None:
        """Write this process's file, once."""
        if self.written:
            return
        self.written = True
        sys.setprofile(None)
        indices: dict[int, int] = {}
        functions: list[list[Any]] = []
        for key, code in list(self.codes.items()):
            indices[key] = len(functions)
            functions.append([self.path(code), code.co_firstlineno, _qualname(code)])
        calls = []
        for caller, offset, callee in list(self.calls):
            place = self.place(self.codes[caller], offset)
            if place is not None:
                calls.append([*place, indices[callee]])
        result = {
            "python": ".".join(map(str, sys.version_info[:3])),
            "functions": functions,
            "calls": sorted(calls),
            "outside": {indices[k]: sorted(v) for k, v in list(self.outside.items())},
            "tests": {
                name: sorted(indices[k] for k in keys) for name, keys in list(self.tests.items())
            },
        }
        if not functions:
            return
        target = os.path.join(self.out, f"{os.getpid()}-{threading.get_ident()}.json")
        with open(target, "w", encoding="utf-8") as file:
            json.dump(result, file)

    def path(self, code: CodeType) -> str:
        return os.path.realpath(code.co_filename)[len(self.root) :].replace(os.sep, "/")

    def place(self, code: CodeType, offset: int) -> list[Any] | None:
        """File, span and kind of an instruction; None where the interpreter does not keep them."""
        if not hasattr(code, "co_positions"):
            return None
        positions = list(code.co_positions())
        if offset // 2 >= len(positions):
            return None
        line, end_line, column, end_column = positions[offset // 2]
        if None in (line, end_line, column, end_column):
            return None
        operation = _operation(code, offset)
        kind = "call" if operation.startswith("CALL") else _KINDS.get(operation, "other")
        return [self.path(code), line, column, end_line, end_column, kind]


def _operation(code: CodeType, offset: int) -> str:
    """The instruction at an offset; a call may have stepped over its inline caches already."""
    text = code.co_code
    while offset and text[offset] == _CACHE:
        offset -= 2
    return dis.opname[text[offset]]


def _qualname(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


def _codes_of(function: Any) -> list[CodeType]:
    """The code that calling an object runs, as far as its type says without running any."""
    kind = type(function)
    if kind is FunctionType:
        return [function.__code__]
    if kind is MethodType:
        return _codes_of(function.__func__)
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


monitoring: Any = None
collector: Collector | None = None


def start() -> None:
    """Begin to record in this process. Once; later calls do nothing."""
    global collector, monitoring
    if collector is not None:
        return
    collector = Collector(os.environ["BRIDGEKIT_TRACE_ROOT"], os.environ["BRIDGEKIT_TRACE_OUT"])
    atexit.register(collector.write)
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for number in (4, 3, 5):
            if monitoring.get_tool(number) is None:
                break
        else:
            monitoring = None
    if monitoring is None:
        threading.setprofile(collector.first_event)
        sys.setprofile(collector.profile())
        return
    collector.tool = number
    events = monitoring.events
    monitoring.use_tool_id(number, _TOOL)
    monitoring.register_callback(number, events.PY_START, collector.started)
    monitoring.register_callback(number, events.CALL, collector.called)
    monitoring.set_events(number, events.PY_START)
