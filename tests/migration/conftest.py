"""Gives the tests the toy program, away from the developer's own git settings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOY = Path(__file__).with_name("toy.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bridgekit_migration_toy", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    return _load()


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text(
        "[user]\n name = Tester\n email = tester@example.org\n[init]\n defaultBranch = main\n"
    )


@pytest.fixture
def plain(toy: ModuleType, tmp_path: Path) -> Path:
    """The toy program without version control."""
    return toy.write_tree(tmp_path / "program")


@pytest.fixture
def repository(toy: ModuleType, tmp_path: Path) -> Path:
    """The toy program as a git repository."""
    return toy.commit_all(toy.write_tree(tmp_path / "program"))
