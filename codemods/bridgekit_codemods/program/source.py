"""Source files: bytes in, text, syntax tree and character positions out.

Nothing here looks at the file system except `read_sources`; everything else works on a mapping of
POSIX paths to bytes, so that a plan can be simulated in memory.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar, cast

from bridgekit_codemods.engines.answers import ENGINE_FILE
from bridgekit_codemods.tracing.record import TRACE_FILE

TEMPLATE_SUFFIXES = (".html", ".htm", ".jinja2", ".jinja", ".j2")
_SKIPPED_DIRECTORIES = frozenset(
    {
        ".git", ".hg", ".svn", ".bridgekit", ".tox", ".nox", ".mypy_cache", ".ruff_cache",
        ".pytest_cache", "__pycache__", "node_modules", "build", "dist", ".eggs", "site-packages",
    }
)  # fmt: skip
_SETTINGS = re.compile(
    r"(pyproject\.toml|pytest\.ini|tox\.ini|setup\.cfg|requirements[\w.-]*\.(txt|in))\Z"
)
_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest)\.py\Z")
_N = TypeVar("_N", bound=ast.AST)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class Span(NamedTuple):
    """Where a node stands: lines count from 1, columns are 0-based and count characters."""

    line: int
    col: int
    end_line: int
    end_col: int


@dataclass(frozen=True, slots=True, order=True)
class SyntaxProblem:
    """A file that could not be parsed or decoded; the rest of the program goes on without it."""

    path: str
    line: int
    message: str


@dataclass(eq=False, slots=True)
class SourceFile:
    """One Python file. `tree` is None exactly when `error` is set."""

    path: str
    data: bytes
    text: str
    tree: ast.Module | None
    module: str
    is_test: bool
    error: SyntaxProblem | None
    _lines: list[str] | None = field(default=None, repr=False)
    _nodes: tuple[ast.AST, ...] | None = field(default=None, repr=False)
    _by_kind: dict[type[ast.AST], list[ast.AST]] | None = field(default=None, repr=False)
    _parents: dict[ast.AST, ast.AST] | None = field(default=None, repr=False)

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree in the order of `ast.walk`; none for a file without a tree."""
        if self._nodes is None:
            self._nodes = () if self.tree is None else tuple(_walk(self.tree))
        return self._nodes

    def of(self, kind: type[_N]) -> Sequence[_N]:
        """The nodes of exactly that class, in the order of `ast.walk`."""
        if self._by_kind is None:
            by_kind: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
            for node in self.nodes:
                by_kind[type(node)].append(node)
            self._by_kind = dict(by_kind)
        return cast("Sequence[_N]", self._by_kind.get(kind, ()))

    @property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node of the tree."""
        if self._parents is None:
            self._parents = {
                child: node for node in self.nodes for child in ast.iter_child_nodes(node)
            }
        return self._parents

    @property
    def lines(self) -> list[str]:
        """The text's lines without their ends, split where the tokenizer splits them."""
        if self._lines is None:
            self._lines = [m.group().rstrip("\r\n") for m in _LINE.finditer(self.text)]
        return self._lines

    def column(self, line: int, byte_column: int) -> int:
        """Turn `ast`'s UTF-8 byte column into a character column."""
        lines = self.lines
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        if text.isascii():
            return byte_column
        return len(text.encode("utf-8")[:byte_column].decode("utf-8", "replace"))

    def span(self, node: ast.AST) -> Span:
        """The span of a located node of this file's tree, in character columns.

        Raises AttributeError for nodes without a position (contexts, operators, `arguments`).
        """
        line: int = node.lineno  # type: ignore[attr-defined]
        col: int = node.col_offset  # type: ignore[attr-defined]
        end_line: int = node.end_lineno  # type: ignore[attr-defined]
        end_col: int = node.end_col_offset  # type: ignore[attr-defined]
        if self.text.isascii():
            return Span(line, col, end_line, end_col)
        return Span(line, self.column(line, col), end_line, self.column(end_line, end_col))


def _walk(tree: ast.AST) -> list[ast.AST]:
    """What `ast.walk` yields, in half the time."""
    found = [tree]
    add = found.append
    for node in found:  # which grows meanwhile
        kind = type(node)
        if kind is ast.Name:
            add(node.ctx)  # type: ignore[attr-defined]
        elif kind is not ast.Constant:
            for name in node._fields:
                value = getattr(node, name, None)
                if type(value) is list:
                    for item in value:
                        if isinstance(item, ast.AST):
                            add(item)
                elif isinstance(value, ast.AST):
                    add(value)
    return found


def is_test_path(path: str) -> bool:
    """Whether a path belongs to the tests: below `tests`/`test`, or named as pytest names them."""
    parts = PurePosixPath(path).parts
    return any(p in ("tests", "test") for p in parts[:-1]) or bool(_TEST_FILE.match(parts[-1]))


def module_name(path: str, paths: Iterable[str] | Mapping[str, object]) -> str:
    """The dotted name under which `path` is imported.

    The package is the unbroken chain of directories with an `__init__.py` above the file. A file
    outside any package is named by its stem, except below a directory that other files import as a
    namespace package; that case is settled by the linker through aliases.
    """
    known = paths if isinstance(paths, (set, frozenset, Mapping)) else set(paths)
    pure = PurePosixPath(path)
    parts = [] if pure.name == "__init__.py" else [pure.stem]
    directory = pure.parent
    while directory.name and str(directory / "__init__.py") in known:
        parts.insert(0, directory.name)
        directory = directory.parent
    return ".".join(parts) or pure.parent.name or "__init__"


def load_file(path: str, data: bytes, module: str) -> SourceFile:
    """Decode and parse one file; problems are recorded, never raised."""
    error: SyntaxProblem | None = None
    tree: ast.Module | None = None
    text = ""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding).removeprefix("\ufeff")
    except (SyntaxError, UnicodeDecodeError, LookupError) as problem:
        text = data.decode("utf-8", "replace")
        error = SyntaxProblem(path, 1, f"cannot decode: {problem}")
    if error is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(data, filename=path)
        except SyntaxError as problem:
            error = SyntaxProblem(path, problem.lineno or 1, problem.msg or "invalid syntax")
        except (ValueError, RecursionError, MemoryError) as problem:
            error = SyntaxProblem(path, 1, str(problem) or type(problem).__name__)
    return SourceFile(path, data, text, tree, module, is_test_path(path), error)


def is_settings(path: str) -> bool:
    """Says whether the file declares what the project needs or how its tests run."""
    return bool(_SETTINGS.match(PurePosixPath(path).name))


def read_sources(root: Path) -> dict[str, bytes]:
    """Every Python file, template and settings file below `root`, by relative POSIX path, sorted,
    and the records of a traced run and of a type checker's answers if there are any.

    Virtual environments, version control, caches and build output are skipped. Raises OSError when
    `root` cannot be read.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"not a directory: {root}")
    found: dict[str, bytes] = {}
    for directory, names, files in os.walk(root):
        here = Path(directory)
        names[:] = sorted(
            n
            for n in names
            if n not in _SKIPPED_DIRECTORIES
            and not n.endswith(".egg-info")
            and not (here / n / "pyvenv.cfg").exists()
        )
        for name in files:
            if name.endswith((".py", *TEMPLATE_SUFFIXES)) or is_settings(name):
                file = here / name
                if file.is_file():
                    found[file.relative_to(root).as_posix()] = file.read_bytes()
    for record in (TRACE_FILE, ENGINE_FILE):
        if (root / record).is_file():
            found[record] = (root / record).read_bytes()
    return dict(sorted(found.items()))
