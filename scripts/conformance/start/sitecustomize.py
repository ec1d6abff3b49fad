"""Imported by every Python process of a conformance run, before anything of the suite.

That includes processes which the suite spawns. What is replaced here is in ``sys.modules`` before
the first import statement of the suite, so no import hook (pytest's puts itself first) is asked.
"""

import os
import sys


def _say(what: str) -> None:
    path = os.environ.get("BRIDGEKIT_SUBSTITUTE_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as log:
            log.write(f"process {os.getpid()}: {what}\n")


def _replace_asgiref() -> None:
    from bridgekit.integrations.asgiref import install

    for line in str(install()).splitlines():
        _say(line)


def _replace_anyio() -> None:
    import substitution

    for name, module in substitution.replace_anyio():
        _say(f"replaced module {name} by {module}")


_REPLACE = {"asgiref": _replace_asgiref, "anyio": _replace_anyio}

if os.environ.get("BRIDGEKIT_SUBSTITUTE"):
    # The processes that pip or a build starts have no use for it, and may lack the library.
    assert sys.version_info >= (3, 11)
    _REPLACE[os.environ["BRIDGEKIT_SUBSTITUTE"]]()
