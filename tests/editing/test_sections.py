"""New imports stand where a reader looks for them; the author's order is not touched."""

from __future__ import annotations

import pytest

from bridgekit_codemods.editing import FileEdits

OWN = frozenset({"app"})


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        (
            '"""Doc."""\n\nimport os\n\nfrom flask import g\n\n'
            "from app.db import x\n\nos.g = g, x\n",
            [("inspect", None), ("bridgekit", "to_thread")],
            '"""Doc."""\n\nimport inspect\nimport os\n\nfrom bridgekit import to_thread\n'
            "from flask import g\n\nfrom app.db import x\n\nos.g = g, x\n",
        ),
        (
            "import zlib\nimport abc\n\nzlib.x = abc\n",
            [("anyio", None)],
            "import zlib\nimport abc\n\nimport anyio\n\nzlib.x = abc\n",
        ),
        (
            "from .db import get\n\nget()\n",
            [("bridgekit", "to_thread")],
            "from bridgekit import to_thread\n\nfrom .db import get\n\nget()\n",
        ),
        (
            "# licence\n\nfrom flask import g  # why\n# about x\nfrom app import x\n\ng.x = x\n",
            [("os", None)],
            "# licence\n\nimport os\n\nfrom flask import g  # why\n# about x\n"
            "from app import x\n\ng.x = x\n",
        ),
        (
            "from bridgekit import a\n\na()\n",
            [("bridgekit", "to_thread")],
            "from bridgekit import to_thread, a\n\na()\n",
        ),
        ("x = 1\n", [("os", None)], "import os\n\nx = 1\n"),
        (
            '__all__ = ["f"]\n\nimport os\n\nfrom bridgekit import async_to_sync\n\nos.f()\n',
            [("bridgekit", "async_to_sync"), ("os", None)],
            '__all__ = ["f"]\n\nimport os\n\nfrom bridgekit import async_to_sync\n\nos.f()\n',
        ),
        (
            '__all__ = ["f"]\n\nimport os\n\nimport flask\n\nos.f(flask)\n',
            [("bridgekit", "async_to_sync")],
            '__all__ = ["f"]\n\nimport os\n\nimport flask\nfrom bridgekit import async_to_sync\n\n'
            "os.f(flask)\n",
        ),
    ],
)
def test_place(before: str, wanted: list[tuple[str, str | None]], after: str) -> None:
    edits = FileEdits("m.py", OWN)
    for module, name in wanted:
        edits.add_import(module, name)
    assert edits.apply(before.encode()).decode() == after
