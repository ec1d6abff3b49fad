from __future__ import annotations

from typing import Any

import pytest

PACKAGE = {
    "app/__init__.py": "from .deep import *\nfrom app.core import helper as public\n",
    "app/core.py": "def helper(): pass\nclass Box:\n    def open(self): pass\n",
    "app/deep/__init__.py": "from .inner import thing\n__all__ = ['thing']\n",
    "app/deep/inner.py": "def thing(): pass\n",
}


@pytest.mark.parametrize(
    ("code", "call", "target"),
    [
        ("from app.core import helper\nhelper()", "helper()", "app.core.helper"),
        ("from app.core import helper as h\nh()", "h()", "app.core.helper"),
        ("import app.core\napp.core.helper()", "app.core.helper()", "app.core.helper"),
        ("import app.core as c\nc.helper()", "c.helper()", "app.core.helper"),
        ("from app import core\ncore.helper()", "core.helper()", "app.core.helper"),
        ("from app import public\npublic()", "public()", "app.core.helper"),
        ("from app import thing\nthing()", "thing()", "app.deep.inner.thing"),
        ("import app\napp.thing()", "app.thing()", "app.deep.inner.thing"),
        ("def f():\n    from app.core import helper\n    helper()", "helper()", "app.core.helper"),
        (
            "try:\n    from app.core import helper\nexcept ImportError:\n    helper = None\n"
            "helper()",
            "helper()",
            "app.core.helper",
        ),
        ("from app.core import *\nhelper()", "helper()", "app.core.helper"),
        ("from app.core import helper\nalias = helper\nalias()", "alias()", "app.core.helper"),
    ],
)
def test_ways_to_import(build: Any, code: str, call: str, target: str) -> None:
    assert build({**PACKAGE, "main.py": code}).targets(call) == {target: "exact"}


def test_relative_imports_between_packages(build: Any) -> None:
    loaded = build(
        {
            **PACKAGE,
            "app/deep/up.py": "from ..core import helper\nfrom .. import core\nhelper()\n"
            "core.helper()\n",
        }
    )
    assert loaded.targets("helper()") == {"app.core.helper": "exact"}
    assert loaded.targets("core.helper()") == {"app.core.helper": "exact"}


def test_namespace_packages_and_scripts(build: Any) -> None:
    loaded = build(
        {
            "jobs/nightly.py": "from .util import run\nfrom jobs.util import walk\nrun()\nwalk()\n",
            "jobs/util.py": "def run(): pass\ndef walk(): pass\n",
            "tests/test_jobs.py": "from jobs.util import run\nrun()\n",
        }
    )
    assert [{t.function.qualname for t in s.targets} for s in loaded.sites("run()")] == [
        {"util.run"},
        {"util.run"},
    ]
    assert loaded.targets("walk()") == {"util.walk": "exact"}


def test_a_local_file_does_not_stand_for_a_library(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": "",
            "app/requests.py": "def get(url): pass\n",
            "app/client.py": "import requests\nrequests.get('u')\n",
            "tests/requests.py": "def get(url): pass\n",
        }
    )
    assert loaded.targets("requests.get('u')") == {}
    assert loaded.externals("requests.get('u')") == ("requests.get",)


def test_import_circles_end(build: Any) -> None:
    loaded = build(
        {
            "a.py": "from b import x, y\nfrom b import *\nx()\ny()\n",
            "b.py": "from a import x, y\nfrom a import *\nz()\n",
        }
    )
    assert loaded.targets("x()") == {}


def test_names_of_libraries_are_public_ones(build: Any) -> None:
    loaded = build(
        """
        import requests.sessions
        from requests.api import get as fetch
        from sqlalchemy.orm.session import Session
        import os.path as p
        requests.sessions.Session()
        fetch("u")
        p.join("a")
        def f(s: Session):
            s.execute("x")
        """
    )
    assert loaded.externals("requests.sessions.Session()") == ("requests.Session",)
    assert loaded.externals('fetch("u")') == ("requests.get",)
    assert loaded.externals('p.join("a")') == ("os.path.join",)
    assert loaded.externals('s.execute("x")') == ("sqlalchemy.orm.Session.execute",)


def test_scopes_hide_names(build: Any) -> None:
    loaded = build(
        """
        def f(): pass
        class C:
            def f(self): pass
            def g(self):
                return f(1)
        def outer(f):
            f(2)
        def local():
            def f(): pass
            f(3)
        def comp(items):
            return [f(4) for f in items]
        def uses_global():
            global f
            f(5)
        """
    )
    assert loaded.targets("f(1)") == {"m.f": "exact"}
    assert loaded.targets("f(2)") == {}
    assert loaded.targets("f(3)") == {"m.local.<locals>.f": "exact"}
    assert loaded.targets("f(4)") == {}
    assert loaded.targets("f(5)") == {"m.f": "exact"}


def test_redefinitions_are_all_kept(build: Any) -> None:
    loaded = build(
        """
        import sys
        if sys.platform == "win32":
            def f(): pass
        else:
            def f(): pass
        f()
        """
    )
    assert loaded.targets("f()") == {"m.f": "exact", "m.f#2": "exact"}


def test_resolve_names_things(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": "",
            "app/x.py": """
            import requests
            from flask import request, g
            from .models import Order, db
            def f():
                request.args.get("a")
                g.user
                local = Order()
                local.total
                db.flush
                return requests.get, Order, local
            """,
            "app/models.py": "class Order:\n    total = 1\ndb = object()\n",
        }
    )
    expected = {
        "request.args.get": "flask.request.args.get",
        "g.user": "flask.g.user",
        "requests.get": "requests.get",
        "Order": "app.models.Order",
        "local.total": "app.models.Order.total",
        "db": "app.models.db",
        "local": None,
    }
    assert {text: loaded.resolve("app/x.py", text) for text in expected} == expected
