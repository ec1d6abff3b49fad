"""The messages of the commits, for those who review them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridgekit_codemods.planning.steps import Step


def commit_message(step: Step, guard: Mapping[str, Any]) -> str:
    """Subject, what changed together, which bridges, which tests; the key as a trailer.

    `guard` is what the ledger keeps of the guard's run.
    """
    parts = [step.title, "Changes together:\n" + "\n".join(f"- {name}" for name in step.members)]
    for label, names in (("added", step.bridges_added), ("removed", step.bridges_removed)):
        if names:
            parts.append(f"Bridges {label}:\n" + "\n".join(f"- {name}" for name in names))
    lines = [f"Guard: {guard['command']}", guard["summary"]]
    if guard.get("tests") == "reached":
        lines.append(f"Only the tests that reach the step ran: {guard['ran']} of {guard['of']}.")
    if guard.get("unguarded"):
        lines.append("Unguarded: no test runs what this step changes.")
    parts.append("\n".join(lines))
    if unreached := guard.get("unreached"):
        parts.append("No test runs:\n" + "\n".join(f"- {name}" for name in unreached))
    parts.append(f"Bridgekit-Step: {step.key}\n")
    return "\n\n".join(parts)
