"""Steps of one kind become one large step, and come apart again after it was red."""

from __future__ import annotations

from bridgekit_codemods.walk.planner import build_planner

SOURCES = {
    "app.py": b"from bridgekit.integrations.flask import Flask\n\napp = Flask(__name__)\n",
    "deco.py": b"import functools\n\n\n"
    + b"\n\n\n".join(
        b"def %s(view):\n    @functools.wraps(view)\n    def wrapper(*args, **kwargs):\n"
        b"        return view(*args, **kwargs)\n\n    return wrapper" % name
        for name in (b"one", b"two")
    )
    + b"\n",
    "views.py": b"import time\n\nfrom app import app\nfrom deco import one, two\n\n\n"
    b'@app.route("/a")\n@one\ndef a():\n    time.sleep(1)\n\n\n'
    b'@app.route("/b")\n@two\ndef b():\n    time.sleep(1)\n',
}


def test_steps_of_one_kind_are_one_step_in_layers() -> None:
    planner = build_planner(granularity="layer")
    step = planner.next_step(SOURCES, frozenset())
    assert step is not None
    assert step.key == "decorator:deco.one + decorator:deco.two"
    assert step.members == ("deco.one", "deco.two")
    assert step.changes["deco.py"] is not None
    assert step.changes["deco.py"].count(b"iscoroutinefunction") == 2


def test_after_red_they_come_one_at_a_time() -> None:
    planner = build_planner(granularity="layer")
    large = planner.next_step(SOURCES, frozenset())
    assert large is not None
    small = planner.next_step(SOURCES, frozenset({large.key}))
    assert small is not None
    assert small.key == "decorator:deco.one"


def test_smaller_granularities_never_merge() -> None:
    for granularity in ("function", "module"):
        step = build_planner(granularity=granularity).next_step(SOURCES, frozenset())  # type: ignore[arg-type]
        assert step is not None
        assert step.key == "decorator:deco.one"
