"""Findings as workflow commands of GitHub Actions, which shows them at their lines."""

from __future__ import annotations

from bridgekit_codemods.reports.codes import explain
from bridgekit_codemods.reports.model import Report, asks


def write(report: Report) -> str:
    """One command a finding, those that ask for something as warnings, the others as notices."""
    lines = [
        _command("error", file.path, file.line, "cannot be processed", file.message)
        for file in report.unreadable
    ]
    for finding in sorted(report.findings, key=lambda f: not asks(f)):
        lines.append(
            _command(
                "warning" if asks(finding) else "notice",
                finding.path,
                finding.line,
                f"{finding.code} {explain(finding.code).name}",
                f"{finding.reason}\nRemedy: {finding.remedy}",
            )
        )
    return "".join(f"{line}\n" for line in lines)


def _command(level: str, path: str, line: int, title: str, message: str) -> str:
    return (
        f"::{level} file={_property(path)},line={line},title={_property(title)}::{_data(message)}"
    )


def _data(text: str) -> str:
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
