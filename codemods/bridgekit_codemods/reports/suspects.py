"""Calls of library code that may block although the catalog does not say so.

Nothing is done about them: they have no colour, and no plan counts them. A report lists them so
that somebody who knows the library can add to the catalog, or see that nothing is missing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import lru_cache

from bridgekit_codemods import catalog
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.reports.model import Suspect

_WORDS = frozenset(
    {"connect", "database", "download", "execute", "fetch", "fetchall", "fetchone", "invoke",
     "ping", "poll", "publish", "query", "receive", "recv", "request", "send", "sendmail", "sleep",
     "subscribe", "upload", "urlopen", "wait"}
)  # fmt: skip
"""Words of a function's name that tell of waiting, whatever it belongs to."""
_VERBS = frozenset(
    {"commit", "create", "delete", "flush", "get", "head", "insert", "list", "open", "patch",
     "post", "put", "read", "save", "search", "update", "write"}
)  # fmt: skip
"""Words that do so in a class or module of which one of the next words is the name."""
_OWNERS = frozenset(
    {"channel", "client", "collection", "connection", "cursor", "producer", "consumer", "session",
     "socket", "storage", "transport"}
)  # fmt: skip


def suspects(program: Program, index: Mapping[Function, int]) -> tuple[Suspect, ...]:
    """The calls that may block, of the functions in ``index``, by place."""
    colours = program.derived(Colours)
    known = _known_packages()
    found = set()
    for function, number in index.items():
        for site in colours.sites(function):
            if site.awaited or colours.external_effects(site):
                continue
            for dotted in site.externals:
                effect: str = "unknown"
                guess = catalog.suspected(dotted)
                package = dotted.partition(".")[0]
                if guess is not None:
                    effect, reason = guess.blocks, guess.note or "it depends on how it is used"
                elif package not in known and _sounds_like_waiting(dotted):
                    reason = f"the catalog does not know {package}"
                else:
                    continue
                found.add(Suspect(number, site.path, site.span.line, dotted, effect, reason))
                break
    return tuple(sorted(found, key=lambda s: (s.path, s.line, s.target, s.function)))


def _known_packages() -> frozenset[str]:
    """The packages whose calls block only where the catalog says so."""
    libraries = {library.name.partition(".")[0] for library in catalog.libraries()}
    return frozenset({*libraries, *sys.stdlib_module_names})


@lru_cache(maxsize=65536)
def _sounds_like_waiting(dotted: str) -> bool:
    *owner, name = dotted.split(".")
    if name[:1].isupper():
        return False
    words = _words(name)
    if words & _WORDS:
        return True
    return bool(words & _VERBS) and bool(owner) and bool(_words(owner[-1]) & _OWNERS)


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))
