"""ORM relationships of the program's models, and the attributes that back references add."""

from __future__ import annotations

import ast
from typing import TypeAlias

from bridgekit_codemods.program.infer import Inference
from bridgekit_codemods.program.scopes import Binding
from bridgekit_codemods.program.symbols import Class, Relationship
from bridgekit_codemods.program.types import UNKNOWN, TypeRef

_RELATIONSHIPS = (
    "sqlalchemy.orm.relationship",
    "sqlalchemy.orm.dynamic_loader",
    "flask_sqlalchemy.SQLAlchemy.relationship",
    "bridgekit.integrations.flask_sqlalchemy.SQLAlchemy.relationship",
)
_COLLECTIONS = frozenset({"list", "set", "iterable", "dict", "sqlalchemy.orm.WriteOnlyCollection",
                          "sqlalchemy.orm.AppenderQuery"})  # fmt: skip
_LAZY_OF = {
    "sqlalchemy.orm.WriteOnlyCollection": "write_only",
    "sqlalchemy.orm.AppenderQuery": "dynamic",
}
_Tables: TypeAlias = dict[Class, set[str]]


def find_relationships(engine: Inference) -> dict[tuple[str, str], Relationship]:
    """All `relationship(...)` attributes, by class and attribute name, with back references."""
    found: dict[tuple[str, str], Relationship] = {}
    tables: _Tables = {}
    for cls in sorted(engine.facts.classes.values(), key=lambda c: c.qualname):
        scope = engine.facts.class_scopes[cls]
        for name, bindings in sorted(scope.names.items()):
            for binding in bindings:
                if isinstance(binding.node, ast.Call) and _is_relationship(engine, binding.node):
                    found[cls.qualname, name] = _relationship(engine, cls, name, binding, tables)
    for entry in list(found.values()):
        _add_backref(engine, entry, found)
    return found


def _is_relationship(engine: Inference, call: ast.Call) -> bool:
    for ref in engine.types(call.func):
        if ref.name == "external" and ref.args[0].name in _RELATIONSHIPS:
            return True
    return False


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _literal(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _relationship(
    engine: Inference, cls: Class, name: str, binding: Binding, known: _Tables
) -> Relationship:
    call = binding.node
    assert isinstance(call, ast.Call)
    target, uselist = _annotated(engine, binding)
    argument = call.args[0] if call.args else _keyword(call, "argument")
    if target is None and argument is not None:
        target = _class_of(engine, argument)
    literal = _literal(_keyword(call, "uselist"))
    if isinstance(literal, bool):
        uselist = literal
    lazy = _literal(_keyword(call, "lazy"))
    if lazy is None:
        lazy = _annotated_lazy(engine, binding)
    if uselist is None and lazy in ("dynamic", "write_only"):
        uselist = True
    if uselist is None and target is not None:
        uselist = _by_foreign_key(cls, target, _keyword(call, "foreign_keys"))
    if uselist is None and target is not None:
        uselist = _guess_uselist(engine, cls, target, known)
    return Relationship(
        cls, name, target, uselist, lazy if isinstance(lazy, str) else None, call, cls.path
    )


def _annotated(engine: Inference, binding: Binding) -> tuple[str | None, bool | None]:
    if binding.annotation is None:
        return None, None
    for ref in sorted(engine.annotations.types(binding.annotation, binding.scope)):
        if ref.name in engine.facts.classes:
            return ref.name, False
        if ref.name in _COLLECTIONS and ref.args:
            last = ref.args[-1]
            return (last.name if last.name in engine.facts.classes else None), True
    return None, None


def _annotated_lazy(engine: Inference, binding: Binding) -> str | None:
    """What `WriteOnlyMapped[...]` and `DynamicMapped[...]` say without `lazy=`."""
    if binding.annotation is None:
        return None
    names = {ref.name for ref in engine.annotations.types(binding.annotation, binding.scope)}
    return next((lazy for name, lazy in _LAZY_OF.items() if name in names), None)


def _class_of(engine: Inference, node: ast.expr) -> str | None:
    if isinstance(node, ast.Lambda):
        return _class_of(engine, node.body)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = engine.classes_named.get(node.value.rpartition(".")[2], [])
        return found[0].qualname if len(found) == 1 else None
    for ref in sorted(engine.types(node)):
        if ref.name == "type":
            return ref.args[0].name
    return None


def _by_foreign_key(cls: Class, target: str, node: ast.expr | None) -> bool | None:
    """What `foreign_keys="User.team_id"` says: many, if the key is a column of the other class."""
    if isinstance(node, (ast.List, ast.Tuple)) and node.elts:
        node = node.elts[0]
    if node is None or target == cls.qualname:
        return None
    written = _literal(node)
    owner = str(written) if isinstance(written, str) else ast.unparse(node)
    parts = owner.strip("[] ").partition(",")[0].split(".")
    if len(parts) == 1 and not isinstance(written, str):
        return False  # a name in the body of the class itself
    holder = parts[-2] if len(parts) > 1 else ""
    other = target.rpartition(".")[2]
    return {other: True, cls.name: False}.get(holder) if other != cls.name else None


def _guess_uselist(engine: Inference, cls: Class, target: str, known: _Tables) -> bool | None:
    """The side that holds the foreign key is the many-to-one side."""
    other = engine.facts.classes.get(target)
    here = _foreign_tables(cls, known)
    there = _foreign_tables(other, known) if other is not None else set()
    own, others = _table(cls), _table(other) if other is not None else None
    if others is not None and others in here and not (own is not None and own in there):
        return False
    if own is not None and own in there and others not in here:
        return True
    return None


def _table(cls: Class) -> str | None:
    for statement in cls.node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id == "__tablename__":
                    return str(statement.value.value)
    return cls.name.lower()


def _foreign_tables(cls: Class, known: _Tables) -> set[str]:
    """The tables that the class's columns refer to."""
    if cls not in known:
        found = known[cls] = set()
        for node in ast.walk(cls.node):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name == "ForeignKey" and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value).rpartition(".")[0])
    return known[cls]


def _add_backref(
    engine: Inference, entry: Relationship, found: dict[tuple[str, str], Relationship]
) -> None:
    value = _keyword(entry.node, "backref")
    name, lazy, uselist = None, None, None
    if isinstance(value, ast.Call) and value.args:
        name = _literal(value.args[0])
        lazy = _literal(_keyword(value, "lazy"))
        uselist = _literal(_keyword(value, "uselist"))
    elif value is not None:
        name = _literal(value)
    target = engine.facts.classes.get(entry.target or "")
    if not isinstance(name, str) or target is None:
        return
    if not isinstance(uselist, bool):
        uselist = None if entry.uselist is None else not entry.uselist
    found.setdefault(
        (target.qualname, name),
        Relationship(
            target,
            name,
            entry.cls.qualname,
            uselist,
            lazy if isinstance(lazy, str) else None,
            entry.node,
            entry.path,
        ),
    )


def relationship_types(entry: Relationship) -> frozenset[TypeRef]:
    """What the attribute holds on an instance."""
    item = TypeRef(entry.target) if entry.target is not None else UNKNOWN
    if entry.lazy == "dynamic":
        return frozenset({TypeRef("sqlalchemy.orm.AppenderQuery", (item,))})
    if entry.lazy == "write_only":
        return frozenset({TypeRef("sqlalchemy.orm.WriteOnlyCollection", (item,))})
    if entry.uselist is None:
        return frozenset({UNKNOWN})
    return frozenset({TypeRef("list", (item,)) if entry.uselist else item})
