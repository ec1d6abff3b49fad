"""Records the calls of one interpreter while its tests run. Standard library only.

It runs in the environment of the traced program, next to whatever the program does. What it sees:

* calls: which function of the program each call expression of the program reached;
* functions of the program that other code called, and which code that was;
* for every pytest test, the functions of the program that ran in it;
* the functions that ran outside of any test: at import, in other processes, and in fixtures that
  several tests share.

From Python 3.12 on `bridgekit_trace_monitoring` sees the calls. Before, or where
`BRIDGEKIT_TRACE_HOOK` is `profile`, it is a profile hook, which every call in the process passes
through. Places are kept by code object; a code object of the program is kept alive, those
of libraries are not, because some generate code without end.

Every process writes a file of its own into the directory `BRIDGEKIT_TRACE_OUT`.
"""

from __future__ import annotations

import atexit
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from opcode import opmap, opname
from types import CodeType, FrameType
from typing import Any

_SKIPPED = ("site-packages", "dist-packages", "node_modules")
_CACHE = opmap.get("CACHE", 0)  # 3.13 lists it no longer
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
        self.folders: dict[str, bool] = {}
        self.codes: dict[int, CodeType] = {}
        self.calls: set[tuple[int, int, int]] = set()
        self.outside: dict[int, set[str]] = {}
        self.tests: dict[str, set[int]] = {}
        self.shared: set[int] = set()
        self.current: set[int] = self.shared
        self.rearm: Callable[[], None] | None = None  # makes every place report once more
        self.written = False

    def is_project(self, filename: str) -> bool:
        known = self.files.get(filename)
        if known is None:
            known = not filename.startswith("<") and self.is_inside(filename)
            if len(self.files) < _MAXIMUM:
                self.files[filename] = known
        return known

    def is_inside(self, filename: str) -> bool:
        folder = os.path.dirname(filename)
        known = self.folders.get(folder)
        if known is None:
            real = os.path.realpath(folder) + os.sep
            known = self.folders[folder] = real.startswith(self.root) and not self.is_library(
                real[len(self.root) :].split(os.sep)[:-1]
            )
        return known

    def is_library(self, parts: list[str]) -> bool:
        return any(
            part in _SKIPPED or self.is_environment(parts[: number + 1])
            for number, part in enumerate(parts)
        )

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
        if self.rearm is not None:
            self.rearm()

    def end(self) -> None:
        self.current = self.shared

    def share(self) -> set[int]:
        """From here on, functions run for several tests; returns what `resume` wants."""
        before, self.current = self.current, self.shared
        if self.rearm is not None:
            self.rearm()
        return before

    def resume(self, before: set[int]) -> None:
        """From here on, functions run again for the test that `share` interrupted."""
        self.current = before
        if self.rearm is not None:
            self.rearm()

    # -- the profile hook ------------------------------------------------------------------

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
                    if edge in calls:
                        return
                    if _calls_builtin_type(back):
                        self.entered(code, None)  # by way of `list` or `str`, which are no C calls
                        return
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

    # -- the result ------------------------------------------------------------------------

    def write(self) -> None:
        """Write this process's file, once."""
        if self.written:
            return
        self.written = True
        sys.setprofile(None)
        if not self.codes:
            return
        import json  # late: most processes that tests start run nothing of the program

        indices: dict[int, int] = {}
        functions: list[list[Any]] = []
        for key, code in list(self.codes.items()):
            indices[key] = len(functions)
            functions.append([self.path(code), code.co_firstlineno, _qualname(code)])
        spans: dict[int, list[Any]] = {}
        calls = []
        for caller, offset, callee in list(self.calls):
            if caller not in spans:
                spans[caller] = _spans(self.codes[caller])
            place = self.place(self.codes[caller], spans[caller], offset)
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
            "shared": sorted(indices[k] for k in list(self.shared) if k in indices),
        }
        target = os.path.join(self.out, f"{os.getpid()}-{threading.get_ident()}.json")
        with open(target, "w", encoding="utf-8") as file:
            json.dump(result, file)

    def path(self, code: CodeType) -> str:
        return _real(code.co_filename)[len(self.root) :].replace(os.sep, "/")

    def place(self, code: CodeType, spans: list[Any], offset: int) -> list[Any] | None:
        """File, span and kind of an instruction; None where the interpreter does not keep them."""
        if offset // 2 >= len(spans) or None in spans[offset // 2]:
            return None
        line, end_line, column, end_column = spans[offset // 2]
        operation = operation_at(code, offset)
        kind = "call" if operation.startswith("CALL") else _KINDS.get(operation, "other")
        return [self.path(code), line, column, end_line, end_column, kind]


@cache
def _real(filename: str) -> str:
    return os.path.realpath(filename)


def _spans(code: CodeType) -> list[Any]:
    return list(code.co_positions()) if hasattr(code, "co_positions") else []


def _calls_builtin_type(frame: FrameType) -> bool:
    """Whether a frame stands in a call of `list`, `str` or the like by its name."""
    code = frame.f_code
    if not operation_at(code, frame.f_lasti).startswith(("CALL", "PRECALL")):
        return False
    spans = _spans(code)
    span: tuple[Any, ...] = spans[frame.f_lasti // 2] if spans else (None,)
    if None in span:
        return False
    line, end_line, column, end_column = span
    lines = [linecache.getline(code.co_filename, n).encode() for n in range(line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    text = b"".join([lines[0][column:], *lines[1:]]).decode(errors="replace")
    name = text.partition("(")[0]
    own = (*code.co_varnames, *code.co_cellvars, *code.co_freevars, *frame.f_globals)
    return isinstance(frame.f_builtins.get(name), type) and name not in own and _is_call(text)


def _is_call(text: str) -> bool:
    """Whether `name(...)` is all that there is, unlike `super().method()`."""
    import ast

    try:
        node = ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def beginning(code: CodeType, offset: int) -> int:
    """Where the instruction begins whose inline caches a frame may stand in already."""
    text = code.co_code
    while offset and text[offset] == _CACHE:
        offset -= 2
    return offset


def operation_at(code: CodeType, offset: int) -> str:
    """The name of the instruction at an offset or around it."""
    return opname[code.co_code[beginning(code, offset)]]


def _qualname(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))


collector: Collector | None = None


def start() -> None:
    """Begin to record in this process. Once; later calls do nothing."""
    global collector
    if collector is not None:
        return
    collector = Collector(os.environ["BRIDGEKIT_TRACE_ROOT"], os.environ["BRIDGEKIT_TRACE_OUT"])
    atexit.register(collector.write)
    if sys.version_info >= (3, 12) and os.environ.get("BRIDGEKIT_TRACE_HOOK") != "profile":
        import bridgekit_trace_monitoring  # type: ignore[import-not-found]

        if bridgekit_trace_monitoring.start(collector):
            return
    threading.setprofile(collector.first_event)
    sys.setprofile(collector.profile())
