"""Runs a small program in names of its own, and says all that can be seen of it."""

from __future__ import annotations

import asyncio
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import io
import re
import sys
import unittest
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bridgekit_codemods.program.source import module_name

_ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True)
class Outcome:
    """What a run of the view, and of the program's tests, came to."""

    result: str
    """The value that the view returned, or the exception that it raised."""
    log: str
    """What the program left in `LOG`, in order."""
    tests: tuple[str, ...]
    lost: tuple[str, ...]
    """The coroutines that nobody awaited."""


def run(files: Mapping[str, bytes], *, twice: bool = False, at_once: bool = False) -> Outcome:
    """The outcome of the program's `app.view`, as its framework calls it, and of its tests.

    `twice`: two requests, one after the other or, `at_once`, in two tasks of one loop (in two
    threads if the view is sync).
    """
    with warnings.catch_warnings(record=True) as caught, _modules(files) as modules:
        warnings.simplefilter("always")
        app = importlib.import_module("app")
        result = _told(lambda: _serve_two(app, at_once) if twice else _serve(app))
        log = _ADDRESS.sub("0x", repr(app.LOG))
        tests = tuple(line for name in modules if name != "app" for line in _tests(name))
        app.__dict__.clear()
        lost = _lost(caught)
    return Outcome(result, log, tests, tuple(sorted(lost)))


def _lost(caught: list[warnings.WarningMessage]) -> list[str]:
    """The coroutines that nobody awaited. A warning holds its own, which may hold others."""
    found = []
    while True:
        gc.collect(1)
        if not caught:
            return found
        found += [str(w.message) for w in caught if "was never awaited" in str(w.message)]
        caught.clear()


def _serve(app: ModuleType) -> Any:
    """Calls the view in the way of its framework."""
    if any(cls.__module__.startswith("quart") for cls in type(app.app).__mro__):
        return asyncio.run(app.app.ensure_async(app.view)())
    return app.app.ensure_sync(app.view)()


def _serve_two(app: ModuleType, at_once: bool) -> Any:
    if not at_once:
        return [_serve(app), _serve(app)]
    if inspect.iscoroutinefunction(app.view):

        async def both() -> Any:
            return await asyncio.gather(app.view(), app.view())

        return asyncio.run(both())
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(_serve, app) for _ in "ab"]]


def _told(call: Any) -> str:
    try:
        value = call()
    except Exception as error:
        return f"{type(error).__name__}{error.args!r}"
    return _ADDRESS.sub("0x", repr(value))


def _tests(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    for key, value in sorted(vars(module).items()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(value)
            done = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
            bad = sorted(test.id() for test, _ in [*done.failures, *done.errors])
            yield f"{key}: {done.testsRun} run, {bad} not right"
        elif key.startswith("test") and inspect.isfunction(value):
            yield f"{key}: {_told(lambda: _called(value))}"  # noqa: B023


def _called(function: Any) -> Any:
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@contextmanager
def _modules(files: Mapping[str, bytes]) -> Iterator[Sequence[str]]:
    """Makes the files importable, and only them, under their names."""
    paths = {path for path in files if path.endswith(".py")}
    sources = {module_name(path, paths): (path, files[path]) for path in sorted(paths)}
    packages = {name.rpartition(".")[0] for name in sources} - {""}
    finder = _Finder(sources, packages - sources.keys())
    names = sources.keys() | packages
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield tuple(sources)
    finally:
        sys.meta_path.remove(finder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, sources: Mapping[str, tuple[str, bytes]], packages: set[str]) -> None:
        self._sources = sources
        self._packages = packages

    def find_spec(
        self, fullname: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in self._packages:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        if fullname in self._sources:
            origin = f"/nowhere/{self._sources[fullname][0]}"
            return importlib.util.spec_from_loader(fullname, self, origin=origin)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in self._sources:
            path, data = self._sources[module.__name__]
            module.__file__ = f"/nowhere/{path}"
            exec(compile(data, path, "exec", dont_inherit=True), module.__dict__)
