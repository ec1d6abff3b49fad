"""Functions that may run at any moment on the thread of an event loop: they cannot wait for one.

A signal handler, a finalizer, `__del__`, a callback of the loop and the methods of a log handler
run inside whatever code is running. Where that is a coroutine, a sync facade has no loop to wait
for: it would stop the one that it stands on. So what they call stays a plain function.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridgekit_codemods import catalog
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function

CONSUMERS = frozenset(
    {"signal.signal", "weakref.finalize", "weakref.ref", "weakref.proxy", "weakref.WeakMethod"}
)
"""Library callables that call what they are given at any moment."""
_LOGGING = ("logging.",)


class Anytime:
    """What such functions reach. Ask with `program.derived(Anytime)`."""

    def __init__(self, program: Program) -> None:
        colours = program.derived(Colours)
        self.reached: dict[Function, str] = {}
        """Sync functions, each with what may call it at any moment, in words."""
        pending: list[Function] = []
        for function, via in _roots(program):
            if function not in self.reached and not function.is_async:
                self.reached[function] = via
                pending.append(function)
        while pending:
            caller = pending.pop()
            for site in colours.sites(caller):
                for target in site.targets:
                    callee = target.function
                    if target.grade == "guess" or callee.is_async or callee in self.reached:
                        continue
                    self.reached[callee] = self.reached[caller]
                    pending.append(callee)


def _roots(program: Program) -> Iterator[tuple[Function, str]]:
    for function in program.functions.values():
        if program.files[function.path].is_test or function.cls is None:
            continue
        if function.name == "__del__":
            yield function, f"{function.cls.name}.__del__"
        base = program.overrides_external(function)
        if base is not None and base.startswith(_LOGGING):
            yield function, f"logging, through {function.cls.name}.{function.name}"
    for reference in program.references:
        if reference.kind != "argument" or reference.consumer is None:
            continue
        callback = catalog.callback(reference.consumer)
        on_loop = callback is not None and callback.runs == "loop" and not callback.awaits
        in_test = program.files[reference.path].is_test
        if (on_loop or reference.consumer in CONSUMERS) and not in_test:
            yield reference.function, reference.consumer
