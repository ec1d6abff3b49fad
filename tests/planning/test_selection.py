"""Scope, settings and prices: which functions a walk asks for, and what it says of the others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bridgekit_codemods.planning.goals import check_goals, goal_functions
from bridgekit_codemods.planning.overview import Closure
from bridgekit_codemods.planning.routes import views
from bridgekit_codemods.planning.scope import EVERYTHING, Scope, ScopeError
from bridgekit_codemods.planning.steps import Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.walk.closures import closures
from bridgekit_codemods.walk.overview import overview
from bridgekit_codemods.walk.planner import build_planner
from bridgekit_codemods.walk.prospects import Outlook

SHOP = {
    "shop/__init__.py": b"",
    "shop/api.py": (
        b"import requests\n\n\n"
        b"def price(name):\n    return requests.get(f'http://p/{name}', timeout=5).json()\n\n\n"
        b"def stock(name):\n    return requests.get(f'http://s/{name}', timeout=5).json()\n"
    ),
    "shop/pause.py": b"import time\n\n\ndef pause():\n    time.sleep(1)\n",
    "shop/orders.py": (
        b"from flask import Blueprint\n\nfrom shop.api import price, stock\n"
        b"from shop.pause import pause\n\n"
        b'bp = Blueprint("orders", __name__, url_prefix="/orders")\n\n\n'
        b'@bp.get("/<name>/price")\ndef show(name):\n    return price(name)\n\n\n'
        b'@bp.route("/<name>/stock", methods=["GET", "POST"], endpoint="left")\n'
        b"def left_over(name):\n    pause()\n    return stock(name)\n"
    ),
    "shop/app.py": (
        b"from flask import Flask\n\nfrom shop.orders import bp\nfrom shop.pause import pause\n\n"
        b"app = Flask(__name__)\n"
        b'app.register_blueprint(bp, url_prefix="/api/orders")\n\n\n'
        b"def slow():\n    pause()\n    return 'done'\n\n\n"
        b'app.add_url_rule("/slow", "slowly", view_func=slow)\n'
    ),
}


def wanted(files: Mapping[str, bytes], scope: Scope = EVERYTHING) -> set[str]:
    return {f.qualname for f in Program.load(files).derived(Outlook(scope)).wanted}


def steps(files: Mapping[str, bytes], scope: Scope) -> list[Step]:
    planner = build_planner(granularity="layer", scope=scope)
    sources = dict(files)
    found = []
    while (step := planner.next_step(sources, frozenset())) is not None:
        found.append(step)
        sources.update({p: d for p, d in step.changes.items() if d is not None})
    return found


def with_settings(text: str) -> dict[str, bytes]:
    return {**SHOP, "pyproject.toml": text.encode()}


def test_the_names_of_views() -> None:
    found = {(v.function.name, v.endpoint, v.rule, v.methods) for v in views(Program.load(SHOP))}
    assert found == {
        ("show", "orders.show", "/api/orders/<name>/price", ("GET",)),
        ("left_over", "orders.left", "/api/orders/<name>/stock", ("GET", "POST")),
        ("slow", "slowly", "/slow", ()),
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("views:orders.*", {"show", "left_over"}),
        ("views:orders", {"show", "left_over"}),
        ("blueprint:orders", {"show", "left_over"}),
        ("views:*.left", {"left_over"}),
        ("views:slowly", {"slow"}),
        ("routes:/api/orders/*/stock", {"left_over"}),
        ("routes:/api/*", {"show", "left_over"}),
        ("shop.orders.show", {"show"}),
        ("shop.api", {"price", "stock"}),
        ("*.stock", {"stock"}),
        ("views:left_over", set()),
    ],
)
def test_goals(pattern: str, names: set[str]) -> None:
    assert {f.name for f in goal_functions(Program.load(SHOP), pattern)} == names


@pytest.mark.parametrize("pattern", ["views:nosuch", "routes:/nosuch", "shop.nosuch.*"])
def test_a_goal_that_names_nothing_is_refused_with_names_that_exist(pattern: str) -> None:
    with pytest.raises(ScopeError, match=r"no function has that name; there are .*(show|price)"):
        check_goals(Program.load(SHOP), [pattern])


def test_only_one_kind() -> None:
    assert wanted(SHOP, Scope(frozenset({"sleep"}))) == {
        "shop.pause.pause", "shop.orders.left_over", "shop.app.slow",
    }  # fmt: skip
    assert wanted(SHOP, Scope(frozenset({"http"}))) == {
        "shop.api.price", "shop.api.stock", "shop.orders.show", "shop.orders.left_over",
    }  # fmt: skip
    assert wanted(SHOP, Scope(frozenset({"db"}))) == set()


def test_preparation_is_left_out_for_what_is_out_of_scope() -> None:
    kinds = [step.kind for step in steps(SHOP, Scope(frozenset({"sleep"})))]
    assert "http-client" not in kinds
    assert "quart" not in kinds
    assert "flip" in kinds
    kinds = [step.kind for step in steps(SHOP, Scope(frozenset({"http"})))]
    assert kinds[0] == "http-client"


def test_what_is_out_of_scope_stays_behind_a_bridge() -> None:
    database = {
        **SHOP,
        "shop/pause.py": b"import os\n\n\ndef pause():\n    os.remove('x')\n",
    }
    added = [b for step in steps(database, Scope(frozenset({"http"}))) for b in step.bridges_added]
    assert "to_thread: pause in shop.orders.left_over" in added


def test_a_goal_asks_for_nothing_else() -> None:
    found = steps(SHOP, Scope(goals=("views:orders.show",)))
    members = {name for step in found if step.key.startswith("flip:") for name in step.members}
    assert members == {"shop.api.price", "shop.orders.show"}


def test_the_size_of_each_kind() -> None:
    found = {closure.kind: closure for closure in closures(Program.load(SHOP), EVERYTHING)}
    assert found == {
        "http": Closure("http", 2, 4, 4, 2),
        "sleep": Closure("sleep", 1, 3, 3, 2),
    }


def test_kept_functions_stay_sync_and_are_reported() -> None:
    files = with_settings('[tool.bridgekit]\nkeep = ["shop.api.*"]\n')
    assert wanted(files) == {"shop.pause.pause", "shop.orders.left_over", "shop.app.slow"}
    planner = build_planner()
    sources = dict(files)
    while (step := planner.next_step(sources, frozenset())) is not None:
        sources.update({p: d for p, d in step.changes.items() if d is not None})
    assert b"async def" not in sources["shop/api.py"]
    assert b"await to_thread.run_sync(stock, name)" in sources["shop/orders.py"]
    found = [f for f in planner.findings(sources, frozenset()) if f.code == "BK312"]
    assert {f.function for f in found} == {"shop.api.price", "shop.api.stock"}
    assert overview(Program.load(files), EVERYTHING).kept == ("shop.api.price", "shop.api.stock")


def test_the_facade_of_a_kept_function_stays() -> None:
    files = with_settings('[tool.bridgekit]\nkeep = ["m.f"]\n')
    files["m.py"] = (
        b"import asyncio\n\nfrom bridgekit import async_to_sync\n\n\n"
        b"async def f_async():\n    await asyncio.sleep(0)\n\n\n"
        b"def f():\n    return async_to_sync(f_async)()\n"
    )
    kinds = [step.kind for step in steps(files, EVERYTHING)]
    assert "fold" in kinds, "the facades that the walk made are folded"
    planner = build_planner()
    (found,) = [f for f in planner.findings(files, frozenset()) if f.function == "m.f"]
    assert found.code == "BK271"
    assert "kept sync by the pattern 'm.f'" in found.reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('[tool.bridgekit]\nkeep = ["shop.nosuch.*"]\n', 2, "matches no function"),
        ('[tool.bridgekit]\nkeep = "shop.api"\n', 2, "no list of dotted names"),
        ("[tool.bridgekit]\nkeep = [1]\n", 2, "no list of dotted names"),
        ("[tool.bridgekit]\nbridge-below = -1\n", 2, "no number of 0 or more"),
        ("[tool.bridgekit\n", 1, "cannot be read"),
        ("[tool]\nbridgekit = 1\n", 1, "is no table"),
    ],
)
def test_settings_that_cannot_be_meant_are_findings(text: str, line: int, reason: str) -> None:
    found = build_planner().findings(with_settings(text), frozenset())
    (finding,) = [f for f in found if f.code == "BK314"]
    assert (finding.path, finding.line) == ("pyproject.toml", line)
    assert reason in finding.reason


def family(methods: int, waiting: int) -> dict[str, bytes]:
    """A base class and its subclasses, of whose methods some send a request."""
    lines = ["import requests\n\n", "class Base:", "    def run(self):", "        return 0\n\n"]
    for number in range(methods - 1):
        body = "requests.get('http://x', timeout=1).text" if number < waiting else "1"
        lines += [f"class R{number}(Base):", "    def run(self):", f"        return {body}\n\n"]
    return {
        "runners.py": "\n".join(lines).encode(),
        "app.py": (
            b"from flask import Flask\n\nfrom runners import Base\n\napp = Flask(__name__)\n\n\n"
            b"def runner() -> Base: ...\n\n\n"
            b'@app.get("/")\ndef index():\n    return str(runner().run())\n'
        ),
    }


def test_a_large_family_of_which_one_waits_is_bridged() -> None:
    files = family(67, 1)
    (weighed,) = overview(Program.load(files), EVERYTHING).weighed
    assert (weighed.waiting, weighed.sites, len(weighed.family)) == (1, 1, 67)
    assert (weighed.flip, weighed.bridge, weighed.bridged) == (67.5, 6.0, True)
    assert not any(name.startswith("runners.") for name in wanted(files))


def test_a_bridged_family_is_reported_with_what_was_weighed() -> None:
    files = family(67, 1)
    files["app.py"] = b"import time\n" + files["app.py"].replace(
        b"    return str", b"    time.sleep(0)\n    return str"
    )
    planner = build_planner(granularity="layer")
    sources = dict(files)
    while (step := planner.next_step(sources, frozenset())) is not None:
        assert not any(name.startswith("runners.R") for name in step.members)
        sources.update({p: d for p, d in step.changes.items() if d is not None})
    assert b"async" not in sources["runners.py"]
    assert b"to_thread" in sources["app.py"]
    found = [f for f in planner.findings(sources, frozenset()) if f.code == "BK313"]
    assert [f.function for f in found] == ["runners.R0.run"]
    assert "67 overrides of run, 1 of which wait, 1 calls" in found[0].reason
    assert "flip 67.5, bridge 6" in found[0].reason


@pytest.mark.parametrize(("methods", "waiting"), [(2, 1), (5, 1), (67, 66), (20, 10)])
def test_small_families_and_those_that_mostly_wait_are_flipped(methods: int, waiting: int) -> None:
    files = family(methods, waiting)
    (weighed,) = overview(Program.load(files), EVERYTHING).weighed
    assert not weighed.bridged
    assert "runners.R0.run" in wanted(files)


def test_the_factor_decides() -> None:
    files = family(67, 1)
    assert "runners.R0.run" in wanted(files, Scope(bridge_below=0))
    assert "runners.R0.run" not in wanted(family(2, 1), Scope(bridge_below=10))
    settings = {**files, "pyproject.toml": b"[tool.bridgekit]\nbridge-below = 0\n"}
    assert "runners.R0.run" in wanted(settings)
    assert "runners.R0.run" not in wanted(settings, Scope(bridge_below=1))
