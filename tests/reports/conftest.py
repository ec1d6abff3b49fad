"""Reports of a small program, of one whose every name is hostile, and of 5,000 functions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from bridgekit_codemods.migration.ledger import History
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.reports.building import build_report
from bridgekit_codemods.reports.model import (
    BlockingPath,
    Counts,
    Edge,
    FunctionNode,
    HotFile,
    LeafCall,
    Report,
    StepEntry,
    Unreadable,
)
from bridgekit_codemods.walk.planner import build_planner

HERE = Path(__file__).parent
Build = Callable[..., Report]

SMALL: dict[str, bytes] = {
    "pyproject.toml": b'[project]\nname = "little-shop"\n',
    "shop/__init__.py": b"",
    "shop/rates.py": b"""\
import time
import requests


def rate(code):
    return requests.get(f"http://localhost/{code}", timeout=1).json()


def patient(code):
    time.sleep(1)
    return rate(code)


def pure(value):
    return value + 1


class Rates:
    @property
    def euro(self):
        return rate("EUR")
""",
    "shop/views.py": b"""\
from flask import Blueprint
from shop import rates

bp = Blueprint("shop", __name__)


@bp.get("/price")
def price():
    return {"price": rates.pure(quote("EUR"))}


@bp.get("/health")
def health():
    return {"ok": True}


def quote(code):
    return rates.patient(code)


@bp.get("/euro")
def euro():
    return {"euro": rates.Rates().euro}
""",
    "tests/test_views.py": b"""\
from shop.views import quote


def test_quote():
    assert quote("EUR")
""",
}

EVIL = '</script><img src=x onerror="alert(1)">&lt;\'`|*_[x](javascript:1)\n<!-- --> %0A::error::'


def load(name: str) -> ModuleType:
    """A module beside this one."""
    known = sys.modules.get(f"bridgekit_reports_{name}")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(f"bridgekit_reports_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def helper() -> Callable[[str], ModuleType]:
    """Gives a module beside this one by its name."""
    return load


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build the report of some sources."""

    def make(sources: Mapping[str, bytes], walk: bool = False) -> Report:
        return build_report(tmp_path, dict(sources), build_planner(), History(), walk=walk)

    return make


@pytest.fixture
def small(build: Build) -> Report:
    return build(SMALL)


@pytest.fixture(scope="session")
def big() -> Report:
    """A layered program of 5,000 functions."""
    sources = load("synthetic").sources(5_000)
    report = build_report(Path("shop"), sources, build_planner(), History())
    assert len(report.functions) == 5_000
    return report


@pytest.fixture
def hostile() -> Report:
    """A report in which every text that comes from a program tries to break out."""
    function = FunctionNode(
        f"mod.{EVIL}",
        "mod",
        f"{EVIL}.py",
        3,
        "blocking",
        ("http",),
        EVIL,
        None,
        None,
        (0,),
        0,
        0,
        1,
    )
    other = FunctionNode(
        "mod.caf\udce9", "mod", "caf\udce9.py", 1, "blocking", ("http",), None, 0, 2
    )
    counts = Counts(0, 2, 0, 0)
    step = StepEntry(
        1, EVIL, "flip", EVIL, "done", (EVIL,), (EVIL,), (EVIL,), (EVIL,), EVIL, EVIL, counts=counts
    )
    return Report(
        program=EVIL,
        version="1",
        files=1,
        counts=counts,
        functions=(function, other),
        edges=(Edge(1, 0, 2, "exact", None, True),),
        leaves=(LeafCall(0, f"{EVIL}.py", 4, EVIL, "http"),),
        paths=(BlockingPath((0,), ()),),
        findings=(
            Finding(f"{EVIL}.py", 3, "BK304", EVIL, EVIL, f"mod.{EVIL}"),
            Finding(f"{EVIL}.py", 0, "BK999", EVIL, "none", EVIL),
        ),
        hot_files=(HotFile(f"{EVIL}.py", 1, 1, 1, 2, 1),),
        steps=(step, StepEntry(2, EVIL, "flip", EVIL, "kept", cause=EVIL, detail=EVIL)),
        start=counts,
        is_planned=True,
        interrupted=EVIL,
        unreadable=(Unreadable(f"{EVIL}.py", 1, EVIL),),
    )
