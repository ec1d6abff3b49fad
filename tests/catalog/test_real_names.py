"""Every entry of the catalog is held against the signatures of the library that it speaks of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.effect import Library

LIBRARIES = {library.name: library for library in catalog.libraries()}
LOOKER = Path(__file__).with_name("held_against.py")
# Names of the catalog's own: results that have no class of their own.
MADE_UP = ("builtins.generator",)
# Its dependency takes the place of urllib3.
ALONE = ("niquests",)


def owner_of(dotted: str) -> Library | None:
    """The library whose file speaks of that name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        library = LIBRARIES.get(".".join(parts[:cut]))
        if library is not None:
            return library
    return None


def claims(library: Library) -> Iterator[dict[str, str]]:
    """What the file of the library says exists."""

    def claim(part: str, dotted: str, kind: str = "any", parameter: str = "") -> dict[str, str]:
        return {"where": f"{library.origin}: {part}", "name": catalog.importable(dotted),
                "kind": kind, "parameter": parameter}  # fmt: skip

    if library.unchecked:
        return
    for dotted, blocking in library.blocks.items():
        effect = catalog.blocking(dotted) or catalog.suspected(dotted)
        yield claim("blocks", dotted, effect.kind if effect else "any", blocking.timeout or "")
    for dotted in library.wildcards:
        yield claim("blocks", dotted, "class")
    for dotted in library.returns.keys() - library.past:
        yield claim("returns", dotted)
    for dotted in library.at.values():
        yield claim("at", dotted)
    for dotted in library.aliases.values():
        if owner_of(dotted) is library:
            yield claim("aliases", dotted)
    for dotted in library.coroutines:
        yield claim("coroutines", dotted, "coroutine")
    for dotted, callback in library.callbacks.items():
        yield claim("callbacks", dotted, "any", callback.parameter)
    for part in (library.hooks, library.bases, library.classes):
        for dotted in part:
            yield claim("classes", dotted, "class")
    for dotted in library.objects:
        yield claim("objects", dotted)


def twins(library: Library) -> Iterator[dict[str, str]]:
    """What the file says of the async counterparts."""
    for dotted in library.blocks:
        effect = catalog.blocking(dotted) or catalog.suspected(dotted)
        if effect is not None and effect.twin is not None:
            yield {"where": f"{library.origin}: twin of {dotted}",
                   "name": catalog.importable(effect.twin), "kind": "any"}  # fmt: skip


def wrong(python: str, found: Iterable[dict[str, str]]) -> list[str]:
    """What does not hold in the environment of that interpreter."""
    asked = [c for c in found if not c["name"].startswith(MADE_UP)]
    answer = subprocess.run(
        [python, "-W", "ignore", str(LOOKER)], input=json.dumps(asked), text=True,
        capture_output=True, timeout=110, check=True,
    )  # fmt: skip
    problems: list[str] = json.loads(answer.stdout.splitlines()[-1])
    return problems


def installed(library: Library | None) -> bool:
    """Whether the tests' own environment has it; all have the standard library."""
    if library is None or not library.distribution:
        return library is not None
    try:
        metadata.version(library.distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


HERE = [library for library in LIBRARIES.values() if installed(library)]


def test_the_catalog_is_as_wide_as_it_says() -> None:
    blocking = {
        library.name: sum(1 for entry in library.blocks.values() if entry.on is not None)
        for library in LIBRARIES.values()
    }
    assert sum(blocking.values()) >= 1500
    assert sum(1 for count in blocking.values() if count) >= 40


def test_what_is_installed_here_has_the_names() -> None:
    assert {"requests", "sqlalchemy", "flask", "sqlite3", "socket"} <= {lib.name for lib in HERE}
    assert wrong(sys.executable, (c for library in HERE for c in claims(library))) == []


def test_the_async_twins_that_are_installed_here_exist() -> None:
    found = [t for library in LIBRARIES.values() for t in twins(library)]
    here = [t for t in found if installed(owner_of(t["name"]))]
    assert len(here) > 100
    assert wrong(sys.executable, here) == []


def test_every_twin_is_of_a_library_that_the_catalog_knows() -> None:
    strangers = [t for library in LIBRARIES.values() for t in twins(library)
                 if owner_of(t["name"]) is None]  # fmt: skip
    assert strangers == []


def test_every_distribution_has_the_version_it_was_checked_with() -> None:
    pins: dict[str, set[str]] = {}
    for library in LIBRARIES.values():
        if library.distribution and not library.unchecked:
            pins.setdefault(library.distribution, set()).add(library.checked)
    assert {name: versions for name, versions in pins.items()
            if len(versions) != 1 or "" in versions} == {}  # fmt: skip


def test_a_name_that_does_not_exist_is_seen() -> None:
    def claim(name: str, kind: str, parameter: str = "") -> dict[str, str]:
        return {"where": "here", "name": name, "kind": kind, "parameter": parameter}

    good = [claim("queue.Queue.get", "method", "timeout"), claim("queue.Queue", "constructor"),
            claim("pathlib.Path.name", "property"), claim("os.listdir", "function")]  # fmt: skip
    bad = [claim("queue.Queue.fetch", "method"), claim("no_such_module.x", "function"),
           claim("queue.Queue.get", "method", "patience"), claim("queue.Queue", "function"),
           claim("pathlib.Path.exists", "property")]  # fmt: skip
    assert wrong(sys.executable, good) == []
    assert len(wrong(sys.executable, bad)) == len(bad)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(350)
@pytest.mark.parametrize("alone", [(), *((name,) for name in ALONE)])
def test_pinned_libraries_have_the_names_and_the_twins(
    alone: tuple[str, ...], tmp_path: Path
) -> None:
    chosen = [
        library
        for library in LIBRARIES.values()
        if library.distribution
        and not library.unchecked
        and (library.name in alone if alone else library.name not in ALONE)
    ]
    pins = sorted({f"{library.distribution}=={library.checked}" for library in chosen})
    python = environment(tmp_path / "environment", pins)
    assert wrong(python, (c for library in chosen for c in claims(library))) == []
    assert wrong(python, (t for library in chosen for t in twins(library))) == []


def environment(path: Path, pins: list[str]) -> str:
    """The interpreter of a new environment with these distributions."""
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True, timeout=60)
    python = str(path / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    reached = subprocess.run(
        [*pip, "download", "--no-deps", "--dest", str(path / "reached"), pins[0]],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "connection broken by" in reached.stderr:
        pytest.skip(f"the package index cannot be reached: {reached.stderr.strip()[-200:]}")
    assert reached.returncode == 0, reached.stderr[-2000:]
    done = subprocess.run(
        [*pip, "install", "--no-compile", "--only-binary", ":all:", *pins],
        capture_output=True, text=True, timeout=290, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return python
