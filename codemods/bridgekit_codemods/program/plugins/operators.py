"""The special methods that operators, f-strings and tests call on the program's own objects."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from bridgekit_codemods.program.facts import Augmented
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.program.types import Types

if TYPE_CHECKING:
    from bridgekit_codemods.program.infer import Inference

_Way: TypeAlias = tuple[tuple[ast.expr, tuple[str, ...]], ...]
Special: TypeAlias = Callable[[Types, tuple[str, ...]], dict[Function, str]]
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], str] = {
    ast.USub: "__neg__", ast.UAdd: "__pos__", ast.Invert: "__invert__",
}  # fmt: skip
_EQUAL, _UNEQUAL = ("__eq__",), ("__ne__", "__eq__")
_COMPARED: dict[type[ast.cmpop], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ast.Eq: (_EQUAL, _EQUAL), ast.NotEq: (_UNEQUAL, _UNEQUAL),
    ast.Lt: (("__lt__",), ("__gt__",)), ast.LtE: (("__le__",), ("__ge__",)),
    ast.Gt: (("__gt__",), ("__lt__",)), ast.GtE: (("__ge__",), ("__le__",)),
}  # fmt: skip
_ITEMS: dict[type[ast.expr_context], tuple[str, ...]] = {
    ast.Load: ("__getitem__", "__missing__"),
    ast.Store: ("__setitem__",),
    ast.Del: ("__delitem__",),
}
_TEXT = ("__format__", "__str__", "__repr__")
_TRUTH = ("__bool__", "__len__")


_BOTH = tuple(f"__{side}{name}__" for name in _BINARY.values() for side in ("", "r"))
_NAMES: dict[type[ast.expr], tuple[str, ...]] = {
    ast.BinOp: (*_BOTH, *_TEXT),
    Augmented: (*_BOTH, *(f"__i{name}__" for name in _BINARY.values())),
    ast.UnaryOp: tuple(_UNARY.values()),
    ast.Compare: ("__contains__", "__iter__", "__getitem__",
                  *(name for names, _ in _COMPARED.values() for name in names)),
    ast.Subscript: tuple(name for names in _ITEMS.values() for name in names),
    ast.FormattedValue: _TEXT,
}  # fmt: skip


class Operators:
    """Finds them. `special` gives the first method of some names that the classes of a value have.

    Only names that a class of the program defines are asked for, so that operators on numbers and
    text, which are nearly all, cost a look-up.
    """

    def __init__(self, engine: Inference, special: Special) -> None:
        self.engine = engine
        self.special = special
        self.defined = {
            name
            for cls in engine.facts.classes.values()
            for name in cls.methods
            if name.startswith("__") and name not in ("__init__", "__new__")
        }

    def of(self, node: ast.expr) -> dict[Function, str]:
        """The methods of the program that an operation calls, with grades."""
        found: dict[Function, str] = {}
        if self.defined.isdisjoint(_NAMES.get(type(node), _TRUTH)):
            return found
        for way in self._asked(node):
            for operand, names in way:
                known = tuple(name for name in names if name in self.defined)
                methods = self.special(self.engine.types(operand), known) if known else {}
                for fn, grade in methods.items():
                    found.setdefault(fn, grade)
                if methods:
                    break  # the other operand is asked where this one has no answer
        return found

    def _asked(self, node: ast.expr) -> Iterator[_Way]:
        """Operands with the names of the methods that are called on them, the first one first."""
        match node:
            case ast.UnaryOp():
                yield ((node.operand, (_UNARY[type(node.op)],)),)
            case ast.BinOp():
                name = _BINARY[type(node.op)]
                if isinstance(node.op, ast.Mod):
                    yield from self._formatted(node)
                augmented = (f"__i{name}__",) if isinstance(node, Augmented) else ()
                yield (node.left, (*augmented, f"__{name}__")), (node.right, (f"__r{name}__",))
            case ast.Compare():
                left = node.left
                for operator, right in zip(node.ops, node.comparators, strict=True):
                    if isinstance(operator, (ast.In, ast.NotIn)):
                        yield ((right, ("__contains__", "__iter__", "__getitem__")),)
                    elif type(operator) in _COMPARED:
                        names, reflected = _COMPARED[type(operator)]
                        yield (left, names), (right, reflected)
                    left = right
            case ast.Subscript():
                yield ((node.value, _ITEMS[type(node.ctx)]),)
            case ast.FormattedValue():
                yield ((node.value, _TEXT if node.conversion != ord("r") else _TEXT[-1:]),)
            case _:
                yield ((node, _TRUTH),)

    def _formatted(self, node: ast.BinOp) -> Iterator[_Way]:
        """`"%s of %s" % (name, order)` asks each value for its text."""
        if any(ref.name == "str" for ref in self.engine.types(node.left)):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            for value in values:
                yield ((value, ("__str__", "__repr__")),)
