"""Reads the call graph that pyrefly writes (`--report-pysa`).

The report is made for another program and says of its form only a number; other numbers than the
one that was looked at are refused. What is taken from it:

    call_graphs/       for each call expression the functions that it may reach
    definitions/       where these functions are
    type_of_expressions/   where a call has several receivers, whether they are all
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from bridgekit_codemods.engines.answers import Answer, Answers
from bridgekit_codemods.tracing.record import Definition, Place

FORMAT = 1
INDEX = "pyrefly.pysa.json"
_ROOTS = ("src", "lib", "python")
"""Directories below the program's that its imports may start from."""
_Json: TypeAlias = dict[str, Any]


class FormatError(Exception):
    """The report has another form than the one that is known here."""


def arguments(root: Path, interpreter: str, out: Path) -> list[str]:
    """What to call pyrefly with, in `root`, to have a report written to the directory `out`."""
    roots = [root, *(inner for name in _ROOTS if (inner := root / name).is_dir())]
    return [
        "check",
        # before the libraries, among which the program itself may be installed
        *(word for inner in roots for word in ("--search-path", str(inner))),
        # without it, functions that have no annotations are not looked into
        "--preset", "default",
        "--python-interpreter-path", interpreter,
        "--report-pysa", str(out), "--report-pysa-format", "json",
        "--summary", "none", "--progress-bar", "no", "--output-format", "omit-errors",
        str(root),
    ]  # fmt: skip


def read(out: Path, root: Path, sources: Mapping[str, bytes]) -> Answers:
    """The answers of a report about the program below `root`. Raises `FormatError`."""
    try:
        return _Report(out, root, sources).answers()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise FormatError(f"{type(error).__name__}: {error}") from error


class _Report:
    """One report; modules go by the numbers that it gives them."""

    def __init__(self, out: Path, root: Path, sources: Mapping[str, bytes]) -> None:
        self.out = out
        self.sources = sources
        index = _load(out / INDEX)
        if index["format_version"] != FORMAT:
            raise FormatError(f"format_version is {index['format_version']}")
        self.paths: dict[int, str] = {}
        self.names: dict[int, str] = {}
        for module in index["modules"].values():
            path = _relative(module["source_path"].get("FileSystem"), root)
            if path is not None and path in sources:
                self.paths[module["module_id"]] = path
                self.names[module["module_id"]] = module["info_filename"]
        self._functions: dict[tuple[int, str], Definition] = {}
        for module_id in self.paths:
            self._define(module_id)

    def _define(self, module_id: int) -> None:
        found = self._part("definitions", module_id)
        path = self.paths[module_id]
        for key, function in found["function_definitions"].items():
            if "name_location" in function:  # what a decorator made up has none
                line = _span(function["name_location"])[0]
                self._functions[module_id, key] = Definition(path, line, function["name"])

    def _part(self, kind: str, module_id: int) -> _Json:
        found = _load(self.out / kind / self.names[module_id])
        if found["format_version"] != FORMAT:
            raise FormatError(f"format_version is {found['format_version']}")
        return found

    def answers(self) -> Answers:
        answers = Answers()
        for module_id, path in self.paths.items():
            types = _Types(self, module_id)
            for sites in self._part("call_graphs", module_id)["call_graphs"].values():
                for span, site in sites.items():
                    if "|" in span or "Call" not in site:
                        continue  # no call expression: operators, loops, names, attributes
                    answer = self._answer(site["Call"], span, types)
                    if answer is not None:
                        line, column, end_line, end_column = _span(span)
                        place = Place(path, line, column - 1, end_line, end_column - 1)
                        answers.calls[place] = answer
        return answers

    def _answer(self, call: _Json, span: str, types: _Types) -> Answer | None:
        """What one call reaches; None when that is not known, or not known to be all."""
        if "True" in (call.get("unresolved") or ()):
            return None
        functions: set[Definition] = set()
        elsewhere = False
        targets = list(_targets(call))
        for target in targets:
            (function,) = target["target"].values()
            if function["module_id"] not in self.paths:
                elsewhere = True
                continue
            definition = self._functions.get((function["module_id"], function["function_id"]))
            if definition is None:
                return None
            functions.add(definition)
        if not targets or (functions and not _is_one(targets) and not types.are_all(span)):
            return None
        return Answer(frozenset(functions), elsewhere)


class _Types:
    """The types of a module's expressions, read when they are needed."""

    def __init__(self, report: _Report, module_id: int) -> None:
        self._report = report
        self._module_id = module_id
        self._exhaustive: dict[str, bool] | None = None
        self._callees: dict[str, str] = {}

    def are_all(self, span: str) -> bool:
        """Whether the call at `span` has a callee or receiver whose classes are all known: of
        `Shop | Any`, the report names the methods of `Shop` alone."""
        if self._exhaustive is None:
            self._read()
        assert self._exhaustive is not None
        return self._exhaustive.get(self._callees.get(span, ""), False)

    def _read(self) -> None:
        found = self._report._part("type_of_expressions", self._module_id)
        self._exhaustive = {
            span: (function["type_table"][number].get("class_names") or {}).get("is_exhaustive")
            is True
            for function in found["functions"].values()
            for span, number in function["locations"].items()
        }
        path = self._report.paths[self._module_id]
        for node in ast.walk(ast.parse(self._report.sources[path])):
            if isinstance(node, ast.Call):
                func = node.func
                receiver = func.value if isinstance(func, ast.Attribute) else func
                self._callees[_text(node)] = _text(receiver)


def _targets(call: _Json) -> Iterator[_Json]:
    for kind in ("call_targets", "init_targets", "new_targets"):
        yield from call.get(kind, ())


def _is_one(targets: list[_Json]) -> bool:
    """Whether the targets belong to one receiver of which the report is certain: a class that it
    names, or none at all because a function is called by its name."""
    if all("receiver_class" in t or t.get("is_static_method") for t in targets):
        classes = {
            (t["receiver_class"]["module_id"], t["receiver_class"]["class_id"])
            for t in targets
            if "receiver_class" in t
        }
        return len(classes) == 1
    (first, *others) = targets
    return not others and "implicit_receiver" not in first and not first.get("is_static_method")


def _relative(file: str | None, root: Path) -> str | None:
    if file is None:
        return None
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _span(text: str) -> tuple[int, int, int, int]:
    """Lines and columns, both from 1; columns count bytes."""
    start, _, end = text.partition("-")
    line, _, column = start.partition(":")
    end_line, _, end_column = end.partition(":")
    return int(line), int(column), int(end_line), int(end_column)


def _text(node: ast.expr) -> str:
    end = f"{node.end_lineno}:{(node.end_col_offset or 0) + 1}"
    return f"{node.lineno}:{node.col_offset + 1}-{end}"


def _load(path: Path) -> _Json:
    found: _Json = json.loads(path.read_bytes())
    return found
