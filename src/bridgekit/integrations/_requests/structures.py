"""The two mappings of requests' public API: case-insensitive headers and status-code names."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TypeVar, overload

_T = TypeVar("_T")


class _Items(ItemsView[str, Any]):
    """The items, without a look-up for each."""

    _mapping: CaseInsensitiveDict

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._mapping._store.values())


@lru_cache(maxsize=1024)
def _name_and_key(raw: bytes) -> tuple[str, str]:
    name = raw.decode("latin-1")
    return name, name.lower()


class CaseInsensitiveDict(MutableMapping[str, Any]):
    """A mapping of header names to values that ignores case but remembers it.

    The case of the last assignment of a key is kept and is what goes over the wire. Not
    synchronised: a session's headers are to be changed by one thread at a time.
    """

    __slots__ = ("__weakref__", "_store")

    def __init__(
        self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **kwargs: Any
    ) -> None:
        self._store: dict[str, tuple[str, Any]] = {}
        if isinstance(data, CaseInsensitiveDict):
            self._store.update(data._store)
            data = None
        if data or kwargs:
            self.update({} if data is None else data, **kwargs)

    @classmethod
    def from_wire(cls, pairs: Iterable[tuple[bytes, bytes]]) -> CaseInsensitiveDict:
        """Build response headers: bytes are latin-1, repeated names are joined with ``", "``."""
        self = cls.__new__(cls)
        store: dict[str, tuple[str, Any]] = {}
        for raw_name, raw_value in pairs:
            name, key = _name_and_key(raw_name)
            value = raw_value.decode("latin-1")
            known = store.get(key)
            store[key] = (name, value) if known is None else (known[0], f"{known[1]}, {value}")
        self._store = store
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        self._store[key.lower()] = (key, value)

    def __getitem__(self, key: str) -> Any:
        return self._store[key.lower()][1]

    def __delitem__(self, key: str) -> None:
        del self._store[key.lower()]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._store

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._store.values())

    def get(self, key: str, default: Any = None) -> Any:
        pair = self._store.get(key.lower())
        return default if pair is None else pair[1]

    def items(self) -> ItemsView[str, Any]:
        return _Items(self)

    def copy_into(self, other: CaseInsensitiveDict, is_sound: Callable[[str, str], bool]) -> bool:
        """Add all items to *other*, as they are kept; False at the first that is not sound.

        What is no pair of plain strings is not sound. Some items may have been added then.
        """
        store = other._store
        for key, pair in self._store.items():
            if not (type(pair[0]) is str and type(pair[1]) is str and is_sound(*pair)):
                return False
            store[key] = pair
        return True

    def has_none(self) -> bool:
        """Tell whether one of the values is None."""
        for pair in self._store.values():  # noqa: SIM110  # a generator costs more than the loop
            if pair[1] is None:
                return True
        return False

    def __len__(self) -> int:
        return len(self._store)

    def lower_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over (lower-cased name, value)."""
        return ((key, pair[1]) for key, pair in self._store.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.lower_items()) == dict(CaseInsensitiveDict(other).lower_items())

    __hash__ = None  # type: ignore[assignment]  # mutable, as in requests

    def copy(self) -> CaseInsensitiveDict:
        return CaseInsensitiveDict(self)

    def __repr__(self) -> str:
        return str(dict(self.items()))

    def __getstate__(self) -> dict[str, tuple[str, Any]]:
        return self._store

    def __setstate__(self, state: dict[str, tuple[str, Any]]) -> None:
        self._store = state


class LookupDict(dict[str, Any]):
    """Names looked up as attributes or keys; an unknown key gives None, as in requests."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        super().__init__()

    def __repr__(self) -> str:
        return f"<lookup '{self.name}'>"

    def __getattr__(self, key: str) -> Any:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")

    def __getitem__(self, key: str) -> Any:
        return self.__dict__.get(key, None)

    @overload
    def get(self, key: str, default: None = None, /) -> Any | None: ...
    @overload
    def get(self, key: str, default: _T, /) -> Any | _T: ...
    def get(self, key: str, default: Any = None, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.__dict__.get(key, default)
