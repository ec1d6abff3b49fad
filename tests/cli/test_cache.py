"""`scan` and `report` answer from the cache where nothing has changed, and never another answer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import bridgekit_codemods.walk.planner as planning
from bridgekit.cli import keeping
from bridgekit.cli.app import app
from bridgekit.cli.target import open_target
from bridgekit_codemods.cache.store import PLACE

LEGACY = Path(__file__).parents[2] / "examples" / "legacy_app"
SOURCES = {
    "shop/__init__.py": "",
    "shop/clock.py": "import time\n\n\ndef wait():\n    time.sleep(1)\n",
    "shop/views.py": (
        "from flask import Flask, render_template\nfrom shop.clock import wait\n\n"
        "app = Flask(__name__)\n\n\n@app.route('/')\ndef index():\n    wait()\n"
        "    return render_template('page.html', wait=wait)\n"
    ),
    "templates/page.html": "{{ wait() }}",
    "shop/bad.py": "def f(:\n",
    "acme.toml": "",
    "pyproject.toml": "[project]\nname = 'shop'\n",
}
FORMS = {
    "json": ("scan", "--json"),
    "calls": ("scan", "--json", "--calls"),
    "plain": ("scan", "--no-tree"),
    "tree": ("scan", "--tree"),
    "report": ("report",),
    "report-json": ("report", "--json"),
    "report-only": ("report", "--only", "http,sleep"),
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def run(root: Path, form: str, *more: str) -> Result:
    command, *options = FORMS[form]
    arguments = [command, str(root), *options, *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def unplanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is read from now on."""

    def build_planner(**_: object) -> None:
        raise AssertionError("the program was read")

    monkeypatch.setattr(planning, "build_planner", build_planner)


@pytest.mark.parametrize("form", FORMS)
def test_a_second_run_prints_the_same_without_reading_the_program(
    shop: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = run(shop, form, "--no-cache")
    assert not (shop / PLACE).exists()
    first = run(shop, form)
    unplanned(monkeypatch)
    second = run(shop, form)
    assert anew.exit_code == first.exit_code == second.exit_code == 3
    assert anew.stdout == first.stdout == second.stdout
    assert "shop/bad.py" in second.stdout
    with pytest.raises(AssertionError, match="was read"):
        run(shop, form, "--no-cache")


@pytest.mark.parametrize("form", ["json", "report"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shop/clock.py", "def wait():\n    pass\n"),
        ("shop/clock.py", SOURCES["shop/clock.py"] + "\n"),
        ("shop/new.py", "import shop.clock\n"),
        ("shop/bad.py", "def f(): pass\n"),
        ("templates/page.html", "{{ 1 }}"),
        ("pyproject.toml", "[tool.bridgekit]\nkeep = ['shop.clock.*']\n"),
    ],
)
def test_after_a_change_the_program_is_read(
    shop: Path, form: str, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shop, form)
    (shop / name).write_text(text)
    expected = run(shop, form, "--no-cache")
    changed = run(shop, form)
    assert (changed.exit_code, changed.stdout) == (expected.exit_code, expected.stdout)
    unplanned(monkeypatch)
    assert run(shop, form).stdout == expected.stdout


def test_what_the_program_adds_to_the_catalog_counts(shop: Path) -> None:
    (shop / "pyproject.toml").write_text("[tool.bridgekit.catalog]\nfiles = ['acme.toml']\n")
    assert json.loads(run(shop, "json").stdout)["colours"]["blocking"] == 2
    # no Python file, no template and no settings
    (shop / "acme.toml").write_text("[[blocks]]\non = 'http'\nnames = 'get'\n")
    (shop / "shop/clock.py").write_text("import acme\n\n\ndef wait():\n    acme.get()\n")
    first = run(shop, "json")
    (shop / "acme.toml").write_text("[[blocks]]\non = 'http'\nnames = 'put'\n")
    second = run(shop, "json")
    assert json.loads(first.stdout)["colours"]["blocking"] == 2
    assert json.loads(second.stdout)["colours"]["blocking"] == 0


def test_the_limits_of_a_report_have_answers_of_their_own(shop: Path) -> None:
    (shop / "shop/bad.py").unlink()
    for form in ("report", "report-only", "report"):
        assert run(shop, form).stdout == run(shop, form, "--no-cache").stdout


def test_what_is_damaged_is_one_line_on_standard_error(shop: Path) -> None:
    command = [sys.executable, "-m", "bridgekit.cli", "scan", "--json", str(shop)]
    first = subprocess.run(command, capture_output=True, check=False)
    (survey,) = (shop / PLACE).glob("survey-*")
    survey.write_bytes(survey.read_bytes()[:-1])
    second = subprocess.run(command, capture_output=True, check=False)
    third = subprocess.run(command, capture_output=True, check=False)
    assert first.stdout == second.stdout == third.stdout
    assert [len(done.stderr.splitlines()) for done in (first, second, third)] == [0, 1, 0]
    assert survey.name.encode() in second.stderr


class Edits:
    """Random edits of a program: statements, names, imports, whole files, and back again."""

    def __init__(self, sources: dict[str, str], seed: int) -> None:
        self.chance = random.Random(seed)
        self.sources = dict(sources)
        self.past = [dict(sources)]

    def next(self) -> dict[str, str]:
        kind = self.chance.choice(
            (
                "drop",
                "double",
                "swap",
                "rename",
                "comment",
                "remove",
                "add",
                "move",
                "break",
                "undo",
            )
        )
        names = sorted(name for name in self.sources if name.endswith(".py"))
        name = self.chance.choice(names)
        lines = self.sources[name].splitlines(keepends=True)
        if kind == "undo":
            self.sources = dict(self.chance.choice(self.past))
        elif kind == "remove" and len(names) > 3:
            del self.sources[name]
        elif kind == "move" and not name.endswith("__init__.py"):
            self.sources[name.replace(".py", "_moved.py")] = self.sources.pop(name)
        elif kind == "add":
            other = self.chance.choice(names)
            self.sources[f"added{len(self.past)}.py"] = self.sources[other]
        elif kind == "break":
            self.sources[name] += "def f(:\n"
        elif kind == "comment":
            lines.insert(self.chance.randint(0, len(lines)), "# a note\n")
            self.sources[name] = "".join(lines)
        elif lines:
            self._line(kind, name, lines)
        self.past.append(dict(self.sources))
        return self.sources

    def _line(self, kind: str, name: str, lines: list[str]) -> None:
        at = self.chance.randrange(len(lines))
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = self.chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            words = [w for w in lines[at].split() if w.isidentifier()]
            if words:
                lines[at] = lines[at].replace(self.chance.choice(words), "renamed")
        self.sources[name] = "".join(lines)


def put(root: Path, sources: dict[str, str]) -> None:
    for file in [*root.rglob("*.py")]:
        if file.relative_to(root).as_posix() not in sources:
            file.unlink()
    for name, text in sources.items():
        file = root / name
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def differences(root: Path, sources: dict[str, str], seed: int, edits: int) -> list[Any]:
    """The edits after which a scan with the cache finds something else than one without."""
    made = Edits(sources, seed)
    found: list[Any] = []
    reads = 0
    for number in range(edits):
        put(root, made.next())
        target = open_target(root)
        store = keeping.store_of(target, False)
        expected = keeping.scanned(target, None, tree=True)
        for _ in range(2):
            actual = keeping.scanned(target, store, tree=True)
            reads += actual is not expected
            if actual != expected:
                found.append((seed, number))
    assert reads == 2 * edits
    return found


@pytest.mark.parametrize("seed", range(2))
def test_random_edits_give_what_a_scan_from_cold_gives(tmp_path: Path, seed: int) -> None:
    assert differences(tmp_path, SOURCES, seed, 12) == []


@pytest.mark.slow
def test_random_edits_of_a_real_program(tmp_path: Path) -> None:
    sources = {
        file.relative_to(LEGACY).as_posix(): file.read_text()
        for file in sorted(LEGACY.rglob("*"))
        if file.suffix in (".py", ".html", ".toml") and file.is_file()
    }
    assert len(sources) > 20
    assert differences(tmp_path, sources, 0, int(os.environ.get("BRIDGEKIT_EDITS", "40"))) == []
