"""BK221 flask-on-portal."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.rules.flask_bridge import FlaskBridge

RULE = FlaskBridge()


def test_the_class_of_the_application_comes_from_the_integration(rewritten) -> None:
    source = "from flask import Flask\n\napp = Flask(__name__)\n"

    assert rewritten(RULE, source) == (
        "from bridgekit.integrations.flask import Flask\n\napp = Flask(__name__)\n"
    )


def test_other_names_stay_with_flask(rewritten) -> None:
    source = """\
        \"\"\"The factory.\"\"\"

        import os

        from flask import Flask, g, render_template  # noqa: F401


        def create_app() -> Flask:
            return Flask(__name__, instance_relative_config=True)
        """

    assert rewritten(RULE, source) == dedent(source).replace(
        "from flask import Flask, g, render_template",
        "from bridgekit.integrations.flask import Flask\nfrom flask import g, render_template",
    )


def test_the_class_through_the_module_is_imported(rewritten) -> None:
    source = "import flask\n\napp = flask.Flask(__name__)\nflask.g\n"

    assert rewritten(RULE, source) == (
        "import flask\nfrom bridgekit.integrations.flask import Flask\n\n"
        "app = Flask(__name__)\nflask.g\n"
    )


def test_an_import_that_nothing_needs_any_more_goes(rewritten) -> None:
    source = "import flask\n\napp = flask.Flask(__name__)\n"

    assert rewritten(RULE, source) == (
        "from bridgekit.integrations.flask import Flask\n\napp = Flask(__name__)\n"
    )


def test_modules_that_only_name_the_class_stay(propose) -> None:
    step = propose(
        RULE,
        {
            "app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
            "ext.py": "from flask import Flask\n\ndef init(app: Flask): ...\n",
        },
    )

    assert set(step.changes) == {"app.py"}


@pytest.mark.parametrize(
    "source",
    [
        "import json\n",
        "from flask import Flask\n\ndef init(app: Flask): ...\n",
        "from flask import Blueprint\n\nbp = Blueprint('a', __name__)\n",
        "from bridgekit.integrations.flask import Flask\n\napp = Flask(__name__)\n",
        "from quart import Quart\n\napp = Quart(__name__)\n",
        "class Flask: ...\n\napp = Flask()\n",
    ],
)
def test_other_programs_are_not_touched(untouched, found, source: str) -> None:
    untouched(RULE, source)
    assert found(RULE, source) == []


def test_a_subclass_is_reported(untouched, found) -> None:
    source = "from flask import Flask\n\nclass Shop(Flask): ...\n\napp = Shop(__name__)\n"

    untouched(RULE, source)
    assert [place[:2] for place in found(RULE, source)] == [("app.py", 3)]


def test_a_name_that_is_taken_is_not_overwritten(rewritten) -> None:
    source = "import flask\n\nclass Flask: ...\n\napp = flask.Flask(__name__)\n"

    assert rewritten(RULE, source) == (
        "from bridgekit.integrations.flask import Flask as bridgekit_Flask\n\n"
        "class Flask: ...\n\napp = bridgekit_Flask(__name__)\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from flask_login import LoginManager, current_user",
            "from bridgekit.integrations.flask_login import LoginManager\n"
            "from flask_login import current_user",
        ),
        (
            "from flask_login.login_manager import LoginManager",
            "from bridgekit.integrations.flask_login import LoginManager",
        ),
    ],
)
def test_the_login_manager_comes_from_the_integration(rewritten, before: str, after: str) -> None:
    files = {
        "app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
        "login.py": f"{before}\n\nlogin = LoginManager()\n",
    }

    assert rewritten(RULE, files, "login.py") == f"{after}\n\nlogin = LoginManager()\n"


def test_the_login_manager_of_no_application_stays(untouched) -> None:
    untouched(RULE, "from flask_login import LoginManager\n\nlogin = LoginManager()\n")
