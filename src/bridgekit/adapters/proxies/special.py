"""Special methods of a proxy that are the target's own, and those that change their names."""

from __future__ import annotations

from typing import Any

from bridgekit.adapters.proxies.rules import Colour

__all__ = ["PASSED_ON", "PROTOCOL", "passed_on"]

# Special methods that return at once on either side: passed on, arguments taken out of their
# proxies and results put into theirs.
_PASSED_ON = """
    len length_hint bool contains getitem setitem delitem missing reversed lt le gt ge
    int float complex index bytes fspath neg pos abs invert round trunc floor ceil
    add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or
    radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand rxor ror
    iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior
"""
PASSED_ON = frozenset(f"__{name}__" for name in _PASSED_ON.split())

# Sorted by colour: name of the special method on the target, and what it becomes.
PROTOCOL: dict[Colour, dict[str, str]] = {
    "async": {"__enter__": "__aenter__", "__exit__": "__aexit__"},
    "sync": {"__aenter__": "__enter__", "__aexit__": "__exit__"},
}


def passed_on(name: str) -> Any:
    """The special method ``name`` for a proxy class."""

    def method(self: Any, *args: Any) -> Any:
        family = type(self)._bridgekit_family
        bound = getattr(self._bridgekit_target, name)
        return family.adopt(bound(*[family.release(arg) for arg in args]), self)

    method.__name__ = name
    return method
