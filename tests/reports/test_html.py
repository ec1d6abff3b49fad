"""The page as text: complete, closed, and safe whatever a program is called."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bridgekit_codemods.reports import html
from bridgekit_codemods.reports.model import Report

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, texts of scripts, and open elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.raw:
            self.raw[tag].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data


def test_every_element_is_closed(small: Report, hostile: Report) -> None:
    for report in (small, hostile):
        page = Page(html.write(report))
        assert (page.wrong, page.open) == ([], [])


def test_the_page_needs_nothing_else_and_has_no_inline_handlers(small: Report) -> None:
    for tag, attributes in Page(html.write(small)).elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "srcset", "style", "srcdoc"}, (tag, name)
            if name == "href":
                assert (value or "").startswith("#")


def test_names_cannot_break_out(small: Report, hostile: Report) -> None:
    calm, evil = Page(html.write(small)), Page(html.write(hostile))
    assert len(evil.raw["script"]) == len(calm.raw["script"]) == 2
    assert evil.raw["script"][1] == calm.raw["script"][1]
    of_the_template = {"li", "pre", "polygon", "polyline", "line", "text", "title"}
    of_the_calm = {tag for tag, _ in calm.elements}
    assert {tag for tag, _ in evil.elements} <= of_the_calm | of_the_template
    assert not any("onerror" in attributes for _, attributes in evil.elements)
    data = json.loads(evil.raw["script"][0])
    assert "</script>" in data["functions"]["name"][0]


def test_the_policy_names_the_script_and_the_style(small: Report) -> None:
    page = Page(html.write(small))
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    for kind, text in (("script", page.raw["script"][1]), ("style", page.raw["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_what_needs_no_script_is_in_the_page(small: Report) -> None:
    text = re.sub(r"\s+", " ", html.write(small))
    assert "<dd>6<small>functions wait on their thread</small>" in text
    assert "<code>shop.views.price</code> → <code>shop.views.quote</code>" in text
    assert "<td>make it a method</td>" in text
    assert "<code>shop/rates.py</code></th>" in text


def test_data_blocks_hold_no_character_of_html() -> None:
    text = str(html.embedded({"x": "</script><!-- & \u2028 é"}))
    assert not set(text) & set("<>&\u2028é")
    assert json.loads(text) == {"x": "</script><!-- & \u2028 é"}


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("number", range(3), ids=["light", "dark by the system", "dark by choice"])
def test_colours_can_be_told_from_what_is_behind_them(small: Report, number: int) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for shapes that mean something."""
    (style,) = Page(html.write(small)).raw["style"]
    block = re.findall(r":root[^{]*\{([^}]*--page:[^}]*)\}", style)[number]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    grounds = [colours[name] for name in ("page", "surface", "box", "card")]
    for name in ("text", "soft", "accent"):
        assert min(contrast(colours[name], ground) for ground in grounds) >= 4.5, name
    for name in ("pure", "blocking", "native", "leaf", "bridge", "focus"):
        assert min(contrast(colours[name], ground) for ground in grounds) >= 3, name
    for name in ("pure", "blocking", "native", "leaf"):
        assert contrast(colours[f"{name}-ink"], colours[f"{name}-wash"]) >= 4.5, name


def test_what_stands_between_backticks_is_code(small: Report) -> None:
    (finding,) = small.findings
    odd = replace(finding, reason="a `b < c` d", remedy="`x")
    text = html.write(replace(small, findings=(odd,)))
    assert "<td>a <code>b &lt; c</code> d</td><td>`x</td>" in text


@pytest.mark.slow
def test_five_thousand_functions_stay_a_small_file(big: Report) -> None:
    assert len(html.write(big)) < 2_000_000
