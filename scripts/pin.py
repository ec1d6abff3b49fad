"""Write constraints.txt: the exact version of every package that `make setup` installs.

pip resolves the project with all extras and the development groups as for a fresh environment,
but installs nothing (`--dry-run`). Only `name==version` lines are kept: no index, no address, no
hash, so that the file means the same with any index or mirror.

    make pins
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "bridgekit-async"
HEADER = """\
# Exact versions of what `make setup` installs, for CPython 3.11 and newer.
# Written by `make pins`; names and versions only, so that any index can serve them.
"""


def resolve() -> dict[str, Any]:
    """Ask pip for the whole resolution, the build backend and pip itself included."""
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install"),
        *("--dry-run", "--ignore-installed", "--quiet", "--report", "-"),
        *("--editable", ".[all]", "--group", "dev", "pip"),
    ]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def pins(report: dict[str, Any]) -> list[str]:
    """The sorted `name==version` lines of a pip report, without the project itself."""
    found = [item["metadata"] for item in report["install"]]
    lines = {f"{item['name'].lower().replace('_', '-')}=={item['version']}" for item in found}
    return sorted(line for line in lines if not line.startswith(f"{PROJECT}=="))


def main() -> None:
    lines = pins(resolve())
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
