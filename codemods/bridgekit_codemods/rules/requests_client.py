"""BK201 requests-to-httpx: `requests` becomes bridgekit's module of the same API over httpx.

What: every import of requests (and of urllib3's `Retry`), in code and tests alike, comes from
`bridgekit.integrations.requests`; names that tests patch by a dotted string move along.

Why: requests has no async form, and httpx agrees with it in 65 of 153 probed behaviours only. The
shim keeps requests' behaviour and has an async face on the same objects, so each caller can change
colour later without changing what goes over the wire.

All modules move together: a `requests.Session` made in one and an exception caught in another must
come from one library. Source: https://requests.readthedocs.io/en/latest/api/
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import libcst as cst

from bridgekit_codemods.editing import Edit
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.bindings import Needed
from bridgekit_codemods.rules.dependencies import changed_dependencies, project_files
from bridgekit_codemods.rules.moves import ModuleMove, NameMove, move_imports, replaced_by
from bridgekit_codemods.rules.requests_names import SHIMS, place

# Packages that hand out or take objects of requests itself.
_COMPANIONS = frozenset(
    {
        "responses", "requests_mock", "httpretty", "betamax", "requests_toolbelt",
        "requests_oauthlib", "requests_cache", "requests_ntlm", "requests_kerberos",
        "requests_aws4auth", "requests_futures", "cachecontrol", "grequests",
    }
)  # fmt: skip
_ADDED = ("httpx>=0.28,<1", "aiohttp>=3.11")
_ADDED_HTTPX2 = ("httpx2>=2.10", "aiohttp>=3.11")


class RequestsClient:
    """BK201 requests-to-httpx: move a program from requests to the shim, all modules at once."""

    name = "requests-to-httpx"
    code = "BK201"
    safety: Safety = "guarded"
    key = "http-client:requests"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        users = _users(program)
        if not users or self.key in kept or any(self._blockers(program)):
            return None
        shim = SHIMS[options.client]
        draft = Draft(program)
        for source in users:
            move_imports(source, draft.edits(source.path), _names(shim), _modules(shim))
            self._chains(program, source, draft, shim)
        self._patches(program, draft, shim)
        added = _ADDED if options.client == "httpx" else _ADDED_HTTPX2
        settings = changed_dependencies(project_files(program), added, ["requests"])
        return Step(
            key=self.key,
            kind="http-client",
            title=f"Send HTTP through {options.client} with the behaviour of requests",
            members=tuple(source.module for source in users),
            changes=draft.changes(settings),
            milestone=True,
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        if not _users(program):
            return ()
        return tuple(sorted(set(self._blockers(program)), key=lambda f: (f.path, f.line)))

    def _chains(self, program: Program, source: SourceFile, draft: Draft, shim: str) -> None:
        """Attribute chains whose place in the shim differs: `requests.api.get`."""
        assert source.tree is not None
        for node in source.of(ast.Attribute):
            parts = _from_module(program, source, node)
            found = place(".".join(parts)) if parts else None
            if found is None or "." in found[1]:
                continue
            local = _root(node).id
            wanted = [local, *([found[0]] if found[0] else []), found[1]]
            if parts[0] == "urllib3":
                wanted = [local_retry(source, draft, shim)]
            elif wanted[1:] == parts[1:]:
                continue
            draft.edits(source.path).at(
                "Attribute",
                source.span(node),
                replaced_by(".".join(wanted)),
            )

    def _patches(self, program: Program, draft: Draft, shim: str) -> None:
        for patch in program.patches:
            literal = patch.node.args[0] if patch.node.args else None
            match literal:
                case ast.Constant(value=str(text)) if _is_requests(text):
                    found = place(text)
                case _:
                    continue
            if found is None:
                continue
            target = ".".join(part for part in (shim, *found) if part)
            draft.edits(patch.path).at(
                "SimpleString", program.files[patch.path].span(literal), _retargeted(text, target)
            )

    def _blockers(self, program: Program) -> Iterator[Finding]:
        """What keeps the whole program on requests."""
        for source in program.files.values():
            if source.tree is None:
                continue
            for node in (*source.of(ast.Import), *source.of(ast.ImportFrom)):
                yield from self._blocking_import(source, node)
            for handler in source.of(ast.ExceptHandler):
                if handler.type is not None:
                    yield from self._blocking_handler(program, source, handler.type)
            if _imports(source, retry=False):
                yield from self._lacking(program, source)
        for patch in program.patches:
            if _is_requests(patch.dotted) and place(patch.dotted) is None:
                yield self._finding(
                    patch.path, patch.node.lineno, f"the test replaces {patch.dotted}, "
                    "which the httpx-based client does not have",
                    "patch requests.Session.request or the function that sends",
                )  # fmt: skip

    def _blocking_import(self, source: SourceFile, node: ast.AST) -> Iterator[Finding]:
        for module, name in _imported(node):
            if module.split(".")[0] in _COMPANIONS:
                yield self._finding(
                    source.path, getattr(node, "lineno", 1),
                    f"{module.split('.')[0]} works on the internals of requests",
                    "replace it by a local server, a patched function or an httpx transport "
                    "before the migration; until then HTTP stays on requests",
                )  # fmt: skip
            elif _is_requests(module) and name == "*":
                yield self._finding(
                    source.path, getattr(node, "lineno", 1),
                    f"`from {module} import *` hides which names are used",
                    "import the names that are used",
                )  # fmt: skip
            elif module.split(".")[0] == "requests" and name is not None:
                if place(f"{module}.{name}") is None:
                    yield self._lacks(source.path, getattr(node, "lineno", 1), f"{module}.{name}")
            elif (
                module.startswith("requests.")
                and place(module) is None
                and module.split(".")[1] not in ("api", "packages")
            ):
                yield self._lacks(source.path, getattr(node, "lineno", 1), module)

    def _blocking_handler(
        self, program: Program, source: SourceFile, caught: ast.expr
    ) -> Iterator[Finding]:
        """`except urllib3.exceptions...`: errors that httpx never raises."""
        for node in caught.elts if isinstance(caught, ast.Tuple) else [caught]:
            dotted = program.resolve(source.path, node) or ""
            if dotted.startswith(("urllib3.", "requests.packages.urllib3.")):
                yield self._finding(
                    source.path, node.lineno, f"{dotted} is never raised by httpx",
                    "catch requests.exceptions.RequestException or one of its subclasses",
                )  # fmt: skip

    def _lacking(self, program: Program, source: SourceFile) -> Iterator[Finding]:
        assert source.tree is not None
        reported: set[int] = set()
        for node in source.of(ast.Attribute):
            if node.lineno in reported:
                continue
            dotted = ".".join(_from_module(program, source, node))
            dotted = dotted or program.resolve(source.path, node) or ""
            if not dotted.startswith("requests."):
                continue
            if place(dotted) is None and not _leads_on(dotted):
                reported.add(node.lineno)
                yield self._lacks(source.path, node.lineno, dotted)

    def _lacks(self, path: str, line: int, dotted: str) -> Finding:
        return self._finding(
            path, line, f"the httpx-based client has no {dotted}",
            "use the public API of requests, or keep HTTP on requests behind a thread bridge",
        )  # fmt: skip

    def _finding(self, path: str, line: int, reason: str, remedy: str) -> Finding:
        return Finding(path, line, self.code, reason, remedy)


def _retargeted(old: str, new: str) -> Edit:
    def edit(node: cst.SimpleString) -> cst.SimpleString:
        return node.with_changes(value=node.value.replace(old, new))

    return edit


def _users(program: Program) -> list[SourceFile]:
    """The files that import requests, or urllib3's `Retry` for it; none without the former."""
    sources = [source for source in program.files.values() if source.tree is not None]
    users = [source for source in sources if _imports(source, retry=True)]
    return users if any(_imports(source, retry=False) for source in users) else []


def _imports(source: SourceFile, retry: bool) -> bool:
    assert source.tree is not None
    return any(
        retry and name == "Retry" and place(f"{module}.{name}") is not None
        if module.split(".")[0] == "urllib3"
        else module.split(".")[0] == "requests"
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        for module, name in _imported(node)
    )


def _imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    match node:
        case ast.Import(names=aliases):
            yield from ((alias.name, None) for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases, level=0):
            yield from ((module, alias.name) for alias in aliases)
        case _:
            return


def _is_requests(dotted: str) -> bool:
    return dotted.split(".")[0] == "requests" or place(dotted) is not None


def _leads_on(dotted: str) -> bool:
    """Inner parts of a longer chain that is judged as a whole: `requests.packages.urllib3`."""
    return any(
        f"{home}.".startswith(f"{dotted}.")
        for home in (
            "requests.api",
            "requests.packages.urllib3.util.retry",
        )
    )  # fmt: skip


def local_retry(source: SourceFile, draft: Draft, shim: str) -> str:
    """The local name of the shim's Retry, imported where it was not."""
    needed = Needed(source, "bridgekit")
    local = needed.name(f"{shim}.adapters", "Retry", ("urllib3.util.retry", "urllib3.util"))
    for module, name, alias in needed.imports.values():
        draft.edits(source.path).add_import(module, name, alias)
    return local


def _root(node: ast.expr) -> ast.Name:
    while isinstance(node, ast.Attribute):
        node = node.value
    assert isinstance(node, ast.Name)
    return node


def _from_module(program: Program, source: SourceFile, node: ast.Attribute) -> list[str]:
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


def _names(shim: str) -> NameMove:
    def move(module: str, name: str) -> tuple[str, str] | None:
        if not _is_requests(f"{module}.{name}"):
            return None
        found = place(f"{module}.{name}")
        if found is None:
            return None
        return (f"{shim}.{found[0]}" if found[0] else shim, found[1])

    return move


def _modules(shim: str) -> ModuleMove:
    package, _, name = shim.rpartition(".")

    def move(module: str, aliased: bool) -> tuple[str, str] | None:
        if module.split(".")[0] != "requests":
            return None
        found = place(module)
        if aliased and found is not None:
            return (shim, found[1])
        return (package, name)

    return move
