"""The example service, all the way: what the migration of a realistic program must end with.

One walk is made for the whole module; each test looks at another side of its result.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.planning.verify import blocked_loops, lost_coroutines
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import read_sources

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "legacy_app"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "instance", ".bridgekit")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x"]
TESTS_OF_THE_SERVICE = 204
LEAST_STEPS = 12

# Runs in the migrated service, with the address of its stub upstreams; tells what it is made of.
LOOK = """\
import asyncio, gc, inspect, json, sys
import httpx, quart
from sqlalchemy.ext.asyncio import AsyncSession
from ordertrack import create_app
from ordertrack.clients.pricing import PricingClient
from ordertrack.database import get_session
from ordertrack.repositories import OrderRepository

def made(kind):
    return any(isinstance(thing, kind) for thing in gc.get_objects())

async def look(stub):
    app = create_app({f"{name.upper()}_URL": f"{stub}/{name}" for name in ("pricing", "carriers")})
    view = app.view_functions["api.order_quote"]
    async with app.test_app():
        quote = await app.test_client().get("/api/orders/1/quote")
        async with app.app_context():
            session = get_session().aio
        return {
            "application": isinstance(app, quart.Quart),
            "session": isinstance(session, AsyncSession),
            "repository": inspect.iscoroutinefunction(OrderRepository.get_for_quote),
            "client": inspect.iscoroutinefunction(PricingClient.price_basket),
            "HTTP": made(httpx.AsyncClient),
            "view": inspect.iscoroutinefunction(inspect.unwrap(view)),
            "quote": quote.status_code == 200,
            "no requests": "requests" not in sys.modules,
        }

print(json.dumps(asyncio.run(look(sys.argv[1]))))
"""


def run(
    command: Sequence[str], cwd: Path, seconds: float, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end, without this test run's own pytest and git settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GIT_"))}
    return subprocess.run(
        command, cwd=cwd, env=env | settings, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=seconds, check=False,
    )  # fmt: skip


def git(cwd: Path, *words: str) -> str:
    done = run(["git", *words], cwd, 60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def bridgekit(directory: Path, *words: str, seconds: float = 120) -> Any:
    command = [sys.executable, "-m", "bridgekit.cli", words[0], str(directory), *words[1:]]
    return run(command, directory, seconds)


WALK = ("migrate", "--write", "--granularity", "layer", "--guard", shlex.join(PYTEST))


@dataclass(frozen=True)
class Walk:
    directory: Path
    legacy: str
    """The commit before the first step."""
    status: int
    output: str


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The whole way, in a git repository of its own."""
    directory = tmp_path_factory.mktemp("walk") / "ordertrack"
    shutil.copytree(EXAMPLE, directory, ignore=LEFT_OUT)
    git(directory, "init", "--quiet", "--initial-branch=main")
    for name, value in (
        ("user.name", "Test"),
        ("user.email", "test@example.invalid"),
        ("commit.gpgsign", "false"),
        ("core.autocrlf", "false"),
    ):
        git(directory, "config", name, value)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "The service in its legacy form")
    legacy = git(directory, "rev-parse", "HEAD")
    done = bridgekit(directory, *WALK, seconds=1200)
    return Walk(directory, legacy, done.returncode, done.stdout + done.stderr)


def commits(walk: Walk) -> list[str]:
    """The commit of every step, first to last."""
    found = git(walk.directory, "rev-list", "--reverse", f"{walk.legacy}..bridgekit/migrate")
    return found.split()


def passed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests passed; 0 when any did not."""
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found[1]) if found and done.returncode == 0 else 0


def test_every_step_is_made_and_none_is_kept_back(walk: Walk) -> None:
    assert walk.status == 0, walk.output
    summary = re.search(
        r"^(\d+) steps done now, \1 in all, 0 kept back$", walk.output, re.MULTILINE
    )
    assert summary, walk.output
    assert int(summary[1]) >= LEAST_STEPS
    assert len(commits(walk)) == int(summary[1])
    guards = re.findall(r"^  (done|green) in .*: (\d+) passed", walk.output, re.MULTILINE)
    assert len([word for word, _ in guards if word == "done"]) == int(summary[1])
    assert guards[-1][1] == str(TESTS_OF_THE_SERVICE)
    assert any(int(number) < TESTS_OF_THE_SERVICE for _, number in guards)


def test_the_work_tree_and_the_old_branch_are_left_alone(walk: Walk) -> None:
    assert git(walk.directory, "status", "--porcelain") == ""
    assert git(walk.directory, "branch", "--show-current") == "bridgekit/migrate"
    assert git(walk.directory, "rev-parse", "main") == walk.legacy


def test_its_own_tests_are_green(walk: Walk) -> None:
    done = run(PYTEST, walk.directory, 300)
    assert passed(done) == TESTS_OF_THE_SERVICE, done.stdout + done.stderr


def imported(directory: Path) -> Iterator[tuple[str, str]]:
    """The file and the top-level package of every absolute import of the program and its tests."""
    for part in ("ordertrack", "tests"):
        for path in (directory / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                for name in names:
                    yield path.name, name.partition(".")[0]


def test_no_file_imports_the_old_libraries(walk: Walk) -> None:
    found = list(imported(walk.directory))
    assert [(file, name) for file, name in found if name in {"flask", "requests"}] == []
    assert {"quart", "bridgekit", "sqlalchemy"} <= {name for _, name in found}


def test_the_program_is_made_of_async_parts(walk: Walk, tmp_path: Path) -> None:
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/orders.db",
        "DATA_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    for words in (["init-db"], ["seed"]):
        command = [sys.executable, "-m", "quart", "--app", "ordertrack.wsgi", *words]
        done = run(command, walk.directory, 60, **settings)
        assert done.returncode == 0, done.stderr
    stub = subprocess.Popen(
        [sys.executable, "-m", "upstreams"], cwd=walk.directory, stdout=subprocess.PIPE, text=True
    )
    try:
        assert stub.stdout is not None
        address = f"http://127.0.0.1:{stub.stdout.readline().split()[-1]}"
        done = run([sys.executable, "-c", LOOK, address], walk.directory, 60, **settings)
    finally:
        stub.terminate()
        stub.communicate()
    assert done.returncode == 0, done.stderr
    parts = json.loads(done.stdout)
    assert [name for name, is_so in parts.items() if not is_so] == []


def test_no_async_function_blocks_but_through_a_bridge(walk: Walk) -> None:
    program = Program.load(read_sources(walk.directory))
    assert sum(function.is_async for function in program.functions.values()) > 100
    assert list(blocked_loops(program)) == []
    assert list(lost_coroutines(program)) == []


def test_the_report_names_what_stays_sync_and_why(walk: Walk) -> None:
    done = bridgekit(walk.directory, "report", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert len(report["applied"]) == len(commits(walk))
    assert report["kept"] == []
    assert all(finding["reason"] and finding["remedy"] for finding in report["findings"])
    stays = {finding["function"] for finding in report["findings"]}
    # A generator, a constructor, a click command, and what a thread pool is given as a value.
    assert stays >= {
        "ordertrack.services.reports.ReportService.export_csv",
        "ordertrack.clients.summary.SummaryClient.__init__",
        "ordertrack.cli.register_commands.<locals>.nightly",
        "ordertrack.clients.carriers.CarrierClient.rate",
    }


def test_a_second_run_does_nothing(walk: Walk) -> None:
    before = git(walk.directory, "rev-parse", "HEAD")
    done = bridgekit(walk.directory, *WALK, seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0 steps done now, [1-9]\d* in all, 0 kept back$", done.stdout, re.MULTILINE)
    assert git(walk.directory, "rev-parse", "HEAD") == before
    assert git(walk.directory, "status", "--porcelain") == ""


def test_the_program_of_every_step_passes_its_tests_alone(walk: Walk, tmp_path: Path) -> None:
    """Each commit in a work tree of its own, with nothing but what it holds."""
    red: dict[str, str] = {}
    for number, commit in enumerate(commits(walk), 1):
        alone = tmp_path / f"step-{number}"
        git(walk.directory, "worktree", "add", "--quiet", "--detach", str(alone), commit)
        done = run(PYTEST, alone, 300)
        if passed(done) != TESTS_OF_THE_SERVICE:
            red[git(alone, "log", "-1", "--format=%s")] = done.stdout[-2000:]
        git(walk.directory, "worktree", "remove", "--force", str(alone))
    assert red == {}
