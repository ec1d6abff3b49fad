"""BK240 on FastAPI and Starlette: views, dependencies, handlers and background tasks."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from bridgekit_codemods.planning.frameworks import entries
from bridgekit_codemods.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.flip import Flip
from bridgekit_codemods.walk.planner import RulePlanner

SHOP = '''
import requests
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse

UPSTREAM = "http://127.0.0.1:0"
SEEN = []
app = FastAPI()
router = APIRouter(prefix="/v1")


class Unknown(Exception):
    """Nobody of that name."""


def name_of(authorization: str = Header(default="nobody")) -> str:
    return authorization.removeprefix("Bearer ")


def user(name: str = Depends(name_of)) -> dict:
    reply = requests.get(f"{UPSTREAM}/users/{name}")
    if reply.status_code == 404:
        raise Unknown(name)  # see failed
    return reply.json()


def opened():
    SEEN.append(requests.get(f"{UPSTREAM}/users/open").status_code)
    yield SEEN
    SEEN.append("closed")


def fetch(code: str) -> dict:
    return requests.get(f"{UPSTREAM}/rates/{code}", timeout=5).json()


def notify(code: str) -> None:
    SEEN.append(requests.post(f"{UPSTREAM}/notes", json={"code": code}).status_code)


@app.get("/rates/{code}")
def rate(code: str, who: dict = Depends(user)):
    """The rate of a currency."""
    found = fetch(code)
    if not found:
        raise HTTPException(status_code=404, detail=code)
    return {"rate": found, "for": who["name"]}


@router.post("/orders")
def order(code: str, tasks: BackgroundTasks, seen: list = Depends(opened)):
    tasks.add_task(notify, code)
    return {"rate": fetch(code), "seen": len(seen)}


@app.exception_handler(Unknown)
def failed(request, error):
    requests.post(f"{UPSTREAM}/notes", json={"unknown": str(error)})
    return JSONResponse({"unknown": str(error)}, status_code=401)


@router.get("/plain")
def plain():
    return "plain"


app.include_router(router)
'''


def walked(source: str) -> str:
    """The program at the end of its walk, of which every step was verified."""
    planner = RulePlanner(Options())
    sources = {"shop.py": dedent(source).encode()}
    for _ in range(20):
        step = planner.next_step(sources, frozenset())
        if step is None:
            return sources["shop.py"].decode()
        sources |= {path: data for path, data in step.changes.items() if data is not None}
        assert planner.verify(step, sources) == ()
    raise AssertionError("the walk never comes to an end")


@pytest.fixture
def upstream() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """A server of rates and users: its address, and what it was asked."""
    asked: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def reply(self, body: Any) -> None:
            asked.append((self.command, self.path, body))
            name = self.path.rpartition("/")[2]
            data = b"{}" if name == "none" else json.dumps({"name": name}).encode()
            self.send_response(404 if name == "nobody" else 200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def module(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A module that annotations can be looked up in."""
    made = ModuleType("shop_under_test")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def served(module: ModuleType, source: str, upstream: str) -> list[Any]:
    """What the application answers, and what it notes down."""
    module.__dict__.update({"__name__": module.__name__})
    exec(compile(source, "shop.py", "exec"), module.__dict__)
    module.__dict__["UPSTREAM"] = upstream
    found: list[Any] = []
    with TestClient(module.app) as client:
        for method, path, headers in [
            ("GET", "/rates/eur", {"authorization": "Bearer ann"}),
            ("GET", "/rates/none", {"authorization": "Bearer ann"}),
            ("GET", "/rates/eur", {}),
            ("POST", "/v1/orders?code=usd", {}),
            ("POST", "/v1/orders", {}),
            ("GET", "/v1/plain", {}),
        ]:
            reply = client.request(method, path, headers=headers)
            found.append((reply.status_code, reply.json()))
    return [found, module.SEEN]


def test_the_migrated_application_answers_as_before(
    module: ModuleType, upstream: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    address, asked = upstream
    before = served(module, SHOP, address)
    assert [status for status, _ in before[0]] == [200, 404, 401, 200, 422, 200]
    asked_before = asked.copy()
    asked.clear()
    after = served(module, walked(SHOP), address)
    assert after == before
    assert asked == asked_before
    awaited = {n for n, f in vars(module).items() if inspect.iscoroutinefunction(f)}
    assert awaited == {"user", "fetch", "notify", "rate", "order", "failed"}


def test_the_text_around_what_changes_stays() -> None:
    after = walked(SHOP)
    assert "async def user(name: str = Depends(name_of)) -> dict:\n    reply = await " in after
    assert "        raise Unknown(name)  # see failed\n" in after
    assert '    """The rate of a currency."""\n    found = await fetch(code)\n' in after
    assert "def opened():\n    SEEN.append(requests.get(" in after
    assert "    tasks.add_task(notify, code)\n" in after
    assert "async_to_sync" not in after
    assert walked(after) == after


def test_endpoints_of_starlette() -> None:
    after = walked("""
        import requests
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        def page(request):
            return PlainTextResponse(requests.get("http://127.0.0.1/").text)

        app = Starlette(routes=[Route("/", page)])
        """)
    assert "async def page(request):" in after
    assert "(await requests.aio.get(" in after


DEPENDENCY = """
    import threading
    import requests
    from fastapi import Depends, FastAPI

    app = FastAPI()

    def user():
        return requests.get("http://127.0.0.1/").text

    class Users:
        def one(self):
            return requests.get("http://127.0.0.1/").text

    def nested():
        def inner():
            return requests.get("http://127.0.0.1/").text
        return Depends(inner)

    @app.get("/")
    def page(who=Depends(GIVEN)):
        return who

    MORE
    """


def taken(given: str, more: str) -> set[str]:
    source = dedent(DEPENDENCY).replace("GIVEN", given).replace("MORE", more)
    program = Program.load({"shop.py": source.encode()})
    return {function.name for function in entries(program)} - {"page"}


@pytest.mark.parametrize(
    ("given", "more", "expected"),
    [
        ("user", "", {"user"}),
        ("user", "app.get('/again', dependencies=[Depends(user)])(print)", {"user"}),
        ("user", "def other():\n    return user()", set()),
        ("user", "threading.Thread(target=user).start()", set()),
        ("user", "USERS = [user]", set()),
        ("user", "again = user", set()),
        ("Users().one", "", set()),
        ("print", "", set()),
    ],
)
def test_only_what_the_framework_alone_uses_changes_in_place(
    given: str, more: str, expected: set[str]
) -> None:
    assert taken(given, more) == expected


def test_dependencies_in_annotations_count() -> None:
    source = """
from typing import Annotated
from fastapi import Depends, FastAPI, Security
app = FastAPI()
def one(): ...
def two(): ...
def three(): ...
def none(): ...
Two = Annotated[str, Depends(two)]
@app.get("/", dependencies=[Security(three)])
def page(a: Annotated[str, Depends(one)], b: Two, c: Annotated[str, none]): ...
"""
    program = Program.load({"shop.py": source.encode()})
    assert {function.name for function in entries(program)} == {"one", "two", "three", "page"}


def test_what_tests_put_in_a_dependencys_place_does_not_hold_it_back() -> None:
    tests = (
        "from shop import app, user\ndef test_it():\n    app.dependency_overrides[user] = print\n"
    )
    source = dedent(DEPENDENCY).replace("GIVEN", "user").replace("MORE", "")
    program = Program.load({"shop.py": source.encode(), "tests/test_shop.py": tests.encode()})
    assert {function.name for function in entries(program)} == {"page", "user"}


@pytest.mark.parametrize(
    "application",
    [
        "from fastapi import APIRouter\napp = APIRouter()",
        "import flask\nfrom fastapi import FastAPI\napp = FastAPI()\nother = flask.Flask('x')",
    ],
    ids=["no application", "an application of Flask too"],
)
def test_views_that_nothing_is_known_to_await_stay_sync(application: str) -> None:
    source = f"""
import bridgekit
from bridgekit.integrations import requests
{application}

@app.get("/")
def page():
    return requests.get("http://127.0.0.1/").text
"""
    program = Program.load({"shop.py": source.encode()})
    step = Flip().propose(program, Options(), frozenset())
    assert step is None or "page" not in {name.rpartition(".")[2] for name in step.members}


def test_an_application_of_the_tests_says_nothing_about_the_program() -> None:
    source = """
from bridgekit.integrations import requests
from fastapi import APIRouter
router = APIRouter()

@router.get("/")
def page():
    return requests.get("http://127.0.0.1/").text
"""
    tests = "from fastapi import FastAPI\nfrom shop import router\napp = FastAPI()\n"
    files = {"shop.py": source.encode(), "tests/test_shop.py": tests.encode()}
    assert Flip().propose(Program.load(files), Options(), frozenset()) is None


def test_a_parameter_holds_what_its_dependency_gives() -> None:
    source = """
from fastapi import Depends, FastAPI
app = FastAPI()
class Session:
    def close(self): ...
class Other:
    def close(self): ...
def session():
    opened = Session()
    yield opened
async def other():
    return Other()
@app.get("/")
def page(one=Depends(session), two=Depends(other), three=Depends()):
    one.close()
    two.close()
    three.close()
"""
    program = Program.load({"shop.py": source.encode()})
    page = program.functions["shop.page"]
    called = [
        {t.function.qualname for t in site.targets if t.grade != "guess"}
        for site in program.calls_in(page)
        if site.name == "close"
    ]
    assert called == [{"shop.Session.close"}, {"shop.Other.close"}, set()]
