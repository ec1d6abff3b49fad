"""``bridgekit stubs``: the stub type checkers see, where it is written, and the exit codes."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridgekit.cli.app import app

CASES = Path(__file__).parent / "stubs_cases"
CHECKED = ["shop.pyi", "use_shop.py", "clients.pyi", "use_clients.py"]
Stubs = Callable[..., Result]


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubs]:
    """Run the command in an empty directory; the modules it imports are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def invoke(*arguments: object) -> Result:
        importlib.invalidate_caches()
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[name]
        return CliRunner().invoke(app, ["stubs", *map(str, arguments)], catch_exceptions=False)

    yield invoke
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


HEAD = """\
from bridgekit import sync_to_async, async_to_sync
from bridgekit.adapters.proxies import async_proxy, sync_proxy
"""


@pytest.fixture
def shop(stubs: Stubs, tmp_path: Path) -> Path:
    for case in CASES.glob("*.py"):
        shutil.copy(case, tmp_path)
    result = stubs("shop")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert stubs("clients").exit_code == 0
    return tmp_path


@pytest.mark.slow
def test_mypy_sees_exact_signatures(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *CHECKED],
        cwd=shop, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.slow
def test_pyright_sees_exact_signatures(shop: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("pyright runs on node, which is not here")
    options = ["--pythonpath", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", *options, *CHECKED],
        cwd=shop, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["0 errors, 0 warnings, 0 informations"], done.stdout


def test_what_the_stub_says_is_what_the_program_does(shop: Path) -> None:
    """Every method of a proxy class in the stub is one at run time, in the same colour."""
    import ast
    import inspect

    module = importlib.import_module("shop")
    tree = ast.parse((shop / "shop.pyi").read_text(encoding="utf-8"))
    seen = 0
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name not in ("AsyncStore", "SyncFeed"):
            continue
        cls = getattr(module, node.name)
        for member in node.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                seen += 1
                name = member.name
                if any(
                    ast.unparse(d).startswith(("property", "label")) for d in member.decorator_list
                ):
                    continue
                if name == "__init__":
                    continue
                is_async = inspect.iscoroutinefunction(getattr(cls, name))
                assert is_async == isinstance(member, ast.AsyncFunctionDef), name
    assert seen > 20


def test_check_says_whether_the_file_is_up_to_date(stubs: Stubs, tmp_path: Path) -> None:
    source = tmp_path / "mod.py"
    write(source, HEAD + "@sync_to_async\ndef f(x: int) -> str:\n    return str(x)\n")
    missing = stubs("mod", "--check")
    assert missing.exit_code == 1
    assert "+async def f(x: int) -> str: ..." in missing.stdout
    assert not (tmp_path / "mod.pyi").exists()
    assert stubs("mod").exit_code == 0
    upto_date = stubs("mod", "--check")
    assert (upto_date.exit_code, upto_date.stdout) == (0, "")
    write(source, source.read_text().replace("x: int", "x: bytes"))
    changed = stubs("mod", "--check")
    assert changed.exit_code == 1
    assert "-async def f(x: int) -> str: ..." in changed.stdout
    assert "+async def f(x: bytes) -> str: ..." in changed.stdout


def test_out_keeps_the_place_in_the_package(stubs: Stubs, tmp_path: Path) -> None:
    write(tmp_path / "pkg" / "__init__.py", HEAD + "from pkg.inner.mod import Client\n")
    write(tmp_path / "pkg" / "inner" / "__init__.py", "")
    write(
        tmp_path / "pkg" / "inner" / "mod.py",
        HEAD + "class Client:\n    def f(self) -> int:\n        return 1\n"
        "AsyncClient = async_proxy(Client)\n",
    )
    assert stubs("pkg.inner.mod", "--out", tmp_path / "typings").exit_code == 0
    text = (tmp_path / "typings" / "pkg" / "inner" / "mod.pyi").read_text(encoding="utf-8")
    assert "async def f(self) -> int: ..." in text
    assert not (tmp_path / "pkg" / "inner" / "mod.pyi").exists()
    assert stubs("pkg", "--out", tmp_path / "typings").exit_code == 0
    assert (tmp_path / "typings" / "pkg" / "__init__.pyi").is_file()


def test_what_cannot_be_told_is_any_and_is_reported(stubs: Stubs, tmp_path: Path) -> None:
    write(
        tmp_path / "vague.py",
        HEAD
        + "class Client:\n"
        + "    def untyped(self, x, *rest):\n"
        + "        return x\n\n"
        + "    def unknown(self, x: 'Missing') -> int:\n"
        + "        return 1\n"
        + "AsyncClient = async_proxy(Client)\n",
    )
    result = stubs("vague")
    assert result.exit_code == 0
    text = (tmp_path / "vague.pyi").read_text(encoding="utf-8")
    any_ = "_typing.Any"
    assert f"async def untyped(self, x: {any_}, *rest: {any_}) -> {any_}: ..." in text
    assert f"async def unknown(self, x: {any_}) -> int: ..." in text
    notes = result.stderr.splitlines()
    path = tmp_path / "vague.py"
    assert f"{path}:4: the parameter 'x' of untyped has no annotation" in notes
    assert f"{path}:4: the result of untyped has no annotation" in notes
    assert f"{path}:7: the name 'Missing' is not defined" in notes
    assert len(notes) == 4


def test_generic_bases_and_inherited_members(stubs: Stubs, tmp_path: Path) -> None:
    write(
        tmp_path / "generic.py",
        "from __future__ import annotations\n"
        + HEAD
        + "from typing import Generic, TypeVar\n"
        + "K = TypeVar('K')\n"
        + "V = TypeVar('V')\n"
        + "class Base(Generic[K, V]):\n"
        + "    def get(self, key: K) -> V | None: ...\n"
        + "class Middle(Base[str, V]):\n"
        + "    def many(self) -> list[V]: ...\n"
        + "class Leaf(Middle[int]):\n"
        + "    pass\n"
        + "AsyncLeaf = async_proxy(Leaf)\n"
        + "AsyncMiddle = async_proxy(Middle)\n",
    )
    assert stubs("generic").exit_code == 0
    text = (tmp_path / "generic.pyi").read_text(encoding="utf-8")
    leaf = text.partition("class AsyncLeaf:")[2].partition("class ")[0]
    assert "async def get(self, key: str) -> int | None: ..." in leaf
    assert "async def many(self) -> list[int]: ..." in leaf
    middle = text.partition("class AsyncMiddle(Generic[V]):")[2]
    assert "async def get(self, key: str) -> V | None: ..." in middle


def test_a_module_that_fails_is_one_clear_error(stubs: Stubs, tmp_path: Path) -> None:
    write(tmp_path / "broken.py", "raise RuntimeError('no database')\n")
    result = stubs("broken")
    assert result.exit_code == 3
    assert result.stderr == "bridgekit: broken cannot be imported: RuntimeError: no database\n"
    write(tmp_path / "leaving.py", "raise SystemExit(0)\n")
    assert stubs("leaving").exit_code == 3
    missing = stubs("nothing_of_that_name")
    assert missing.exit_code == 3
    assert "nothing_of_that_name cannot be imported" in missing.stderr
    builtin = stubs("math")
    assert builtin.exit_code == 3
    assert "has no Python source" in builtin.stderr
    usage = stubs("path/to.py")
    assert usage.exit_code == 2
    assert "not the dotted name of a module" in usage.stderr


def test_proxies_that_no_statement_names_are_found(stubs: Stubs, tmp_path: Path) -> None:
    write(
        tmp_path / "dynamic.py",
        HEAD
        + "class A:\n    def f(self) -> int: ...\n"
        + "for cls in [A]:\n    globals()['Async' + cls.__name__] = async_proxy(cls)\n",
    )
    assert stubs("dynamic").exit_code == 0
    assert "class AsyncA:" in (tmp_path / "dynamic.pyi").read_text(encoding="utf-8")


def test_of_several_branches_the_one_that_ran_is_written(stubs: Stubs, tmp_path: Path) -> None:
    write(
        tmp_path / "branches.py",
        """\
import sys
from bridgekit import sync_to_async

try:
    from socket import nothing_like_this as fast
except ImportError:
    fast = None

chosen = bool(sys.argv)

if chosen:
    def f(x: int) -> int: ...
else:
    def f(x: str) -> str: ...

if not chosen:
    @sync_to_async
    def g(x: str) -> str: ...
else:
    @sync_to_async
    def g(x: int) -> int: ...

if sys.platform == "nowhere":
    from nowhere import something
    def h() -> int: ...
""",
    )
    assert stubs("branches").exit_code == 0
    text = (tmp_path / "branches.pyi").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith(("def", "async def"))] == [
        "def f(x: int) -> int: ...",
        "async def g(x: int) -> int: ...",
    ]
    assert "nothing_like_this" not in text
    assert "fast: _typing.Any" in text
    assert "nowhere" not in text


def test_a_class_without_any_text_is_written_from_its_signatures(
    stubs: Stubs, tmp_path: Path
) -> None:
    write(
        tmp_path / "hidden.py",
        HEAD
        + "Made = type('Made', (), {'f': eval('lambda self, a, *, b=1: a'), '__module__': 'c'})\n"
        + "AsyncMade = async_proxy(Made)\n",
    )
    result = stubs("hidden")
    assert result.exit_code == 0
    text = (tmp_path / "hidden.pyi").read_text(encoding="utf-8")
    any_ = "_typing.Any"
    assert f"async def f(self, a: {any_}, *, b: {any_}=...) -> {any_}: ..." in text
    assert "c:1: the parameter 'a' of f has no annotation" in result.stderr
