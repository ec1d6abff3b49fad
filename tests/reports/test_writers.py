"""JSON, SARIF, Markdown and annotations."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridgekit_codemods.migration.ledger import History
from bridgekit_codemods.planning.overview import Closure
from bridgekit_codemods.planning.recording import Gain, Wait
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.planning.weights import Weighed
from bridgekit_codemods.reports import annotations, codes, document, html, markdown, model, sarif
from bridgekit_codemods.reports.building import build_report
from bridgekit_codemods.reports.model import Report
from bridgekit_codemods.rules import RULES
from bridgekit_codemods.walk.planner import build_planner

DOCS = Path(__file__).parents[2] / "docs"
Build = Callable[..., Report]
SOURCES = {
    "app.py": b"import requests\n\n\ndef get():\n    return requests.get('x', timeout=1)\n\n\n"
    b"def other():\n    return get()\n"
}
SMALL_WRITERS = [annotations.write, document.write, html.write, markdown.write, sarif.write]


@pytest.mark.parametrize("write", SMALL_WRITERS)
def test_the_same_program_gives_the_same_bytes(
    write: Callable[[Report], str], build: Build, small: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    sources = {
        "pyproject.toml": b'[project]\nname = "p"\n',
        "a.py": b"import time\n\n\ndef f():\n    time.sleep(1)\n\n\ndef g():\n    f()\n",
    }
    assert write(build(sources)) == write(build(dict(reversed(sources.items()))))


@pytest.mark.parametrize("write", SMALL_WRITERS)
def test_every_writer_gives_text_for_names_that_are_none(
    write: Callable[[Report], str], hostile: Report
) -> None:
    write(hostile).encode("utf-8")


def test_a_time_is_named_only_if_it_was_asked_for(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert build({"a.py": b""}).generated is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    report = build({"a.py": b""})
    assert report.generated == "1970-01-01T00:00:00+00:00"
    assert sarif.log(report)["runs"][0]["invocations"][0]["endTimeUtc"] == "1970-01-01T00:00:00Z"


# JSON


def test_the_document_is_what_the_documentation_says(small: Report) -> None:
    found = json.loads(document.write(small))
    assert found == json.loads(json.dumps(document.document(small)))
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    section = text[text.index("## JSON") :]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert list(found) == rows
    assert found["schema"] == "bridgekit-report/1"
    described = set(re.findall(r"`(\w+)`", section))
    for item in (
        model.FunctionNode, model.Edge, model.LeafCall, model.BlockingPath, model.HotFile,
        model.Counts, model.StepEntry, Finding, model.Unreadable, model.Suspect, model.Recording,
        Closure, Gain, Weighed,
    ):  # fmt: skip
        assert {field.name for field in fields(item)} <= described, item
    assert set(found["summary"]) <= described


def strict(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, dict):
        found = {name: strict(value) for name, value in schema.items()}
        if "properties" in schema and "type" in schema:
            found["additionalProperties"] = False
        return found
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


def test_the_document_is_valid_by_its_schema(
    small: Report, hostile: Report, build: Build, tmp_path: Path
) -> None:
    schema = strict(json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    waits = [Wait(1.5, function="app.get")]
    walked = build_report(tmp_path, SOURCES, build_planner(), History(), walk=True, waits=waits)
    assert walked.recording is not None
    for report in (small, hostile, walked, build({})):
        data = json.loads(document.write(report))
        assert [error.message for error in validator.iter_errors(data)] == []
        assert list(data) == list(schema["properties"])
    del data["functions"]
    assert not validator.is_valid(data)


def test_the_document_refers_by_index(small: Report) -> None:
    found = json.loads(document.write(small))
    for edge in found["edges"]:
        assert found["functions"][edge["caller"]]["name"]
        assert found["functions"][edge["callee"]]["name"]
    leaf = found["leaves"][0]
    assert 0 in found["functions"][leaf["function"]]["leaves"]
    assert found["summary"]["blocking_calls"] == 2


# SARIF


def finding_names(log: dict[str, Any]) -> list[str]:
    (run,) = log["runs"]
    return [result["partialFingerprints"][sarif.FINGERPRINT] for result in run["results"]]


def test_the_log_has_the_shape_of_the_standard(small: Report, hostile: Report) -> None:
    shape = pytest.importorskip("sarif_pydantic")
    for report in (small, hostile):
        log = json.loads(sarif.write(report))
        read = shape.Sarif.model_validate(log)
        again = read.model_dump(by_alias=True, exclude_none=True, mode="json")
        assert lost(log, again) == []


def test_the_log_is_valid_by_the_schema_of_the_standard(small: Report, hostile: Report) -> None:
    file = os.environ.get("BRIDGEKIT_SARIF_SCHEMA")
    if not file:
        pytest.skip(f"BRIDGEKIT_SARIF_SCHEMA names no copy of {sarif.SCHEMA}")
    validator = jsonschema.Draft4Validator(json.loads(Path(file).read_text(encoding="utf-8")))
    for report in (small, hostile):
        log = json.loads(sarif.write(report))
        assert [error.message for error in validator.iter_errors(log)] == []
    assert not validator.is_valid({**log, "version": "2.0"})


def lost(value: Any, other: Any, place: str = "$") -> list[str]:
    """The properties that the other side does not know, or has with another value."""
    if isinstance(value, dict):
        found = []
        for name, item in value.items():
            if name not in other:
                found.append(f"{place}.{name}")
            else:
                found += lost(item, other[name], f"{place}.{name}")
        return found
    if isinstance(value, list):
        pairs = zip(value, other, strict=True)
        return [x for n, (a, b) in enumerate(pairs) for x in lost(a, b, f"{place}[{n}]")]
    return [] if value == other else [place]


def test_results_name_their_rule_and_a_relative_place(small: Report) -> None:
    (run,) = sarif.log(small)["runs"]
    rules = run["tool"]["driver"]["rules"]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "BK304"
    assert rules[0]["help"]["text"].startswith("A property cannot be awaited at its uses.")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "shop/rates.py", "uriBaseId": "PROGRAMROOT"}
    assert place["region"]["startLine"] == 20
    assert result["level"] == "warning"


def test_the_way_to_the_blocking_call_is_the_code_flow(small: Report) -> None:
    (result,) = sarif.log(small)["runs"][0]["results"]
    (flow,) = result["codeFlows"]
    words = [s["location"]["message"]["text"] for s in flow["threadFlows"][0]["locations"]]
    assert words == ["calls shop.rates.rate", "requests.get blocks (http)"]


def test_a_finding_keeps_its_name_when_lines_move(small: Report) -> None:
    (finding,) = small.findings
    twice = replace(small, findings=(finding, replace(finding, line=30)))
    moved = replace(small, findings=(replace(finding, line=90), replace(finding, line=99)))
    names = finding_names(sarif.log(twice))
    assert len(set(names)) == 2
    assert finding_names(sarif.log(moved)) == names
    other = replace(small, findings=(replace(finding, code="BK305"),))
    assert finding_names(sarif.log(other)) != names[:1]


def test_paths_are_uris_and_lines_start_at_one(hostile: Report) -> None:
    for result in sarif.log(hostile)["runs"][0]["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert re.fullmatch(r"[\w./%~-]+", place["artifactLocation"]["uri"])
        assert place["region"]["startLine"] >= 1


def test_files_that_cannot_be_parsed_are_notifications(hostile: Report) -> None:
    (invocation,) = sarif.log(hostile)["runs"][0]["invocations"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["level"] == "error"


# Markdown


def test_markdown_fits_into_a_comment_and_says_what_is_left_out(small: Report) -> None:
    (finding,) = small.findings
    many = replace(
        small,
        findings=tuple(
            replace(finding, code=f"BK{code}", reason="long " * 40, line=line)
            for code in range(300, 340)
            for line in range(50)
        ),
    )
    text = markdown.write(many)
    assert len(text) < 65_536
    assert "*and 30 more*" in text
    assert text.endswith("*The rest is in the HTML report.*\n")


def test_markdown_details_are_closed_and_hold_no_html_of_the_program(hostile: Report) -> None:
    text = markdown.write(hostile)
    assert text.count("<details>") == text.count("</details>") > 0
    outside = re.sub(r"`[^`\n]*`", "", text)
    tags = set(re.findall(r"<[^>]*>?", outside))
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>", "<br>"}
    assert not re.search(r"(?<!\\)\[", outside)
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) in {4, 6}


def test_markdown_says_what_matters(small: Report) -> None:
    text = markdown.write(small)
    assert text.startswith("## little-shop: the way to async\n")
    assert "| 🟠 blocking | 6 |" in text
    assert "2 blocking calls (http 1, sleep 1)" in text
    assert "BK304" in text
    assert "`shop/rates.py:20`" in text
    assert "| `shop.views.price` | http, sleep | quote → patient → `time.sleep` |" in text


# Annotations


def test_annotations_are_one_line_each_with_level_and_place(small: Report) -> None:
    assert annotations.write(small).splitlines() == [
        "::warning file=shop/rates.py,line=20,title=BK304 a property cannot be awaited at its uses"
        "::a property cannot be awaited at its uses%0ARemedy: make it a method"
    ]


def test_annotations_cannot_be_forged(hostile: Report) -> None:
    lines = annotations.write(hostile).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    for line in lines:
        properties = line.partition(" ")[2].partition("::")[0]
        assert {part.partition("=")[0] for part in properties.split(",")} == {
            "file",
            "line",
            "title",
        }


# Codes


def test_codes_say_what_the_documentation_says() -> None:
    rows = re.findall(
        r"^\| (BK\d+) \| (.+) \|$", (DOCS / "codes.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows
    for code, rest in rows:
        cells = rest.split(" | ")
        meaning = codes.explain(code)
        text = cells[1] if len(cells) == 3 else cells[0]
        text = re.sub(r" \(\[[^]]*\]\([^)]*\)\)", "", text)  # links lead nowhere outside the page
        assert text.lower() in meaning.text.lower(), f"{code}: put it into reports/codes.py too"
        if len(cells) == 3:
            assert meaning.name == cells[0]
    known = {code for code, _ in rows}
    assert {rule.code for rule in RULES} <= known


def test_an_unknown_code_is_named_after_itself() -> None:
    assert codes.explain("BK999").name == "BK999"
