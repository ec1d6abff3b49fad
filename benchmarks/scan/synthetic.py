"""A program of any size, so that the benchmark runs everywhere.

It is made of parts of some eight hundred lines: models, a client of another service, services,
views and tests, each of which uses its own part and an earlier one. It has somewhat more calls than
web applications have: 500 in a thousand lines, against 400. The same size gives the same bytes.
"""

from __future__ import annotations

import random

_MODELS = '''"""The tables of part {n}."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Owner{n}(Base):
    """Who the items belong to."""

    __tablename__ = "owner{n}"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    items: Mapped[list[Item{n}]] = relationship(back_populates="owner")

    def label(self) -> str:
        return f"{{self.id}}: {{self.name}}"

    def total(self):
        return sum(item.price * item.count for item in self.items)


class Item{n}(Base):
    __tablename__ = "item{n}"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owner{n}.id"))
    price: Mapped[float] = mapped_column()
    count: Mapped[int] = mapped_column()
    owner: Mapped[Owner{n}] = relationship(back_populates="items")

    @property
    def worth(self):
        return self.price * self.count
'''
_CLIENT = '''"""The other service, as part {n} calls it."""

import logging
import time

import requests

logger = logging.getLogger(__name__)


class Client{n}:
    """Fetches and sends documents, and tries again."""

    def __init__(self, base, timeout={number}):
        self.base = base
        self.timeout = timeout
        self.session = requests.Session()
        self.seen = {{}}

    def fetch(self, name):
        for attempt in range(3):
            try:
                response = self.session.get(f"{{self.base}}/{{name}}", timeout=self.timeout)
            except requests.RequestException as problem:
                logger.warning("no answer: %s", problem)
                time.sleep(attempt * 0.1)
                continue
            if response.status_code == 200:
                document = response.json()
                self.seen[name] = document
                return document
        return None

    def send(self, name, document):
        response = self.session.post(f"{{self.base}}/{{name}}", json=document)
        response.raise_for_status()
        return self.check(response)

    def check(self, response):
        if response.headers.get("X-Part") != "{n}":
            raise ValueError(response.text)
        return response.json()


def client_for(base):
    return Client{n}(base)
'''
_SERVICE_HEAD = '''"""What part {n} does."""

from sqlalchemy import select

from app.part{n}.client import client_for
from app.part{n}.models import Item{n}, Owner{n}
from app.part{m}.client import Client{m}
from app.part{m}.services import Service{m} as Earlier


class Service{n}:
    """One use of the tables and of the other service."""

    def __init__(self, session, base):
        self.session = session
        self.client = client_for(base)
        self.earlier = Earlier(session, base) if base else None
        self.log = []

    def owner(self, key):
        return self.session.get(Owner{n}, key)

    def note(self, text):
        self.log.append(text.strip().lower())
        return len(self.log)
'''
_SERVICE_METHOD = '''
    def {verb}_{index}(self, key, limit={number}):
        """Gather what belongs to an owner, and tell the other service.

        The other service keeps the names of the items and what they are worth
        together. It answers with a document, to which the part that came
        before this one may add what it knows.

        :param key: the number of the owner
        :param limit: how many items at most
        :return: the items, the cheapest first
        """
        owner = self.owner(key)
        if owner is None:
            self.note("no owner {number}")
            return []

        query = (
            select(Item{n})
            .where(Item{n}.owner_id == owner.id)
            .limit(limit)
        )
        found = self.session.execute(query).scalars().all()
        names = {{item.id: item.owner.label() for item in found if item.count > {number}}}
        totals = [item.worth for item in found]
        document = self.client.fetch(owner.name) or {{}}
        document["names"], document["total"] = names, sum(totals)
        # the earlier part knows more about some of them
        if self.earlier is not None and len(found) > {number}:
            document["more"] = self.earlier.{verb}_{index}(key)
        self.client.send(owner.name, document)
        self.note(f"{verb} {{owner.name}}: {{len(found)}}")
        return sorted(found, key=lambda item: item.price)
'''
_VIEWS_HEAD = '''"""The routes of part {n}."""

from flask import Blueprint, current_app, jsonify, request

from app.part{n}.services import Service{n}

blueprint = Blueprint("part{n}", __name__)


def service():
    return Service{n}(current_app.extensions["session"], current_app.config["BASE"])
'''
_VIEW = '''

@blueprint.route("/part{n}/{verb}/{index}/<int:key>", methods=["GET", "POST"])
def {verb}_{index}(key):
    """Show the items of an owner.

    A text that is posted is kept before the items are gathered.
    """

    limit = int(request.args.get("limit", {number}))
    if request.method == "POST":
        body = request.get_json()
        service().note(body["text"])
    rows = []
    for item in service().{verb}_{index}(key, limit):
        rows.append(
            {{
                "id": item.id,
                "worth": item.worth,
                "owner": item.owner.label(),
            }}
        )
    return jsonify(rows)
'''
_TESTS = '''"""Part {n}, tested."""

from unittest import mock

import pytest

from app.part{n}.services import Service{n}


@pytest.fixture
def session():
    return mock.MagicMock()


@pytest.fixture
def service(session):
    return Service{n}(session, "http://localhost/{n}")


@pytest.mark.parametrize("key", [1, 2, {number}])
def test_no_owner(service, session, key):
    session.get.return_value = None
    assert service.{verb}_0(key) == []
    assert service.log == ["no owner {number}"]


def test_notes(service):
    with mock.patch("app.part{n}.client.requests.Session"):
        assert service.note(" A ") == 1
'''
_VERBS = ("collect", "settle", "review", "archive", "publish", "compare", "restore", "enrol")
_METHODS = 14


def synthetic(kloc: int) -> dict[str, bytes]:
    """A program of about `kloc` thousand lines, by path."""
    found: dict[str, bytes] = {"app/__init__.py": b"", "tests/__init__.py": b""}
    lines = 0
    number = 0
    while lines < kloc * 1000:
        for path, text in _part(number).items():
            found[path] = text.encode()
            lines += text.count("\n")
        number += 1
    return found


def _part(n: int) -> dict[str, str]:
    chance = random.Random(n)
    names = {"n": n, "m": max(0, n - chance.randint(1, 8)), "number": chance.randint(2, 60)}
    verbs = [(chance.choice(_VERBS), index) for index in range(_METHODS)]
    more = [{**names, "verb": "collect" if i == 0 else v, "index": i} for v, i in verbs]
    services = _SERVICE_HEAD.format(**names) + "".join(_SERVICE_METHOD.format(**m) for m in more)
    views = _VIEWS_HEAD.format(**names) + "".join(_VIEW.format(**m) for m in more)
    return {
        f"app/part{n}/__init__.py": "",
        f"app/part{n}/models.py": _MODELS.format(**names),
        f"app/part{n}/client.py": _CLIENT.format(**names),
        f"app/part{n}/services.py": services,
        f"app/part{n}/views.py": views,
        f"tests/test_part{n}.py": _TESTS.format(verb="collect", **names),
    }
