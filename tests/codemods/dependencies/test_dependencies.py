"""Declared dependencies are edited in place."""

from __future__ import annotations

import pytest

from bridgekit_codemods.rules.dependencies import changed_dependencies, declares

ADD = ["httpx>=0.28,<1", "aiohttp>=3.11"]


def changed(path: str, text: str, add: list[str], drop: list[str]) -> str | None:
    data = changed_dependencies({path: text.encode()}, add, drop).get(path)
    return data.decode() if data is not None else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '["flask>=3.0", "requests>=2.31"]',
            '["flask>=3.0", "httpx>=0.28,<1", "aiohttp>=3.11"]',
        ),
        (
            '[\n    "flask",  # the web\n    "requests[socks]>=2",\n]',
            '[\n    "flask",  # the web\n    "httpx>=0.28,<1",\n    "aiohttp>=3.11",\n]',
        ),
        ('["Requests", "HTTPX==0.28.1"]', '["HTTPX==0.28.1", "aiohttp>=3.11"]'),
    ],
)
def test_pyproject(before: str, after: str) -> None:
    text = '# top\n[project]\nname = "shop"  # its name\ndependencies = {}\n\n[tool.x]\na = 1\n'

    assert changed("pyproject.toml", text.replace("{}", before), ADD, ["requests"]) == (
        text.replace("{}", after)
    )


def test_requirements() -> None:
    text = "# the web\nflask==3.0\nrequests==2.31.0\n-r more.txt\n"

    assert changed("requirements.txt", text, ADD, ["requests"]) == (
        "# the web\nflask==3.0\n-r more.txt\nhttpx>=0.28,<1\naiohttp>=3.11\n"
    )


def test_only_files_that_declare_what_goes_are_changed() -> None:
    files = {
        "requirements.txt": b"flask\nrequests\n",
        "requirements-docs.txt": b"sphinx\n",
        "pyproject.toml": b"[tool.x]\na = 1\n",
    }

    assert set(changed_dependencies(files, ADD, ["requests"])) == {"requirements.txt"}


def test_files_that_declare_a_neighbour_are_changed() -> None:
    files = {"requirements.txt": b"flask\n", "service/requirements.txt": b"SQLAlchemy>=2\n"}

    assert changed_dependencies(files, ["greenlet"], beside=["sqlalchemy"]) == {
        "service/requirements.txt": b"SQLAlchemy>=2\ngreenlet\n"
    }


def test_without_a_neighbour_only_the_top_of_the_project_is_changed() -> None:
    files = {"requirements.txt": b"flask\n", "docs/requirements.txt": b"sphinx\n"}

    assert changed_dependencies(files, ["anyio"]) == {"requirements.txt": b"flask\nanyio\n"}


def test_what_is_there_already_is_not_added() -> None:
    assert changed("requirements.txt", "anyio\n", ["anyio>=4"], []) is None


@pytest.mark.parametrize(
    ("text"),
    [
        "requests==2.31 --hash=sha256:00\n",
        "requests==2.31 \\\n    --hash=sha256:00\n",
    ],
)
def test_locked_requirements_are_left_to_their_tool(text: str) -> None:
    assert changed("requirements.txt", text, ADD, ["requests"]) is None


def test_broken_toml_is_left_alone() -> None:
    assert changed("pyproject.toml", "[project\n", ADD, ["requests"]) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pyproject.toml", True),
        ("requirements.txt", True),
        ("requirements/dev.txt", False),
        ("requirements-dev.in", True),
        ("setup.py", False),
    ],
)
def test_which_files_declare(path: str, expected: bool) -> None:
    assert declares(path) is expected
