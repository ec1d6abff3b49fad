"""Bottom-up order of the functions that change colour: families and call cycles move as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.program.symbols import Function

Group = tuple[Function, ...]


def groups(
    colours: Colours, wanted: Iterable[Function]
) -> tuple[tuple[Group, frozenset[Group]], ...]:
    """The atoms of the walk, each with the atoms that must move before it.

    An atom is an override family or a cycle of calls; within an atom and between atoms the order is
    that of qualified names, so plans are stable.
    """
    functions = sorted(set(wanted), key=lambda function: function.qualname)
    member = set(functions)
    edges: dict[Function, set[Function]] = defaultdict(set)
    for function in functions:
        for relative in colours.program.family(function) & member:
            edges[function].add(relative)
            edges[relative].add(function)
        for site in colours.sites(function):
            edges[function] |= {t.function for t in site.targets} & member
    atoms = _components(functions, edges)
    atom_of = {function: atom for atom in atoms for function in atom}
    return tuple(
        (
            atom,
            frozenset(
                atom_of[callee]
                for function in atom
                for callee in edges[function]
                if atom_of[callee] is not atom
            ),
        )
        for atom in atoms
    )


def _components(
    functions: list[Function], edges: dict[Function, set[Function]]
) -> tuple[Group, ...]:
    """Strongly connected components, callees first (Tarjan 1972, without recursion)."""
    index: dict[Function, int] = {}
    low: dict[Function, int] = {}
    stack: list[Function] = []
    on_stack: set[Function] = set()
    found: list[Group] = []
    for root in functions:
        if root in index:
            continue
        work = [(root, iter(sorted(edges[root], key=lambda f: f.qualname)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            function, callees = work[-1]
            advanced = False
            for callee in callees:
                if callee not in index:
                    index[callee] = low[callee] = len(index)
                    stack.append(callee)
                    on_stack.add(callee)
                    work.append((callee, iter(sorted(edges[callee], key=lambda f: f.qualname))))
                    advanced = True
                    break
                if callee in on_stack:
                    low[function] = min(low[function], index[callee])
            if advanced:
                continue
            work.pop()
            if work:
                caller = work[-1][0]
                low[caller] = min(low[caller], low[function])
            if low[function] == index[function]:
                component: list[Function] = []
                while True:
                    part = stack.pop()
                    on_stack.discard(part)
                    component.append(part)
                    if part is function:
                        break
                found.append(tuple(sorted(component, key=lambda f: f.qualname)))
    return tuple(found)
