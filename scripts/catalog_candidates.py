"""Find what the catalog does not know yet, and write its table in docs/catalog.md again.

    python scripts/catalog_candidates.py redis redis.Redis redis.client.PubSub
    python scripts/catalog_candidates.py redis==5.2 redis.Redis --twin redis.asyncio.Redis
    python scripts/catalog_candidates.py --markdown

The first two install a distribution into an environment of their own (of the version that the
catalog was checked with, unless one is given), and print a catalog group with the public callables
of each class or module that the catalog does not list as blocking, with their signatures. They are
candidates: which of them wait for something is for the reader of the library's source to say. Names
that the twin has stand in a group of their own.

Needs the tool itself, and with a distribution the package index.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import subprocess
import tempfile
import textwrap
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "catalog.md"
START, END = "<!-- catalog table -->\n", "<!-- end of the table -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("distribution", nargs="?", help="name, or name==version")
    parser.add_argument("owners", nargs="*", help="classes and modules, by dotted name")
    parser.add_argument("--twin", help="the async counterpart of the (only) owner")
    parser.add_argument("--markdown", action="store_true", help="write the table of the docs")
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        owners = [options.distribution, *options.owners]
        print("\n" + json.dumps({owner: public_callables(owner) for owner in owners}))
    elif options.markdown:
        write_table()
    elif options.distribution and options.owners:
        candidates(options.distribution, options.owners, options.twin)
    else:
        parser.error("give a distribution and the names of its classes, or --markdown")


# -- in the environment of the library: the standard library only --------------------------------


def public_callables(owner: str) -> dict[str, str]:
    """The names of the public callables of a class or module, with their signatures."""
    found: dict[str, str] = {}
    thing = import_object(owner)
    for name in sorted(dir(thing)):
        static = inspect.getattr_static(thing, name, None)
        if name.startswith("_") or isinstance(static, property) or inspect.ismodule(static):
            continue
        value: Any = getattr(thing, name, static)
        if not callable(value) or (inspect.isclass(value) and inspect.isclass(thing)):
            continue
        try:
            signature = str(inspect.signature(value))
        except (TypeError, ValueError):
            signature = "(...)"
        found[name] = ("async " if inspect.iscoroutinefunction(value) else "") + signature
    return found


def import_object(dotted: str) -> Any:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise SystemExit(f"{dotted} cannot be imported")


# -- in the tool's own environment ---------------------------------------------------------------


def candidates(distribution: str, owners: list[str], twin: str | None) -> None:
    from bridgekit_codemods import catalog

    versions = {lib.distribution: lib.checked for lib in catalog.libraries() if lib.checked}
    pin = distribution
    if "==" not in pin and pin in versions:
        pin = f"{pin}=={versions[pin]}"
    pins = [pin]
    for library in catalog.libraries():
        if twin and library.checked and f"{twin}.".startswith(f"{library.name}."):
            pins.append(f"{library.distribution}=={library.checked}")
    if pin.partition("==")[0] in {other.partition("==")[0] for other in pins[1:]}:
        pins = [pin]
    asked = [*owners, *([twin] if twin else [])]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True)
        answer = subprocess.run(
            [python, "-W", "ignore", __file__, "--list", *asked],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
    if answer.returncode:
        raise SystemExit(answer.stderr.strip().splitlines()[-1])
    found: dict[str, dict[str, str]] = json.loads(answer.stdout.splitlines()[-1])
    for owner in owners:
        new = {
            name: signature
            for name, signature in found[owner].items()
            if catalog.blocking(f"{owner}.{name}") is None
            and catalog.suspected(f"{owner}.{name}") is None
        }
        for name, signature in new.items():
            print(f"# {owner}.{name}{signature}")
        in_twin = [name for name in new if twin and name in found[twin]]
        print_group(owner, in_twin, twin)
        print_group(owner, [name for name in new if name not in in_twin], None)


def print_group(owner: str, names: list[str], twin: str | None) -> None:
    if names:
        lines = "\n".join(textwrap.wrap(" ".join(names), 96, break_on_hyphens=False))
        print(f"\n[[blocks]]\non = ''\nof = '{owner}'\nnames = '''\n{lines}'''")
        if twin:
            print(f"twin = '{twin}.{{name}}'")


def write_table() -> None:
    from bridgekit_codemods.catalog.listing import markdown, summaries

    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{markdown(summaries())}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
