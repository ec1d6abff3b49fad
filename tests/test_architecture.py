"""The house rules that code review forgets: which room may import which, and what a module owes.

ARCHITECTURE.md has the rooms and the reasons.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "src"
CODEMODS = ROOT / "codemods"

# A room imports only from rooms of a lower level, and from itself. The package's own name,
# `bridgekit`, gathers the public names: it stands above the adapters and below their users.
LEVELS = {
    "errors": 0,
    "engine": 1,
    "adapters": 2,
    "caching": 2,
    "diagnostics": 2,
    "executors": 2,
    "flow": 2,
    "": 3,
    "facade": 4,
    "integrations": 4,
    "stubs": 4,
    "testing": 4,
    "watch": 4,
    "cli": 5,
}
TOOL_ONLY = ("bridgekit_codemods", "libcst", "typer", "rich")


@dataclass(frozen=True)
class Import:
    """One imported name: which module asks, on which line, for which dotted name."""

    importer: str
    line: int
    imported: str

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


@dataclass(frozen=True)
class Module:
    name: str
    is_package: bool
    tree: ast.Module

    @functools.cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def is_public(self) -> bool:
        inner = self.name.split(".")[1:]
        return not any(part.startswith("_") for part in inner)

    def imports(self, *, at_run_time: bool = False) -> Iterator[Import]:
        """Every import in the module, in functions too; under TYPE_CHECKING if not at_run_time."""
        skipped = set(self.for_types_only()) if at_run_time else set()
        for node in self.nodes:
            if node in skipped:
                continue
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(self.name, node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = self.absolute(node)
                for alias in node.names:
                    yield Import(self.name, node.lineno, f"{base}.{alias.name}")

    def for_types_only(self) -> Iterator[ast.AST]:
        for node in self.nodes:
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                for statement in node.body:
                    yield from ast.walk(statement)

    def absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        cut = node.level - 1 if self.is_package else node.level
        base = package[: len(package) - cut]
        return ".".join([*base, *([node.module] if node.module else [])])


@functools.cache
def modules(base: Path, package: str) -> list[Module]:
    found = []
    for path in sorted((base / package).rglob("*.py")):
        parts = list(path.relative_to(base).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, is_package, ast.parse(path.read_bytes(), str(path))))
    assert found, f"no modules below {base / package}"
    return found


def room(dotted: str) -> str:
    """The first part below the package; "" is the package itself and the names it offers."""
    first = dotted.split(".")[1:2]
    return first[0] if first and first[0] in LEVELS else ""


def owner(dotted: str) -> str:
    return dotted.partition(".")[0]


def upward(imports: Iterable[Import]) -> list[str]:
    """The imports between rooms of `bridgekit` that do not point down."""
    wrong = []
    for item in imports:
        if owner(item.imported) != "bridgekit":
            continue
        source, target = room(item.importer), room(item.imported)
        if source != target and LEVELS[target] >= LEVELS[source]:
            wrong.append(str(item))
    return wrong


def test_every_room_of_the_runtime_has_a_level() -> None:
    rooms = {
        module.name.split(".")[1] for module in modules(RUNTIME, "bridgekit") if "." in module.name
    }
    assert rooms <= set(LEVELS), "give the new room a level here and a line in ARCHITECTURE.md"


def test_imports_of_the_runtime_point_down() -> None:
    runtime = modules(RUNTIME, "bridgekit")
    assert upward(item for module in runtime for item in module.imports()) == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("bridgekit.errors", "from bridgekit.engine import loops"),
        ("bridgekit.engine.loops", "from ..adapters import to_thread"),
        ("bridgekit.adapters.threads", "def f():\n    import bridgekit.flow.limits"),
        ("bridgekit.engine.loops", "from bridgekit import to_thread"),
        ("bridgekit.watch.lag", "from bridgekit.cli import main"),
    ],
)
def test_an_upward_import_is_seen(importer: str, source: str) -> None:
    assert len(upward(Module(importer, False, ast.parse(source)).imports())) == 1


def test_runtime_does_not_need_the_tool() -> None:
    wrong = [
        str(item)
        for module in modules(RUNTIME, "bridgekit")
        if room(module.name) != "cli"
        for item in module.imports()
        if owner(item.imported) in TOOL_ONLY
    ]
    assert wrong == []


def test_importing_the_runtime_loads_nothing_of_the_tool() -> None:
    code = f"import sys, bridgekit; print(sorted(set({TOOL_ONLY!r}) & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_codemods_do_not_import_the_runtime() -> None:
    wrong = [
        str(item)
        for module in modules(CODEMODS, "bridgekit_codemods")
        for item in module.imports()
        if owner(item.imported) == "bridgekit"
    ]
    assert wrong == []


def circle(found: Iterable[Module]) -> list[str]:
    """A chain of modules that need each other in a circle to run; empty when there is none."""
    by_name = {module.name: module for module in found}
    graph: dict[str, set[str]] = {}
    for module in by_name.values():
        for item in module.imports(at_run_time=True):
            # The name may be a submodule, or something that a module defines.
            for target in (item.imported, item.imported.rpartition(".")[0]):
                if target in by_name:
                    graph.setdefault(module.name, set()).add(target)
                    break
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        chain: list[str] = error.args[1]
        return chain
    return []


def test_codemods_do_not_import_each_other_in_a_circle() -> None:
    assert circle(modules(CODEMODS, "bridgekit_codemods")) == []


def test_rooms_of_the_codemods_do_not_import_each_other_in_a_circle() -> None:
    """Imports for type checkers count: a room can be read without those above it."""
    graph: dict[str, set[str]] = {}
    for module in modules(CODEMODS, "bridgekit_codemods"):
        rooms = [item.imported.split(".")[1] for item in module.imports() if "." in item.imported
                 and owner(item.imported) == "bridgekit_codemods"]  # fmt: skip
        here = module.name.split(".")[1] if "." in module.name else ""
        graph.setdefault(here, set()).update(room for room in rooms if room != here)
    assert {"planning", "rules", "walk"} <= graph.keys()
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("planning") < order.index("rules") < order.index("walk")


def test_a_circle_is_seen() -> None:
    sources = {
        "p.a": "from p import b\nfrom typing import TYPE_CHECKING",
        "p.b": "if TYPE_CHECKING:\n    import p.a\nfrom p.c import x",
        "p.c": "import p.a",
    }
    found = [Module(name, False, ast.parse(source)) for name, source in sources.items()]
    assert len(circle(found)) == 4
    assert circle(found[:2]) == []


def test_public_modules_have_a_docstring_and_a_telling_name() -> None:
    everything = [*modules(RUNTIME, "bridgekit"), *modules(CODEMODS, "bridgekit_codemods")]
    silent = [m.name for m in everything if m.is_public and not ast.get_docstring(m.tree)]
    assert silent == []
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert [m.name for m in everything if m.name.rpartition(".")[2].lstrip("_") in vague] == []
