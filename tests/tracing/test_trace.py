"""A traced run of a small program's tests: what is recorded, and what scan makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bridgekit_codemods.program import Program, read_sources
from bridgekit_codemods.tracing import TRACE_FILE, Trace, TraceError, TraceRun, run

APP = """
    import functools
    import json

    def timed(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    def send(order):
        return order.total

    class Order:
        def __init__(self, prices):
            self.prices = prices

        @property
        def total(self):
            return sum(self.prices)

        @timed
        def pay(self):
            return "paid"

        def encode(self):
            return self.prices

    def dispatch(name, thing):
        return globals()[name](thing)

    def pay(thing):
        return thing.pay()

    def cheapest(orders):
        return sorted(orders, key=by_total)

    def by_total(order):
        return order.total

    def dump(thing):
        return json.dumps(thing, default=lambda o: encoded(o))

    def encoded(thing):
        return thing.encode()

    def unused():
        return 1
"""
TESTS = """
    import app

    def test_dispatch():
        assert app.dispatch("send", app.Order([1, 2])) == 3

    def test_pay():
        assert getattr(app, "p" + "ay")(app.Order([1])) == "paid"

    class TestOthers:
        def test_sorted(self):
            assert len(app.cheapest([app.Order([2]), app.Order([1])])) == 2

        def test_dump(self):
            assert app.dump(app.Order([1])) == "[1]"
"""
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> TraceRun:
    root = tmp_path_factory.mktemp("program")
    (root / "tests").mkdir()
    (root / "app.py").write_text(textwrap.dedent(APP))
    (root / "tests" / "test_app.py").write_text(textwrap.dedent(TESTS))
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return run(PYTEST, root, read_sources(root))


@pytest.fixture(scope="module")
def program(traced: TraceRun) -> Program:
    return Program.load(read_sources(traced.file.parent.parent))


def targets(program: Program, caller: str, name: str) -> dict[str, str]:
    (site,) = [
        s
        for s in program.calls_in(program.functions[caller])
        if s.name == name and s.kind == "call"
    ]
    return {t.function.qualname: t.grade for t in site.targets}


def test_the_run_is_recorded(traced: TraceRun) -> None:
    assert traced.returncode == 0
    assert traced.file.parts[-2:] == (".bridgekit", "trace.json")
    assert {f.name for f in traced.trace.executed} >= {"dispatch", "Order.total", "encoded"}
    assert "unused" not in {f.name for f in traced.trace.executed}


def test_a_computed_name_reaches_what_was_seen(program: Program) -> None:
    assert targets(program, "app.dispatch", "") == {"app.send": "traced"}


def test_a_method_behind_its_wrapper_is_the_method(program: Program) -> None:
    assert targets(program, "app.pay", "pay") == {"app.Order.pay": "traced"}


def test_the_evidence_is_told(program: Program) -> None:
    function = program.functions["app.pay"]
    (site,) = program.calls_in(function)
    assert program.evidence(site, site.targets[0]) == "seen in the traced run"


def test_a_callback_is_no_target_of_the_library_call(program: Program) -> None:
    assert targets(program, "app.cheapest", "sorted") == {}
    assert targets(program, "app.dump", "dumps") == {}


def test_library_callers_are_known(program: Program) -> None:
    assert program.trace.outside
    assert program.called_by_libraries(program.functions["app.by_total"]) == frozenset()
    seen = {f.name for f in program.trace.outside}
    assert "by_total" in seen  # by way of a C function, which has no frame of its own
    assert "send" not in seen
    callers = program.called_by_libraries(program.functions["tests.test_app.test_pay"]) if (
        "tests.test_app.test_pay" in program.functions
    ) else program.called_by_libraries(program.functions["test_app.test_pay"])  # fmt: skip
    assert any("pytest" in name for name in callers)


def test_the_tests_that_reach_a_function_are_known(program: Program) -> None:
    functions = program.functions
    assert program.tests_reaching(functions["app.pay"]) == ("tests/test_app.py::test_pay",)
    assert program.tests_reaching(functions["app.by_total"]) == (
        "tests/test_app.py::TestOthers::test_sorted",
    )
    assert program.tests_reaching(functions["app.Order.total"]) == (
        "tests/test_app.py::TestOthers::test_sorted",
        "tests/test_app.py::test_dispatch",
    )
    assert program.tests_reaching(functions["app.unused"]) == ()


def test_a_changed_file_has_no_evidence(traced: TraceRun) -> None:
    sources = read_sources(traced.file.parent.parent)
    sources["app.py"] = b"# moved by a line\n" + sources["app.py"]
    program = Program.load(sources)
    assert targets(program, "app.dispatch", "") == {}
    assert program.tests_reaching(program.functions["app.pay"]) == ()


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"version": 99}', b'{"version": 1}', b"\xff"]
)
def test_a_record_that_cannot_be_read_says_nothing(text: bytes) -> None:
    assert Trace.current(text, {}) == Trace()


def test_the_record_is_the_same_when_read_and_written(traced: TraceRun) -> None:
    sources = read_sources(traced.file.parent.parent)
    text = traced.file.read_text()
    again = Trace.current(text.encode(), sources)
    assert json.loads(again.dump(sources)) == json.loads(text)
    assert json.loads(text)["version"] == 1


def test_processes_that_the_tests_start_are_seen(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "def inner():\n    return 1\n\ndef outer():\n    return inner()\n"
    )
    (tmp_path / "main.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import app; app.outer()'], check=True)\n"
    )
    done = run([sys.executable, "main.py"], tmp_path, read_sources(tmp_path))
    assert done.returncode == 0
    assert {f.name for f in done.trace.executed} >= {"inner", "outer"}
    (callees,) = [c for p, c in done.trace.calls.items() if p.line == 5]
    assert {c.name for c in callees} == {"inner"}


def test_what_a_test_puts_in_place_of_a_library_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import acme\n\n\ndef send():\n    return acme.post('http://x', timeout=1)\n"
    )
    (tmp_path / "acme.py").write_text("def post(url, timeout):\n    raise OSError\n")
    (tmp_path / "test_app.py").write_text(
        "import app\nimport acme\n\n\ndef post(url, timeout):\n    return 'sent'\n\n\n"
        "def test_send(monkeypatch):\n    monkeypatch.setattr(acme, 'post', post)\n"
        "    assert app.send() == 'sent'\n"
    )
    done = run([*PYTEST[:-1], "test_app.py"], tmp_path, read_sources(tmp_path))
    assert done.returncode == 0
    assert any({f.path for f in fs} == {"test_app.py"} for fs in done.trace.calls.values())
    (tmp_path / "acme.py").unlink()
    program = Program.load(read_sources(tmp_path))
    (site,) = program.calls_in(program.functions["app.send"])
    assert (site.targets, site.externals) == ((), ("acme.post",))


GUESSED = """
    class Lock:
        def __enter__(self):
            return self
        def __exit__(self, *error):
            return None
        def __iter__(self):
            return iter([1])
        @property
        def held(self):
            return True

    class Other(Lock):
        pass

    def entered(locks):
        with locks["a"] or Lock() as lock, locks["b"] or Lock():
            return lock

    def counted(locks):
        total = 0
        for one in locks["a"] or Lock():
            total += one
        return total

    def listed(locks):
        return [one for one in locks["a"] or Lock()]

    def read(locks):
        return (locks["a"] or Lock()).held

    def never(locks):
        with locks["a"] or Lock():
            return 1
"""


def test_what_statements_call_is_seen_at_the_expression(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(GUESSED))
    (tmp_path / "test_app.py").write_text(
        "import app\n\ndef test_all():\n    locks = {'a': app.Other(), 'b': app.Other()}\n"
        "    for name in ('entered', 'counted', 'listed', 'read'):\n"
        "        getattr(app, name)(locks)\n"
    )
    before = Program.load(read_sources(tmp_path))
    done = run([*PYTEST[:-1], "test_app.py"], tmp_path, read_sources(tmp_path))
    assert done.returncode == 0
    after = Program.load(read_sources(tmp_path))

    def grades(program: Program, caller: str) -> list[tuple[str, str]]:
        return [
            (target.function.name, target.grade)
            for site in program.calls_in(program.functions[f"app.{caller}"])
            if site.kind in ("with", "iter", "property")
            for target in site.targets
        ]

    for caller, names in [
        ("entered", ["__enter__", "__exit__"] * 2),
        ("counted", ["__iter__"]),
        ("listed", ["__iter__"]),
        ("read", ["held"]),
    ]:
        assert grades(before, caller) == [(name, "guess") for name in names]
        assert grades(after, caller) == [(name, "traced") for name in names]
    assert grades(after, "never") == [("__enter__", "guess"), ("__exit__", "guess")]


def test_a_red_run_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def fail():\n    raise SystemExit(3)\n\nfail()\n")
    done = run([sys.executable, "app.py"], tmp_path, read_sources(tmp_path))
    assert done.returncode == 3
    assert "fail" in {f.name for f in done.trace.executed}


def test_the_environments_own_sitecustomize_runs_as_well(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import os\nos.environ['CUSTOMIZED'] = 'yes'\n")
    (tmp_path / "app.py").write_text(
        "import os\n\ndef see():\n    return os.environ.get('CUSTOMIZED')\n\n"
        "raise SystemExit(see() != 'yes')\n"
    )
    environment = {"PYTHONPATH": str(other), "PATH": ""}
    done = run([sys.executable, "app.py"], tmp_path, read_sources(tmp_path), environment)
    assert done.returncode == 0


def test_a_command_that_runs_nothing_of_the_program_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    with pytest.raises(TraceError, match="no function of the program"):
        run([sys.executable, "-c", "pass"], tmp_path, read_sources(tmp_path))
    with pytest.raises(TraceError, match="cannot run"):
        run(["./no-such-command"], tmp_path, read_sources(tmp_path))
    assert not (tmp_path / TRACE_FILE).exists()


def test_the_collector_needs_nothing_but_the_standard_library() -> None:
    injected = Path(__file__).parents[2] / "codemods/bridgekit_codemods/tracing/injected"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import bridgekit_trace_collector"
    done = subprocess.run([sys.executable, "-S", "-c", code, str(injected)], capture_output=True)
    assert done.returncode == 0, done.stderr
