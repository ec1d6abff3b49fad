from __future__ import annotations

from typing import Any

import pytest

MODELS = """
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, Session, backref
class Base(DeclarativeBase):
    def to_dict(self): return {}
class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")
    def greet(self): pass
class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped["Customer"] = relationship(back_populates="orders", lazy="joined")
    lines = relationship("Line", backref="order", lazy="dynamic")
    def total(self): pass
class Line(Base):
    __tablename__ = "lines"
    order_id = mapped_column(ForeignKey("orders.id"))
    def price(self): pass
"""
HEADER = (
    "from sqlalchemy import select, create_engine\n"
    "from sqlalchemy.orm import Session, sessionmaker, scoped_session\n"
    "from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker\n"
    "from models import Order, Customer, Line, Base\n"
)


@pytest.mark.parametrize(
    "code",
    [
        "def f(s: Session):\n    x = s.query(Order).filter(Order.id == 1).order_by(1).first()",
        "def f(s: Session):\n    x = s.get(Order, 1)",
        "def f(s: Session):\n    for x in s.query(Order).all(): pass",
        "def f(s: Session):\n    for x in s.query(Order).filter_by(id=1): pass",
        "def f(s: Session):\n    x = s.execute(select(Order).where(Order.id == 1)).scalar_one()",
        "def f(s: Session):\n    x = s.scalars(select(Order)).first()",
        "def f(s: Session):\n    for x in s.scalars(select(Order).limit(2)).unique(): pass",
        "def f(s: Session):\n    q = select(Order)\n    q = q.where(1)\n    x = s.scalar(q)",
        "def f(s: Session):\n    for c, x in s.execute(select(Customer, Order)): pass",
        "def f(c: Customer):\n    x = c.orders[0]",
        "def f(c: Customer):\n    for x in c.orders: pass",
        "def f(l: Line):\n    x = l.order",
        "s = sessionmaker(bind=1)()\nx = s.get(Order, 1)",
        "make = sessionmaker(bind=1)\ndef f():\n    with make() as s:\n        x = s.get(Order, 1)",
        "make = sessionmaker(bind=1)\ndef f():\n    with make.begin() as s:\n"
        "        x = s.merge(Order())",
        "s = scoped_session(sessionmaker())\nx = s.query(Order).one()",
        "async def f(s: AsyncSession):\n    x = await s.get(Order, 1)",
        "async def f(s: AsyncSession):\n    r = await s.execute(select(Order))\n"
        "    x = r.scalars().one()",
        "async def f(s: AsyncSession):\n    x = (await s.scalars(select(Order))).first()",
        "make = async_sessionmaker()\nasync def f():\n    async with make() as s:\n"
        "        x = await s.scalar(select(Order))",
        "async def f(s: AsyncSession):\n"
        "    async for x in await s.stream_scalars(select(Order)): pass",
    ],
)
def test_queries_give_models(build: Any, code: str) -> None:
    body = code.rstrip()
    indent = body.rpartition("\n")[2]
    depth = len(indent) - len(indent.lstrip())
    loaded = build({"models.py": MODELS, "m.py": f"{HEADER}{body}\n{' ' * depth}x.total()\n"})
    assert loaded.targets("x.total()") == {"models.Order.total": "method"}


def test_library_methods_are_named_by_class(build: Any) -> None:
    loaded = build(
        {
            "models.py": MODELS,
            "m.py": HEADER
            + """
import requests, sqlite3, pathlib
def f(s: Session, p: pathlib.Path):
    s.query(Order).all()
    s.add(Order())
    s.scalars(select(Order)).all()
    Base.metadata.create_all(create_engine("u"))
    with create_engine("u").begin() as c:
        c.execute("x")
    db = sqlite3.connect("f")
    db.execute("x").fetchone()
    (p / "a").parent.read_text()
    with open("f") as h:
        h.read()
    with requests.Session() as http:
        http.post("u").iter_content(1)
    for x in s.query(Order): pass
    with s.begin(): pass
""",
        }
    )
    expected = {
        "s.query(Order).all()": "sqlalchemy.orm.Query.all",
        "s.add(Order())": "sqlalchemy.orm.Session.add",
        "s.scalars(select(Order)).all()": "sqlalchemy.ScalarResult.all",
        'Base.metadata.create_all(create_engine("u"))': "sqlalchemy.MetaData.create_all",
        'c.execute("x")': "sqlalchemy.Connection.execute",
        'db.execute("x").fetchone()': "sqlite3.Cursor.fetchone",
        '(p / "a").parent.read_text()': "pathlib.Path.read_text",
        "h.read()": "io.TextIOWrapper.read",
        'http.post("u").iter_content(1)': "requests.Response.iter_content",
    }
    assert {text: loaded.externals(text) for text in expected} == {
        text: (name,) for text, name in expected.items()
    }
    assert loaded.externals("requests.Session()", "with") == (
        "requests.Session.__enter__",
        "requests.Session.__exit__",
    )
    iterated = loaded.sites("s.query(Order)", "iter")
    assert [s.externals for s in iterated] == [("sqlalchemy.orm.Query.__iter__",)]


def test_relationships(build: Any) -> None:
    loaded = build({"models.py": MODELS, "m.py": "def f(o): return o.customer, o.lines\n"})
    found = {key: (r.target, r.uselist, r.lazy) for key, r in loaded.program.relationships.items()}
    assert found == {
        ("models.Customer", "orders"): ("models.Order", True, None),
        ("models.Order", "customer"): ("models.Customer", False, "joined"),
        ("models.Order", "lines"): ("models.Line", True, "dynamic"),
        ("models.Line", "order"): ("models.Order", False, None),
    }
    uses = loaded.program.attribute_uses
    assert [(u.path, u.attr) for u in uses] == [("m.py", "customer"), ("m.py", "lines")]


def test_attributes_of_models_on_the_class_are_no_values(build: Any) -> None:
    loaded = build({"models.py": MODELS, "m.py": HEADER + "Order.customer.greet()\n"})
    assert loaded.targets("Order.customer.greet()") == {}


def test_flask_objects(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": """
            from flask import Flask
            from .mail import Mailer
            def create_app():
                app = Flask(__name__)
                app.extensions["mailer"] = Mailer()
                app.mailer = Mailer()
                return app
            """,
            "app/mail.py": "class Mailer:\n    def send(self): pass\n",
            "app/views.py": """
            from flask import Blueprint, current_app, g, request
            from .mail import Mailer
            bp = Blueprint("v", __name__)
            def load():
                g.mailer = Mailer()
            @bp.get("/")
            def index():
                g.mailer.send()
                m = g.pop("mailer", None)
                m.send()
                current_app.extensions["mailer"].send()
                current_app.extensions.get("mailer").send()
                current_app.mailer.send()
                request.get_json()
                current_app.logger.info("x")
            """,
            "tests/conftest.py": """
            import pytest
            from app import create_app
            @pytest.fixture
            def app():
                yield create_app()
            @pytest.fixture(name="client")
            def make_client(app):
                return app.test_client()
            """,
            "tests/test_app.py": """
            def test_get(client, app):
                client.get("/").get_json()
                app.mailer.send()
            """,
        }
    )
    method = {"app.mail.Mailer.send": "method"}
    for text in (
        "g.mailer.send()",
        "m.send()",
        'current_app.extensions["mailer"].send()',
        'current_app.extensions.get("mailer").send()',
        "current_app.mailer.send()",
        "app.mailer.send()",
    ):
        assert loaded.targets(text) == method, text
    assert loaded.externals("request.get_json()") == ("flask.request.get_json",)
    assert loaded.externals('client.get("/")') == ("flask.testing.FlaskClient.get",)
    assert loaded.externals('client.get("/").get_json()') == (
        "werkzeug.test.TestResponse.get_json",
    )
    index = loaded.program.functions["app.views.index"]
    assert [d.dotted for d in index.decorators] == ["flask.Blueprint.get"]
    test = loaded.program.functions["test_app.test_get"]
    assert test.is_test_function
    assert [f.name for f in loaded.program.fixtures_of(test)] == ["make_client", "app"]


REQUESTED = """
import pytest
class Client:
    def get(self): pass
class Other:
    def get(self): pass
@pytest.fixture
def client(): return Client()
@pytest.fixture(name="other")
def _other():
    yield Other()
@pytest.fixture
def unasked(): return Client()
@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(("name", "code"), [("client", 1), ("other", 2)])
def test_it(request, name, code, later):
    CALL
"""


@pytest.mark.parametrize(
    ("asked", "fixtures", "methods"),
    [
        ('request.getfixturevalue("client")', {"client"}, {"Client.get"}),
        ('request.getfixturevalue("other")', {"_other"}, {"Other.get"}),
        ("request.getfixturevalue(name)", {"client", "_other"}, {"Client.get", "Other.get"}),
        ("request.getfixturevalue(later)", set(), set()),
        ("request.getfixturevalue(code)", set(), set()),
        ('request.getfixturevalue("missing")', set(), set()),
        ('later.getfixturevalue("client")', set(), set()),
    ],
)
def test_a_fixture_may_be_asked_for_by_its_name(
    build: Any, asked: str, fixtures: set[str], methods: set[str]
) -> None:
    loaded = build({"tests/test_m.py": REQUESTED.replace("CALL", f"{asked}.get()")})
    run = [s for s in loaded.program.calls if s.kind == "hidden"]
    assert {t.function.name for s in run for t in s.targets} == fixtures
    targets = loaded.targets(f"{asked}.get()")
    assert {name.removeprefix("test_m.") for name in targets} == methods
    (test,) = (f for f in loaded.program.functions.values() if f.is_test_function)
    assert [f.name for f in loaded.program.fixtures_of(test)] == ["unasked"]


def test_nearest_fixture_wins(build: Any) -> None:
    loaded = build(
        {
            "tests/conftest.py": "import pytest\nclass A:\n    def go(self): pass\n"
            "@pytest.fixture\ndef thing(): return A()\n",
            "tests/sub/conftest.py": "import pytest\nclass B:\n    def go(self): pass\n"
            "@pytest.fixture\ndef thing():\n    yield B()\n",
            "tests/test_a.py": "def test_a(thing):\n    thing.go(1)\n",
            "tests/sub/test_b.py": "def test_b(thing):\n    thing.go(2)\n",
            "lib.py": "def f(thing):\n    thing.go(3)\n",
        }
    )
    assert [t.function.cls.name for t in loaded.site("thing.go(1)").targets] == ["A"]
    assert [t.function.cls.name for t in loaded.site("thing.go(2)").targets] == ["B"]
    assert loaded.targets("thing.go(3)") == {}


def test_patches(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": "",
            "app/svc.py": """
            import requests
            from app.util import helper
            class Client:
                def get(self): return requests.get("u")
            client = Client()
            LIMIT = 3
            """,
            "app/util.py": "def helper(): pass\n",
            "tests/test_x.py": """
            from unittest import mock
            from unittest.mock import patch
            import app.svc
            from app.svc import Client
            BASE = "app.svc"
            @patch("app.svc.requests.get")
            def test_a(fake, monkeypatch, mocker):
                monkeypatch.setattr("app.svc.helper", lambda: 1)
                monkeypatch.setattr(app.svc, "helper", lambda: 1)
                monkeypatch.setattr(app.svc.requests, "get", None)
                mocker.patch(f"{BASE}.client.get")
                with mock.patch.object(Client, "get"): pass
                patch("app.svc.nothing")
                patch("app.svc.LIMIT", 4)
                patch("requests.sessions.Session.get")
                patch(fake)
            """,
        }
    )

    def name(resolved: Any) -> Any:
        return getattr(resolved, "qualname", resolved)

    found = [(p.style, p.dotted, name(p.resolved)) for p in loaded.program.patches]
    assert found == [
        ("mock.patch", "app.svc.requests.get", "requests.get"),
        ("monkeypatch.setattr", "app.svc.helper", "app.util.helper"),
        ("monkeypatch.setattr", "app.svc.helper", "app.util.helper"),
        ("monkeypatch.setattr", "requests.get", "requests.get"),
        ("mock.patch", "app.svc.client.get", "app.svc.Client.get"),
        ("mock.patch.object", "app.svc.Client.get", "app.svc.Client.get"),
        ("mock.patch", "app.svc.nothing", None),
        ("mock.patch", "app.svc.LIMIT", "app.svc.LIMIT"),
        ("mock.patch", "requests.sessions.Session.get", "requests.Session.get"),
    ]
    first = loaded.program.patches[0]
    assert (first.span.line, first.span.col) == (7, 7)


def test_migrated_forms_keep_resolving(build: Any) -> None:
    loaded = build(
        """
        from bridgekit import async_to_sync, sync_to_async, to_thread
        from bridgekit.integrations import requests
        import httpx
        class Order:
            def total(self): pass
        async def load_async(): return Order()
        def load(): return async_to_sync(load_async)()
        def block(): return Order()
        async def f(client: httpx.AsyncClient):
            a = await load_async()
            a.total()
            b = load()
            b.total()
            c = await to_thread.run_sync(block)
            c.total()
            d = await sync_to_async(block)()
            d.total()
            r = await client.get("u")
            r.raise_for_status()
            s = await requests.async_client().get("u")
            s.raise_for_status()
            load_async().total()
        """
    )
    for text in ("a.total()", "b.total()", "c.total()", "d.total()"):
        assert loaded.targets(text) == {"m.Order.total": "method"}, text
    assert loaded.externals("r.raise_for_status()") == ("httpx.Response.raise_for_status",)
    assert loaded.externals("s.raise_for_status()") == (
        "bridgekit.integrations.requests.Response.raise_for_status",
    )
    assert loaded.targets("load_async().total()") == {}
    assert [s.awaited for s in loaded.sites("load_async()")] == [True, False]
    names = [r.consumer for r in loaded.program.references]
    assert names == [
        "bridgekit.async_to_sync",
        "bridgekit.to_thread.run_sync",
        "bridgekit.sync_to_async",
    ]


def test_doubles_in_tests_do_not_make_the_program_doubtful(build: Any) -> None:
    loaded = build(
        {
            "svc.py": "class Real:\n    def go(self): pass\ndef use(x): x.go()\nuse(Real())\n",
            "tests/test_svc.py": "from unittest.mock import Mock\nfrom svc import use\n"
            "def test_use():\n    use(Mock())\n    use(build())\n",
        }
    )
    assert loaded.targets("x.go()") == {"svc.Real.go": "method"}


def test_fakes_of_tests_are_targets_too(build: Any) -> None:
    loaded = build(
        {
            "svc.py": "class Real:\n    def go(self): pass\ndef use(x): x.go()\nuse(Real())\n",
            "tests/test_svc.py": "from svc import use\nclass Fake:\n    def go(self): pass\n"
            "def test_use():\n    use(Fake())\n",
        }
    )
    assert loaded.targets("x.go()") == {"svc.Real.go": "method", "test_svc.Fake.go": "method"}


def test_parametrized_names_are_no_fixtures(build: Any) -> None:
    loaded = build(
        {
            "tests/test_a.py": """
            import pytest
            class A:
                def go(self): pass
            @pytest.fixture
            def thing(): return A()
            @pytest.mark.parametrize("thing, other", [(1, 2)])
            def test_a(thing, other):
                thing.go()
            """
        }
    )
    assert loaded.targets("thing.go()") == {}


@pytest.mark.parametrize(
    "keys", ['"User.team_id"', '"[User.team_id]"', "[User.team_id]", "User.team_id"]
)
def test_the_foreign_key_says_which_side_has_many(build: Any, keys: str) -> None:
    loaded = build(
        f"""
        from flask_sqlalchemy import SQLAlchemy
        db = SQLAlchemy()

        class User(db.Model):
            __tablename__ = "users"
            id = db.Column(db.Integer, primary_key=True)
            team_id = db.Column(db.Integer, db.ForeignKey("teams.id"))
            def name(self): ...

        class Team(db.Model):
            __tablename__ = "teams"
            captain_id = db.Column(db.Integer, db.ForeignKey("users.id"))
            captain = db.relationship("User", foreign_keys=[captain_id])
            members = db.relationship("User", backref="team", foreign_keys={keys})
            def code(self): ...

        def use(user: User, team: Team):
            user.team.code()
            team.captain.name()
            team.members[0].name()
        """
    )
    assert loaded.targets("user.team.code()") == {"m.Team.code": "method"}
    assert loaded.targets("team.captain.name()") == {"m.User.name": "method"}
    assert loaded.targets("team.members[0].name()") == {"m.User.name": "method"}
