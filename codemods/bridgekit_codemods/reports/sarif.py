"""Findings as SARIF 2.1.0, the format that code scanning services read."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.reports.codes import explain
from bridgekit_codemods.reports.model import Report, asks

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT = "bridgekitFinding/v1"
_BASE = "PROGRAMROOT"
_NUMBERS = re.compile(r":\d+")


def write(report: Report) -> str:
    """The log; ends with a line end."""
    text = json.dumps(log(report), indent=2, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n"


def log(report: Report) -> dict[str, Any]:
    """The log as plain values: one run, a result a finding.

    Paths are relative to the program's root. A finding keeps its fingerprint when lines move. A
    finding in a function that blocks carries the calls through which it does as a code flow.
    """
    codes = sorted({finding.code for finding in report.findings})
    seen: Counter[str] = Counter()
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if report.generated:
        invocation["endTimeUtc"] = report.generated.replace("+00:00", "Z")
    if report.unreadable:
        invocation["toolExecutionNotifications"] = [
            {
                "level": "error",
                "message": {"text": file.message},
                "locations": [_location(file.path, file.line)],
            }
            for file in report.unreadable
        ]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "bridgekit",
                        "version": report.version,
                        "rules": [_rule(code, report) for code in codes],
                    }
                },
                "originalUriBaseIds": {
                    _BASE: {"description": {"text": "The root of the program."}}
                },
                "invocations": [invocation],
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(finding, codes.index(finding.code), report, seen)
                    for finding in report.findings
                ],
            }
        ],
    }


def _rule(code: str, report: Report) -> dict[str, Any]:
    meaning = explain(code)
    found = report.findings_by_code[code]
    remedies = sorted({finding.remedy for finding in found})
    remedy = "Remedy: " + "; ".join(remedies) + "."
    return {
        "id": code,
        "name": _pascal(meaning.name),
        "shortDescription": {"text": f"{meaning.name[:1].upper()}{meaning.name[1:]}."},
        "fullDescription": {"text": meaning.text},
        "help": {"text": f"{meaning.text}\n{remedy}", "markdown": f"{meaning.text}\n\n{remedy}"},
        "defaultConfiguration": {"level": _level(found[0])},
        "properties": {"tags": ["async", "migration"]},
    }


def _result(finding: Finding, rule: int, report: Report, seen: Counter[str]) -> dict[str, Any]:
    where = f" in {finding.function}" if finding.function else ""
    location = _location(finding.path, finding.line)
    if finding.function:
        location["logicalLocations"] = [
            {"fullyQualifiedName": finding.function, "kind": "function"}
        ]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _level(finding),
        "message": {"text": f"{finding.reason}{where}. Remedy: {finding.remedy}."},
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding, seen)},
    }
    flow = _flow(finding, report)
    if len(flow) > 1:
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return result


def _flow(finding: Finding, report: Report) -> list[dict[str, Any]]:
    """The calls from the function of a finding down to the one that blocks."""
    number = report.index.get(finding.function or "")
    if number is None or report.functions[number].colour != "blocking":
        return []
    steps: list[dict[str, Any]] = []
    for current in report.reason(number):
        function = report.functions[current]
        if function.via is not None and function.via_line is not None:
            called = report.functions[function.via].name
            place = _location(function.path, function.via_line, f"calls {called}")
        elif function.leaves:
            leaf = report.leaves[function.leaves[0]]
            place = _location(leaf.path, leaf.line, f"{leaf.target} blocks ({leaf.effect})")
        else:
            break
        steps.append({"location": place})
    return steps


def _location(path: str, line: int, message: str | None = None) -> dict[str, Any]:
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path, errors="surrogateescape"), "uriBaseId": _BASE},
            "region": {"startLine": max(line, 1)},
        }
    }
    if message is not None:
        place["message"] = {"text": message}
    return place


def _level(finding: Finding) -> str:
    return "warning" if asks(finding) else "note"


def _fingerprint(finding: Finding, seen: Counter[str]) -> str:
    """Names a finding without its line; the second of the same name gets a number."""
    reason = _NUMBERS.sub("", finding.reason)
    parts = (finding.path, finding.code, finding.function or "", reason)
    name = "\0".join(parts)
    seen[name] += 1
    data = f"{name}\0{seen[name]}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(data).hexdigest()[:32]


def _pascal(name: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    return "".join(word[:1].upper() + word[1:] for word in words)
