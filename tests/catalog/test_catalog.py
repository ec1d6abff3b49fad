from __future__ import annotations

import ast

import pytest

from bridgekit_codemods import catalog


@pytest.mark.parametrize(
    ("dotted", "blocks"),
    [
        ("requests.get", "http"),
        ("requests.api.get", "http"),
        ("requests.Session.post", "http"),
        ("requests.sessions.Session.post", "http"),
        ("requests.Response.iter_content", "http"),
        ("bridgekit.integrations.requests.get", "http"),
        ("httpx.Client.get", "http"),
        ("httpx2.get", "http"),
        ("urllib.request.urlopen", "http"),
        ("sqlalchemy.orm.Session.execute", "db"),
        ("sqlalchemy.orm.session.Session.commit", "db"),
        ("sqlalchemy.orm.scoped_session.execute", "db"),
        ("sqlalchemy.orm.Query.all", "db"),
        ("sqlalchemy.orm.Query.__iter__", "db"),
        ("sqlalchemy.MetaData.create_all", "db"),
        ("sqlite3.connect", "db"),
        ("sqlite3.Connection.execute", "db"),
        ("sqlite3.Cursor.fetchone", "db"),
        ("time.sleep", "sleep"),
        ("builtins.open", "file"),
        ("pathlib.Path.read_text", "file"),
        ("pathlib.PosixPath.read_text", "file"),
        ("io.TextIOWrapper.write", "file"),
        ("shutil.rmtree", "file"),
        ("os.listdir", "file"),
        ("subprocess.run", "subprocess"),
        ("subprocess.Popen.communicate", "subprocess"),
        ("threading.Thread.join", "thread"),
        ("threading.Timer.join", "thread"),
        ("threading.Lock.__enter__", "lock"),
        ("queue.Queue.get", "thread"),
        ("queue.PriorityQueue.get", "thread"),
        ("concurrent.futures.Future.result", "thread"),
        ("concurrent.futures.ThreadPoolExecutor.__exit__", "thread"),
        ("smtplib.SMTP.sendmail", "mail"),
        ("smtplib.SMTP_SSL.sendmail", "mail"),
        ("socket.socket.recv", "socket"),
        ("builtins.input", "input"),
    ],
)
def test_what_blocks(dotted: str, blocks: str) -> None:
    effect = catalog.blocking(dotted)
    assert effect is not None
    assert effect.blocks == blocks


@pytest.mark.parametrize(
    "dotted",
    [
        "requests.Session",
        "requests.Session.mount",
        "requests.Session.headers",
        "requests.Response.json",
        "requests.Response.raise_for_status",
        "sqlalchemy.orm.Session.add",
        "sqlalchemy.orm.Session.query",
        "sqlalchemy.orm.Query.filter",
        "sqlalchemy.select",
        "sqlalchemy.create_engine",
        "sqlalchemy.orm.Session.begin",
        "sqlalchemy.ScalarResult.all",
        "sqlalchemy.ext.asyncio.AsyncSession.execute",
        "httpx.AsyncClient.get",
        "anyio.sleep",
        "anyio.Path.read_text",
        "bridgekit.to_thread.run_sync",
        "pathlib.Path",
        "pathlib.Path.with_suffix",
        "os.path.join",
        "os.getenv",
        "io.StringIO.write",
        "json.dumps",
        "threading.Thread.start",
        "threading.Lock.release",
        "flask.render_template",
        "flask.testing.FlaskClient.get",
        "nobody.knows.this",
    ],
)
def test_what_does_not_block(dotted: str) -> None:
    assert catalog.blocking(dotted) is None


def test_every_type_expression_can_be_read() -> None:
    for library in catalog.libraries():
        for spec in [*library.returns.values(), *library.attributes.values()]:
            ast.parse(spec, mode="eval")


def test_aliases_do_not_go_in_circles() -> None:
    for library in catalog.libraries():
        for alias in library.aliases:
            public = catalog.canonical(alias)
            assert catalog.canonical(public) == public


def test_declared_methods() -> None:
    assert catalog.declares("threading.Thread", "run")
    assert catalog.declares("flask.views.MethodView", "get")
    assert catalog.declares("requests.Session", "request")
    assert catalog.declares("unittest.TestCase", "setUp")
    assert not catalog.declares("threading.Thread", "fetch")
    assert not catalog.declares("nobody.Knows", "run")
    assert not catalog.declares("threading.Thread", "__init__")
