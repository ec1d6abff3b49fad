"""Who calls the functions that nobody in the program calls, and whether it awaits them."""

from __future__ import annotations

import pytest

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.program import Program

MAIN = b"""
import requests

def start():
    return requests.get("http://localhost/").text

class Command:
    def start(self): ...
"""


def loaded(files: dict[str, bytes]) -> Program:
    return Program.load(files)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ("pyproject.toml", '[project.scripts]\nshop = "shop.main:start"'),
        ("pyproject.toml", '[project.gui-scripts]\nshop = "shop.main:start"'),
        ("pyproject.toml", '[tool.poetry.scripts]\nshop = "shop.main:start"'),
        (
            "setup.cfg",
            "[options.entry_points]\nconsole_scripts =\n    shop = shop.main:start [all]",
        ),
    ],
    ids=["script", "gui", "poetry", "setup.cfg"],
)
@pytest.mark.parametrize("package", [True, False], ids=["package", "namespace package"])
def test_a_command_stays_sync(settings: str, text: str, package: bool) -> None:
    files = {"shop/main.py": MAIN, settings: text.encode()}
    if package:
        files["shop/__init__.py"] = b""
    program = loaded(files)
    colours = program.derived(Colours)
    (start,) = colours.sync_entries
    assert (start.name, start.cls) == ("start", None)
    assert colours.sync_entries[start] == "the command shop"
    assert "BK302" in {finding.code for finding in Obstacles(colours).of(start)}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ("pyproject.toml", "[project.scripts]\nshop = 3"),
        ("pyproject.toml", "[project\n"),
        ("pyproject.toml", '[project.scripts]\nshop = "shop.main:stop"'),
        ("setup.cfg", "console_scripts = shop.main:start"),
        ("setup.cfg", "[options.entry_points]\nconsole_scripts =\n    shop.main:start"),
    ],
)
def test_settings_that_name_no_command_hold_nothing(settings: str, text: str) -> None:
    program = loaded({"shop/__init__.py": b"", "shop/main.py": MAIN, settings: text.encode()})
    assert program.derived(Colours).sync_entries == {}


def test_a_view_of_fastapi_may_become_async() -> None:
    program = loaded(
        {
            "api.py": b"""
import requests
from fastapi import APIRouter, FastAPI

app = FastAPI()
router = APIRouter()

@router.get("/rates")
def rates():
    return requests.get("http://localhost/").json()

@app.exception_handler(ValueError)
def failed(request, error):
    return requests.post("http://localhost/", data=str(error))

@router.mount_all
def other():
    return requests.get("http://localhost/").json()
"""
        }
    )
    colours = program.derived(Colours)
    assert {function.name for function in colours.entries} == {"rates", "failed"}
    obstacles = Obstacles(colours)
    assert obstacles.of(program.functions["api.rates"]) == ()
    assert [f.code for f in obstacles.of(program.functions["api.other"])] == ["BK308"]


@pytest.mark.parametrize("constructor", ["__init__(self)", "__new__(cls)"])
def test_a_class_is_called_by_its_name_whatever_makes_the_object(constructor: str) -> None:
    source = f"""
import time

class Settings:
    def {constructor}:
        time.sleep(1)

def by_name():
    Settings()
"""
    program = loaded({"m.py": source.encode()})
    obstacles = Obstacles(program.derived(Colours))
    assert obstacles.of(program.functions["m.by_name"]) == ()
