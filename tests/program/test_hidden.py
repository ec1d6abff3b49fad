"""Functions that library code calls while a call of the program runs."""

from __future__ import annotations

from typing import Any

import pytest

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog import Extension

GIVEN = """
import functools
import itertools
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
def f(*args): return 1
pool = ThreadPoolExecutor()
pattern = re.compile("x")
"""


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("sorted([], key=f)", "hidden"),
        ("min([], key=f)", "hidden"),
        ("[1].sort(key=f)", "hidden"),
        ("functools.reduce(f, [])", "hidden"),
        ("re.sub('x', f, 'y')", "hidden"),
        ("pattern.sub(f, 'y')", "hidden"),
        ("json.dumps({}, default=f)", "hidden"),
        ("sorted([], key=functools.partial(f, 1))", "hidden"),
        ("map(f, [])", "iter"),
        ("filter(f, [])", "iter"),
        ("itertools.takewhile(f, [])", "iter"),
        ("itertools.groupby([], f)", "iter"),
    ],
)
def test_functions_that_a_library_is_given_and_calls(build: Any, call: str, kind: str) -> None:
    loaded = build(f"{GIVEN}def user():\n    {call}\n")
    assert loaded.targets(call, kind) == {"m.f": "exact"}
    site = loaded.site(call, kind)
    assert site.caller.qualname == "m.user"
    assert loaded.program.evidence(site, site.targets[0]).endswith(" calls it")


@pytest.mark.parametrize(
    "call",
    [
        "pool.submit(f, 1)",
        "threading.Thread(target=f)",
        "sorted([], reverse=f)",
        "re.sub(f, 'x', 'y')",
        "functools.partial(f)",
        "unknown(f)",
        "sorted([], key=len)",
        "sorted(*f)",
    ],
)
def test_functions_that_are_not_called_there(build: Any, call: str) -> None:
    loaded = build(f"{GIVEN}def user():\n    {call}\n")
    assert [s for s in loaded.program.calls if s.kind == "hidden"] == []
    assert loaded.program.callers_of(loaded.program.functions["m.f"]) == ()


def test_a_name_that_may_be_something_else_is_a_guess(build: Any) -> None:
    code = f"{GIVEN}def user(flag, other):\n    run = sorted if flag else other\n"
    loaded = build(code + "    run([], key=f)\n")
    assert loaded.targets("run([], key=f)", "hidden") == {"m.f": "guess"}


def test_library_functions_that_wait_are_named(build: Any) -> None:
    loaded = build("import time\ndef user(): sorted([], key=time.sleep)\n")
    assert loaded.externals("sorted([], key=time.sleep)", "hidden") == ("time.sleep",)


SCHEMA = """
from marshmallow import Schema, fields, post_dump, post_load, validates
def check(value): pass
class Nested(Schema):
    @post_load
    def made(self, data, **kw): pass
class Base(Schema):
    @post_load
    def overridden(self, data, **kw): pass
    @post_load
    def inherited(self, data, **kw): pass
class S(Base):
    name = fields.Str(validate=[check])
    inner = fields.List(fields.Nested(Nested))
    parent = fields.Nested("S")
    extra = fields.Method("get_extra", deserialize="set_extra")
    def get_extra(self, row): pass
    def set_extra(self, value): pass
    def unrelated(self): pass
    @validates("name")
    def named(self, value): pass
    @post_dump
    def dumped(self, data, **kw): pass
    @post_load
    def overridden(self, data, **kw): pass
class Sub(S):
    @post_load
    def further(self, data, **kw): pass
"""


def _targets(loaded: Any, text: str) -> dict[str, str]:
    found: dict[str, str] = loaded.targets(text, "hidden")
    return {name.removeprefix("m."): grade for name, grade in found.items()}


def test_hooks_of_schemas(build: Any) -> None:
    loaded = build(f"{SCHEMA}def user():\n    Sub().load({{}})\n    Sub().dump(1)\n")
    assert _targets(loaded, "Sub().load({})") == {
        "check": "exact",
        "Nested.made": "method",
        "Base.inherited": "method",
        "S.overridden": "method",
        "S.set_extra": "method",
        "S.named": "method",
        "Sub.further": "method",
    }
    assert _targets(loaded, "Sub().dump(1)") == {"S.get_extra": "method", "S.dumped": "method"}
    site = loaded.site("Sub().dump(1)", "hidden")
    said = loaded.program.evidence(site, site.targets[0])
    assert said == "marshmallow.Schema.dump calls it"


def test_hooks_of_subclasses_are_overrides(build: Any) -> None:
    loaded = build(f"{SCHEMA}def user(s: S):\n    s.load(1)\n")
    assert _targets(loaded, "s.load(1)")["Sub.further"] == "override"


def test_a_method_of_the_programs_own_calls_no_hooks(build: Any) -> None:
    own = SCHEMA + "class Own(S):\n    def load(self, data): pass\n"
    loaded = build(f"{own}def user():\n    Own().load(1)\n")
    assert [s for s in loaded.program.calls if s.kind == "hidden"] == []


LAMBDAS = """
from marshmallow import Schema, fields
def rate(code): pass
def other(code): pass
class S(Schema):
    total = fields.Function(lambda o: o.cents * rate(o.code))
    parts = fields.Function(lambda o: sum(rate(p) for p in o.parts), lambda v: other(v))
    label = fields.Method("get_label")
    def get_label(self, o): pass
key = lambda o: other(o)
"""


def test_lambdas_and_methods_of_fields(build: Any) -> None:
    loaded = build(f"{LAMBDAS}def user(s: S):\n    s.dump(1)\n    s.load(2)\n")
    assert _targets(loaded, "s.dump(1)") == {"rate": "exact", "S.get_label": "method"}
    assert _targets(loaded, "s.load(2)") == {"other": "exact"}


TASKS = """
from celery import Celery, shared_task
app = Celery()
@shared_task
def send(order): pass
@app.task(bind=True)
def retried(self, order):
    self.retry()
def plain(order): pass
def user():
    CALL
"""


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("send.apply((1,))", "send"),
        ("retried.apply(args=(1,))", "retried"),
        ("send.s(1).apply()", "send"),
        ("send.si(1).set(queue='slow').apply()", "send"),
    ],
)
def test_a_task_that_is_applied_runs_at_once(build: Any, call: str, name: str) -> None:
    assert _targets(build(TASKS.replace("CALL", call)), call) == {name: "exact"}


@pytest.mark.parametrize("call", ["send.delay(1)", "send.apply_async((1,))", "retried.delay(1)"])
def test_a_task_that_is_sent_runs_elsewhere(build: Any, call: str) -> None:
    loaded = build(TASKS.replace("CALL", call))
    site = loaded.site(call)
    assert site.targets == ()
    assert site.externals == (f"celery.Task.{site.name}",)
    assert [s for s in loaded.program.calls if s.kind == "hidden"] == []
    assert loaded.externals("self.retry()") == ("celery.Task.retry",)


@pytest.mark.parametrize(
    ("call", "kind"), [("send(1)", "call"), ("send.run(1)", "call"), ("retried(1)", "call")]
)
def test_a_task_that_is_called_is_its_function(build: Any, call: str, kind: str) -> None:
    loaded = build(TASKS.replace("CALL", call))
    assert list(loaded.targets(call, kind).values()) == ["exact"]


def test_what_is_no_task_has_no_tasks_methods(build: Any) -> None:
    loaded = build(TASKS.replace("CALL", "plain.delay(1)"))
    assert loaded.externals("plain.delay(1)") == ()


FORM = """
from flask_wtf import FlaskForm
from wtforms import Form, StringField, FormField
def check(form, field): pass
def longer(than):
    def _check(form, field): pass
    return _check
class Unique:
    def __call__(self, form, field): pass
class Address(Form):
    street = StringField()
    def validate_street(self, field): pass
class F(FlaskForm):
    name = StringField("name", validators=[check, longer(3), Unique()])
    address = FormField(Address)
    def validate_name(self, field): pass
    def validate_later(self, field): pass
    def other(self): pass
"""


@pytest.mark.parametrize("call", ["F().validate()", "F().validate_on_submit()"])
def test_validators_of_forms(build: Any, call: str) -> None:
    loaded = build(f"{FORM}def user():\n    {call}\n")
    assert _targets(loaded, call) == {
        "check": "exact",
        "longer.<locals>._check": "exact",
        "Unique.__call__": "method",
        "Address.validate_street": "method",
        "F.validate_name": "method",
        "F.validate_later": "guess",
    }


def test_users_say_what_their_libraries_call(build: Any) -> None:
    table = {"calls": [{"of": "acme.Job", "names": "run", "methods": "on_*"}],
             "callbacks": [{"names": "each", "parameter": "do", "position": 1,
                            "runs": "caller"}]}  # fmt: skip
    catalog.use([Extension("acme", table, "pyproject.toml")])
    try:
        loaded = build(
            "import acme\nclass J(acme.Job):\n    def on_end(self): pass\n    def end(self): pass\n"
            "def f(): pass\ndef user():\n    J().run()\n    acme.each([], f)\n"
        )
        assert loaded.targets("J().run()", "hidden") == {"m.J.on_end": "method"}
        assert loaded.targets("acme.each([], f)", "hidden") == {"m.f": "exact"}
    finally:
        catalog.use([])
