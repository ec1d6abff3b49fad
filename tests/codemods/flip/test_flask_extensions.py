"""BK240 flip under Flask: the extension's database, its decorators, templates and listeners."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.flip import Flip

APP = """\
import requests
from bridgekit.integrations.flask import Flask
from bridgekit.integrations.flask_sqlalchemy import SQLAlchemy
from flask import render_template
from flask_login import login_required
from flask_httpauth import HTTPTokenAuth
from unknown_extension import guarded

app = Flask(__name__)
db = SQLAlchemy()
auth = HTTPTokenAuth()


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)

    def posts(self):
        return db.session.scalar(db.select(User))


{listener}
@app.get("/<int:key>")
{decorator}
def view(key):
    {body}
"""


def flipped(
    body: str, decorator: str = "", listener: str = "", template: str = "{{ 1 }}"
) -> str | None:
    """The view after the flip; None when it stays as it is."""
    source = APP.format(body=body, decorator=decorator or "# plain", listener=dedent(listener))
    files = {"app.py": source.encode(), "templates/page.html": template.encode()}
    step = Flip().propose(Program.load(files), Options(), frozenset())
    while step is not None and not any(member == "app.view" for member in step.members):
        files = {**files, **{p: d for p, d in step.changes.items() if d is not None}}
        step = Flip().propose(Program.load(files), Options(), frozenset())
    if step is None:
        return None
    data = step.changes["app.py"]
    assert data is not None
    compile(data, "app.py", "exec")
    return data.decode().partition("def view(key):\n    ")[2].rstrip()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return db.get_or_404(User, key).id", "return (await db.aio.get_or_404(User, key)).id"),
        ("return db.first_or_404(db.select(User))",
         "return await db.aio.first_or_404(db.select(User))"),
        ("return db.one_or_404(db.select(User))",
         "return await db.aio.one_or_404(db.select(User))"),
        ("return db.paginate(db.select(User)).items",
         "return (await db.aio.paginate(db.select(User))).items"),
        ("db.session.commit()", "await db.session.aio.commit()"),
        ("db.session.add(User())\n    db.session.flush()",
         "db.session.add(User())\n    await db.session.aio.flush()"),
        ("return db.session.get(User, key)", "return await db.session.aio.get(User, key)"),
        ("db.create_all()", "await db.aio.create_all()"),
    ],
)  # fmt: skip
def test_the_database_gets_its_async_face(before: str, after: str) -> None:
    assert flipped(before) == after


@pytest.mark.parametrize("decorator", ["@login_required", "@auth.login_required"])
def test_decorators_that_await_through_the_application(decorator: str) -> None:
    assert flipped("db.session.commit()", decorator) == "await db.session.aio.commit()"


def test_other_decorators_keep_the_view() -> None:
    assert flipped("db.session.commit()", "@guarded") is None


def test_a_template_that_waits_is_rendered_in_a_thread() -> None:
    body = "db.session.commit()\n    return render_template('page.html', user=User())"
    plain = "await db.session.aio.commit()\n    return "
    assert flipped(body) == plain + "render_template('page.html', user=User())"
    assert flipped(body, template="{{ user.posts() }}") == (
        plain + "await to_thread.run_sync(render_template, 'page.html', user=User())"
    )


LISTENER = """
    def tell({arguments}):
        {action}


    db.event.listen(db.session, "{event}", tell)
"""
TELL = 'requests.post("http://127.0.0.1/index")'


@pytest.mark.parametrize(
    ("event", "action", "call", "after"),
    [
        ("after_commit", TELL, "commit()", "await to_thread.run_sync(db.session.commit)"),
        ("after_commit", TELL, "flush()", "await db.session.aio.flush()"),
        ("before_flush", TELL, "flush()", "await to_thread.run_sync(db.session.flush)"),
        ("before_flush", TELL, "commit()", "await to_thread.run_sync(db.session.commit)"),
        ("after_commit", "print()", "commit()", "await db.session.aio.commit()"),
    ],
)
def test_what_calls_a_listener_that_waits_goes_to_a_thread(
    event: str, action: str, call: str, after: str
) -> None:
    listener = LISTENER.format(arguments="*given", action=action, event=event)
    body = f"db.session.get(User, 1)\n    db.session.{call}"
    result = flipped(body, listener=listener)
    assert result is not None
    assert result.splitlines()[-1].strip() == after
