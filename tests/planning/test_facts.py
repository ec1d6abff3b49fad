"""What is known of one function: colour, chain to the leaf, obstacles, tests."""

from __future__ import annotations

import pytest

from bridgekit_codemods.planning.reach import TestReach
from bridgekit_codemods.planning.scope import Scope, ScopeError
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.walk.facts import Facts, Link

FILES = {
    "shop/__init__.py": b"",
    "shop/prices.py": (
        b"import time\n\nimport requests\n\n\n"
        b"def fetch(name):\n    return requests.get(f'http://p/{name}', timeout=5).json()\n\n\n"
        b"def price(name):\n    time.sleep(1)\n    return fetch(name)\n\n\n"
        b"class Basket:\n    @property\n    def total(self):\n        return price('a')\n\n\n"
        b"def pure():\n    return 1\n\n\n"
        b"def nightly():\n    return price('a')\n"
    ),
    "shop/app.py": (
        b"import functools\n\nfrom flask import Flask\n\n"
        b"from shop.prices import Basket, price\n\napp = Flask(__name__)\n\n\n"
        b"def logged(view):\n    @functools.wraps(view)\n    def wrapper(*args, **kwargs):\n"
        b"        return view(*args, **kwargs)\n\n    return wrapper\n\n\n"
        b"@app.get('/<name>')\n@logged\ndef show(name):\n    return str(price(name))\n\n\n"
        b"@app.get('/basket')\n@logged\ndef basket():\n    return str(Basket().total)\n"
    ),
    "tests/conftest.py": (
        b"import pytest\n\nfrom shop.app import app\n\n\n"
        b"@pytest.fixture\ndef client():\n    return app.test_client()\n\n\n"
        b"@pytest.fixture\ndef warm():\n    from shop.prices import nightly\n    nightly()\n"
    ),
    "tests/test_shop.py": (
        b"from shop.prices import price\n\n\n"
        b"def test_view(client):\n    assert client.get('/tea?x=1').status_code == 200\n\n\n"
        b"def test_computed(client):\n    for n in 'ab':\n        client.get(f'/{n}')\n\n\n"
        b"def test_basket(client):\n    client.get('/basket')\n\n\n"
        b"def test_wrong_verb(client):\n    client.post('/tea')\n\n\n"
        b"def test_price():\n    assert price('a')\n\n\n"
        b"def test_warm(warm):\n    pass\n\n\n"
        b"def test_nothing():\n    pass\n"
    ),
}


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts(Program.load(FILES))


def test_the_chain_leads_to_the_leaf_with_every_call(facts: Facts) -> None:
    found = facts.of(facts.find("show"))
    assert found.colour == "blocking"
    assert found.waits_for == ("http", "sleep")
    assert found.chains["http"] == (
        Link("shop/app.py", 21, "shop.app.show", "shop.prices.price", "exact"),
        Link("shop/prices.py", 12, "shop.prices.price", "shop.prices.fetch", "exact"),
        Link("shop/prices.py", 7, "shop.prices.fetch", "requests.get", "library"),
    )
    assert [link.callee for link in found.chains["sleep"]] == ["shop.prices.price", "time.sleep"]


@pytest.mark.parametrize(
    ("name", "colour", "becomes", "verdict"),
    [
        ("fetch", "blocking", True, "becomes async"),
        ("show", "blocking", True, "becomes async, once its decorators take coroutine functions"),
        ("pure", "pure", False, "stays as it is: it never waits"),
        ("Basket.total", "blocking", False, "stays sync: a property cannot be awaited at its uses"),
        ("nightly", "blocking", False, "stays sync: no view or other async code reaches it"),
    ],
)
def test_colour_and_verdict(
    facts: Facts, name: str, colour: str, becomes: bool, verdict: str
) -> None:
    found = facts.of(facts.find(name))
    assert (found.colour, found.becomes_async, found.verdict) == (colour, becomes, verdict)


def test_obstacles_have_a_place_and_a_remedy(facts: Facts) -> None:
    (obstacle,) = facts.of(facts.find("Basket.total")).obstacles
    assert (obstacle.code, obstacle.path, obstacle.line) == ("BK304", "shop/prices.py", 17)
    assert obstacle.remedy == "make it a method"


def test_a_limited_scope_is_the_reason() -> None:
    facts = Facts(Program.load(FILES), Scope(frozenset({"db"})))
    found = facts.of(facts.find("fetch"))
    assert found.verdict == "stays sync: outside of the scope (--only db)"


def test_the_views_that_reach_a_function(facts: Facts) -> None:
    assert facts.of(facts.find("fetch")).entry_points == ("shop.app.basket", "shop.app.show")
    assert facts.of(facts.find("show")).entry_points == ("shop.app.show",)


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("show", {"view", "computed"}),
        ("basket", {"basket"}),
        ("price", {"view", "computed", "basket", "price", "warm"}),
        ("nightly", {"warm"}),
        ("pure", set()),
        ("client", {"view", "computed", "basket", "wrong_verb"}),
    ],
)
def test_the_tests_that_reach_a_function(facts: Facts, name: str, tests: set[str]) -> None:
    found = facts.of(facts.find(name)).tests
    assert {test.rpartition(".test_")[2] for test in found} == tests
    reach = facts.program.derived(TestReach)
    assert reach.count(facts.find(name)) == len(tests)


def test_every_function_has_facts(facts: Facts) -> None:
    found = {each.function: each for each in facts.all()}
    assert found.keys() == {name for name in facts.program.functions if name.startswith("shop.")}
    for each in found.values():
        assert bool(each.waits_for) == (each.colour == "blocking")
        assert set(each.chains) == set(each.waits_for)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "shop.prices.prise",
            "no function shop.prices.prise; there are shop.prices.price",
        ),
        ("nowhere_at_all", "there is no function nowhere_at_all"),
        ("<locals>.wrapper.x", "there is no function"),
    ],
)
def test_a_name_that_is_not_there(facts: Facts, name: str, message: str) -> None:
    with pytest.raises(ScopeError, match=message):
        facts.find(name)


def test_an_ending_that_two_functions_share() -> None:
    facts = Facts(Program.load({"a.py": b"def f(): ...\n", "b.py": b"def f(): ...\n"}))
    with pytest.raises(ScopeError, match=r"more than one function ends in f; there are a\.f, b\.f"):
        facts.find("f")
