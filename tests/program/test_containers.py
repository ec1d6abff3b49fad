"""Registries and lists: what goes into a container comes out of it."""

from __future__ import annotations

from typing import Any


def test_a_registry_filled_from_another_module(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": "",
            "app/kinds.py": """
                class Plain:
                    @classmethod
                    def read(cls): ...

                KINDS = {"plain": Plain}

                def kind(name):
                    return KINDS.get(name)
            """,
            "app/rich.py": """
                from app import kinds
                from app.kinds import KINDS

                class Rich:
                    @classmethod
                    def read(cls): ...

                class Richer(Rich):
                    @classmethod
                    def read(cls): ...

                def load():
                    KINDS["rich"] = Rich
                    kinds.KINDS["richer"] = Richer
            """,
            "app/use.py": """
                from app.kinds import KINDS, kind

                def use(name):
                    kind(name).read()
                    KINDS[name].read()
            """,
        }
    )
    found = {"app.kinds.Plain.read", "app.rich.Rich.read", "app.rich.Richer.read"}
    for text in ("kind(name).read()", "KINDS[name].read()"):
        targets = loaded.targets(text)
        assert set(targets) == found, text
        assert "guess" not in targets.values()


def test_a_registry_that_a_decorator_fills(build: Any) -> None:
    loaded = build(
        """
        HANDLERS = {}

        def handles(name):
            def keep(function):
                HANDLERS[name] = function
                return function
            return keep

        @handles("a")
        def first(): ...

        @handles("b")
        def second(): ...

        def dispatch(name):
            return HANDLERS[name]()
        """
    )
    assert loaded.targets("HANDLERS[name]()") == {"m.first": "exact", "m.second": "exact"}


def test_lists_and_attributes(build: Any) -> None:
    loaded = build(
        """
        class Row:
            def save(self): ...

        class Table:
            def __init__(self):
                self.rows = []
                self.hooks: dict[str, object] = {}

            def add(self):
                self.rows.append(Row())
                self.hooks["saved"] = self.saved

            def saved(self): ...

            def store(self):
                for row in self.rows:
                    row.save()
                self.hooks["saved"]()

        def local():
            found = []
            for _ in range(3):
                found.append(Row())
            found[0].save()
        """
    )
    assert loaded.targets("row.save()") == {"m.Row.save": "method"}
    assert loaded.targets("found[0].save()") == {"m.Row.save": "method"}
    assert loaded.targets('self.hooks["saved"]()') == {"m.Table.saved": "method"}


def test_what_is_merged_in_leaves_a_doubt(build: Any) -> None:
    loaded = build(
        """
        def plain(): ...

        KNOWN = {"plain": plain}
        MERGED = {"plain": plain}

        def extend(more):
            MERGED.update(more)

        def use(name):
            KNOWN[name]()
            MERGED[name]()
        """
    )
    assert loaded.targets("KNOWN[name]()") == {"m.plain": "exact"}
    assert loaded.targets("MERGED[name]()") == {"m.plain": "guess"}


def test_what_tests_put_in_does_not_count(build: Any) -> None:
    loaded = build(
        {
            "app.py": """
                def plain(): ...
                KNOWN = {"plain": plain}
                def use(name):
                    return KNOWN[name]()
            """,
            "tests/test_app.py": """
                import app
                def fake(): ...
                def test_use():
                    app.KNOWN["fake"] = fake
                    app.use("fake")
            """,
        }
    )
    assert loaded.targets("KNOWN[name]()") == {"app.plain": "exact"}


def test_a_library_mapping_that_is_filled_later(build: Any) -> None:
    loaded = build(
        """
        from requests.structures import CaseInsensitiveDict

        class Module:
            def start(self): ...

        class Hub:
            def __init__(self):
                self.modules = CaseInsensitiveDict({})

            def add(self, name):
                self.modules[name] = Module()
                self.modules[name].start()
        """
    )
    assert loaded.targets("self.modules[name].start()") == {"m.Module.start": "method"}
