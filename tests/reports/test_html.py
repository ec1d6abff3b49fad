"""The page as text: complete, closed, and safe whatever a program is called."""

from __future__ import annotations

import base64
import hashlib
import json
import re
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


@pytest.mark.slow
def test_five_thousand_functions_stay_a_small_file(big: Report) -> None:
    assert len(html.write(big)) < 2_000_000
