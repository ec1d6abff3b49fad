"""BK250 flask-to-quart: imports, awaits, bridges, and the tests' own part."""

from __future__ import annotations

import asyncio
import threading
from textwrap import dedent

import pytest
import quart

from bridgekit_codemods.catalog.flask_extensions import flask_extension, flask_extensions
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.quart import FlaskToQuart

RULE = FlaskToQuart()


def converted(files: dict[str, str]) -> dict[str, str]:
    """The program after the step, which must exist and must be the last of its rule."""
    sources = {path: dedent(text).encode() for path, text in files.items()}
    step = RULE.propose(Program.load(sources), Options(), frozenset())
    assert step is not None, RULE.findings(Program.load(sources), Options(), frozenset())
    for path, data in step.changes.items():
        if path.endswith(".py"):
            compile(data, path, "exec")
        sources[path] = data
    assert RULE.propose(Program.load(sources), Options(), frozenset()) is None
    return {path: data.decode() for path, data in sources.items()}


def reasons(files: dict[str, str]) -> list[str]:
    """Why the rule leaves the program alone."""
    program = Program.load({path: dedent(text).encode() for path, text in files.items()})
    assert RULE.propose(program, Options(), frozenset()) is None
    return [finding.reason for finding in RULE.findings(program, Options(), frozenset())]


APP = """\
    from bridgekit.integrations.flask import Flask
    from flask import Blueprint, flash, jsonify, render_template, request  # the web

    bp = Blueprint("b", __name__)


    @bp.post("/form")
    async def form():
        name = request.form["name"]  # as typed
        await keep(name)
        flash("ok")
        return render_template("x.html", name=name, args=request.args)


    async def keep(name):
        return name


    @bp.get("/json")
    async def data():
        return jsonify((request.get_json(silent=True) or {}).get("a"), request.is_json)


    @bp.get("/sync")
    def sync_view():
        return render_template("y.html", name=request.form["name"])


    def create_app() -> Flask:
        app = Flask(__name__)
        app.register_blueprint(bp)
        return app
"""


def test_what_quart_made_awaitable_is_awaited() -> None:
    after = converted({"app.py": APP})["app.py"]
    assert "from bridgekit.integrations.quart import Quart\n" in after
    assert (
        "from quart import Blueprint, flash, jsonify, render_template, request  # the web" in after
    )
    assert 'name = (await request.form)["name"]  # as typed' in after
    assert 'await flash("ok")' in after
    assert 'return await render_template("x.html", name=name, args=request.args)' in after
    assert '((await request.get_json(silent=True)) or {}).get("a"), request.is_json' in after or (
        '(await request.get_json(silent=True) or {}).get("a"), request.is_json' in after
    )
    assert "def create_app() -> Quart:\n    app = Quart(__name__)" in after


def test_a_function_that_stayed_sync_reaches_them_through_a_bridge() -> None:
    after = converted({"app.py": APP})["app.py"]
    assert (
        'return async_to_sync(render_template)("y.html", '
        'name=async_to_sync(lambda: request.form)()["name"])' in after
    )


TESTS = """\
    import io

    import pytest
    from app import create_app


    @pytest.fixture
    def app():
        return create_app()


    @pytest.fixture
    def client(app):
        return app.test_client()


    class Actions:
        def __init__(self, client):
            self.client = client

        def log_in(self, name="x"):
            return self.client.post("/form", data={"name": name})


    @pytest.fixture
    def actions(client):
        return Actions(client)


    def test_form(client, actions):
        reply = actions.log_in()
        assert reply.status_code == 200
        assert b"x" in reply.data
        assert client.get("/json").get_json() == {"a": 1}
        assert "x" in client.get("/").text


    def test_upload(client):
        client.post(
            "/form",
            data={"name": "n", "file": (io.BytesIO(b"1"), "f.txt")},
            content_type="multipart/form-data",
        )


    def test_session(client):
        with client.session_transaction() as session:
            session["a"] = 1
        with client:
            client.get("/")


    def test_context(app):
        with app.app_context():
            assert app.name


    @pytest.mark.parametrize(("form", "code"), [({"a": "1"}, 200), ({"b": "1"}, 400)])
    def test_forms(client, form, code):
        assert client.post("/form", data=form).status_code == code


    def test_pure(app):
        assert app.testing is False
"""


def test_tests_become_async_along_with_the_client() -> None:
    files = converted({"app.py": APP, "tests/test_app.py": TESTS})
    after = files["tests/test_app.py"]
    assert 'async def log_in(self, name="x"):' in after
    assert 'return await self.client.post("/form", form={"name": name})' in after
    assert "async def test_form(client, actions):\n    reply = await actions.log_in()" in after
    assert "assert reply.status_code == 200" in after
    assert 'assert b"x" in await reply.get_data()' in after
    assert 'assert await (await client.get("/json")).get_json() == {"a": 1}' in after
    assert 'assert "x" in await (await client.get("/")).get_data(as_text=True)' in after
    assert (
        'form={"name": "n"}, files={"file": FileStorage(io.BytesIO(b"1"), filename="f.txt")}'
        in after.replace("\n        ", " ")
    )
    assert "content_type" not in after
    assert "async with client.session_transaction() as session:" in after
    assert "async with client:\n        await client.get" in after
    assert "async with app.app_context():" in after
    assert 'assert (await client.post("/form", form=form)).status_code == code' in after
    assert "\ndef test_pure(app):" in after
    assert "\ndef client(app):" in after


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-q"\n', 'asyncio_mode = "auto"'),
        ("pytest.ini", "[pytest]\naddopts = -q\n", "asyncio_mode = auto"),
        ("setup.cfg", "[tool:pytest]\naddopts = -q\n", "asyncio_mode = auto"),
    ],
)
def test_the_settings_of_pytest_are_changed_where_they_are(
    name: str, text: str, expected: str
) -> None:
    files = converted({"app.py": APP, "tests/test_app.py": TESTS, name: text})
    assert expected in files[name]
    assert "-q" in files[name]
    assert name == "pytest.ini" or "pytest.ini" not in files


def test_a_project_without_settings_gets_a_file_for_them() -> None:
    files = converted({"app.py": APP, "tests/test_app.py": TESTS})
    assert files["pytest.ini"].startswith("[pytest]\nasyncio_mode = auto\n")


def test_open_resource_is_opened_below_the_root_path() -> None:
    after = converted(
        {
            "app.py": """\
            from flask import Flask, current_app


            def schema():
                with current_app.open_resource("schema.sql") as file:
                    return file.read()


            app = Flask(__name__)
            """
        }
    )["app.py"]
    assert 'with open(os.path.join(current_app.root_path, "schema.sql"), "rb") as file:' in after
    assert "import os\n" in after


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("from flask import Flask\nimport flask_login\n", "Flask-Login is an extension"),
        ("from flask.sessions import SecureCookieSessionInterface\n", "has no counterpart"),
        ("from flask import Flask\n\n\nclass Mine(Flask):\n    pass\n", "Mine overrides Flask"),
        (
            "from flask import Flask, render_template\n\nPAGE = render_template('x')\n\n\n"
            "def f():\n    pass\n",
            "called while the module is imported",
        ),
    ],
)
def test_must_not_touch(source: str, reason: str) -> None:
    assert reason in reasons({"app.py": source})[0]


def test_a_test_with_no_async_form_keeps_the_program_on_flask() -> None:
    tests = TESTS + "\n\n    def test_kwargs(client, kw):\n        client.get('/', **kw)\n"
    assert "gets its arguments by **" in reasons({"app.py": APP, "tests/test_app.py": tests})[0]


def test_a_fixture_that_must_await_is_not_asked_for_by_its_name() -> None:
    """pytest makes it while the loop runs the test, and cannot run it on that loop."""
    tests = (
        TESTS
        + "\n\n    @pytest.fixture\n    def page(client):\n        return client.get('/json')\n"
        + "\n\n    def test_page(client, request):\n"
        + "        client.get('/')\n        CALL\n"
    )
    asked = tests.replace("CALL", "request.getfixturevalue('page')")
    assert "a fixture that awaits" in reasons({"app.py": APP, "tests/test_app.py": asked})[0]
    asked = tests.replace("CALL", "request.getfixturevalue('app')")
    after = converted({"app.py": APP, "tests/test_app.py": asked})["tests/test_app.py"]
    assert "request.getfixturevalue('app')" in after


RENDERING = """\
    import time
    from bridgekit.integrations.flask import Flask
    from flask import render_template

    app = Flask(__name__)


    class Order:
        @property
        def total(self):
            WAIT
            return 1


    HOOK
    def more():
        WAITS
        return {"other": more}


    @app.get("/")
    async def form():
        return render_template("x.html", order=Order())
"""
_SLEEP = "time.sleep(1)"


@pytest.mark.parametrize(
    ("wait", "hook", "waits", "template", "kept"),
    [
        (_SLEEP, "", "", "{{ order.total }}", True),
        (_SLEEP, "", "", "{{ order }}", False),
        ("pass", "", "", "{{ order.total }}", False),
        ("pass", "@app.template_filter()", _SLEEP, "{{ order|more }}", True),
        ("pass", "@app.template_filter()", "pass", "{{ order|more }}", False),
        ("pass", "@app.context_processor", _SLEEP, "{{ other() }}", True),
        ("pass", "@app.context_processor", _SLEEP, "{{ order }}", False),
    ],
    ids=["property", "not read", "quick", "filter", "quick filter", "global", "context processor"],
)
def test_what_waits_in_a_template_keeps_the_program_on_flask(
    wait: str, hook: str, waits: str, template: str, kept: bool
) -> None:
    source = RENDERING.replace("WAITS", waits or "pass").replace("WAIT", wait)
    files = {"app.py": source.replace("HOOK", hook), "templates/x.html": template}
    if kept:
        (reason,) = reasons(files)
        assert reason.startswith("template templates/x.html:1 calls app.")
        assert reason.endswith("which blocks, and Quart renders on the event loop")
        program = Program.load({path: dedent(text).encode() for path, text in files.items()})
        (finding,) = RULE.findings(program, Options(), frozenset())
        assert (finding.code, finding.line) == ("BK258", 23)
    else:
        assert 'return await render_template("x.html", order=Order())' in converted(files)["app.py"]


@pytest.mark.parametrize("template", ["{{ order.total }}", "{{ threads() }}"])
def test_quart_renders_on_the_loop_and_runs_context_processors_beside_it(template: str) -> None:
    """What BK258 rests on, seen on Quart itself."""
    seen: dict[str, int] = {}

    class Order:
        @property
        def total(self) -> int:
            seen["property"] = threading.get_ident()
            return 1

    app = quart.Quart(__name__)

    @app.context_processor
    def more() -> dict[str, object]:
        seen["processor"] = threading.get_ident()
        return {"threads": lambda: seen.setdefault("function", threading.get_ident())}

    @app.get("/")
    async def page() -> str:
        return await quart.render_template_string(template, order=Order())

    async def ask() -> int:
        await app.test_client().get("/")
        return threading.get_ident()

    loop = asyncio.run(ask())
    assert seen.pop("processor") != loop
    assert list(seen.values()) == [loop]


def test_a_program_without_flask_is_left_alone() -> None:
    assert reasons({"app.py": "import json\n"}) == []


def test_the_declared_dependencies_follow() -> None:
    project = """\
        [project]
        name = "x"
        dependencies = ["flask>=3", "sqlalchemy"]  # web

        [project.optional-dependencies]
        test = ["pytest>=8"]
        """
    files = converted({"app.py": APP, "tests/test_app.py": TESTS, "pyproject.toml": project})
    after = files["pyproject.toml"]
    assert 'dependencies = ["sqlalchemy", "quart>=0.20,<0.23"]  # web' in after
    assert 'test = ["pytest>=8", "pytest-asyncio>=1.2"]' in after
    assert "asyncio_mode" in files["pytest.ini"]


@pytest.mark.parametrize(
    "module",
    sorted(
        {*flask_extensions(), "flask_unheard_of", "flask_sqlalchemy.pagination"}
        | {"bridgekit.integrations.flask_sqlalchemy", "bridgekit.integrations.flask_login"}
    ),
)
def test_an_extension_keeps_the_program_on_flask(module: str) -> None:
    source = f"from flask import Flask\nfrom {module} import x\n\napp = Flask(__name__)\n"
    program = Program.load({"app.py": source.encode()})
    assert RULE.propose(program, Options(), frozenset()) is None
    (found,) = RULE.findings(program, Options(), frozenset())
    assert (found.code, found.line) == ("BK251", 2)
    assert "--target flask" in found.remedy


@pytest.mark.parametrize("module", ["bridgekit.integrations.flask", "bridgekit", "flaskless"])
def test_what_is_no_extension(module: str) -> None:
    assert flask_extension(module) is None


def test_a_rendering_function_that_is_passed_on_keeps_the_program_on_flask() -> None:
    source = """\
        from bridgekit import to_thread
        from bridgekit.integrations.flask import Flask
        from flask import render_template

        app = Flask(__name__)


        @app.get("/")
        async def view():
            return await to_thread.run_sync(render_template, "page.html")
    """
    program = Program.load({"app.py": dedent(source).encode()})
    assert RULE.propose(program, Options(), frozenset()) is None
    (found,) = RULE.findings(program, Options(), frozenset())
    assert (found.code, found.line) == ("BK255", 10)
