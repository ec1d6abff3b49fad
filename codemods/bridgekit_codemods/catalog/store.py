"""Finds catalog files and reads them when a name of their library is first asked for.

A file is named like the prefix of the names in it: `requests.toml`, `google.cloud.storage.toml`.
All files of one top-level package are read together. What a user adds comes after the built-in
data, and the program's own settings after what installed packages add; the later one wins, name by
name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bridgekit_codemods.catalog.effect import Blocking, Callback, Calls, Library, Wildcard
from bridgekit_codemods.catalog.schema import (
    CatalogError,
    Table,
    check_types,
    parse,
    read_library,
    renamed,
)

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SUFFIX = ".toml"


class Extension(NamedTuple):
    """One library as somebody else describes it; `origin` says where, for messages."""

    library: str
    table: Table
    origin: str


class Store:
    """The merged tables of all libraries that were asked for so far.

    Look-ups call `need` first. Reading twice gives the same, so threads need no lock.
    """

    def __init__(self, extensions: Iterable[Extension] = ()) -> None:
        self.aliases: dict[str, str] = {}
        self.bases: dict[str, tuple[str, ...]] = {}
        self.returns: dict[str, str] = {}
        self.attributes: dict[str, str] = {}
        self.objects: dict[str, str] = {}
        self.providers: dict[str, frozenset[str]] = {}
        self.hooks: dict[str, frozenset[str]] = {}
        self.classes: set[str] = set()
        self.coroutines: set[str] = set()
        self.blocks: dict[str, Blocking] = {}
        self.wildcards: dict[str, Wildcard] = {}
        self.callbacks: dict[str, Callback] = {}
        self.calls: dict[str, Calls] = {}
        self.at: dict[str, str] = {}
        self._extensions: dict[str, list[Extension]] = {}
        for extension in extensions:
            root = extension.library.partition(".")[0]
            self._extensions.setdefault(root, []).append(extension)
        self._known: set[str] = set()
        self._read: dict[str, Library] = {}

    def need(self, dotted: str) -> None:
        """Have the data of the top-level package of `dotted` at hand."""
        root = dotted.partition(".")[0]
        if root not in self._known:
            for library in self._libraries(root):
                self._merge(library)
            self._known.add(root)

    def libraries(self) -> tuple[Library, ...]:
        """All libraries, sorted by name; a library appears again for everybody who adds to it."""
        found = [lib for root in sorted({*_roots(), *self._extensions})
                 for lib in self._libraries(root)]  # fmt: skip
        return tuple(sorted(found, key=lambda library: library.name))

    def fingerprint(self) -> str:
        """Changes whenever an answer may: for whoever keeps what was computed from answers."""
        import hashlib

        digest = hashlib.sha256()
        for name, file in sorted(_files().items()):
            digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
        for extensions in self._extensions.values():
            for extension in extensions:
                digest.update(f"{extension.library}\0{extension.table!r}\0".encode())
        return digest.hexdigest()

    def _libraries(self, root: str) -> Iterator[Library]:
        for name in _roots().get(root, ()):
            yield self._built_in(name)
        for extension in self._extensions.get(root, ()):
            library = read_library(extension.library, _without_like(extension), extension.origin)
            check_types(library)
            yield library

    def _built_in(self, name: str) -> Library:
        library = self._read.get(name)
        if library is None:
            text = _files()[name].read_text(encoding="utf-8")
            library = self._read[name] = _read(name, text)
        return library

    def _merge(self, library: Library) -> None:
        self.aliases.update(library.aliases)
        self.bases.update(library.bases)
        self.returns.update(dict.fromkeys(library.coroutines, "coroutine[Unknown]"))
        self.returns.update(library.returns)
        self.attributes.update(library.attributes)
        self.objects.update(library.objects)
        self.providers.update(library.providers)
        self.hooks.update(library.hooks)
        self.coroutines |= library.coroutines
        self.blocks.update(library.blocks)
        self.wildcards.update(library.wildcards)
        self.callbacks.update(library.callbacks)
        self.calls.update(library.calls)
        self.at.update(library.at)
        self.classes |= library.classes
        for table in (library.returns, library.attributes, library.blocks, library.hooks,
                      library.bases):  # fmt: skip
            for dotted in table:
                for name in (dotted, dotted.rpartition(".")[0]):
                    if name.rpartition(".")[2][:1].isupper():
                        self.classes.add(name)


def _read(name: str, text: str) -> Library:
    origin = f"{name}{SUFFIX}"
    table = parse(text, origin)
    like = table.get("like")
    if like is None:
        return read_library(name, table, origin)
    if like not in _files():
        raise CatalogError(origin, "like", f"there is no {like}{SUFFIX}", "name another library")
    model = renamed(_files()[like].read_text(encoding="utf-8"), like, name)
    return read_library(name, table, origin, read_library(name, parse(model, origin), origin))


def _without_like(extension: Extension) -> Table:
    """The table of an extension.

    Raises:
        CatalogError: it says `like`, which only built-in files may: it would hide built-in data.
    """
    if "like" in extension.table:
        raise CatalogError(extension.origin, "like", "only built-in files may say so", "remove it")
    return extension.table


_FILES: dict[str, Traversable] = {}
_ROOTS: dict[str, list[str]] = {}


def _folder() -> Traversable:
    folder = Path(__file__).with_name("data")
    if folder.is_dir():
        return folder
    from importlib import resources  # an archive; the import costs more than the data

    return resources.files("bridgekit_codemods.catalog") / "data"


def _files() -> dict[str, Traversable]:
    """The built-in files by the prefix of the names in them."""
    if not _FILES:
        found = {file.name.removesuffix(SUFFIX): file for file in _folder().iterdir()
                 if file.name.endswith(SUFFIX)}  # fmt: skip
        _FILES.update(sorted(found.items()))
    return _FILES


def _roots() -> dict[str, list[str]]:
    if not _ROOTS:
        found: dict[str, list[str]] = {}
        for name in _files():
            found.setdefault(name.partition(".")[0], []).append(name)
        _ROOTS.update(found)
    return _ROOTS
