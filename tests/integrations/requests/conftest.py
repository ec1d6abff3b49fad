"""The stub server, and an environment without proxies, bundles or credentials."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from .stub import Server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture(params=["httpx", "httpx2"])
def lib(request: pytest.FixtureRequest) -> Any:
    """The module under test, over each of the two libraries."""
    pytest.importorskip(request.param)
    name = "requests" if request.param == "httpx" else "requests_httpx2"
    return importlib.import_module(f"bridgekit.integrations.{name}")
