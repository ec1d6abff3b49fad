"""Why a function may not become async: what cannot be proved safe stays sync behind a bridge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from bridgekit_codemods.planning.bridges import TWIN_SUFFIX
from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.frameworks import is_entry_registration
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.symbols import Decorator, Function

# Decorators that work on a coroutine function as they do on a plain one, or have an async twin.
TRANSPARENT = frozenset(
    {
        "staticmethod",
        "classmethod",
        "builtins.staticmethod",
        "builtins.classmethod",
        "abc.abstractmethod",
        "typing.override",
        "typing_extensions.override",
        "typing.final",
        "functools.wraps",
    }
)
CACHES = frozenset({"functools.lru_cache", "functools.cache"})
_CONTEXT_MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})
# Builtins that consume a generator expression at once, whole, and keep no reference to it.
CONSUMERS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "dict"})


class Obstacles:
    """Looks for what stands in the way of a function's change of colour.

    `kept` are qualified names whose change turned the guard red in an earlier step.
    """

    def __init__(self, colours: Colours, kept: frozenset[str] = frozenset()) -> None:
        self.colours = colours
        self.program: Program = colours.program
        self.kept = kept
        self._found: dict[Function, tuple[Finding, ...]] = {}

    def of(self, function: Function) -> tuple[Finding, ...]:
        """The obstacles of the function itself; empty if it may become async."""
        if function not in self._found:
            self._found[function] = tuple(self._look(function))
        return self._found[function]

    @cached_property
    def movable(self) -> frozenset[Function]:
        """Sync functions that may become async together with the whole of their family."""
        free = {
            function
            for function in self.program.functions.values()
            if not self.colours.native(function)
            and not self.program.files[function.path].is_test
            and not self.of(function)
        }
        return frozenset(
            function
            for function in free
            if all(
                member in free or self.colours.native(member)
                for member in self.program.family(function)
            )
        )

    def _finding(
        self, function: Function, node: ast.AST, code: str, reason: str, remedy: str
    ) -> Finding:
        line = getattr(node, "lineno", function.node.lineno)
        return Finding(function.path, line, code, reason, remedy, function.qualname)

    def _look(self, function: Function) -> Iterator[Finding]:
        node = function.node
        if function.qualname in self.kept:
            yield self._finding(
                function,
                node,
                "BK301",
                "the guard was red after this function became async",
                "see the step's log; fix the function or its tests, then run migrate again",
            )
        if function in self.colours.sync_entries:
            api = self.colours.sync_entries[function]
            yield self._finding(
                function,
                node,
                "BK302",
                f"{api} calls it and does not await",
                "none needed: what it calls is reached through bridges",
            )
        yield from self._shape(function)
        yield from self._decorators(function)
        yield from self._uses(function)
        for site in self.colours.sites(function):
            yield from self._site(function, site)

    def _shape(self, function: Function) -> Iterator[Finding]:
        node, name = function.node, function.name
        if name.startswith("__") and name.endswith("__"):
            remedy = (
                "move the blocking part into a method or an async factory"
                if name == "__init__"
                else "move the blocking part into a method"
            )
            yield self._finding(
                function,
                node,
                "BK303",
                f"{name} is called by the language, which does not await",
                remedy,
            )
        if function.is_property:
            yield self._finding(
                function,
                node,
                "BK304",
                "a property cannot be awaited at its uses",
                "make it a method",
            )
        if function.is_generator:
            yield self._finding(
                function,
                node,
                "BK305",
                "a generator: its consumers would need `async for`",
                "none needed: it is iterated in a worker thread",
            )
        if function.parent is not None and function not in self.colours.entries:
            yield self._finding(
                function,
                node,
                "BK306",
                "a nested function that is passed around as a value",
                "move it to module level",
            )
        external = self.program.overrides_external(function)
        if external is not None:
            yield self._finding(
                function,
                node,
                "BK307",
                f"overrides a method of {external}, which calls it plainly",
                "none, unless the library has an async base class",
            )

    def _decorators(self, function: Function) -> Iterator[Finding]:
        for decorator in function.decorators:
            dotted = decorator.dotted
            if dotted is not None and (
                dotted in TRANSPARENT or dotted in CACHES or is_entry_registration(dotted)
            ):
                continue
            if dotted in _CONTEXT_MANAGERS or function.is_property:
                continue
            if decorator.project is not None and is_two_coloured(decorator.project):
                continue
            if function in self.colours.sync_entries and dotted is not None:
                continue
            yield self._finding(
                function,
                decorator.node,
                "BK308",
                f"decorator {_written(decorator)} may not accept a coroutine function",
                "give the decorator an async form, or add it to the catalog",
            )
        if any(decorator.dotted in _CONTEXT_MANAGERS for decorator in function.decorators):
            yield self._finding(
                function,
                function.node,
                "BK309",
                "a context manager used with plain `with`",
                "write an asynccontextmanager beside it",
            )

    def _uses(self, function: Function) -> Iterator[Finding]:
        """Uses of the function elsewhere that its sync facade could not serve."""
        if function in self.colours.entries:
            wrappers = tuple(
                f"{decorator.project.qualname}.<locals>."
                for decorator in function.decorators
                if decorator.project is not None
            )
            for site in self.program.callers_of(function):
                if site.caller is not None and site.caller.qualname.startswith(wrappers):
                    continue
                yield self._finding(
                    function,
                    function.node,
                    "BK310",
                    f"a view that is also called directly, at {site.path}:{site.span.line}",
                    "move the shared part into a function of its own",
                )
            return
        taken = f"{function.qualname.rpartition('.')[0]}.{function.name}{TWIN_SUFFIX}"
        if taken in self.program.functions:
            yield self._finding(
                function, function.node, "BK311", f"the name {taken} is taken", "rename one of them"
            )

    def _site(self, function: Function, site: CallSite) -> Iterator[Finding]:
        colours = self.colours
        project = [t for t in site.targets if t.grade != "guess"]
        guesses = [t for t in site.targets if t.grade == "guess"]
        blocking_targets = [
            t for t in project if colours.native(t.function) or colours.blocks(t.function)
        ]
        effects = colours.external_effects(site)
        matters = bool(blocking_targets or effects or colours.awaitable_here(site))
        if guesses and any(
            colours.native(t.function) or colours.blocks(t.function) for t in guesses
        ):
            yield self._finding(
                function,
                site.node,
                "BK320",
                f"{site.name}(...) may reach blocking code, but its receiver is not known",
                "annotate the receiver",
            )
        if not project and not site.externals:
            yield from self._unknown_call(function, site)
        if not matters:
            return
        if len({colours.native(t.function) for t in blocking_targets}) > 1:
            yield self._finding(
                function,
                site.node,
                "BK321",
                f"{site.name}(...) reaches functions of two colours",
                "none: the next steps may solve it",
            )
        if blocking_targets and self._through_a_value(site):
            yield self._finding(
                function,
                site.node,
                "BK327",
                f"calls {site.name}, a function that it was given as a value",
                "none needed: it runs in a worker thread",
            )
        if site.in_lambda:
            yield self._finding(
                function,
                site.node,
                "BK322",
                f"a lambda calls {site.name}(...), which blocks",
                "write it as a nested function or a loop",
            )
        elif site.in_genexp and not self.consumed_at_once(site):
            yield self._finding(
                function,
                site.node,
                "BK323",
                f"a generator expression calls {site.name}(...), which blocks",
                "make it a list comprehension",
            )
        if site.kind in ("with", "iter") and site.node not in self._async_blocks(function):
            yield self._finding(
                function,
                site.node,
                "BK324",
                f"a `{site.kind}` over something that blocks",
                "none needed: it runs in a worker thread",
            )
        if "lock" in effects:
            yield self._finding(
                function,
                site.node,
                "BK325",
                "a thread lock must not be held over an await",
                "use anyio.Lock once all users are async",
            )
        if "builtins.open" in site.externals and not self.file_uses(site):
            yield self._finding(
                function,
                site.node,
                "BK326",
                "a file is used in a shape that has no async form",
                "none needed: the function runs in a worker thread",
            )
        if is_streaming(site) and not self.stream_uses(site):
            yield self._finding(
                function,
                site.node,
                "BK328",
                "a streamed response is used beyond its `with` block",
                "read it inside `with requests.get(..., stream=True) as response`",
            )

    def _unknown_call(self, function: Function, site: CallSite) -> Iterator[Finding]:
        node = site.node
        if not isinstance(node, ast.Call):
            return
        if isinstance(node.func, ast.Name):
            scope: Function | None = function
            while scope is not None:
                if any(param.name == node.func.id for param in scope.params):
                    yield self._finding(
                        function,
                        node,
                        "BK327",
                        f"calls {node.func.id}, which it was given",
                        "none needed: it runs in a worker thread",
                    )
                    return
                scope = scope.parent
        elif isinstance(node.func, ast.Attribute):
            name = node.func.attr
            for candidate in self.blocking_methods.get(name, ()):
                yield self._finding(
                    function,
                    node,
                    "BK320",
                    f"{name}(...) may reach {candidate.qualname}, its receiver is not known",
                    "annotate the receiver",
                )
                return

    def _through_a_value(self, site: CallSite) -> bool:
        """Says whether the call names something else than the function it reaches.

        Then nobody knows whether the twin has a name here.
        """
        if site.kind != "call" or not isinstance(site.node, ast.Call):
            return False
        names = {target.function.name for target in site.targets if target.grade != "guess"}
        match site.node.func:
            case ast.Attribute(attr=written):
                return written not in names and "__init__" not in names
            case ast.Name(id=written):
                return (
                    written not in names
                    and "__init__" not in names
                    and written not in self._import_aliases(site.path, names)
                )
            case _:
                return True

    def _import_aliases(self, path: str, names: set[str]) -> set[str]:
        tree = self.program.files[path].tree
        assert tree is not None
        return {
            alias.asname
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.asname is not None and alias.name in names
        }

    @cached_property
    def blocking_methods(self) -> dict[str, list[Function]]:
        """Blocking or native methods of the program by name."""
        found: dict[str, list[Function]] = {}
        for function in self.program.functions.values():
            if self.program.files[function.path].is_test or function.cls is None:
                continue
            if self.colours.native(function) or self.colours.blocks(function):
                found.setdefault(function.name, []).append(function)
        return found

    def consumed_at_once(self, site: CallSite) -> bool:
        """Says whether the generator expression around the site is consumed whole, at once."""
        generator = self.generator_around(site)
        if generator is None:
            return False
        parents = self.colours.parents(site.path)
        if site.node is generator.generators[0].iter:
            return True  # evaluated outside the generator
        call = parents.get(generator)
        match call:
            case ast.Call(func=ast.Name(id=name), args=[only]) if only is generator:
                return name in CONSUMERS
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if first is generator:
                return name in ("sum", "sorted", "min", "max")
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join")):
                return True
            case _:
                return False

    def generator_around(self, site: CallSite) -> ast.GeneratorExp | None:
        """The innermost generator expression that holds the site."""
        parents = self.colours.parents(site.path)
        node: ast.AST | None = site.node
        while node is not None and not isinstance(node, ast.GeneratorExp):
            node = parents.get(node)
        return node

    def _async_blocks(self, function: Function) -> set[ast.AST]:
        """The expressions of `with` and `for` that get an async form with the file or response
        that they use."""
        found: set[ast.AST] = set()
        for site in self.colours.sites(function):
            uses: list[ast.AST] = []
            if "builtins.open" in site.externals:
                uses = self.file_uses(site)
            elif is_streaming(site):
                uses = self.stream_uses(site)
            if uses:
                found.add(site.node)
                found |= {use.iter for use in uses if isinstance(use, ast.For)}
        return found

    def with_around(self, site: CallSite) -> ast.With | None:
        """The `with` statement of which the site is the context expression, if it is its only."""
        parents = self.colours.parents(site.path)
        item = parents.get(site.node)
        statement = parents.get(item) if isinstance(item, ast.withitem) else None
        if isinstance(statement, ast.With) and len(statement.items) == 1:
            return statement
        return None

    def file_uses(self, site: CallSite) -> list[ast.AST]:
        """The nodes to await in the block of `with open(...) as f`; empty if some use has no form.

        Known uses are `f.read(...)`, `f.write(...)` and their like as calls, and `for line in f`.
        """
        statement = self.with_around(site)
        if statement is None or not isinstance(statement.items[0].optional_vars, ast.Name):
            return []
        name = statement.items[0].optional_vars.id
        parents = self.colours.parents(site.path)
        uses: list[ast.AST] = []
        for node in ast.walk(ast.Module(body=statement.body, type_ignores=[])):
            if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
                return []
            if not (isinstance(node, ast.Name) and node.id == name):
                continue
            parent = parents[node]
            call = parents.get(parent)
            match parent:
                case ast.Attribute(attr=attr) if (
                    attr in _FILE_METHODS and isinstance(call, ast.Call) and call.func is parent
                ):
                    uses.append(call)
                case ast.For(iter=iterated) if iterated is node:
                    uses.append(parent)
                case _:
                    return []
        return uses

    def stream_uses(self, site: CallSite) -> list[ast.AST]:
        """The loops over a streamed response inside its `with` block; empty if there is any use
        that has no async form, or no loop."""
        statement = self.with_around(site)
        if statement is None or not isinstance(statement.items[0].optional_vars, ast.Name):
            return []
        name = statement.items[0].optional_vars.id
        parents = self.colours.parents(site.path)
        uses: list[ast.AST] = []
        for node in ast.walk(ast.Module(body=statement.body, type_ignores=[])):
            if not (isinstance(node, ast.Name) and node.id == name):
                continue
            parent = parents[node]
            call = parents.get(parent)
            loop = parents.get(call) if call is not None else None
            match parent:
                case ast.Attribute(attr=attr) if attr in _STREAM_PLAIN:
                    continue
                case ast.Attribute(attr=attr) if (
                    attr in STREAM_LOOPS
                    and isinstance(call, ast.Call)
                    and isinstance(loop, ast.For)
                    and loop.iter is call
                ):
                    uses.append(loop)
                case _:
                    return []
        return uses


STREAM_LOOPS = {"iter_content": "aiter_content", "iter_lines": "aiter_lines"}
_STREAM_PLAIN = frozenset({"raise_for_status", "status_code", "headers", "ok", "reason", "url"})


def is_streaming(site: CallSite) -> bool:
    """Says whether the site is a request with `stream=` that is not the literal False."""
    return isinstance(site.node, ast.Call) and any(
        keyword.arg == "stream"
        and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in site.node.keywords
    )


_FILE_METHODS = frozenset(
    {"read", "readline", "readlines", "write", "writelines", "seek", "tell", "flush", "truncate"}
)


def is_two_coloured(decorator: Function) -> bool:
    """Says whether a project decorator accepts both plain and coroutine functions.

    Recognised by its test of the function it is given: a call of `iscoroutinefunction`.
    """
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id)
        == "iscoroutinefunction"
        for node in ast.walk(decorator.node)
    )


def _written(decorator: Decorator) -> str:
    return decorator.dotted or ast.unparse(decorator.node)
