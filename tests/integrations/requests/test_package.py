"""The modules themselves: names, laziness, the missing extra, the two bindings."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests as original

import bridgekit.integrations as integrations

ROOT = Path(next(iter(integrations.__path__)))


def test_the_two_bindings_differ_in_the_library_only() -> None:
    for file in sorted((ROOT / "requests").glob("*.py")):
        twin = (ROOT / "requests_httpx2" / file.name).read_text()
        if file.name == "__init__.py":  # prose differs
            twin, text = (t.split("from __future__")[1] for t in (twin, file.read_text()))
        else:
            text = file.read_text()
        text = text.replace('load("httpx", "http")', 'load("httpx", "httpx")')
        assert text.replace("httpx", "httpx2") == twin, file.name


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("requests", "httpx", "http"), ("requests_httpx2", "httpx2", "httpx2")],
)
def test_the_missing_extra_is_named(module: str, library: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "try:\n"
        f"    import bridgekit.integrations.{module}\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    expected = f"{library} is not installed: install bridgekit-async with its {extra!r} extra"
    assert run.stdout.strip() == expected


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, bridgekit, bridgekit.integrations\n"
        "print([m for m in ('httpx', 'httpx2', 'aiohttp', 'requests') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "[]"


def test_the_public_names_of_requests_are_there(lib: Any) -> None:
    missing = {"check_compatibility", "packages", "utils", "chardet_version", "cast"}
    wanted = {
        name
        for name, value in vars(original).items()
        if not name.startswith("_")
        and (isinstance(value, type) or callable(value) or name in ("codes", "exceptions"))
    }
    assert {name for name in wanted - missing if not hasattr(lib, name)} <= {
        "DependencyWarning",
        "NullHandler",
        "RequestsDependencyWarning",
        "PackageNotFoundError",
    }


def test_the_exception_tree_is_that_of_requests(lib: Any) -> None:
    theirs = {
        name: value
        for name, value in vars(original.exceptions).items()
        if isinstance(value, type) and value.__module__ == original.exceptions.__name__
    }
    for name, kind in theirs.items():
        mine = getattr(lib.exceptions, name)
        for base_name, base in theirs.items():
            assert issubclass(kind, base) == issubclass(mine, getattr(lib.exceptions, base_name)), (
                name,
                base_name,
            )
        for builtin in (OSError, ValueError, TypeError, Warning):
            assert issubclass(kind, builtin) == issubclass(mine, builtin), (name, builtin)


def test_exceptions_are_the_librarys_too(lib: Any) -> None:
    errors, http = lib.exceptions, lib.exceptions._http
    for name in (
        "TooManyRedirects",
        "ConnectTimeout",
        "ReadTimeout",
        "ProxyError",
        "InvalidURL",
    ):
        assert issubclass(getattr(errors, name), getattr(http, name))
    assert issubclass(errors.HTTPError, http.HTTPStatusError)
    assert issubclass(errors.Timeout, http.TimeoutException)
    assert issubclass(errors.ConnectionError, http.NetworkError)
    assert issubclass(errors.RequestException, http.HTTPError)


def test_exceptions_keep_what_they_are_given(lib: Any) -> None:
    error = lib.HTTPError("text", response=None, request="r")
    assert (str(error), error.request, error.response) == ("text", "r", None)
    assert lib.RequestException().request is None
    assert str(pickle.loads(pickle.dumps(lib.ConnectionError("gone")))) == "gone"


def test_codes_are_those_of_requests(lib: Any) -> None:
    assert vars(lib.codes) == vars(original.codes)


def test_submodules_can_be_imported(lib: Any) -> None:
    for name in ("adapters", "auth", "cookies", "exceptions", "models", "sessions", "structures"):
        module = importlib.import_module(f"{lib.__name__}.{name}")
        for public in module.__dict__.get("__all__", ()):
            assert hasattr(module, public)


@pytest.mark.parametrize("url", ["http://x/a?b=1&c", "http://\xfc.test/\xe9", "http://[::1]:80/"])
def test_preparing_without_a_session(lib: Any, url: str) -> None:
    arguments: dict[str, Any] = {"params": {"q": [1, None]}, "data": {"a": "\xe9"}}
    ours = lib.Request("put", url, auth=("u", "p"), cookies={"c": "1"}, **arguments).prepare()
    theirs = original.Request("put", url, auth=("u", "p"), cookies={"c": "1"}, **arguments)
    prepared = theirs.prepare()
    assert (ours.method, ours.url, ours.body, dict(ours.headers)) == (
        prepared.method,
        prepared.url,
        prepared.body,
        dict(prepared.headers),
    )
    copy = ours.copy()
    copy.headers["X"] = "1"
    assert "X" not in ours.headers
