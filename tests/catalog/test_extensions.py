"""What users add to the catalog: where it is read from, which of two wins, and what is refused."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgekit.cli.app import app
from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.extensions import extensions
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program import Program

SETTINGS = b"""
[tool.bridgekit.catalog.acme]
title = "Acme"
bases = { "acme.FastClient" = "acme.Client" }
blocks = [
    { on = "http", of = "acme.Client", names = "fetch send", twin = "acme.AsyncClient.{name}" },
    { on = "cache", names = "warm", confidence = "guess" },
]

[tool.bridgekit.catalog.acme.returns."acme"]
connect = "acme.Client"
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    catalog.use(())


def blocks(dotted: str) -> str | None:
    effect = catalog.blocking(dotted)
    return effect.blocks if effect is not None else None


def write_package(root: Path, name: str, group: str, files: dict[str, str]) -> None:
    """An installed distribution that offers catalog files by an entry point."""
    package = root / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for file, text in files.items():
        (package / file).write_text(text)
    info = root / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nown = {name}\n")


def acme(on: str) -> str:
    return f'[[blocks]]\non = "{on}"\nof = "acme.Client"\nnames = "fetch"\n'


def test_tables_of_the_program(tmp_path: Path) -> None:
    assert catalog.blocking("acme.Client.fetch") is None
    catalog.use(extensions(tmp_path, SETTINGS))
    effect = catalog.blocking("acme.FastClient.fetch")
    assert effect is not None
    assert (effect.blocks, effect.twin) == ("http", "acme.AsyncClient.fetch")
    assert catalog.blocking("acme.warm") is None
    assert catalog.suspected("acme.warm") is not None
    assert catalog.returns("acme.connect") == "acme.Client"
    assert blocks("requests.get") == "http"


def test_the_colours_of_a_program_follow(tmp_path: Path) -> None:
    source = b"import acme\ndef f():\n    acme.connect().fetch()\ndef g():\n    acme.warm()\n"
    before = Colours(Program.load({"app.py": source}))
    assert before.blocks(before.program.functions["app.f"]) == frozenset()
    catalog.use(extensions(tmp_path, SETTINGS))
    after = Colours(Program.load({"app.py": source}))
    assert after.blocks(after.program.functions["app.f"]) == {"http"}
    assert after.blocks(after.program.functions["app.g"]) == frozenset()


def test_files_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "acme.toml").write_text(acme("db"))
    settings = b'[tool.bridgekit.catalog]\nfiles = ["known/acme.toml"]\n'
    catalog.use(extensions(tmp_path, settings))
    assert blocks("acme.Client.fetch") == "db"


def test_the_programs_tables_win_over_its_files_and_these_over_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(
        tmp_path / "site", "acme_catalog", "bridgekit.catalog", {"acme.toml": acme("mail")}
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    catalog.use(extensions(tmp_path))
    assert blocks("acme.Client.fetch") == "mail"
    (tmp_path / "acme.toml").write_text(acme("db"))
    files = b'[tool.bridgekit.catalog]\nfiles = ["acme.toml"]\n'
    catalog.use(extensions(tmp_path, files))
    assert blocks("acme.Client.fetch") == "db"
    catalog.use(extensions(tmp_path, files + SETTINGS))
    assert blocks("acme.Client.fetch") == "http"


def test_a_program_corrects_what_is_built_in(tmp_path: Path) -> None:
    settings = b"""
    [[tool.bridgekit.catalog.requests.blocks]]
    on = "nothing"
    of = "requests.Session"
    names = "get"
    [[tool.bridgekit.catalog.redis.blocks]]
    on = "db"
    of = "redis.Redis"
    names = "get"
    """
    catalog.use(extensions(tmp_path, settings))
    assert blocks("requests.Session.get") is None
    assert blocks("requests.Session.post") == "http"
    assert blocks("redis.Redis.get") == "db"
    assert blocks("redis.Redis.set") == "cache"
    catalog.use(())
    assert blocks("requests.Session.get") == "http"


def test_other_settings_are_not_read(tmp_path: Path) -> None:
    assert extensions(tmp_path, b"[project]\nname = 'x'\n") == ()
    assert extensions(tmp_path, b"not TOML at all") == ()
    assert extensions(tmp_path, b"[tool.bridgekit]\nother = 1\n") == ()


def test_the_fingerprint_follows_what_is_added(tmp_path: Path) -> None:
    plain = catalog.fingerprint()
    assert catalog.fingerprint() == plain
    catalog.use(extensions(tmp_path, SETTINGS))
    added = catalog.fingerprint()
    assert added != plain
    catalog.use(extensions(tmp_path, SETTINGS.replace(b"warm", b"heat")))
    assert catalog.fingerprint() not in (plain, added)


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        ("blocks = 3", "blocks", "no array of tables"),
        ("blocks = [3]", "blocks[0]", "is no table"),
        ("blocks = [{names = 'f'}]", "blocks[0].on", "one of http, db"),
        ("blocks = [{on = 'web', names = 'f'}]", "blocks[0].on", "is 'web'"),
        ("blocks = [{on = 'db'}]", "blocks[0].names", "is missing"),
        ("blocks = [{on = 'db', names = 3}]", "blocks[0].names", "no list of names"),
        ("blocks = [{on = 'db', name = 'f'}]", "blocks[0].name", "no such key"),
        ("blocks = [{on = 'db', names = 'f', of = 'other.C'}]", "blocks[0].of", "not below 'acme'"),
        ("blocks = [{on = 'db', names = 'f', rule = 'X1'}]", "blocks[0].rule", "such as BK240"),
        ("blocks = [{on = 'db', names = 'f', twin = 'a b'}]", "blocks[0].twin", "dotted name"),
        ("blocks = [{on = 'db', names = 'f', kind = 'verb'}]", "blocks[0].kind", "one of function"),
        ("blocks = [{on = 'db', names = 'f', timeout = 3}]", "blocks[0].timeout", "write a string"),
        ("blocks = [{on = 'db', names = 'f', except = 'g'}]", "blocks[0]", "without names = '*'"),
        (
            "blocks = [{on = 'db', names = 'f', confidence = 'guess', rule = 'BK240'}]",
            "blocks[0]",
            "nothing is rewritten on a guess",
        ),
        ("callbacks = [{names = 'f'}]", "callbacks[0].runs", "is missing"),
        ("callbacks = [{names = 'f', runs = 'later', awaits = 1}]", "callbacks[0].awaits", "true"),
        ("speed = 3", "speed", "no such key"),
        ("like = 'requests'", "like", "only built-in files"),
        ("returns = 3", "returns", "is no table"),
        ("returns = {acme = 3}", "returns.'acme'", "is no table"),
        ("returns = {acme = {f = 3}}", "returns.'acme'.'f'", "type expression"),
        ("returns = {acme = {f = 'list['}}", "returns: acme.f", "no type expression"),
        ("aliases = {'acme.x' = 'a b'}", "aliases.'acme.x'", "no dotted name"),
        ("aliases = {'requests.x' = 'acme.x'}", "aliases.'requests.x'", "not below 'acme'"),
        ("title = 3", "title", "write a string"),
        ("cloud = {blocks = []}", "cloud", "no such key"),
    ],
)
def test_bad_data_is_one_clear_error(tmp_path: Path, table: str, key: str, said: str) -> None:
    settings = f"[tool.bridgekit.catalog.acme]\n{table}\n".encode()
    with pytest.raises(catalog.CatalogError) as caught:
        catalog.use(extensions(tmp_path, settings))
    message = str(caught.value)
    assert message.startswith(f"pyproject.toml: tool.bridgekit.catalog.acme: {key}: ")
    assert said in message
    assert "\n" not in message
    assert blocks("requests.get") == "http"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (b"[tool.bridgekit.catalog]\nfiles = 3\n", "files: is no list of paths"),
        (b"[tool.bridgekit.catalog]\nfiles = ['no.toml']\n", "there is no file 'no.toml'"),
        (b"[tool.bridgekit.catalog]\nacme = 3\n", "tool.bridgekit.catalog.acme: is no table"),
        (b"[tool.bridgekit]\ncatalog = 3\n", "tool.bridgekit.catalog: is no table"),
        (b"[tool.bridgekit.catalog]\n'a b' = {}\n", "'a b' is no dotted name"),
        (b"[tool.bridgekit.catalog\n", "pyproject.toml: not valid TOML"),
    ],
)
def test_a_bad_section_is_one_clear_error(tmp_path: Path, settings: bytes, said: str) -> None:
    with pytest.raises(catalog.CatalogError):
        catalog.use(extensions(tmp_path, settings))
    result = scan(tmp_path, settings)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("on = ", "acme.toml: not valid TOML"), ("x = 1", "acme.toml: x: there is no such key")],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "acme.toml").write_text(text)
    result = scan(tmp_path, b'[tool.bridgekit.catalog]\nfiles = ["acme.toml"]\n')
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no .toml file"),
        ({"acme.toml": "x = 1"}, "acme.toml: x: there is no such key"),
        ({"acme.toml": acme("db"), "__init__.py": "raise ValueError('no')"}, "cannot be imported"),
    ],
)
def test_a_bad_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], said: str
) -> None:
    name = f"acme_bad_{len(said)}"
    write_package(tmp_path / "site", name, "bridgekit.catalog", files)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    (tmp_path / "program").mkdir()
    result = scan(tmp_path / "program", b"")
    assert result.exit_code == 2
    assert f"entry point 'own' of {name}" in result.stderr
    assert said in result.stderr


def test_scan_uses_what_the_program_adds(tmp_path: Path) -> None:
    result = scan(tmp_path, SETTINGS)
    assert "acme.Client.fetch" in result.stdout
    assert "acme.Client.fetch" not in scan(tmp_path, b"").stdout


def scan(root: Path, settings: bytes) -> Result:
    (root / "app.py").write_text("import acme\n\ndef f():\n    acme.connect().fetch()\n")
    (root / "pyproject.toml").write_bytes(settings)
    return CliRunner().invoke(app, ["scan", str(root), "--json"])


def test_the_command_lists_libraries_and_calls(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(SETTINGS)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["catalog", *arguments, "--program", str(tmp_path)])

    assert "acme" in run().stdout
    listed = run("acme").stdout.splitlines()
    assert listed[0] == "acme.Client.fetch  waits for http  async: acme.AsyncClient.fetch"
    assert listed[2] == "acme.warm  waits for cache  guess"
    assert '"dotted": "time.sleep"' in run("time", "--json").stdout
    unknown = run("acne")
    assert unknown.exit_code == 2
    assert "did you mean acme?" in unknown.stderr
