"""anyio's thread modules replaced by adapters onto this library.

anyio imports ``anyio.to_thread`` while it is itself being imported, so the adapters are found by
an import hook. All of it is loaded here, before pytest puts its own hook first.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

_ADAPTERS = {"anyio.to_thread": "anyio_to_thread", "anyio.from_thread": "anyio_from_thread"}


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        adapter = _ADAPTERS.get(fullname)
        if adapter is None:
            return None
        found = importlib.util.find_spec(adapter)
        assert found is not None
        assert found.origin is not None
        return importlib.util.spec_from_file_location(fullname, found.origin)


def replace_anyio() -> Iterator[tuple[str, str]]:
    """Replace the modules and say which file each comes from now."""
    sys.meta_path.insert(0, _Finder())
    anyio = importlib.import_module("anyio")
    # The tests bound an own limiter: the engine's is safe across loops, anyio's is not.
    from bridgekit import CapacityLimiter

    anyio.CapacityLimiter = CapacityLimiter  # type: ignore[attr-defined]
    for name, adapter in _ADAPTERS.items():
        module = importlib.import_module(name)
        assert module.__file__ is not None
        assert adapter in module.__file__
        yield name, adapter
