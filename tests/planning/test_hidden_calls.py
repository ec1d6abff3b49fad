"""What library code calls inside a call goes to a worker thread with the call."""

from __future__ import annotations

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.program import Program

FORM = b"""
import time
from flask import Blueprint
from flask_wtf import FlaskForm
from wtforms import StringField
bp = Blueprint("b", __name__)
def known(name): return time.sleep(1)
class F(FlaskForm):
    name = StringField()
    def validate_name(self, field): known(field)
@bp.route("/")
def view():
    form = F()
    if form.validate_on_submit():
        return time.sleep(2)
"""


def test_a_view_whose_form_asks_elsewhere() -> None:
    program = Program.load({"m.py": FORM})
    colours = program.derived(Colours)
    function = program.functions
    assert colours.blocks(function["m.F.validate_name"]) == {"sleep"}
    obstacles = Obstacles(colours)
    assert obstacles.of(function["m.view"]) == ()
    # the library calls it plainly, so it gains nothing from being async
    assert function["m.view"] in colours.wanted(obstacles.movable)
    assert function["m.F.validate_name"] not in colours.wanted(obstacles.movable)
    assert function["m.known"] not in colours.wanted(obstacles.movable)


RENDERS = b"""
import time
from flask import Blueprint, render_template
bp = Blueprint("b", __name__)
class User:
    @property
    def score(self): time.sleep(1)
    def slow(self): time.sleep(1)
    def name(self): return ""
@bp.route("/")
def view():
    time.sleep(1)
    return render_template("t.html", user=User())
@bp.route("/light")
def light():
    time.sleep(1)
    return render_template("light.html", user=User())
"""


def test_a_template_that_waits_is_rendered_in_a_thread_of_flasks_view() -> None:
    files = {"m.py": RENDERS, "templates/t.html": b"{{ user.slow() }}"}
    program = Program.load(files)
    colours = program.derived(Colours)
    obstacles = Obstacles(colours)
    view = program.functions["m.view"]
    assert obstacles.of(view) == ()
    assert view in colours.wanted(obstacles.movable)


def test_a_template_that_waits_keeps_its_view_sync() -> None:
    on_quart = RENDERS.replace(b"from flask", b"from quart")
    files = {"m.py": on_quart, "templates/t.html": b"{{ user.slow() }}\n{{ user.score }}",
             "templates/light.html": b"{{ user.name() }}"}  # fmt: skip
    program = Program.load(files)
    colours = program.derived(Colours)
    obstacles = Obstacles(colours)
    view, light = program.functions["m.view"], program.functions["m.light"]
    found = [(f.code, f.line, f.reason) for f in obstacles.of(view)]
    assert [code for code, _, _ in found] == ["BK329"]
    assert found[0][1] == 13
    assert found[0][2].startswith("template templates/t.html:2 calls m.User.score, which blocks")
    assert obstacles.of(light) == ()
    assert [f.code for f in obstacles.of(program.functions["m.User.slow"])] == ["BK302"]
    wanted = colours.wanted(obstacles.movable)
    assert light in wanted
    assert view not in wanted
