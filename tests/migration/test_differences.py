"""Which functions a step changes, told from the two forms of a file."""

from __future__ import annotations

import textwrap

import pytest

from bridgekit_codemods.migration.differences import Difference, difference, outline

BEFORE = """
    '''A module.'''
    import time
    from app import low

    LIMIT = 1

    def wait(seconds=LIMIT):
        time.sleep(seconds)

    class Shop:
        '''A shop.'''
        size = 2

        @property
        def price(self):
            return low.price()

    def make():
        shop = Shop()

        def view():
            return shop.price

        return view
"""


def changes(old: str, new: str) -> Difference:
    before = textwrap.dedent(BEFORE)
    assert old in before
    return difference(before.encode(), before.replace(old, new).encode())


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("time.sleep(seconds)", "time.sleep(1)", {"wait"}),
        ("seconds=LIMIT", "seconds=2", {"wait"}),
        ("def wait", "async def wait", {"wait"}),
        ("@property", "@cached", {"Shop.price"}),
        ("return shop.price", "return 1", {"make.<locals>.view"}),
        ("shop = Shop()", "shop = 1", {"make"}),
        ("def view", "async def view", {"make.<locals>.view"}),
        ("def price", "async def price", {"Shop.price"}),
        ("return low.price()", "return  low.price()  # the same", set()),
        ("'''A module.'''", "'''Another.'''", set()),
        ("'''A shop.'''", "'''Another.'''", set()),
    ],
)
def test_a_change_belongs_to_the_innermost_function(old: str, new: str, changed: set[str]) -> None:
    found = changes(old, new)
    assert found == Difference(frozenset(changed), frozenset(), elsewhere=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 1", "LIMIT = 2"),
        ("size = 2", "size = 3"),
        ("class Shop:", "class Shop(Base):"),
        ("LIMIT = 1\n", "LIMIT = 1\nstart()\n"),
        ("size = 2", "size = [lambda: 2]"),
    ],
)
def test_what_stands_outside_of_functions_is_told(old: str, new: str) -> None:
    assert changes(old, new).elsewhere


def test_a_new_import_concerns_those_that_use_its_name() -> None:
    found = changes("import time\n", "import time\nfrom bridgekit import Shop, other\n")
    assert found == Difference(frozenset({"make"}), frozenset(), elsewhere=False)


@pytest.mark.parametrize(
    ("old", "new"), [("import time\n", ""), ("import time", "import trio as time")]
)
def test_an_import_that_goes_concerns_all(old: str, new: str) -> None:
    everything = {"wait", "Shop.price", "make", "make.<locals>.view"}
    assert changes(old, new).changed == everything


def test_new_and_lost_functions_and_files() -> None:
    old, new = b"def f(): g()\ndef g(): pass\n", b"def f(): h()\ndef h(): pass\n"
    assert difference(old, new) == Difference(frozenset("fg"), frozenset("h"), False)
    assert difference(None, new) == Difference(frozenset(), frozenset("fh"), False)
    assert difference(old, None) == Difference(frozenset("fg"), frozenset(), False)


def test_every_definition_of_a_name_counts() -> None:
    old = b"if x:\n    def f(): return 1\nelse:\n    def f(): return 2\n"
    assert difference(old, old.replace(b"2", b"3")).changed == {"f"}


def test_lines_are_those_of_the_interpreter() -> None:
    found = outline(textwrap.dedent(BEFORE).encode())
    space: dict[str, object] = {"low": None}
    code = compile(textwrap.dedent(BEFORE), "x", "exec")
    seen = {}
    pending = [code]
    while pending:
        each = pending.pop()
        pending += [c for c in each.co_consts if hasattr(c, "co_qualname")]
        seen[each.co_firstlineno, each.co_name] = each.co_qualname
    assert space
    assert found.lines.items() <= seen.items()
    assert set(found.lines.values()) == set(found.functions)
