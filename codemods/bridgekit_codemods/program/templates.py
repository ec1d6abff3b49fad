"""Attribute names that Jinja templates touch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from bridgekit_codemods.program.plugins.template_trees import parse
from bridgekit_codemods.program.source import TEMPLATE_SUFFIXES

_TAGS = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")
_MEMBER = re.compile(r"(?<=[\w\])])\s*\.\s*([A-Za-z_]\w*)")


def template_attributes(sources: Mapping[str, bytes]) -> dict[str, frozenset[str]]:
    """For every template the attribute names it reads (`a.b.c` gives b and c)."""
    return {
        path: _attributes(data)
        for path, data in sorted(sources.items())
        if path.endswith(TEMPLATE_SUFFIXES)
    }


@lru_cache(maxsize=1024)
def _attributes(data: bytes) -> frozenset[str]:
    text = data.decode("utf-8", "replace")
    tree = parse(text)
    return tree.attributes if tree is not None else _by_pattern(text)


def _by_pattern(text: str) -> frozenset[str]:
    found: set[str] = set()
    for match in _TAGS.finditer(text):
        code = _STRINGS.sub("''", match.group(1) or match.group(2) or "")
        found.update(_MEMBER.findall(code))
    return frozenset(found)
