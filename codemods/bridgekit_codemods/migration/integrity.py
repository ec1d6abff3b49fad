"""Tests may follow the program, but may not get weaker.

For every test file a step changes, what each function checks is collected before and after, with
the allowed edits undone (see :mod:`.allowed_edits`): assertions, expected exceptions, calls of
mocks' and ``TestCase``'s ``assert...``, each together with the conditions it stands under; marks
and parameters of the test; its class's being a ``TestCase``; what mocks give and do; early returns
and skips; the literal values it compares with.  The two collections must be equal, and no test may
have become one that nothing awaits.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from bridgekit_codemods.migration.allowed_edits import (
    ASYNC_MARKS,
    ExpressionRule,
    Normaliser,
    dotted,
    word,
)
from bridgekit_codemods.migration.unrun_tests import unrun_tests

Checks = Counter[str]
_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest)\.py\Z")
_EXPECTS = re.compile(r"(\A|\.)(raises|warns|deprecated_call|assert[A-Z]\w*|subTest)\Z")
_ASSERTING = re.compile(r"(assert_\w+|assert[A-Z]\w*|fail)\Z")
_SKIPPING = re.compile(r"(\A|\.)(skip|skipTest|xfail|importorskip|exit)\Z")
_PATCHING = re.compile(r"(\A|\.)patch(\.object|\.dict|\.multiple)?\Z")
_DOTTED_STRING = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")
_COLLECTION = frozenset({"pytestmark", "__test__", "collect_ignore", "collect_ignore_glob"})
_TARGETS = frozenset({"target", "attribute", "name", "new_callable"})
_MOCKED = frozenset({"return_value", "side_effect"})
_MODULE = "<module>"


def is_test_file(path: str) -> bool:
    """Whether pytest or a reader would call this a test file."""
    pure = PurePosixPath(path)
    return path.endswith(".py") and (
        _TEST_FILE.match(pure.name) is not None or bool({"tests", "test"} & set(pure.parts[:-1]))
    )


def check_tests(
    before: Mapping[str, bytes],
    changes: Mapping[str, bytes | None],
    rules: Iterable[ExpressionRule] = (),
) -> tuple[str, ...]:
    """What a step would take away from the tests; empty when it only follows the program."""
    messages: list[str] = []
    rules = tuple(rules)
    for path, data in sorted(changes.items()):
        if path not in before or not is_test_file(path):
            continue
        if data is None:
            messages.append(f"{path}: the test file would be deleted")
            continue
        try:
            old, new = collect(before[path], rules), collect(data, rules)
            unrun = set(unrun_tests(ast.parse(data))) - set(unrun_tests(ast.parse(before[path])))
        except (SyntaxError, ValueError) as error:
            messages.append(f"{path}: cannot be compared with its old form: {error}")
            continue
        messages += (f"{path}: {message}" for message in compare(old, new))
        messages += (
            f"{path}: {name} would be async, and nothing awaits it" for name in sorted(unrun)
        )
    return tuple(messages)


def compare(old: Mapping[str, Checks], new: Mapping[str, Checks]) -> Iterator[str]:
    """Differences between what two forms of a test file check."""
    for name, checks in old.items():
        if name not in new:
            if checks or _is_test(name):
                yield f"{name} would vanish"
            continue
        for text in (checks - new[name]).elements():
            yield f"{name} would lose: {text}"
        for text in (new[name] - checks).elements():
            yield f"{name} would gain: {text}"


def collect(data: bytes, rules: Iterable[ExpressionRule] = ()) -> dict[str, Checks]:
    """What every function of a test file checks, by qualified name; ``<module>`` for the rest.

    Raises:
        SyntaxError, ValueError: it cannot be parsed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(data)
    collector = _Collector(Normaliser(rules))
    collector.visit(tree)
    return collector.found


class _Collector(ast.NodeVisitor):
    def __init__(self, normaliser: Normaliser) -> None:
        self.found: dict[str, Checks] = {_MODULE: Counter()}
        self._normaliser = normaliser
        self._scope: list[str] = []
        self._function = _MODULE
        self._conditions: list[str] = []

    def _add(self, kind: str, text: str = "") -> None:
        conditions = "".join(f" [{condition}]" for condition in self._conditions)
        self.found[self._function][f"{kind} {text}".strip() + conditions] += 1

    def _text(self, node: ast.AST) -> str:
        # The normaliser changes what it is given, and this tree is still being walked.
        return self._normaliser.text(ast.parse(ast.unparse(node)))

    # Scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        outer, self._function = self._function, ".".join(self._scope)
        self.found.setdefault(self._function, Counter())
        self._decorators(node)
        for base in node.bases:
            if (text := self._text(base)).endswith("TestCase"):
                self._add("class of", text.rpartition(".")[2])
        self._body(node.body)
        self._scope.pop()
        self._function = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope.append(word(node.name) if node.name.startswith("async") else node.name)
        outer = self._function, self._conditions
        self._function, self._conditions = ".".join(self._scope), []
        self.found.setdefault(self._function, Counter())
        self._decorators(node)
        self._body(node.body)
        self._scope.pop()
        self._function, self._conditions = outer

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def _decorators(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = dotted(called) or ""
            if _PATCHING.search(name):
                self._add("patched", self._faked(decorator))
            elif not _is_async_mark(name):
                text = self._text(_without_loop_options(decorator))
                self._add("decorator", text.removesuffix("()"))

    # Conditions under which a check stands

    def visit_If(self, node: ast.If) -> None:
        condition = self._text(node.test)
        self._under(f"if {condition}", node.body)
        self._under(f"if not {condition}", node.orelse)
        self.visit(node.test)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._under(f"for {self._text(node.target)} in {self._text(node.iter)}", node.body)
        self._under("for else", node.orelse)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.visit_For(node)

    def visit_While(self, node: ast.While) -> None:
        self._under(f"while {self._text(node.test)}", node.body)
        self._under("while else", node.orelse)

    def visit_Try(self, node: ast.Try) -> None:
        caught = sorted(self._text(h.type) if h.type else "" for h in node.handlers)
        self._under(f"try except {', '.join(caught)}" if caught else "try", node.body)
        for handler in node.handlers:
            self._under(f"except {self._text(handler.type) if handler.type else ''}", handler.body)
        self._under("try else", node.orelse)
        self._body(node.finalbody)

    visit_TryStar = visit_Try  # type: ignore[assignment]

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        expected = []
        for item in node.items:
            call = item.context_expr
            name = dotted(call.func) if isinstance(call, ast.Call) else None
            if name and _PATCHING.search(name):
                self.visit(call)
            if name and (_EXPECTS.search(name) or name.endswith("suppress")):
                expected.append(self._text(call))
                if not name.endswith("suppress"):
                    self._add("expects", expected[-1])
        outer, self._conditions = self._conditions, [*self._conditions, *expected]
        self._body(node.body)
        self._conditions = outer

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def _under(self, condition: str, body: list[ast.stmt]) -> None:
        outer, self._conditions = self._conditions, [*self._conditions, condition]
        self._body(body)
        self._conditions = outer

    def _body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.visit(statement)

    # Checks

    def visit_Assert(self, node: ast.Assert) -> None:
        self._add("assert", self._text(node.test))
        self.visit(node.test)

    def visit_Return(self, node: ast.Return) -> None:
        if _is_test(self._function):
            self._add("return")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if names & _COLLECTION:
            if text := self._marks(node.value):
                self._add(f"{', '.join(sorted(names))} =", text)
        elif names and _is_literal(node.value):
            self._add(f"{', '.join(sorted(names))} =", self._text(node.value))
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr in _MOCKED:
                self._add_once(f"{target.attr} =", self._text(node.value))
        self.generic_visit(node)

    def _faked(self, patch: ast.expr) -> str:
        """What a patch puts in the place of its target: the target may be renamed, this not.

        What makes a mock of the right kind is left out: the kind follows the patched function.
        """
        if not isinstance(patch, ast.Call):
            return ""
        name = dotted(patch.func) or ""
        first = 2 if name.endswith(("object", "setattr")) and _apart(patch) else 1
        texts = [self._text(_fake(value)) for value in patch.args[first:]]
        for keyword in patch.keywords:
            text = self._text(_fake(keyword.value))
            if keyword.arg in _TARGETS or text in ("Mock()", "Mock"):
                continue
            texts.append(text if keyword.arg in ("new", "value") else f"{keyword.arg}={text}")
        return ", ".join(texts)

    def _add_once(self, kind: str, text: str) -> None:
        """Counts a thing that may stand twice: for a function and for its async twin."""
        outer, self._conditions = self._conditions, []
        if text and not self.found[self._function][f"{kind} {text}"]:
            self._add(kind, text)
        self._conditions = outer

    def _marks(self, value: ast.expr) -> str:
        """The value of ``pytestmark`` without the marks that only say how tests are run."""
        marks = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
        named = ((mark.func if isinstance(mark, ast.Call) else mark, mark) for mark in marks)
        return ", ".join(
            self._text(mark) for name, mark in named if not _is_async_mark(dotted(name) or "")
        )

    def visit_Call(self, node: ast.Call) -> None:
        name = dotted(node.func) or ""
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name
        if _PATCHING.search(name) or name.endswith(".setattr"):
            self._add_once("faked", self._faked(node))
        if _SKIPPING.search(name):
            self._add("leaves by", self._text(node))
        elif _ASSERTING.match(last) or re.search(r"(\A|\.)raises\Z", name):
            self._add("call", self._text(node))
        self.generic_visit(node)


def _apart(patch: ast.Call) -> bool:
    """Whether the target's owner and its name are two arguments."""
    return not (
        patch.args
        and isinstance(patch.args[0], ast.Constant)
        and isinstance(patch.args[0].value, str)
        and not (dotted(patch.func) or "").endswith("object")
    )


def _fake(value: ast.expr) -> ast.expr:
    """The fake itself, without the mock that makes it awaitable."""
    match value:
        case ast.Call(
            func=ast.Name(id="AsyncMock") | ast.Attribute(attr="AsyncMock"),
            args=[],
            keywords=[ast.keyword(arg="side_effect", value=inner)],
        ):
            return inner
        case _:
            return value


def _is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test")


def _is_async_mark(name: str) -> bool:
    head, _, last = name.rpartition(".")
    return last in ASYNC_MARKS and head.endswith("mark")


def _without_loop_options(decorator: ast.expr) -> ast.expr:
    if not isinstance(decorator, ast.Call):
        return decorator
    kept = [keyword for keyword in decorator.keywords if keyword.arg != "loop_scope"]
    return ast.Call(decorator.func, decorator.args, kept)


def _is_literal(node: ast.expr) -> bool:
    """A value written out; dotted strings are names of patch targets, which may be renamed."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return not (isinstance(value, str) and _DOTTED_STRING.match(value))
