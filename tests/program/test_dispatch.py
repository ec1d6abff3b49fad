"""Functions that argparse hands out: `parser.set_defaults(func=run)`, then `args.func(args)`."""

from __future__ import annotations

from typing import Any

import pytest


def test_each_subcommand_of_a_parser_may_be_called(build: Any) -> None:
    loaded = build(
        """
        import argparse

        def attack(args): ...
        def search(args): ...

        def main():
            parser = argparse.ArgumentParser()
            commands = parser.add_subparsers()
            one = commands.add_parser("attack")
            one.set_defaults(func=attack, level=3)
            commands.add_parser("search").set_defaults(func=search)
            args = parser.parse_args()
            args.func(args)
        """
    )
    assert set(loaded.targets("args.func(args)")) == {"m.attack", "m.search"}


def test_a_parser_that_another_module_is_given(build: Any) -> None:
    loaded = build(
        {
            "app/__init__.py": "",
            "app/commands.py": """
                def serve(args): ...

                def register(parser):
                    parser.set_defaults(run=serve)
            """,
            "app/main.py": """
                from argparse import ArgumentParser
                from app.commands import register

                def main():
                    parser = ArgumentParser()
                    register(parser)
                    args, rest = parser.parse_known_args()
                    return args.run(args)
            """,
        }
    )
    assert set(loaded.targets("args.run(args)")) == {"app.commands.serve"}


@pytest.mark.parametrize(
    ("receiver", "defaults"),
    [("Options()", "func=run"), ("argparse.ArgumentParser()", "level=3")],
    ids=["another class", "another attribute"],
)
def test_nothing_else_is_taken_for_it(build: Any, receiver: str, defaults: str) -> None:
    loaded = build(
        f"""
        import argparse

        class Options:
            def set_defaults(self, **values): ...

        def run(args): ...

        def main():
            {receiver}.set_defaults({defaults})
            args = argparse.ArgumentParser().parse_args()
            args.func(args)
        """
    )
    assert loaded.targets("args.func(args)") == {}
