"""The tests' part of the change to Quart: its client is async, so whoever uses it becomes async.

Test functions, fixtures and helpers that use the test client, an application context or another
such function turn into `async def` in place; their calls of the program's own functions take the
form that an async caller needs. Assertions are not touched.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

import libcst as cst

from bridgekit_codemods.editing import Edit, nodes
from bridgekit_codemods.planning.colours import Colours, uses_thread_bound
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.calls import CallSite
from bridgekit_codemods.program.symbols import Function
from bridgekit_codemods.rules.base import Draft
from bridgekit_codemods.rules.body import BodyRewriter, Unconvertible
from bridgekit_codemods.rules.names import import_twins
from bridgekit_codemods.rules.unittest_classes import async_test_cases

_CLIENTS = frozenset({"flask.testing.FlaskClient", "quart.testing.QuartClient"})
_APPS = frozenset(
    {
        "flask.Flask",
        "bridgekit.integrations.flask.Flask",
        "quart.Quart",
        "bridgekit.integrations.quart.Quart",
    }
)
_RESPONSES = frozenset({"werkzeug.test.TestResponse", "quart.Response"})
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace", "open"})
_CONTEXTS = frozenset({"app_context", "test_request_context"})
_BODY_CALLS = frozenset({"get_data", "get_json"})
_BODY_ATTRIBUTES = {"data": "get_data()", "json": "get_json()", "text": "get_data(as_text=True)"}


def convert_tests(
    colours: Colours, obstacles: Obstacles, draft: Draft
) -> tuple[frozenset[Function], list[str]]:
    """Registers the edits; returns the functions that became async and the bridges added.

    Raises:
        Unconvertible: some test uses the client in a way that has no form under Quart.
    """
    uses = ClientUses(colours)
    flipped = uses.functions()
    return flipped, convert_functions(colours, obstacles, draft, flipped, uses.edit)


def convert_functions(
    colours: Colours,
    obstacles: Obstacles,
    draft: Draft,
    flipped: frozenset[Function],
    also: Callable[[Draft, Function], None],
) -> list[str]:
    """Makes those test functions async in place; `also` adds edits of its own to each."""

    def callee_name(function: Function) -> str | None:
        if function.is_async or function in flipped:
            return function.name
        twin = colours.facades.get(function)
        return twin.name if twin is not None else None

    async_test_cases(colours.program, draft, flipped)
    rewriter = _TestBodies(colours, obstacles, draft, callee_name)
    for function in sorted(flipped, key=lambda f: f.qualname):
        _check(function)
        rewriter.convert(function)
        also(draft, function)
        file = colours.program.files[function.path]
        draft.edits(function.path).at("FunctionDef", file.span(function.node), nodes.asynchronous)
    import_twins(colours.program, draft, rewriter.renamed_calls)
    return rewriter.bridges_added


def _check(function: Function) -> None:
    if function.is_property or (function.name.startswith("__") and function.name.endswith("__")):
        raise _stuck(function, function.node, f"{function.name} uses the test client")
    if function.is_generator and not function.is_fixture:
        raise _stuck(function, function.node, "a generator uses the test client")


def _stuck(function: Function, node: ast.AST, reason: str) -> Unconvertible:
    line = getattr(node, "lineno", function.node.lineno)
    return Unconvertible(
        function,
        Finding(
            function.path,
            line,
            "BK256",
            f"{reason}, which has no async form",
            "write the test in a shape that can await",
            function.qualname,
        ),
    )


class _TestBodies(BodyRewriter):
    """Bodies of tests: only what is bound to a thread, or crosses to the program, is bridged.

    A test may block its loop for a moment with a file or a sleep; making that async would change
    what the test does for no gain.
    """

    def _blocks(self, site: CallSite) -> bool:
        if site.name == "invoke" and any(d.endswith("CliRunner.invoke") for d in site.externals):
            return True
        if uses_thread_bound(site) or "db" in self.colours.external_effects(site):
            return super()._blocks(site)
        targets = [target.function for target in site.targets]
        needs_bridge = any(
            target in self.colours.thread_bound or self.colours.blocks(target) & {"bridge", "db"}
            for target in targets
        )
        return needs_bridge and super()._blocks(site)

    def _hidden(
        self,
        function: Function,
        site: CallSite,
        bridged: list[tuple[CallSite, ast.expr]],
        awaited: list[ast.AST],
    ) -> None:
        asked = [target.function for target in site.targets if target.function.is_fixture]
        if any(self.callee_name(fixture) for fixture in asked):
            raise _stuck(function, site.node, "getfixturevalue asks for a fixture that awaits")
        super()._hidden(function, site, bridged, awaited)

    def _library_call(self, function: Function, site: CallSite) -> bool:
        if any(d in ("builtins.open", "time.sleep", "subprocess.run") for d in site.externals):
            return False
        return super()._library_call(function, site)


class ClientUses:
    """What a test does with Flask's client, contexts and responses."""

    def __init__(self, colours: Colours) -> None:
        self.colours = colours
        self.program = colours.program

    def functions(self) -> frozenset[Function]:
        """All functions of the tests that must become async, callers included."""
        tests = [f for f in self.program.functions.values() if self.program.files[f.path].is_test]
        found = {f for f in tests if not f.is_async and self._uses_client(f)}
        callers: dict[Function, set[Function]] = {}
        for function in tests:
            for site in self.colours.sites(function):
                for target in site.targets:
                    callers.setdefault(target.function, set()).add(function)
        pending = list(found)
        while pending:
            for caller in callers.get(pending.pop(), set()) - found:
                if not caller.is_async:
                    found.add(caller)
                    pending.append(caller)
        return frozenset(found)

    def _uses_client(self, function: Function) -> bool:
        return any(self._client_calls(function)) or any(self.contexts(function))

    def _client_calls(self, function: Function) -> Iterable[ast.Call]:
        for node in self.colours.own_nodes(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _VERBS
                and self._is(function, node.func.value, _CLIENTS)
            ):
                yield node

    def contexts(self, function: Function) -> Iterable[ast.With]:
        """The `with` statements of the function over what Quart enters asynchronously."""
        for node in self.colours.own_nodes(function):
            if isinstance(node, ast.With) and any(
                self._is_context(function, item.context_expr) for item in node.items
            ):
                yield node

    def _is_context(self, function: Function, node: ast.expr) -> bool:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="session_transaction")):
                return self._is(function, owner, _CLIENTS)
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _CONTEXTS:
                return self._is(function, owner, _APPS)
            case ast.Call(func=ast.Attribute(value=owner, attr="test_client")):
                return self._is(function, owner, _APPS)
            case _:
                return self._is(function, node, _CLIENTS)

    def _is(self, function: Function, node: ast.expr, names: frozenset[str]) -> bool:
        types = self.program.type_of(function.path, node)
        return bool(types) and all(ref.name in names or ref.name == "None" for ref in types)

    def edit(self, draft: Draft, function: Function) -> None:
        """Registers the edits for everything of Quart's that the function uses."""
        file = self.program.files[function.path]
        edits = draft.edits(function.path)
        for call in self._client_calls(function):
            self._arguments(draft, function, call)
            edits.at("Call", file.span(call), nodes.awaited)
        for statement in self.contexts(function):
            if not all(self._is_context(function, i.context_expr) for i in statement.items):
                raise _stuck(function, statement, "one `with` holds contexts of both kinds")
            edits.at("With", file.span(statement), nodes.asynchronous)
        for node in self.colours.own_nodes(function):
            if isinstance(node, ast.Attribute) and self._is(function, node.value, _RESPONSES):
                self._response_use(draft, function, node)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("set_cookie", "delete_cookie")
                and self._is(function, node.func.value, _CLIENTS)
            ):
                edits.at("Call", file.span(node), _with_server_name)
            elif isinstance(node, ast.Lambda) and any(
                call in set(ast.walk(node)) for call in self._client_calls(function)
            ):
                raise _stuck(function, node, "a lambda uses the test client")

    def _response_use(self, draft: Draft, function: Function, node: ast.Attribute) -> None:
        edits = draft.edits(function.path)
        file = self.program.files[function.path]
        parent = self.colours.parents(function.path).get(node)
        if node.attr in _BODY_CALLS and isinstance(parent, ast.Call) and parent.func is node:
            edits.at("Call", file.span(parent), nodes.awaited)
        elif node.attr in _BODY_ATTRIBUTES and isinstance(node.ctx, ast.Load):
            method = _BODY_ATTRIBUTES[node.attr]

            def edit(attribute: cst.Attribute, method: str = method) -> cst.Await:
                call = nodes.expression(f"_.{method}")
                assert isinstance(call, cst.Call)
                assert isinstance(call.func, cst.Attribute)
                plain = attribute.with_changes(attr=call.func.attr, lpar=[], rpar=[])
                whole = call.with_changes(func=plain, lpar=attribute.lpar, rpar=attribute.rpar)
                return nodes.awaited(whole)

            edits.at("Attribute", file.span(node), edit)

    def _arguments(self, draft: Draft, function: Function, call: ast.Call) -> None:
        """`data=` of Flask's client is `form=` and `files=` of Quart's when it is a mapping."""
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if None in keywords:
            raise _stuck(function, call, "the test client gets its arguments by **")
        edits = draft.edits(function.path)
        span = self.program.files[function.path].span(call)
        data = keywords.get("data")
        content_type = keywords.get("content_type")
        if content_type is not None:
            text = content_type.value if isinstance(content_type, ast.Constant) else None
            if text in ("multipart/form-data", "application/x-www-form-urlencoded"):
                edits.at("Call", span, nodes.without_keyword("content_type"))
            elif "headers" not in keywords:
                edits.at("Call", span, _content_type_header)
            else:
                raise _stuck(function, call, "content_type= beside headers=")
        if data is None:
            return
        if isinstance(data, ast.Dict):
            files = {
                index
                for index, value in enumerate(data.values)
                if {ref.name for ref in self.program.type_of(function.path, value)} == {"tuple"}
            }
            if not files:
                edits.at("Call", span, nodes.renamed_keyword("data", "form"))
            else:
                edits.at("Call", span, _form_and_files(files))
                edits.add_import("werkzeug.datastructures", "FileStorage")
            return
        types = {ref.name for ref in self.program.type_of(function.path, data)}
        values = _parametrized(function, data)
        if values and all(isinstance(value, ast.Dict) for value in values):
            types = {"dict"}
        if types == {"dict"}:
            edits.at("Call", span, nodes.renamed_keyword("data", "form"))
        elif not types or not types <= {"str", "bytes"}:
            raise _stuck(function, call, "data= of a type that is not known")


def _parametrized(function: Function, node: ast.expr) -> list[ast.expr]:
    """The expressions that `pytest.mark.parametrize` passes for that parameter, if it is one."""
    if not isinstance(node, ast.Name):
        return []
    found: list[ast.expr] = []
    for decorator in function.decorators:
        match decorator.node:
            case ast.Call(
                func=ast.Attribute(attr="parametrize"),
                args=[names, ast.List(elts=cases) | ast.Tuple(elts=cases), *_],
            ):
                arguments = _argument_names(names)
                if node.id not in arguments:
                    continue
                place = arguments.index(node.id)
                for case in cases:
                    match case:
                        case ast.Call(func=ast.Attribute(attr="param"), args=values):
                            found.append(values[place])
                        case ast.Tuple(elts=values) if len(arguments) > 1:
                            found.append(values[place])
                        case _ if len(arguments) == 1:
                            found.append(case)
                        case _:
                            return []
            case _:
                continue
    return found


def _argument_names(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [name.strip() for name in text.split(",")]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [str(part.value) for part in parts if isinstance(part, ast.Constant)]
        case _:
            return []


def _with_server_name(call: cst.Call) -> cst.Call:
    first = cst.Arg(cst.SimpleString('"localhost"'), comma=nodes.COMMA)
    return call.with_changes(args=[first, *call.args])


def _content_type_header(call: cst.Call) -> cst.Call:
    args = []
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == "content_type":
            header = cst.Dict(
                [cst.DictElement(key=cst.SimpleString('"Content-Type"'), value=arg.value)]
            )
            arg = arg.with_changes(keyword=cst.Name("headers"), value=header)
        args.append(arg)
    return call.with_changes(args=args)


def _form_and_files(places: set[int]) -> Edit:
    """`data={"a": 1, "f": (stream, name)}` -> `form={"a": 1}, files={"f": FileStorage(...)}`.

    `places` are the positions of the files in the mapping.
    """

    def edit(call: cst.Call) -> cst.Call:
        args: list[cst.Arg] = []
        for arg in call.args:
            named_data = arg.keyword is not None and arg.keyword.value == "data"
            if not named_data or not isinstance(arg.value, cst.Dict):
                args.append(arg)
                continue
            form: list[cst.BaseDictElement] = []
            files: list[cst.BaseDictElement] = []
            for place, element in enumerate(arg.value.elements):
                if place in places:
                    files.append(element.with_changes(value=_storage(element.value)))
                else:
                    form.append(element)
            for name, elements in (("form", form), ("files", files)):
                if elements:
                    last = elements[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
                    mapping = arg.value.with_changes(elements=[*elements[:-1], last])
                    keyword = cst.Name(name)
                    args.append(arg.with_changes(keyword=keyword, value=mapping, comma=nodes.COMMA))
        if args:
            args[-1] = args[-1].with_changes(comma=call.args[-1].comma)
        return call.with_changes(args=args)

    return edit


def _storage(value: cst.BaseExpression) -> cst.Call:
    if not isinstance(value, cst.Tuple):
        return cst.Call(func=cst.Name("FileStorage"), args=[cst.Arg(value, star="*")])
    names = ("stream", "filename", "content_type")
    parts = [
        cst.Arg(
            value=element.value,
            keyword=cst.Name(name) if name != "stream" else None,
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
            if name != "stream"
            else cst.MaybeSentinel.DEFAULT,
        )
        for name, element in zip(names, value.elements, strict=False)
    ]
    return cst.Call(func=cst.Name("FileStorage"), args=parts)
