"""What users add to the catalog: in the program's pyproject.toml, and by entry points of packages.

docs/catalog.md shows both. The order is that of precedence: packages first, then the files that
pyproject.toml names, then its own tables; the later one wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bridgekit_codemods.catalog.schema import CatalogError, Table, parse
from bridgekit_codemods.catalog.store import SUFFIX, Extension

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

GROUP = "bridgekit.catalog"
_SETTINGS = "pyproject.toml"
_SECTION = "tool.bridgekit.catalog"


def extensions(root: Path, settings: bytes = b"") -> tuple[Extension, ...]:
    """What installed packages and the program below `root` add, the strongest last.

    `settings` are the bytes of the program's pyproject.toml. The program is not run; a package with
    an entry point of the group is imported, not its submodules.

    Raises:
        CatalogError: something is missing or is not TOML. The tables are checked by `catalog.use`.
    """
    return (*of_packages(), *of_program(root, settings))


def of_packages() -> Iterator[Extension]:
    """The catalog files of installed packages, by the name of the distribution."""
    # `metadata.entry_points` parses those of every distribution, which takes five times as long.
    found = [
        (dist.name, point)
        for dist in metadata.distributions()
        if GROUP in (dist.read_text("entry_points.txt") or "")
        for point in dist.entry_points
        if point.group == GROUP
    ]
    for name, point in sorted(found, key=lambda item: (item[0], item[1].name)):
        yield from _of_package(point.value, f"entry point {point.name!r} of {name}")


def _of_package(package: str, origin: str) -> Iterator[Extension]:
    from importlib import resources

    try:
        folder = resources.files(package)
        files = sorted(folder.iterdir(), key=lambda file: file.name)
    except Exception as error:  # whatever importing somebody's package raises
        raise CatalogError(
            origin,
            package,
            f"cannot be imported as a package ({type(error).__name__}: {error})",
            "name a package that holds catalog files",
        ) from error
    files = [file for file in files if file.name.endswith(SUFFIX)]
    if not files:
        raise CatalogError(origin, package, "holds no .toml file", "add one, or drop the entry")
    for file in files:
        yield _from_file(file, f"{origin}: {file.name}")


def of_program(root: Path, settings: bytes) -> Iterator[Extension]:
    """What the section [tool.bridgekit.catalog] of the program's pyproject.toml adds."""
    if b"bridgekit" not in settings:
        return
    section: object = parse(settings.decode("utf-8", "replace"), _SETTINGS)
    for key in _SECTION.split("."):
        section = section.get(key, {}) if isinstance(section, dict) else None
    if not isinstance(section, dict):
        raise CatalogError(_SETTINGS, _SECTION, "is no table", f"write it as [{_SECTION}]")
    files = section.get("files", [])
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise CatalogError(
            _SETTINGS, f"{_SECTION}.files", "is no list of paths", 'write ["catalog/acme.toml"]'
        )
    for name in files:
        path = root / name
        if path.suffix != SUFFIX or not path.is_file():
            raise CatalogError(
                _SETTINGS,
                f"{_SECTION}.files",
                f"there is no file {name!r} ending in {SUFFIX}",
                "give paths relative to pyproject.toml",
            )
        yield _from_file(path, name)
    for library, table in section.items():
        if library == "files":
            continue
        origin = f"{_SETTINGS}: {_SECTION}.{library}"
        if not isinstance(table, dict):
            raise CatalogError(origin, "", "is no table", f"write it as [{_SECTION}.{library}]")
        yield Extension(library, table, origin)


def _from_file(file: Traversable, origin: str) -> Extension:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(
            origin, "", f"cannot be read: {error}", "make it a UTF-8 file"
        ) from error
    table: Table = parse(text, origin)
    return Extension(file.name.removesuffix(SUFFIX), table, origin)
