"""A report as one HTML file that needs nothing else: no network, no server, no other file.

What the program holds (names, paths, messages) goes into the page as escaped text, or as JSON in a
block that cannot be left early. A content security policy lets only the page's own script and style
run, named by their hashes, so that nothing that slipped through could do anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Hashable, Iterable
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import jinja2
from markupsafe import Markup, escape

from bridgekit_codemods.reports.chart import chart
from bridgekit_codemods.reports.codes import explain
from bridgekit_codemods.reports.lines import count
from bridgekit_codemods.reports.model import COLOURS, Report, asks, by_target

_T = TypeVar("_T", bound=Hashable)
_TESTS = 20
"""How many tests of a function the page names."""
_STYLES = ("report.css", "graph.css")
_SCRIPTS = (
    "program.js",
    "layout.js",
    "drawing.js",
    "graph.js",
    "details.js",
    "search.js",
    "table.js",
    "page.js",
)
"""In the order in which they need each other; together one script in one function."""


def write(report: Report) -> str:
    """The page; ends with a line end."""
    style, script = _style(), _script()
    text = _template().render(
        report=report,
        chart=chart(report),
        style=Markup(style),
        script=Markup(script),
        data=embedded(payload(report)),
        policy=_policy(style, script),
        explain=explain,
        asks=asks,
        by_target=by_target,
        count=count,
    )
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip() + "\n"


def payload(report: Report) -> dict[str, Any]:
    """What the page's script needs, in columns: a fraction of the size of the JSON document."""
    modules: dict[tuple[str, str], int] = {}
    for function in report.functions:
        modules.setdefault((function.module, function.path), len(modules))
    effects = _numbered(effect for f in report.functions for effect in f.effects)
    for leaf in report.leaves:
        effects.setdefault(leaf.effect, len(effects))
    kinds = _numbered(f.entry for f in report.functions if f.entry is not None)
    targets = _numbered(leaf.target for leaf in report.leaves)
    packages = _numbered(f.package for f in report.functions)
    whys = _numbered((edge.grade, edge.evidence) for edge in report.edges)
    package_of = {function.module: function.package for function in report.functions}
    return {
        "packages": list(packages),
        "modules": [[name, path, packages[package_of[name]]] for name, path in modules],
        "effects": list(effects),
        "kinds": list(kinds),
        "targets": list(targets),
        "functions": {
            "name": [_local(f.name, f.module) for f in report.functions],
            "module": [modules[f.module, f.path] for f in report.functions],
            "line": [f.line for f in report.functions],
            "colour": [COLOURS.index(f.colour) for f in report.functions],
            "effects": [sum(1 << effects[e] for e in f.effects) for f in report.functions],
            "kind": [-1 if f.entry is None else kinds[f.entry] for f in report.functions],
            "via": [-1 if f.via is None else f.via for f in report.functions],
            "depth": [f.depth for f in report.functions],
            "height": [f.height for f in report.functions],
            "entries": [f.entries for f in report.functions],
            "facade": [int(f.is_facade) for f in report.functions],
            "tests": [
                [len(f.tests), *f.tests[:_TESTS]] if f.tests else 0 for f in report.functions
            ],
        },
        "tests": list(report.tests),
        "whys": [list(why) for why in whys],
        "edges": [
            number
            for edge in report.edges
            for number in (
                edge.caller,
                edge.callee,
                edge.line,
                edge.waits | (edge.bridge is not None) << 1,
                whys[edge.grade, edge.evidence],
            )
        ],
        "leaves": [
            number
            for leaf in report.leaves
            for number in (
                leaf.function,
                leaf.line,
                targets[leaf.target],
                effects[leaf.effect],
                ("call", "lazy load", "facade").index(leaf.kind),
            )
        ],
        "suspects": [
            [s.function, s.path, s.line, s.target, s.effect, s.reason] for s in report.suspects
        ],
        "findings": [
            [report.index[f.function], f.path, f.line, f.code, f.reason, f.remedy]
            for f in report.findings
            if f.function is not None and f.function in report.index
        ],
    }


def embedded(value: Any) -> Markup:
    """JSON for a script block: no character in it can end the block or start a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _numbered(names: Iterable[_T]) -> dict[_T, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _local(name: str, module: str) -> str:
    return name.removeprefix(f"{module}.").replace(".<locals>.", " › ")


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _code(text: str) -> Markup:
    """Escaped text in which what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return escape(text)
    made = (
        Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    )
    return Markup("").join(made)


@cache
def _style() -> str:
    return "\n" + "\n".join(map(_read, _STYLES))


@cache
def _script() -> str:
    text = '\n(() => {\n"use strict";\n' + "\n".join(map(_read, _SCRIPTS)) + "})();\n"
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("the script would end its own block")
    return text


def _read(name: str) -> str:
    folder = resources.files("bridgekit_codemods.reports") / "templates"
    return (folder / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["asks"] = asks
    environment.filters["code"] = _code
    return environment.get_template("report.html.jinja")
