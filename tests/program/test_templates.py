"""What a template touches while it is rendered."""

from __future__ import annotations

from typing import Any

import pytest

from bridgekit_codemods.program.plugins.jinja import RENDERING

MODELS = """
class User:
    orders: list["Order"]
    def slow(self): pass
    @property
    def score(self): return 1
    def __str__(self): return ""
class Order:
    user: User
    def ship(self): pass
def stored() -> list[Order]: ...
"""
APP = """
from flask import Flask, Blueprint, render_template, render_template_string
from models import User, Order, stored
app = Flask(__name__)
bp = Blueprint("b", __name__)
def view(user: User, anything):
    CALL
"""


def touched(build: Any, template: str, call: str, more: str = "", **others: str) -> dict[str, str]:
    """Function to grade and line, of all that rendering touches."""
    files = {"models.py": MODELS, "app.py": APP.replace("CALL", call) + more,
             "templates/t.html": template,
             **{f"templates/{name}.html": text for name, text in others.items()}}  # fmt: skip
    loaded = build(files)
    found: dict[str, str] = {}
    for site in loaded.program.calls:
        if site.kind == "template":
            assert site.caller is not None
            assert site.caller.qualname == "app.view"
            for target in site.targets:
                said = loaded.program.evidence(site, target)
                if said == RENDERING:
                    continue  # a context processor, which no template calls
                assert said.startswith("template ")
                line = said.rpartition(":")[2]
                found[target.function.qualname] = f"{target.grade} {line}"
    return found


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("\n{{ user.score }}", {"models.User.score": "method 2"}),
        ("{{ user['score'] }}", {"models.User.score": "method 1"}),
        ("{% if user.slow() %}{% endif %}", {"models.User.slow": "method 1"}),
        ("{{ user }}", {"models.User.__str__": "method 1"}),
        ("{% for o in user.orders %}{{ o.ship() }}{% endfor %}", {"models.Order.ship": "method 1"}),
        ("{{ user.orders[0].ship() }}", {"models.Order.ship": "method 1"}),
        ("{{ (user.orders|first).ship() }}", {"models.Order.ship": "method 1"}),
        ("{{ user.orders|map(attribute='user')|sum(attribute='score') }}",
         {"models.User.score": "method 1"}),
        ("{% set u = user %}{{ u.score }}", {"models.User.score": "method 1"}),
        ("{% with u = user %}{{ u.score }}{% endwith %}", {"models.User.score": "method 1"}),
        ("{% macro m(u) %}{{ u.score }}{% endmacro %}{{ m(user) }}",
         {"models.User.score": "method 1"}),
        ("{{ 'a' if user.score else 'b' }}", {"models.User.score": "method 1"}),
        ("{{ user.name }} {{ missing.score }} {{ user.slow }}", {}),
        ("{% macro m(u) %}{{ u.score }}{% endmacro %}", {}),
        ("{% raw %}{{ user.score }}{% endraw %}", {}),
        ("{% unknown tag %}{{ user.score }}", {}),
    ],
)  # fmt: skip
def test_what_a_template_does_with_an_object(
    build: Any, template: str, expected: dict[str, str]
) -> None:
    assert touched(build, template, 'render_template("t.html", user=user)') == expected


def test_what_is_included_extended_and_imported(build: Any) -> None:
    child = """{% extends "base.html" %}
{% from "macros.html" import show %}
{% block main %}{% include "part.html" %}{{ show(user) }}{% endblock %}"""
    base = (
        "{% block main %}{{ user.hidden() }}{% endblock %}{% block rest %}{{ user }}{% endblock %}"
    )
    found = touched(build, child, 'render_template("t.html", user=user)', base=base,
                    part="{{ user.slow() }}",
                    macros="{% macro show(u) %}\n{{ u.score }}{% endmacro %}")  # fmt: skip
    assert found == {
        "models.User.slow": "method 1",
        "models.User.score": "method 2",
        "models.User.__str__": "method 1",
    }


@pytest.mark.parametrize(
    ("registration", "template"),
    [
        ("@app.template_filter()\ndef helper(x): pass", "{{ 1|helper }}"),
        ("@bp.app_template_filter('other')\ndef helper(x): pass", "{{ 1|other }}"),
        ("def helper(x): pass\napp.jinja_env.filters['other'] = helper", "{{ 1|other }}"),
        ("def helper(x): pass\napp.add_template_filter(helper, 'other')", "{{ 1|other }}"),
        ("@app.template_global()\ndef helper(x): pass", "{{ helper(1) }}"),
        ("def helper(x): pass\napp.jinja_env.globals.update(other=helper)", "{{ other(1) }}"),
        ("@app.template_test('odd')\ndef helper(x): pass", "{% if 1 is odd %}{% endif %}"),
        ("def helper(x): pass\n@app.context_processor\ndef more(): return {'other': helper}",
         "{{ other(1) }}"),
        ("def helper(x): pass\n@bp.app_context_processor\ndef more(): return dict(other=helper)",
         "{{ other(1) }}"),
    ],
)  # fmt: skip
def test_functions_that_templates_know(build: Any, registration: str, template: str) -> None:
    found = touched(build, template, 'render_template("t.html")', registration + "\n")
    assert found == {"app.helper": "exact 1"}


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        ("@app.context_processor", {"view", "elsewhere"}),
        ("@bp.app_context_processor", {"view", "elsewhere"}),
        ("@bp.context_processor", {"view"}),
        ("@app.shell_context_processor", set()),
        ("@app.before_request", set()),
    ],
)
def test_context_processors_run_for_any_template(
    build: Any, registration: str, expected: set[str]
) -> None:
    files = {
        "models.py": MODELS,
        "app.py": APP.replace("CALL", 'render_template("none.html")')
        + f"{registration}\ndef more(): return {{}}\n",
        "other.py": "from flask import render_template_string\n"
        "def elsewhere():\n    render_template_string('')\ndef plain():\n    print('')\n",
    }
    found = {}
    for site in build(files).program.calls:
        if site.kind == "template":
            assert site.caller is not None
            found[site.caller.name] = {t.function.name: t.grade for t in site.targets}
    assert found == {name: {"more": "exact"} for name in expected}


@pytest.mark.parametrize(
    "call",
    [
        'render_template_string("{{ user.score }}", user=user)',
        'render_template("t.html", **{"user": user})',
        'render_template("t.html", **dict(user=user))',
        'render_template("t.html" if user else "u.html", user=user)',
        'render_template(["t.html", "u.html"], user=user)',
    ],
)
def test_ways_to_render(build: Any, call: str) -> None:
    assert touched(build, "{{ user.score }}", call) == {"models.User.score": "method 1"}


@pytest.mark.parametrize(
    "call",
    [
        'render_template("t.html", user=anything)',
        'render_template("other.html", user=user)',
        "render_template(anything, user=user)",
        'print("t.html", user=user)',
    ],
)
def test_what_is_not_known_touches_nothing(build: Any, call: str) -> None:
    assert touched(build, "{{ user.score }}", call) == {}


def test_an_object_that_may_be_something_else_is_a_guess(build: Any) -> None:
    found = touched(build, "{{ user.score }}", 'render_template("t.html", user=anything or user)')
    assert found == {"models.User.score": "guess 1"}


def test_two_templates_of_one_name_are_a_guess(build: Any) -> None:
    files = {
        "models.py": MODELS,
        "app.py": APP.replace("CALL", 'render_template("t.html", user=user)'),
        "templates/t.html": "{{ user.score }}",
        "admin/templates/t.html": "{{ user.slow() }}",
    }
    sites = [s for s in build(files).program.calls if s.kind == "template"]
    assert {t.function.name: t.grade for s in sites for t in s.targets} == {
        "score": "guess",
        "slow": "guess",
    }
