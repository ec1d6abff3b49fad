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

import libcst as cst

from bridgekit_codemods.editing import Edit
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.bindings import Needed
from bridgekit_codemods.rules.dependencies import changed_dependencies, project_files
from bridgekit_codemods.rules.moves import ModuleMove, NameMove, move_imports, replaced_by
from bridgekit_codemods.rules.requests_blockers import (
    blockers,
    from_module,
    imported,
    imports,
    is_requests,
)
from bridgekit_codemods.rules.requests_names import SHIMS, place, place_elsewhere

_ADDED = ("httpx>=0.28,<1", "aiohttp>=3.11")
_URLLIB3 = "urllib3>=1.26"  # which came along with requests
_ADDED_HTTPX2 = ("httpx2>=2.10", "aiohttp>=3.11")


class RequestsClient:
    """BK201 requests-to-httpx: move a program from requests to the shim, all modules at once."""

    name = "requests-to-httpx"
    code = "BK201"
    safety: Safety = "guarded"
    key = "http-client:requests"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        users = _users(program)
        if not users or self.key in kept or any(blockers(program)):
            return None
        shim = SHIMS[options.client]
        draft = Draft(program)
        for source in users:
            move_imports(source, draft.edits(source.path), _names(shim), _modules(shim))
            self._chains(program, source, draft, shim)
        self._patches(program, draft, shim)
        added = list(_ADDED if options.client == "httpx" else _ADDED_HTTPX2)
        if _uses_urllib3(program):
            added.append(_URLLIB3)
        settings = changed_dependencies(project_files(program), added, ["requests"])
        return Step(
            key=self.key,
            kind="http-client",
            title=f"Send HTTP through {options.client} with the behaviour of requests",
            members=tuple(source.module for source in users),
            changes=draft.changes(settings),
            findings=(_agent(users[0]),),
            milestone=True,
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        if not _users(program):
            return ()
        return tuple(sorted(set(blockers(program)), key=lambda f: (f.path, f.line)))

    def _chains(self, program: Program, source: SourceFile, draft: Draft, shim: str) -> None:
        """Attribute chains whose place in the shim differs: `requests.api.get`."""
        assert source.tree is not None
        edits = draft.edits(source.path)
        for node in source.of(ast.Attribute):
            parts = from_module(program, source, node)
            other = place_elsewhere(".".join(parts)) if parts else None
            if other is not None:
                local = local_name(source, draft, *other)
                edits.at("Attribute", source.span(node), replaced_by(local))
                continue
            found = place(".".join(parts)) if parts else None
            if found is None or "." in found[1]:
                continue
            local = _root(node).id
            wanted = [local, *([found[0]] if found[0] else []), found[1]]
            if parts[0] == "urllib3":
                retries = ("urllib3.util.retry", "urllib3.util")
                wanted = [local_name(source, draft, f"{shim}.adapters", "Retry", retries)]
            elif wanted[1:] == parts[1:]:
                continue
            edits.at("Attribute", source.span(node), replaced_by(".".join(wanted)))

    def _patches(self, program: Program, draft: Draft, shim: str) -> None:
        for patch in program.patches:
            literal = patch.node.args[0] if patch.node.args else None
            match literal:
                case ast.Constant(value=str(text)) if is_requests(text):
                    found = place(text)
                case _:
                    continue
            if found is None:
                continue
            target = ".".join(part for part in (shim, *found) if part)
            draft.edits(patch.path).at(
                "SimpleString", program.files[patch.path].span(literal), _retargeted(text, target)
            )


def _agent(source: SourceFile) -> Finding:
    node = next(
        node
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        if any(is_requests(f"{module}.{name or ''}") for module, name in imported(node))
    )
    return Finding(
        source.path,
        node.lineno,
        RequestsClient.code,
        "requests without a User-Agent of their own are sent as bridgekit-requests, no longer as "
        "python-requests",
        "set the header on the session where a server goes by it",
    )


def _uses_urllib3(program: Program) -> bool:
    """Says whether urllib3 is still imported by anything that is no test after the step."""
    return any(
        (module.split(".")[0] == "urllib3" or module.startswith("requests.packages.urllib3"))
        and name != "Retry"
        for source in program.files.values()
        if source.tree is not None and not source.is_test
        for node in (*source.of(ast.Import), *source.of(ast.ImportFrom))
        for module, name in imported(node)
    )


def _retargeted(old: str, new: str) -> Edit:
    def edit(node: cst.SimpleString) -> cst.SimpleString:
        return node.with_changes(value=node.value.replace(old, new))

    return edit


def _users(program: Program) -> list[SourceFile]:
    """The files that import requests, or urllib3's `Retry` for it; none without the former."""
    sources = [source for source in program.files.values() if source.tree is not None]
    users = [source for source in sources if imports(source, retry=True)]
    return users if any(imports(source, retry=False) for source in users) else []


def local_name(
    source: SourceFile, draft: Draft, module: str, name: str, also: tuple[str, ...] = ()
) -> str:
    """The local name of `module.name`, imported where it was not."""
    needed = Needed(source, "bridgekit")
    local = needed.name(module, name, also)
    for home, what, alias in needed.imports.values():
        draft.edits(source.path).add_import(home, what, alias)
    return local


def _root(node: ast.expr) -> ast.Name:
    while isinstance(node, ast.Attribute):
        node = node.value
    assert isinstance(node, ast.Name)
    return node


def _names(shim: str) -> NameMove:
    def move(module: str, name: str) -> tuple[str, str] | None:
        if not is_requests(f"{module}.{name}"):
            return None
        other = place_elsewhere(f"{module}.{name}")
        if other is not None:
            return other
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
