"""Write docs/bridge/guarantees.md from the functions that prove each guarantee.

python scripts/guarantees.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "bridge" / "guarantees.md"

HEAD = """\
# What the bridge guarantees

Each row is proved by a test of the same name: `pytest tests/bridge/test_guarantees.py -k NAME`.
This page is made by `scripts/guarantees.py`.

| capability | answer | test |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    sys.path.insert(0, str(ROOT))
    from tests.bridge.guarantees import GUARANTEES

    rows = (f"| {row.capability} | {row.answer} | `{row.prove.__name__}` |" for row in GUARANTEES)
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the page is not up to date")
    text = page()
    if parser.parse_args().check:
        current = TARGET.read_text() if TARGET.exists() else ""
        return int(current != text)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
