"""Looks for names of the catalog in what is really installed; run by the interpreter that has it.

Reads a JSON list of claims from standard input and prints a JSON list of what is wrong. Uses the
standard library alone: it also runs in environments that hold nothing but the libraries asked for.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
import warnings
from typing import Any

MISSING = object()


@functools.cache
def module_of(dotted: str) -> Any:
    try:
        return importlib.import_module(dotted)
    except ImportError:
        return MISSING


def find(dotted: str) -> Any:
    """The object of that name, or MISSING."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        found = module_of(".".join(parts[:cut]))
        if found is MISSING:
            continue
        for name in parts[cut:]:
            static = inspect.getattr_static(found, name, MISSING)
            if isinstance(static, property) or type(static).__name__ == "member_descriptor":
                found = static
            else:
                try:
                    found = getattr(found, name, MISSING)
                except Exception:  # a lazy attribute that wants an application, a connection, ...
                    found = static
            if found is MISSING:
                break
        else:
            return found
    return MISSING


def is_callable(found: Any) -> bool:
    return callable(found) and not isinstance(found, property)


def of_kind(found: Any, kind: str) -> bool:
    match kind:
        case "constructor":
            return inspect.isclass(found)
        case "property":
            return not is_callable(found)
        case "coroutine":
            return inspect.iscoroutinefunction(found) or is_callable(found)
        case "function":
            return is_callable(found) and not inspect.isclass(found)
        case "class":
            return inspect.isclass(found) or is_callable(found)
        case "any":
            return True
        case _:
            return is_callable(found)


def has_parameter(found: Any, name: str) -> bool:
    """Whether it takes the parameter; also if it does not tell its parameters, or takes any."""
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def problem(claim: dict[str, str]) -> str | None:
    dotted = claim["name"]
    found = find(dotted)
    if found is MISSING:
        return f"{claim['where']}: there is no {dotted}"
    if not of_kind(found, claim["kind"]):
        return f"{claim['where']}: {dotted} is no {claim['kind']} but {found!r:.60}"
    parameter = claim.get("parameter")
    if parameter and not has_parameter(found, parameter):
        return f"{claim['where']}: {dotted} has no parameter {parameter}"
    return None


def main() -> None:
    warnings.simplefilter("ignore")
    claims = json.load(sys.stdin)
    problems = [found for claim in claims if (found := problem(claim)) is not None]
    print("\n" + json.dumps(problems))


if __name__ == "__main__":
    main()
