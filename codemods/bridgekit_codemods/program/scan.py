"""One walk over a file's tree: definitions, bindings and the places where things are used."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from bridgekit_codemods.program.definitions import declare, parameters, unused
from bridgekit_codemods.program.expressions import ExpressionScanner, end_of
from bridgekit_codemods.program.facts import Augmented, DecoratorFact, ExpressionFact, Facts
from bridgekit_codemods.program.scopes import Binding, Block, Position, Scope
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class, Function

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def scan(file: SourceFile, facts: Facts) -> None:
    """Add one parsed file to the facts. The file must have a tree."""
    assert file.tree is not None
    scope = Scope("module", None, file, None, None, Block(None))
    facts.modules[file.path] = scope
    declares = b"global" in file.data or b"nonlocal" in file.data
    _Scanner(file, facts, scope, declares).statements(file.tree.body, scope.block)


def _apply_narrowings(scope: Scope) -> None:
    """An `isinstance` test tells something only about names that are local here."""
    for name, binding in scope.narrowings:
        if name in scope.names:
            scope.names[name].append(binding)


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether a block never runs on into the statement after it."""
    return bool(body) and isinstance(body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))


class _Scanner(ExpressionScanner):
    """Walks the statements of one scope; nested scopes get a scanner of their own."""

    def __init__(self, file: SourceFile, facts: Facts, scope: Scope, declares: bool) -> None:
        super().__init__(file, facts, scope)
        self.declares = declares
        """Whether the file may have `global` or `nonlocal` anywhere."""

    # -- statements ------------------------------------------------------------------------

    def statements(self, body: Iterable[ast.stmt], block: Block) -> None:
        outer, self.block = self.block, block
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement)
            else:
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.expr):
                        self.expression(child)
        self.block = outer

    def nested(self, body: list[ast.stmt], *, loop: bool = False) -> None:
        if body:
            self.statements(body, Block(self.block, loop))

    def do_assign(self, node: ast.Assign) -> None:
        self.expression(node.value, "assigned")
        for target in node.targets:
            if isinstance(target, (ast.Tuple, ast.List)) and isinstance(
                node.value, (ast.Tuple, ast.List)
            ):
                plain = not any(isinstance(e, ast.Starred) for e in target.elts + node.value.elts)
                if plain and len(target.elts) == len(node.value.elts):
                    for part, value in zip(target.elts, node.value.elts, strict=True):
                        self.assign(part, self.source("value", value, end_of(node)))
                    continue
            self.assign(target, self.source("value", node.value, end_of(node)))

    def do_ann_assign(self, node: ast.AnnAssign) -> None:
        self.expression(node.annotation, "annotation")
        if node.value is not None:
            self.expression(node.value, "assigned")
        source = self.source("annotated", node.value, end_of(node))
        source.annotation = node.annotation
        self.assign(node.target, source)

    def do_aug_assign(self, node: ast.AugAssign) -> None:
        # the kind of value hardly ever changes, so this is a read and no binding
        self.expression(node.value)
        if isinstance(node.target, ast.Name):
            self.place(node.target)
        else:
            self.expression(node.target)
            if isinstance(node.target, ast.Attribute):
                self.facts.attributes[-1].augmented = True
        self.operation(Augmented.of(node))

    def do_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.expression(node.iter)
        self.iteration(node.iter, isinstance(node, ast.AsyncFor))
        outer, self.block = self.block, Block(self.block, loop=True)
        self.assign(node.target, self.source("element", node.iter, end_of(node.target, node.iter)))
        self.statements(node.body, self.block)
        self.block = outer
        self.nested(node.orelse)

    def do_while(self, node: ast.While) -> None:
        outer, self.block = self.block, Block(self.block, loop=True)
        self.expression(node.test)
        self.truth(node.test)
        self.narrow(node.test)
        self.statements(node.body, self.block)
        self.block = outer
        self.nested(node.orelse)

    def do_if(self, node: ast.If) -> None:
        self.expression(node.test)
        self.truth(node.test)
        outer, self.block = self.block, Block(self.block)
        self.narrow(node.test)
        self.statements(node.body, self.block)
        self.block = outer
        self.nested(node.orelse)
        if not node.orelse and _leaves(node.body):
            self.narrow_out(node.test, end_of(node))

    def narrow_out(self, test: ast.expr, position: Position) -> None:
        """`if not isinstance(name, C): return` narrows what follows."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            for value in test.values:
                self.narrow_out(value, position)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self.narrow(test.operand, position)

    def do_assert(self, node: ast.Assert) -> None:
        self.expression(node.test)
        self.truth(node.test)
        if node.msg is not None:
            self.expression(node.msg)
        self.narrow(node.test)

    def narrow(self, test: ast.expr, position: Position | None = None) -> None:
        """Take note of `isinstance(name, C)` where the test must hold from here on."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for value in test.values:
                self.narrow(value, position)
        elif (
            isinstance(test, ast.Call)
            and isinstance(test.func, ast.Name)
            and test.func.id == "isinstance"
            and len(test.args) == 2
            and isinstance(test.args[0], ast.Name)
        ):
            source = self.source("narrowed", test.args[1], position or end_of(test))
            source.subject = test.args[0]
            self.scope.narrowings.append((test.args[0].id, source))

    def do_try(self, node: ast.Try) -> None:
        self.nested(node.body)
        for handler in node.handlers:
            outer, self.block = self.block, Block(self.block)
            if handler.type is not None:
                self.expression(handler.type)
            if handler.name:
                position = (handler.lineno, handler.col_offset)
                self.scope.bind(handler.name, self.source("caught", handler.type, position))
            self.statements(handler.body, self.block)
            self.block = outer
        self.nested(node.orelse)
        self.nested(node.finalbody)

    def do_with(self, node: ast.With | ast.AsyncWith) -> None:
        is_async = isinstance(node, ast.AsyncWith)
        for item in node.items:
            self.expression(item.context_expr)
            self.facts.withs.append(
                ExpressionFact(item.context_expr, self.scope, self.context, is_async)
            )
            if item.optional_vars is not None:
                position = end_of(item.optional_vars, item.context_expr)
                self.assign(item.optional_vars, self.source("entered", item.context_expr, position))
        self.nested(node.body)

    def do_expression(self, node: ast.Expr) -> None:
        self.expression(node.value)

    def do_return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.expression(node.value, "returned")
            if self.scope.function is not None:
                self.facts.returns.setdefault(self.scope.function, []).append(node.value)

    def do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            position = end_of(node)
            if alias.asname:
                self.bind("import", alias.asname, position, module=alias.name)
            else:
                root = alias.name.partition(".")[0]
                self.bind("import", root, position, module=root, attribute=alias.name)

    def do_import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            # by directory, because a namespace package has no name of its own
            directory = self.file.path.split("/")[:-1]
            base = directory[: max(0, len(directory) - node.level + 1)]
            module = ".".join([*base, *([node.module] if node.module else [])]) or "."
        for alias in node.names:
            if alias.name == "*":
                self.scope.module_scope.star_imports.append(module)
            else:
                self.bind(
                    "from",
                    alias.asname or alias.name,
                    end_of(node),
                    module=module,
                    attribute=alias.name,
                )

    def do_global(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:
            self.scope.redirected[name] = "global" if isinstance(node, ast.Global) else "nonlocal"

    def do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.place(target)
            else:
                self.expression(target)

    def do_match(self, node: ast.Match) -> None:
        self.expression(node.subject)
        for case in node.cases:
            outer, self.block = self.block, Block(self.block)
            if isinstance(node.subject, ast.Name) and isinstance(case.pattern, ast.MatchClass):
                source = self.source(
                    "narrowed",
                    case.pattern.cls,
                    (case.pattern.end_lineno, case.pattern.end_col_offset),
                )
                source.subject = node.subject
                self.scope.narrowings.append((node.subject.id, source))
            self.pattern(case.pattern)
            if case.guard is not None:
                self.expression(case.guard)
            self.statements(case.body, self.block)
            self.block = outer

    def pattern(self, pattern: ast.pattern) -> None:
        position = (pattern.end_lineno, pattern.end_col_offset)
        for part in ast.walk(pattern):
            if isinstance(part, (ast.MatchValue, ast.MatchClass)):
                self.expression(part.value if isinstance(part, ast.MatchValue) else part.cls)
            if isinstance(part, ast.MatchAs) and part.name:
                if isinstance(part.pattern, ast.MatchClass):
                    self.bind("narrowed", part.name, position, node=part.pattern.cls)
                else:
                    self.bind("opaque", part.name, position)
            elif isinstance(part, ast.MatchStar) and part.name:
                self.bind("opaque", part.name, position)
            elif isinstance(part, ast.MatchMapping) and part.rest:
                self.bind("opaque", part.rest, position)

    # -- definitions -----------------------------------------------------------------------

    def qualified(self, name: str) -> str:
        if self.scope.kind == "class" and self.scope.cls is not None:
            return f"{self.scope.cls.qualname}.{name}"
        if self.scope.function is not None:
            return f"{self.scope.function.qualname}.<locals>.{name}"
        return f"{self.file.module}.{name}"

    def do_function(self, node: FunctionNode) -> None:
        arguments = node.args
        for decorator in node.decorator_list:
            self.expression(decorator, "decorator")
        for default in [*arguments.defaults, *[d for d in arguments.kw_defaults if d]]:
            self.expression(default)
        qualname = self.qualified(node.name)
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter"):
                qualname += f"#{decorator.attr}"
        qualname = unused(qualname, self.facts.functions)
        function = Function(
            qualname=qualname,
            name=node.name,
            module=self.file.module,
            path=self.file.path,
            node=node,
            cls=self.scope.cls if self.scope.kind == "class" else None,
            parent=self.scope.function,
            params=parameters(arguments),
            is_async=isinstance(node, ast.AsyncFunctionDef),
        )
        self.facts.functions[qualname] = function
        self.facts.definition_scopes[function] = self.scope
        for decorator in node.decorator_list:
            self.facts.decorators.append(DecoratorFact(decorator, self.scope, function))
        self.bind("function", node.name, (node.lineno, node.col_offset), function=function)
        if function.cls is not None:
            suffix = qualname.rpartition("#")[2] if "#" in qualname else ""
            key = f"{node.name}#{suffix}" if suffix in ("setter", "deleter") else node.name
            function.cls.methods[key] = function
        inner = Scope("function", self.scope, self.file, function, self.scope.cls, Block(None))
        self.facts.function_scopes[function] = inner
        for param in function.params:
            if param.annotation is not None:
                self.expression(param.annotation, "annotation")
            binding = Binding("param", inner.block, (0, 0), inner, function=function, param=param)
            inner.names[param.name] = [binding]
        if node.returns is not None:
            self.expression(node.returns, "annotation")
        scanner = _Scanner(self.file, self.facts, inner, self.declares)
        if self.declares:
            declare(node.body, inner)
        scanner.statements(node.body, inner.block)
        _apply_narrowings(inner)
        function.is_generator = function in self.facts.yields

    def do_class(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator, "decorator")
            self.facts.decorators.append(DecoratorFact(decorator, self.scope, None))
        for base in node.bases:
            self.expression(base)
        for keyword in node.keywords:
            self.expression(keyword.value)
        qualname = unused(self.qualified(node.name), self.facts.classes)
        cls = Class(qualname, node.name, self.file.module, self.file.path, node)
        self.facts.classes[qualname] = cls
        self.facts.definition_scopes[cls] = self.scope
        self.bind("class", node.name, (node.lineno, node.col_offset), cls=cls)
        inner = Scope("class", self.scope, self.file, self.scope.function, cls, Block(None))
        self.facts.class_scopes[cls] = inner
        _Scanner(self.file, self.facts, inner, self.declares).statements(node.body, inner.block)


_STATEMENTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Assign: _Scanner.do_assign,
    ast.AnnAssign: _Scanner.do_ann_assign,
    ast.AugAssign: _Scanner.do_aug_assign,
    ast.For: _Scanner.do_for,
    ast.AsyncFor: _Scanner.do_for,
    ast.While: _Scanner.do_while,
    ast.If: _Scanner.do_if,
    ast.Assert: _Scanner.do_assert,
    ast.Try: _Scanner.do_try,
    ast.TryStar: _Scanner.do_try,
    ast.With: _Scanner.do_with,
    ast.AsyncWith: _Scanner.do_with,
    ast.Expr: _Scanner.do_expression,
    ast.Return: _Scanner.do_return,
    ast.Import: _Scanner.do_import,
    ast.ImportFrom: _Scanner.do_import_from,
    ast.Global: _Scanner.do_global,
    ast.Nonlocal: _Scanner.do_global,
    ast.Delete: _Scanner.do_delete,
    ast.Match: _Scanner.do_match,
    ast.FunctionDef: _Scanner.do_function,
    ast.AsyncFunctionDef: _Scanner.do_function,
    ast.ClassDef: _Scanner.do_class,
}
