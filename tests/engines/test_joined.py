"""What is made of answers: they fill gaps, and never stand against the program's own resolution.

The answers are given by hand, so that no checker needs to be installed.
"""

from __future__ import annotations

import textwrap

import pytest

from bridgekit_codemods.engines import ENGINE_FILE, Answer, Answers
from bridgekit_codemods.program import CallSite, Program
from bridgekit_codemods.tracing.record import TRACE_FILE, Definition, Place, Trace


class Joined:
    """A program together with answers about calls, which are given by their text."""

    def __init__(
        self,
        sources: dict[str, str],
        answers: dict[str, tuple[str, ...]],
        elsewhere: tuple[str, ...] = (),
    ) -> None:
        data = {path: textwrap.dedent(text).encode() for path, text in sources.items()}
        plain = Program.load(data)
        defined = {name: (f.path, f.node.lineno, f.name) for name, f in plain.functions.items()}
        defined |= {name: (c.path, c.node.lineno, c.name) for name, c in plain.classes.items()}
        calls = {}
        for text in {**answers, **dict.fromkeys(elsewhere, ())}:
            functions = frozenset(Definition(*defined[name]) for name in answers.get(text, ()))
            calls[place(site_of(plain, text))] = Answer(functions, text in elsewhere)
        record = Answers("checker 1.0", {}, calls).dump(data).encode()
        self.program = Program.load({**data, ENGINE_FILE: record})

    def targets(self, text: str) -> dict[str, str]:
        return {t.function.qualname: t.grade for t in self.site(text).targets}

    def site(self, text: str) -> CallSite:
        return site_of(self.program, text)

    def disputed(self) -> dict[str, list[str]]:
        return {
            text_of(self.program, site): [f.qualname for f in functions]
            for site, functions in self.program.disputed.items()
        }


def place(site: CallSite) -> Place:
    return Place(
        site.path, site.span.line, site.span.col, site.span.end_line, site.span.end_col
    )  # the texts are ASCII


def text_of(program: Program, site: CallSite) -> str:
    line = program.files[site.path].lines[site.span.line - 1]
    return line[site.span.col : site.span.end_col]


def site_of(program: Program, text: str) -> CallSite:
    (found,) = [s for s in program.calls if s.kind == "call" and text_of(program, s) == text]
    return found


def test_an_unknown_call_gets_the_answer_as_its_targets() -> None:
    source = "from elsewhere import make\nclass A:\n    def go(self): ...\nmake().go()\n"
    assert Joined({"a.py": source}, {}).targets("make().go()") == {}
    joined = Joined({"a.py": source}, {"make().go()": ("a.A.go",)})
    assert joined.targets("make().go()") == {"a.A.go": "engine"}
    site = joined.site("make().go()")
    assert joined.program.evidence(site, site.targets[0]) == "checker 1.0 says so"
    assert joined.program.engine == "checker 1.0"
    assert joined.disputed() == {}


FAMILY = """
    from elsewhere import make

    class Base:
        def send(self): ...

    class Mail(Base):
        def __init__(self): ...
        def send(self): ...

    class Post(Base):
        def send(self): ...

    class Bulk(Mail):
        def __init__(self): ...

    def run():
        make().send()
        make().Mail()

    class Fax(Base):
        def send(self):
            super(make(), self).send()
"""


def test_an_answer_stands_for_the_whole_family_of_a_method() -> None:
    joined = Joined({"a.py": FAMILY}, {"make().send()": ("a.Mail.send",)})
    assert joined.targets("make().send()") == dict.fromkeys(
        ("a.Mail.send", "a.Base.send", "a.Fax.send", "a.Post.send"), "engine"
    )


def test_a_call_of_super_stays_at_the_method_that_was_named() -> None:
    call = "super(make(), self).send()"
    joined = Joined({"a.py": FAMILY}, {call: ("a.Base.send",)})
    assert joined.targets(call) == {"a.Base.send": "engine"}


def test_with_several_bases_super_may_go_to_a_sibling() -> None:
    source = """
        from elsewhere import Hidden

        class Base(Hidden):
            def send(self): ...

        class One(Base):
            def send(self):
                super().send()

        class Two(Base):
            def send(self): ...

        class Both(One, Two): ...
    """
    joined = Joined({"a.py": source}, {})
    assert set(joined.targets("super().send()")) >= {"a.Base.send"}
    unknown = source.replace("super()", "super(make(), self)")
    call = "super(make(), self).send()"
    joined = Joined({"a.py": unknown}, {call: ("a.Base.send",)})
    assert joined.targets(call) == {"a.Base.send": "engine", "a.Two.send": "engine"}


def test_a_class_stands_for_what_makes_its_instances_and_those_of_subclasses() -> None:
    joined = Joined({"a.py": FAMILY}, {"make().Mail()": ("a.Mail",)})
    assert joined.targets("make().Mail()") == {
        "a.Mail.__init__": "engine",
        "a.Bulk.__init__": "engine",
    }


GUESSES = """
    from elsewhere import make

    class A:
        def go(self): ...

    class B:
        def go(self): ...

    def one(flag):
        thing = A() if flag else make()
        thing.go()
"""


def test_a_guess_that_is_confirmed_is_one_no_longer() -> None:
    assert Joined({"a.py": GUESSES}, {}).targets("thing.go()") == {"a.A.go": "guess"}
    joined = Joined({"a.py": GUESSES}, {"thing.go()": ("a.A.go",)})
    assert joined.targets("thing.go()") == {"a.A.go": "engine"}


def test_a_guess_that_the_answer_leaves_out_stays_a_guess_and_is_disputed() -> None:
    joined = Joined({"a.py": GUESSES}, {"thing.go()": ("a.B.go",)})
    assert joined.targets("thing.go()") == {"a.A.go": "guess"}
    assert joined.disputed() == {"thing.go()": ["a.B.go"]}


def test_a_call_that_may_reach_a_library_too_is_not_taken_for_known() -> None:
    joined = Joined({"a.py": GUESSES}, {"thing.go()": ("a.A.go",)}, elsewhere=("thing.go()",))
    assert joined.targets("thing.go()") == {"a.A.go": "guess"}


KNOWN = """
    import requests

    class A:
        def go(self): ...

    class B(A):
        def go(self): ...

    class C:
        def go(self): ...

    def run():
        A().go()
        requests.get("/")

    def get(): ...
"""


@pytest.mark.parametrize(
    ("call", "answer", "own"),
    [("A().go()", "a.C.go", {"a.A.go": "method", "a.B.go": "override"}),
     ('requests.get("/")', "a.get", {})],
    ids=["targets", "a library"],
)  # fmt: skip
def test_what_is_known_stands_and_the_difference_is_listed(
    call: str, answer: str, own: dict[str, str]
) -> None:
    joined = Joined({"a.py": KNOWN}, {call: (answer,)})
    plain = Joined({"a.py": KNOWN}, {})
    assert joined.targets(call) == plain.targets(call)
    assert set(joined.targets(call)) <= set(own)
    assert joined.site(call).externals == plain.site(call).externals
    assert joined.disputed() == {call: [answer]}


def test_a_library_where_the_program_is_known_to_be_called_is_disputed() -> None:
    joined = Joined({"a.py": KNOWN}, {}, elsewhere=("A().go()",))
    assert joined.disputed() == {"A().go()": []}
    assert joined.targets("A().go()")["a.A.go"] == "method"


def test_an_answer_that_agrees_changes_nothing() -> None:
    joined = Joined({"a.py": KNOWN}, {"A().go()": ("a.A.go",)})
    assert joined.targets("A().go()")["a.A.go"] == "method"
    assert joined.disputed() == {}


def test_a_function_under_another_name_is_no_answer() -> None:
    source = """
        from elsewhere import make

        def first(): ...

        def run():
            for call in make():
                call()
    """
    joined = Joined({"a.py": source}, {"call()": ("a.first",)})
    assert joined.targets("call()") == {}
    assert joined.disputed() == {}


def test_what_a_test_puts_in_place_is_no_part_of_the_program() -> None:
    sources = {
        "a.py": "from elsewhere import make\ndef run():\n    make().go()\n",
        "tests/test_a.py": "class Fake:\n    def go(self): ...\n",
    }
    joined = Joined(sources, {"make().go()": ("test_a.Fake.go",)})
    assert joined.targets("make().go()") == {}


def test_an_overload_stands_for_the_function_behind_it() -> None:
    source = """
        from typing import overload
        from elsewhere import make

        class A:
            @overload
            def go(self, x: int) -> int: ...
            @overload
            def go(self, x: str) -> str: ...
            def go(self, x):
                return x

        make().go()
    """
    joined = Joined({"a.py": source}, {"make().go()": ("a.A.go",)})
    (target,) = joined.site("make().go()").targets
    last = max(f.node.lineno for f in joined.program.functions.values())
    assert target.function.node.lineno == last


def test_a_trace_comes_first() -> None:
    source = "from elsewhere import make\nclass A:\n    def go(self): ...\nmake().go()\n"
    data = {"a.py": source.encode()}
    (site,) = [s for s in Program.load(data).calls if s.name == "go"]
    seen, go = Trace("pytest", "3.12"), Definition("a.py", 3, "A.go")
    seen.executed.add(go)
    seen.calls[place(site)] = {go}
    answers = Answers("checker", {}, {place(site): Answer(frozenset({go._replace(name="go")}))})
    program = Program.load(
        {
            **data,
            TRACE_FILE: seen.dump(data).encode(),
            ENGINE_FILE: answers.dump(data).encode(),
        }
    )
    (site,) = [s for s in program.calls if s.name == "go"]
    assert [(t.function.qualname, t.grade) for t in site.targets] == [("a.A.go", "traced")]
