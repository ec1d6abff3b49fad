"""Names that tests replace: mock.patch, mock.patch.object, monkeypatch.setattr."""

from __future__ import annotations

import ast

from bridgekit_codemods.program.calls import PatchStyle, PatchTarget
from bridgekit_codemods.program.facts import CallFact
from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import TypeRef, Types

_PATCH = ("unittest.mock.patch", "mock.patch", "pytest_mock.MockerFixture.patch")
_OBJECT = tuple(f"{p}.object" for p in _PATCH)
_SETATTR = ("pytest.MonkeyPatch.setattr", "pytest.MonkeyPatch.delattr")


def find_patches(engine: Inference) -> list[PatchTarget]:
    """All patched names, in source order."""
    found: list[PatchTarget] = []
    for fact in engine.facts.calls:
        style = _style(engine, fact)
        if style is not None:
            target = _target(engine, fact, style)
            if target is not None:
                found.append(target)
    return sorted(found, key=lambda p: (p.path, p.span))


def _style(engine: Inference, fact: CallFact) -> PatchStyle | None:
    for ref in engine.types(fact.node.func):
        if ref.name != "external":
            continue
        name = ref.args[0].name
        if name in _PATCH:
            return "mock.patch"
        if name in _OBJECT:
            return "mock.patch.object"
        if name in _SETATTR:
            return "monkeypatch.setattr"
    return None


def _text(engine: Inference, node: ast.expr) -> str | None:
    """A string constant, also put together from module constants."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        place = engine.facts.places.get(node)
        found = engine.linker.lookup(place.scope, node.id) if place is not None else None
        if found is not None and len(found[1]) == 1:
            binding = found[1][0]
            if binding.kind in ("value", "annotated") and binding.node is not None:
                return _text(engine, binding.node) if binding.node is not node else None
        return None
    if isinstance(node, ast.JoinedStr):
        parts = [
            _text(engine, v.value if isinstance(v, ast.FormattedValue) else v) for v in node.values
        ]
        return None if None in parts else "".join(p or "" for p in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(engine, node.left), _text(engine, node.right)
        return left + right if left is not None and right is not None else None
    return None


def _argument(call: ast.Call, index: int, *names: str) -> ast.expr | None:
    if len(call.args) > index and not any(isinstance(a, ast.Starred) for a in call.args):
        return call.args[index]
    return next((k.value for k in call.keywords if k.arg in names), None)


def _target(engine: Inference, fact: CallFact, style: PatchStyle) -> PatchTarget | None:
    call, file = fact.node, fact.scope.file
    first = _argument(call, 0, "target")
    if first is None:
        return None
    whole = _text(engine, first)
    user = fact.scope.function
    if style == "mock.patch" or (style == "monkeypatch.setattr" and whole is not None):
        if whole is None:
            return None
        resolved = resolve_path(engine, whole, file.path)
        return PatchTarget(file.path, file.span(first), whole, resolved, style, call, user)
    second = _argument(call, 1, "attribute", "name")
    name = _text(engine, second) if second is not None else None
    if second is None or name is None:
        return None
    owners = engine.types(first)
    resolved = _member(engine, owners, name)
    dotted = f"{_owner_name(engine, fact, first, owners)}.{name}"
    return PatchTarget(file.path, file.span(second), dotted, resolved, style, call, user)


def _owner_name(engine: Inference, fact: CallFact, node: ast.expr, owners: Types) -> str:
    for ref in sorted(owners):
        if ref.name == "module":
            return engine.linker.files[ref.args[0].name].module
        if ref.name in ("type", "external"):
            return ref.args[0].name
        if ref.name in engine.facts.classes:
            return ref.name
    return engine.linker.dotted(fact.scope, node) or ast.unparse(node)


def resolve_path(engine: Inference, dotted: str, importer: str) -> Function | str | None:
    """What `mock.patch` would replace: it imports the longest module and walks the rest."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = engine.linker.module_path(".".join(parts[:cut]), importer)
        if path is None:
            continue
        owners: Types = frozenset({TypeRef("module", (TypeRef(path),))})
        for part in parts[cut:-1]:
            owners = frozenset().union(*(engine.members.of(r, part) for r in owners))
        return _member(engine, owners, parts[-1])
    root = parts[0]
    if engine.linker.module_path(root, importer) is not None or engine.linker.is_namespace(root):
        return None
    return _member(
        engine, frozenset({TypeRef("external", (TypeRef(".".join(parts[:-1])),))}), parts[-1]
    )


def _member(engine: Inference, owners: Types, name: str) -> Function | str | None:
    for owner in sorted(owners):
        cls = engine.facts.classes.get(owner.args[0].name if owner.name == "type" else owner.name)
        if cls is not None:
            method = engine.members.find_method(cls, name)
            if method is not None:
                return method
        if owner.name == "module":
            path = owner.args[0].name
            found = engine.linker.module_names(path, name)
            module = engine.linker.files[path].module
            if found is None:
                if engine.linker.submodule(path, name) is None:
                    return None
            elif all(b.kind in ("value", "annotated") for b in found[1]):
                return f"{module}.{name}"
        for ref in sorted(engine.members.of(owner, name)):
            if ref.name == "function":
                return engine.facts.functions.get(ref.args[0].name)
            if ref.name in ("external", "type"):
                return ref.args[0].name
            if ref.name == "module":
                return engine.linker.files[ref.args[0].name].module
            if cls is not None:
                return f"{cls.qualname}.{name}"
    return None
