"""What keeps a program on requests: constructs that the shim over httpx cannot serve (BK201)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bridgekit_codemods.planning.steps import Finding
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.program.symbols import Class
from bridgekit_codemods.rules.requests_names import LACKING, place, place_elsewhere

CODE = "BK201"
# Packages that hand out or take objects of requests itself.
_COMPANIONS = frozenset(
    {
        "responses", "requests_mock", "httpretty", "betamax", "requests_toolbelt",
        "requests_oauthlib", "requests_cache", "requests_ntlm", "requests_kerberos",
        "requests_aws4auth", "requests_futures", "cachecontrol", "grequests",
    }
)  # fmt: skip
_NEVER_RAISED = ("urllib3.", "requests.packages.urllib3.")
# Parts of requests that hold names, each judged by itself.
_PASSES_ON = ("api", "compat", "packages", "utils")


def blockers(program: Program) -> Iterator[Finding]:
    """What keeps the whole program on requests."""
    for source in program.files.values():
        if source.tree is None:
            continue
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom)):
            yield from _blocking_import(source, node)
        for handler in source.of(ast.ExceptHandler):
            if handler.type is not None:
                yield from _blocking_handler(program, source, handler.type)
        if imports(source, retry=False):
            yield from _lacking(program, source)
            yield from _asked_for_classes(program, source)
            yield from _removed_agent(source)
    for cls in program.classes.values():
        yield from _overriding(cls)
    for patch in program.patches:
        if is_requests(patch.dotted) and place(patch.dotted) is None:
            yield _finding(
                patch.path, patch.node.lineno, f"the test replaces {patch.dotted}, "
                "which the httpx-based client does not have",
                "patch requests.Session.request or the function that sends",
            )  # fmt: skip


def imports(source: SourceFile, retry: bool) -> bool:
    """Says whether the file imports requests, or (`retry`) urllib3's Retry."""
    assert source.tree is not None
    return any(
        retry and name == "Retry" and place(f"{module}.{name}") is not None
        if module.split(".")[0] == "urllib3"
        else module.split(".")[0] == "requests"
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        for module, name in imported(node)
    )


def imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """The modules that an absolute import names, each with the name taken from it, if any."""
    match node:
        case ast.Import(names=aliases):
            yield from ((alias.name, None) for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases, level=0):
            yield from ((module, alias.name) for alias in aliases)
        case _:
            return


def is_requests(dotted: str) -> bool:
    """Says whether a dotted name is one of requests, or of urllib3's retries."""
    return dotted.split(".")[0] == "requests" or place(dotted) is not None


def from_module(program: Program, source: SourceFile, node: ast.Attribute) -> list[str]:
    """The chain from the module on, as written; empty when it starts at anything else.

    The local name of the module is replaced by its real one: `r.sessions` is "requests.sessions".
    """
    names: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        names.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return []
    root = program.resolve(source.path, inner)
    return [root, *names] if root in ("requests", "urllib3") else []


def _blocking_import(source: SourceFile, node: ast.AST) -> Iterator[Finding]:
    line = getattr(node, "lineno", 1)
    for module, name in imported(node):
        if module.split(".")[0] in _COMPANIONS:
            yield _finding(
                source.path, line, f"{module.split('.')[0]} works on the internals of requests",
                "replace it by a local server, a patched function or an httpx transport "
                "before the migration; until then HTTP stays on requests",
            )  # fmt: skip
        elif is_requests(module) and name == "*":
            yield _finding(
                source.path, line, f"`from {module} import *` hides which names are used",
                "import the names that are used",
            )  # fmt: skip
        elif module.split(".")[0] == "requests" and name is not None:
            dotted = f"{module}.{name}"
            if place(dotted) is None and place_elsewhere(dotted) is None:
                yield _lacks(source.path, line, dotted)
        elif module.startswith("requests.") and place(module) is None:
            aliased = isinstance(node, ast.Import) and any(alias.asname for alias in node.names)
            if aliased or module.split(".")[1] not in _PASSES_ON:
                yield _lacks(source.path, line, module)


def _blocking_handler(program: Program, source: SourceFile, caught: ast.expr) -> Iterator[Finding]:
    """`except urllib3.exceptions...`: errors that httpx never raises."""
    for node in caught.elts if isinstance(caught, ast.Tuple) else [caught]:
        dotted = program.resolve(source.path, node) or ""
        if dotted.startswith(_NEVER_RAISED):
            yield _finding(
                source.path, node.lineno, f"{dotted} is never raised by httpx",
                "catch requests.exceptions.RequestException or one of its subclasses",
            )  # fmt: skip


def _lacking(program: Program, source: SourceFile) -> Iterator[Finding]:
    reported: set[int] = set()
    for node in source.of(ast.Attribute):
        if node.lineno in reported:
            continue
        dotted = ".".join(from_module(program, source, node))
        dotted = dotted or program.resolve(source.path, node) or ""
        if not dotted.startswith("requests.") or _leads_on(dotted):
            continue
        if place(dotted) is None and not _from_elsewhere(dotted):
            reported.add(node.lineno)
            yield _lacks(source.path, node.lineno, dotted)


def _from_elsewhere(dotted: str) -> bool:
    """Says whether the name, or what it is an attribute of, comes from another library."""
    while dotted.count(".") > 1:
        if place_elsewhere(dotted) is not None:
            return True
        dotted = dotted.rpartition(".")[0]
    return False


def _leads_on(dotted: str) -> bool:
    """Inner parts of a longer chain that is judged as a whole: `requests.packages.urllib3`."""
    return any(
        f"{home}.".startswith(f"{dotted}.")
        for home in (
            "requests.api",
            "requests.compat",
            "requests.utils",
            "requests.packages.urllib3.exceptions",
            "requests.packages.urllib3.util.retry",
            "requests.packages.urllib3.util.timeout",
            "requests.packages.urllib3.util.url",
        )
    )


def _asked_for_classes(program: Program, source: SourceFile) -> Iterator[Finding]:
    """`isinstance(x, urllib3...)`: raw responses and causes of errors have classes of their own."""
    for node in source.of(ast.Call):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                pass
            case _:
                continue
        for kind in kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]:
            dotted = program.resolve(source.path, kind) or ""
            if dotted.startswith(_NEVER_RAISED) and place(dotted) is None:
                yield _finding(
                    source.path, kind.lineno, f"nothing is a {dotted} with the httpx-based client",
                    "ask for a class of requests, or for an attribute",
                )  # fmt: skip


def _removed_agent(source: SourceFile) -> Iterator[Finding]:
    """`{"User-Agent": None}`: urllib3 then sends a name of its own, httpx none."""
    for node in source.of(ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            match key, value:
                case ast.Constant(value=str(name)), ast.Constant(value=None) if (
                    name.lower() == "user-agent"
                ):
                    yield _finding(
                        source.path, key.lineno, "the User-Agent is taken out: requests sends "
                        "urllib3's in its place, the httpx-based client sends none",
                        "say which User-Agent is to be sent",
                    )  # fmt: skip


def _overriding(cls: Class) -> Iterator[Finding]:
    """Overrides that the shim would never call."""
    for base in cls.mro:
        if not isinstance(base, str) or not is_requests(base):
            continue
        for name in sorted(LACKING.get(base.rpartition(".")[2], frozenset()) & cls.methods.keys()):
            yield _finding(
                cls.path, cls.methods[name].node.lineno,
                f"{cls.qualname}.{name} overrides what the httpx-based client never calls",
                "keep HTTP on requests behind a thread bridge, or do without the override",
            )  # fmt: skip


def _lacks(path: str, line: int, dotted: str) -> Finding:
    return _finding(
        path, line, f"the httpx-based client has no {dotted}",
        "use the public API of requests, or keep HTTP on requests behind a thread bridge",
    )  # fmt: skip


def _finding(path: str, line: int, reason: str, remedy: str) -> Finding:
    return Finding(path, line, CODE, reason, remedy)
