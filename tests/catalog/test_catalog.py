from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from bridgekit_codemods import catalog
from bridgekit_codemods.catalog.listing import markdown, summaries
from bridgekit_codemods.catalog.replacements import replacement
from bridgekit_codemods.catalog.schema import check_types, parse, read_library
from bridgekit_codemods.rules import RULES


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


def test_every_entry_can_be_found_under_its_name() -> None:
    hidden = [
        dotted
        for library in catalog.libraries()
        for dotted in (*library.blocks, *library.returns, *library.callbacks)
        if catalog.canonical(dotted) != dotted
    ]
    assert hidden == []


def test_every_rule_that_is_named_exists() -> None:
    codes = {rule.code for rule in RULES}
    named = {entry.rule for library in catalog.libraries() for entry in library.blocks.values()}
    assert named - {None} <= codes
    assert {"BK201", "BK211", "BK214", "BK240"} <= named


def test_what_an_entry_says() -> None:
    effect = catalog.blocking("redis.client.Redis.get")
    assert effect is not None
    assert (effect.dotted, effect.blocks, effect.kind) == ("redis.Redis.get", "cache", "method")
    assert effect.twin == "redis.asyncio.Redis.get"
    queue = catalog.blocking("queue.LifoQueue.put")
    assert queue is not None
    assert (queue.twin, queue.timeout) == ("asyncio.Queue.put", "timeout")
    assert queue.differs
    process = catalog.blocking("subprocess.Popen")
    assert process is not None
    assert process.kind == "constructor"
    state = catalog.blocking("celery.result.AsyncResult.state")
    assert state is not None
    assert state.kind == "property"


def test_methods_that_a_class_makes_up_at_run_time() -> None:
    effect = catalog.blocking("botocore.client.BaseClient.put_object")
    assert effect is not None
    assert (effect.blocks, effect.confidence) == ("http", "likely")
    assert catalog.blocking("botocore.client.BaseClient.get_paginator") is None
    assert catalog.blocking("botocore.client.BaseClient._make_api_call") is None


def test_a_guess_is_reported_and_no_reason_to_act() -> None:
    guess = "urllib3.HTTPResponse.read"
    assert catalog.blocking(guess) is None
    effect = catalog.suspected(guess)
    assert effect is not None
    assert effect.blocks == "http"
    assert catalog.suspected("requests.get") is None
    for library in catalog.libraries():
        for dotted, entry in library.blocks.items():
            if entry.confidence == "guess":
                assert replacement(dotted) is None


def test_a_pipeline_of_redis_only_waits_when_it_is_executed() -> None:
    assert catalog.blocking("redis.client.Pipeline.set") is None
    assert catalog.blocking("redis.client.Pipeline.execute") is not None


def test_who_calls_back() -> None:
    thread = catalog.callback("concurrent.futures.ThreadPoolExecutor.submit")
    assert thread is not None
    assert (thread.parameter, thread.runs, thread.awaits) == ("fn", "thread", False)
    hook = catalog.callback("flask.Flask.before_request")
    assert hook is not None
    assert (hook.runs, hook.awaits) == ("later", True)
    assert catalog.callback("threading.Thread.start") is None


def test_coroutine_functions() -> None:
    assert catalog.is_coroutine("aiosmtplib.SMTP.sendmail")
    assert catalog.is_coroutine("anyio.sleep")
    assert not catalog.is_coroutine("smtplib.SMTP.sendmail")
    assert not catalog.is_coroutine("nobody.knows")


def test_declared_methods() -> None:
    assert catalog.declares("threading.Thread", "run")
    assert catalog.declares("flask.views.MethodView", "get")
    assert catalog.declares("requests.Session", "request")
    assert catalog.declares("unittest.TestCase", "setUp")
    assert not catalog.declares("threading.Thread", "fetch")
    assert not catalog.declares("nobody.Knows", "run")
    assert not catalog.declares("threading.Thread", "__init__")


def test_the_table_of_the_docs_is_up_to_date() -> None:
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    assert markdown(summaries()) in page, "run scripts/catalog_candidates.py --markdown"


def test_the_example_of_the_docs_is_a_catalog_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    library = read_library("acme", parse(example, "catalog.md"), "catalog.md")
    check_types(library)
    assert library.blocks["acme.Client.fetch"].on == "http"
    assert library.wildcards["acme.Proxy"].exceptions == {"close"}
    assert library.callbacks["acme.Client.subscribe"].runs == "thread"
    unused = {field.name for field in dataclasses.fields(library)
              if not getattr(library, field.name)}  # fmt: skip
    assert unused <= {"at", "classes", "past", "unchecked"}


def test_a_session_that_is_closed_waits_as_a_client_does() -> None:
    for dotted in ("requests.Session.close", "httpx.Client.close"):
        effect = catalog.blocking(dotted)
        assert effect is not None
        assert (effect.blocks, effect.twin) == ("http", "httpx.AsyncClient.aclose")


def test_asking_for_a_mapping_is_not_taken_for_a_query() -> None:
    assert catalog.blocking("sqlalchemy.inspect") is None
    assert catalog.suspected("sqlalchemy.inspect") is not None
    assert catalog.blocking("sqlalchemy.Inspector.get_table_names") is not None
