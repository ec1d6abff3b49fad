"""BK212 no-expire-on-commit: sessions keep the values of their objects after a commit.

What: `expire_on_commit=False` is added where sessions are configured: `sessionmaker(...)`,
`Session(...)` called directly, and the `session_options` of Flask-SQLAlchemy's `SQLAlchemy(...)`.

Why: by default every attribute is expired by `commit()` and the next access sends a SELECT. From a
coroutine that access cannot wait, and raises. What changes: after a commit an object shows what
the session wrote and read, not what another transaction wrote since; `session.refresh(obj)` asks
anew.
Source: https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html#asyncio-orm-avoid-lazyloads
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from bridgekit_codemods.editing import nodes
from bridgekit_codemods.planning.steps import Finding, Step
from bridgekit_codemods.program.program import Program
from bridgekit_codemods.program.source import SourceFile
from bridgekit_codemods.rules.base import Draft, Options, Safety
from bridgekit_codemods.rules.keywords import with_keyword
from bridgekit_codemods.rules.sqlalchemy_names import extension_names, names_of

_FACTORIES = names_of("sessionmaker") | names_of("Session")
_EXTENSIONS = extension_names()
_OPTION = "expire_on_commit"
_OPTIONS = "session_options"
_KEY = "expire:no-expire-on-commit"


@dataclass(frozen=True)
class _Factory:
    source: SourceFile
    call: ast.Call

    extension: bool
    """Flask-SQLAlchemy's, which takes the options of its sessions in a mapping."""

    @property
    def options(self) -> ast.expr | None:
        """The mapping of the extension's options, if it is given."""
        return _keyword(self.call, _OPTIONS) if self.extension else None

    @property
    def option(self) -> ast.expr | None:
        match self.options:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == _OPTION:
                        return value
                return None
            case _:
                return None if self.extension else _keyword(self.call, _OPTION)

    @property
    def spread(self) -> bool:
        """Says whether the option may be among others that are not written out here."""
        if any(keyword.arg is None for keyword in self.call.keywords):
            return True
        match self.options:
            case None:
                return False
            case ast.Dict(keys=keys):
                return None in keys
            case _:
                return True


class SqlalchemyExpire:
    """BK212 no-expire-on-commit: add `expire_on_commit=False` where sessions are configured."""

    name = "no-expire-on-commit"
    code = "BK212"
    safety: Safety = "guarded"

    def propose(self, program: Program, options: Options, kept: frozenset[str]) -> Step | None:
        for of_tests, key in ((False, _KEY), (True, f"{_KEY}-in-tests")):
            if key not in kept:
                step = self._step(program, key, of_tests)
                if step is not None:
                    return step
        return None

    def _step(self, program: Program, key: str, of_tests: bool) -> Step | None:
        """Tests go by themselves: their own sessions may well count on reading anew."""
        draft = Draft(program)
        notes: list[Finding] = []
        members: list[str] = []
        for factory in _factories(program):
            source = factory.source
            if factory.option is not None or factory.spread or source.is_test is not of_tests:
                continue
            edit = _with_options if factory.extension else _with_option
            draft.edits(source.path).at("Call", source.span(factory.call), edit)
            members.append(f"{source.module}:{factory.call.lineno}")
            notes.append(
                Finding(
                    source.path, factory.call.lineno, self.code,
                    "after a commit, objects show the values that this session wrote or read, not "
                    "those that another transaction has written since",
                    "call session.refresh(obj) where the newest values matter",
                )
            )  # fmt: skip
        if not members:
            return None
        return Step(
            key=key,
            kind="expire",
            title="Keep the values of loaded objects after a commit"
            + (", in tests too" if of_tests else ""),
            members=tuple(members),
            changes=draft.changes(),
            findings=tuple(notes),
        )

    def findings(
        self, program: Program, options: Options, kept: frozenset[str]
    ) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                factory.source.path, factory.call.lineno, self.code,
                "expire_on_commit comes from unpacked options" if factory.option is None
                else "the session expires its objects at commit on purpose",
                f"pass {_OPTION}=False, and refresh objects where the newest values matter",
            )
            for factory in _factories(program)
            if (factory.option is None and factory.spread)
            or (factory.option is not None and not _is_false(factory.option))
        )  # fmt: skip


def _factories(program: Program) -> Iterator[_Factory]:
    for source in program.files.values():
        if source.tree is None:
            continue
        for node in source.of(ast.Call):
            if isinstance(node.func, ast.Name | ast.Attribute):
                made = program.resolve(source.path, node.func)
                if made in _FACTORIES or made in _EXTENSIONS:
                    yield _Factory(source, node, made in _EXTENSIONS)


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _with_option(call: cst.Call) -> cst.Call:
    return with_keyword(call, _OPTION, cst.Name("False"))


def _with_options(call: cst.Call) -> cst.Call:
    """`SQLAlchemy()` -> `SQLAlchemy(session_options={"expire_on_commit": False})`."""
    entry = cst.DictElement(key=cst.SimpleString(f'"{_OPTION}"'), value=cst.Name("False"))
    for index, arg in enumerate(call.args):
        if arg.keyword is None or arg.keyword.value != _OPTIONS:
            continue
        assert isinstance(arg.value, cst.Dict)
        elements = list(arg.value.elements)
        if elements:
            last = elements[-1]
            elements[-1] = last.with_changes(comma=nodes.COMMA)
            entry = entry.with_changes(comma=last.comma)
        args = list(call.args)
        args[index] = arg.with_changes(value=arg.value.with_changes(elements=[*elements, entry]))
        return call.with_changes(args=args)
    return with_keyword(call, _OPTIONS, cst.Dict([entry]))
