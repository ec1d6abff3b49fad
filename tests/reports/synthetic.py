"""A layered program of any size, as sources: views call services, and so on down to clients."""

from __future__ import annotations

LAYERS = ("views", "services", "domain", "repositories", "clients")


def sources(functions: int = 5_000, areas: int = 25, per_module: int = 12) -> dict[str, bytes]:
    """Sources with about that many functions, spread over areas (packages) and layers (modules).

    Every function calls some of the layer below, in its own and in the next area; the lowest layers
    call requests and sqlite3. The same arguments give the same bytes.
    """
    per_layer = max(functions // (areas * len(LAYERS)), 1)
    files = {"shop/__init__.py": b""}
    for area in range(areas):
        files[f"shop/area{area:02}/__init__.py"] = b""
        for layer in LAYERS:
            files[f"shop/area{area:02}/{layer}/__init__.py"] = b""
            for first in range(0, per_layer, per_module):
                numbers = range(first, min(first + per_module, per_layer))
                name = f"shop/area{area:02}/{layer}/part{first // per_module}.py"
                text = _module(area, layer, numbers, areas, per_layer, per_module)
                files[name] = text.encode()
    return files


def _module(
    area: int, layer: str, numbers: range, areas: int, per_layer: int, per_module: int
) -> str:
    depth = LAYERS.index(layer)
    below = LAYERS[depth + 1] if depth + 1 < len(LAYERS) else None
    imports, bodies = set(), []
    for n in numbers:
        lines = []
        if below is not None:
            for other, callee in (
                (area, (n * 7 + depth) % per_layer),
                (area, (n * 3 + 1) % per_layer),
                ((area + 1 + n % 3) % areas, (n * 5) % per_layer),
            ):
                module = f"shop.area{other:02}.{below}.part{callee // per_module}"
                alias = f"a{other}_{below}_{callee // per_module}"
                imports.add(f"from {module.rpartition('.')[0]} import part{callee // per_module}"
                            f" as {alias}")  # fmt: skip
                lines.append(f"    {alias}.{below}_{callee}(value)")
                if n % 4 == 0:
                    break
        if layer == "clients" and n % 3:
            imports.add("import requests")
            lines.append('    requests.get("http://localhost/", timeout=1)')
        if layer == "repositories" and n % 5 == 0:
            imports.add("import sqlite3")
            lines.append('    sqlite3.connect("x.db").execute("select 1")')
        if n % 11 == 3:
            lines = []
        head = ""
        keyword = "async def" if layer == "clients" and n % 10 == 9 else "def"
        if layer == "views":
            head = f'@bp.get("/{area}/{n}/<value>")\n'
        body = "\n".join([*lines, "    return value"])
        bodies.append(f"{head}{keyword} {layer}_{n}(value):\n{body}\n")
    if layer == "views":
        imports.add("from flask import Blueprint")
        bodies.insert(0, f'bp = Blueprint("area{area}_{numbers.start}", __name__)\n')
    return "\n".join(sorted(imports)) + "\n\n\n" + "\n\n".join(bodies)
