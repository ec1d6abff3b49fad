"""BK245 pure-views: only what never waits, only on Quart."""

from __future__ import annotations

from textwrap import dedent

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.pure_views import PureViews

RULE = PureViews()
APP = """\
    import time

    from bridgekit.integrations.quart import Quart
    from quart import g

    app = Quart(__name__)


    @app.before_request
    def start():  # each request
        g.started = time.perf_counter()


    @app.route("/sleep")
    def sleepy():
        time.sleep(1)
        return "x"


    @app.route("/unknown")
    def unknown(thing=None):
        return thing.load()


    @app.context_processor
    def names():
        return {}


    class Model:
        def load(self):
            time.sleep(1)


    @app.teardown_appcontext
    def done(error=None):
        g.pop("x", None)
"""


def test_views_and_hooks_that_never_wait_become_async() -> None:
    sources = {"app.py": dedent(APP).encode()}
    step = RULE.propose(Program.load(sources), Options(), frozenset())
    assert step is not None
    data = step.changes["app.py"]
    assert data is not None
    expected = dedent(APP).replace("def start", "async def start")
    assert data.decode() == expected.replace("def done", "async def done")
    after = Program.load({"app.py": data})
    assert RULE.propose(after, Options(), frozenset()) is None


def test_after_red_they_come_one_by_one() -> None:
    program = Program.load({"app.py": dedent(APP).encode()})
    step = RULE.propose(program, Options(), frozenset())
    assert step is not None
    single = RULE.propose(program, Options(), frozenset({step.key}))
    assert single is not None
    assert single.members == ("app.done",)


def test_on_flask_nothing_changes() -> None:
    source = dedent(APP).replace("quart", "flask").replace("Quart", "Flask").encode()
    assert RULE.propose(Program.load({"app.py": source}), Options(), frozenset()) is None
