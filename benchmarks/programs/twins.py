"""A migrated program held against the async twin that its maintainers keep by hand."""

from __future__ import annotations

from dataclasses import dataclass

from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program import Function, Program


@dataclass(frozen=True)
class Twins:
    """Functions by name, without the package: `sessions.Session.request`.

    both    async in both
    theirs  async in the twin alone, each with what keeps it sync after the migration
    ours    async after the migration alone
    new     async, and only the twin has it
    """

    both: tuple[str, ...]
    theirs: tuple[tuple[str, str], ...]
    ours: tuple[str, ...]
    new: tuple[str, ...]


def compare(
    migrated: Program, package: str, twin: Program, other: str, reasons: dict[str, str]
) -> Twins:
    """Compare the functions of two packages by their names within them.

    `reasons` are those for which functions of the migrated program stay sync, by qualified name.
    """
    colours = migrated.derived(Colours)
    own = _named(migrated, package)
    is_async = {name for name, function in own.items() if colours.native(function)}
    twins = _named(twin, other)
    by_hand = {_as_sync(name) for name, function in twins.items() if function.is_async}
    left = sorted((by_hand & own.keys()) - is_async)
    return Twins(
        both=tuple(sorted(by_hand & is_async)),
        theirs=tuple((name, _reason(colours, own[name], reasons)) for name in left),
        ours=tuple(sorted(is_async - by_hand)),
        new=tuple(sorted(by_hand - own.keys())),
    )


def _named(program: Program, package: str) -> dict[str, Function]:
    """The functions of a package; those that a migration split under their first name."""
    return {
        name.removeprefix(f"{package}.").removesuffix(TWIN_SUFFIX): function
        for name, function in sorted(program.functions.items(), reverse=True)
        if name.startswith(f"{package}.") and not program.files[function.path].is_test
    }


def _as_sync(name: str) -> str:
    """`__aenter__` stands for `__enter__`."""
    head, dot, last = name.rpartition(".")
    if last.startswith("__a") and last in ("__aenter__", "__aexit__", "__aiter__", "__anext__"):
        last = f"__{last.removeprefix('__a')}"
    return f"{head}{dot}{last}"


def _reason(colours: Colours, function: Function, reasons: dict[str, str]) -> str:
    if function.qualname in reasons:
        return reasons[function.qualname]
    if not colours.blocks(function):
        return "waits for nothing after the migration"
    return "something that it calls stays sync"
