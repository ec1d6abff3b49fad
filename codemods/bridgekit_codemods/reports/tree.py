"""The packages and modules of a program as a tree, with the colours of their functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from bridgekit_codemods.reports.collecting import Graph
    from bridgekit_codemods.reports.model import FunctionNode

_FILLS = {"blocking": "█", "native": "▓", "pure": "░"}
_STYLES = {"blocking": "dark_orange", "native": "dodger_blue1", "pure": "bright_black"}
_BAR = 12


@dataclass
class Branch:
    """A package or a module, with the functions below it."""

    name: str
    colours: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    children: dict[str, Branch] = field(default_factory=dict)

    @property
    def functions(self) -> int:
        return sum(self.colours.values())

    def plain(self) -> dict[str, Any]:
        """The branch as JSON values; `read` is its inverse."""
        return {
            "name": self.name,
            "colours": dict(self.colours),
            "effects": dict(self.effects),
            "entries": self.entries,
            "children": [child.plain() for child in self.children.values()],
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Branch:
        """The branch that `plain` described.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: it is none.
        """
        children = [cls.read(child) for child in plain["children"]]
        return cls(
            plain["name"],
            Counter(plain["colours"]),
            Counter(plain["effects"]),
            plain["entries"],
            {child.name: child for child in children},
        )


def branches(graph: Graph) -> Branch:
    """The tree of a program; packages with a single child are one branch with it."""
    root = Branch("")
    for function in graph.functions:
        calls = (graph.leaves[number] for number in function.leaves)
        effects = Counter(leaf.effect for leaf in calls if leaf.kind == "call")
        branch = root
        _count(branch, function, effects)
        for part in function.module.split("."):
            branch = branch.children.setdefault(part, Branch(part))
            _count(branch, function, effects)
    return root


def tree(root: Branch, title: str) -> Tree:
    """What a terminal shows. Modules in which nothing blocks are grey."""
    shown = Tree(_label(title, root, 0), guide_style="bright_black")
    for child in _children(root):
        _grow(shown, child, _width(root))
    return shown


def _count(branch: Branch, function: FunctionNode, effects: Counter[str]) -> None:
    branch.colours[function.colour] += 1
    branch.effects += effects
    branch.entries += function.entry is not None


def _grow(parent: Tree, branch: Branch, width: int) -> None:
    shown = parent.add(_label(branch.name, branch, width))
    for child in _children(branch):
        _grow(shown, child, width - 4)


def _children(branch: Branch) -> Iterator[Branch]:
    for name in sorted(branch.children):
        child = branch.children[name]
        while len(child.children) == 1 and child.functions == _only(child).functions:
            only = _only(child)
            child = Branch(
                f"{child.name}.{only.name}", only.colours, only.effects, only.entries, only.children
            )
        yield child


def _only(branch: Branch) -> Branch:
    (child,) = branch.children.values()
    return child


def _width(branch: Branch, depth: int = 0) -> int:
    """The room that names need, with the guides before them."""
    return max(
        (max(len(child.name) + 4 * depth, _width(child, depth + 1)) for child in _children(branch)),
        default=0,
    )


def _label(name: str, branch: Branch, width: int) -> Text:
    blocking = branch.colours["blocking"]
    text = Text(
        name, style="bold" if branch.children else "default" if blocking else "bright_black"
    )
    text.append(" " * max(width - len(name), 0) + "  ")
    text.append_text(_bar(branch))
    for colour in ("blocking", "native", "pure"):
        number = branch.colours[colour]
        style = _STYLES[colour] if number else "bright_black"
        text.append(f" {number:>5} {colour}", style=style)
    shown = ", ".join(f"{effect} {number}" for effect, number in branch.effects.most_common())
    if shown:
        text.append(f"  {shown}", style="deep_pink3")
    if branch.entries:
        text.append(f"  ▸{branch.entries}", style="cyan")
    return text


def _bar(branch: Branch) -> Text:
    """The share of each colour; what is there shows, however little."""
    text = Text()
    left = _BAR
    for colour in ("blocking", "native", "pure"):
        share = branch.colours[colour] / (branch.functions or 1)
        wide = min(max(round(share * _BAR), 1 if share else 0), left)
        if colour == "pure":
            wide = left
        text.append(_FILLS[colour] * wide, style=_STYLES[colour])
        left -= wide
    return text
