"""Which reports a command writes, in which form and where to."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridgekit.cli.target import fail
from bridgekit_codemods.migration import files

if TYPE_CHECKING:
    from bridgekit_codemods.reports.model import Report

STANDARD_OUTPUT = Path("-")


class Format(enum.StrEnum):
    """The forms of a report."""

    text = "text"
    html = "html"
    json = "json"
    sarif = "sarif"
    markdown = "markdown"
    github = "github"


_SUFFIXES = {
    ".txt": Format.text,
    ".html": Format.html,
    ".htm": Format.html,
    ".json": Format.json,
    ".sarif": Format.sarif,
    ".md": Format.markdown,
}


def pairs(formats: Sequence[Format], outputs: Sequence[Path]) -> list[tuple[Format, Path]]:
    """Each form with its place, in the order given; ends the command where they do not fit.

    Without formats the names of the outputs say which; without outputs there is one format, for
    standard output.
    """
    if not outputs:
        if len(formats) > 1:
            fail("several formats need as many outputs: --format html --output report.html ...")
        return [(formats[0] if formats else Format.text, STANDARD_OUTPUT)]
    if formats and len(formats) != len(outputs):
        fail(f"{len(formats)} formats for {len(outputs)} outputs; give one format for each output")
    if len(set(outputs)) != len(outputs):
        fail("the same output is given twice")
    for place in outputs:
        _check(place)
    return list(zip(formats or map(_format_of, outputs), outputs, strict=True))


def writer(form: Format) -> Callable[[Report], str]:
    """What turns a report into text of that form. Imports only what that form needs."""
    match form:
        case Format.html:
            from bridgekit_codemods.reports.html import write
        case Format.json:
            from bridgekit_codemods.reports.document import write
        case Format.sarif:
            from bridgekit_codemods.reports.sarif import write
        case Format.markdown:
            from bridgekit_codemods.reports.markdown import write
        case Format.github:
            from bridgekit_codemods.reports.annotations import write
        case Format.text:
            raise ValueError("text is printed from the lines of the report")
    return write


def deliver(place: Path, text: str) -> None:
    """Write a report: the whole file at once, or to standard output."""
    data = text.encode("utf-8", "replace")
    if place == STANDARD_OUTPUT:
        sys.stdout.flush()
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:
            sys.stdout.write(data.decode())
        else:
            stream.write(data)
            stream.flush()
        return
    try:
        if place.exists() and not place.is_file():  # a device or a pipe: nothing to replace
            place.write_bytes(data)
        else:
            files.write(place.resolve(), data)
    except OSError as error:
        fail(f"cannot write {place}: {error.strerror or error}")


def _format_of(place: Path) -> Format:
    if place == STANDARD_OUTPUT:
        return Format.text
    form = _SUFFIXES.get(place.suffix.lower())
    if form is None:
        fail(f"{place}: which form? Give --format, or end the name in {', '.join(_SUFFIXES)}")
    return form


def _check(place: Path) -> None:
    """See that the file could be written, before any long work."""
    if place == STANDARD_OUTPUT:
        return
    if place.is_dir():
        fail(f"{place} is a directory; give the name of a file")
    if not place.parent.is_dir():
        fail(f"there is no directory {place.parent} to write {place.name} into")
