"""Put the drop-in in the place of asgiref's modules, for Django, Flask and whatever else uses them.

Two things are replaced: the modules themselves in ``sys.modules``, which serves every import from
then on, and the names that loaded modules have already imported. Functions that were decorated
before stay with the original; the two work together (see ``original``).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from bridgekit.integrations.asgiref import current_thread_executor, local, original, sync

__all__ = ["Replaced", "install", "uninstall"]

_PACKAGE = "asgiref"
_MODULES: dict[str, ModuleType] = {
    "asgiref.sync": sync,
    "asgiref.local": local,
    "asgiref.current_thread_executor": current_thread_executor,
}
# What user code imports from them. Not the tests for coroutine functions: on Python 3.12 and later
# they are the standard library's own, which is meant wherever they are found.
_NAMES: dict[str, tuple[str, ...]] = {
    "asgiref.sync": (
        "AsyncSingleThreadContext",
        "AsyncToSync",
        "SyncToAsync",
        "ThreadSensitiveContext",
        "async_to_sync",
        "sync_to_async",
    ),
    "asgiref.local": ("Local",),
    "asgiref.current_thread_executor": ("CurrentThreadExecutor",),
}


@dataclass
class Replaced:
    """What :func:`install` has put the drop-in in place of, in all calls so far."""

    modules: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"replaced modules: {', '.join(self.modules) or 'none'}"]
        lines.append(f"replaced names in loaded modules: {', '.join(self.names) or 'none'}")
        return "\n".join(lines)


@dataclass
class _Change:
    holder: ModuleType
    name: str
    before: object
    after: object


_lock = threading.RLock()
_modules_before: dict[str, ModuleType | None] = {}
_changes: list[_Change] = []
_report = Replaced()


def install() -> Replaced:
    """Replace ``asgiref.sync``, ``asgiref.local`` and ``asgiref.current_thread_executor``.

    Call it as early as possible, before the program's modules are imported: in the settings
    module, in ``wsgi.py``/``asgi.py``, or in a test suite's ``conftest.py``. Calling it again also
    replaces names that have been imported since by roundabout ways; otherwise it does nothing.
    asgiref need not be installed.

    :returns: what has been replaced; its ``str()`` is meant for a log.
    """
    with _lock:
        package = _package()
        for name, module in _MODULES.items():
            if sys.modules.get(name) is not module:
                _replace_module(package, name, module)
        _replace_names()
        return Replaced(list(_report.modules), list(_report.names))


def uninstall() -> None:
    """Undo :func:`install`. Functions decorated meanwhile go on using the drop-in."""
    with _lock:
        for change in reversed(_changes):
            if vars(change.holder).get(change.name) is change.after:
                setattr(change.holder, change.name, change.before)
        _changes.clear()
        for name, before in _modules_before.items():
            if sys.modules.get(name) is _MODULES.get(name, sys.modules.get(name)):
                _put(name, before)
            original.remember(name, None)
        _modules_before.clear()
        _report.modules.clear()
        _report.names.clear()


def _package() -> ModuleType:
    """asgiref itself, or an empty package in its place where it is not installed."""
    package = sys.modules.get(_PACKAGE)
    if package is None:
        if importlib.util.find_spec(_PACKAGE) is not None:
            return importlib.import_module(_PACKAGE)
        package = ModuleType(_PACKAGE, "Only the modules that the drop-in provides.")
        package.__path__ = []
        _modules_before[_PACKAGE] = None
        sys.modules[_PACKAGE] = package
    return package


def _replace_module(package: ModuleType, name: str, module: ModuleType) -> None:
    before = sys.modules.get(name)
    _modules_before.setdefault(name, before)
    original.remember(name, before)
    sys.modules[name] = module
    setattr(package, name.rpartition(".")[2], module)
    if name not in _report.modules:
        _report.modules.append(name)


def _put(name: str, module: ModuleType | None) -> None:
    parent, _, child = name.rpartition(".")
    package = sys.modules.get(parent)
    if module is not None:
        sys.modules[name] = module
        if package is not None:
            setattr(package, child, module)
        return
    sys.modules.pop(name, None)
    if package is not None and child in vars(package):
        delattr(package, child)


def _replace_names() -> None:
    replacements = _replacements()
    if not replacements:
        return
    own = {module.__name__ for module in _MODULES.values()} | set(_MODULES)
    for holder in list(sys.modules.values()):
        if not isinstance(holder, ModuleType) or holder.__name__ in own:
            continue
        for name, value in list(vars(holder).items()):
            found = replacements.get(id(value))
            if found is not None and found[0] is value:
                setattr(holder, name, found[1])
                _changes.append(_Change(holder, name, value, found[1]))
                _report.names.append(f"{holder.__name__}.{name}")


def _replacements() -> dict[int, tuple[object, Any]]:
    """id of an object of the original -> (that object, ours)."""
    found: dict[int, tuple[object, Any]] = {}
    for name, before in _modules_before.items():
        if before is None:
            continue
        found[id(before)] = (before, _MODULES[name])
        for attribute in _NAMES[name]:
            value = vars(before).get(attribute)
            if value is not None:
                found[id(value)] = (value, getattr(_MODULES[name], attribute))
    return found
