"""Queries with loader options of their own send after the eager step what they sent before."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from bridgekit_codemods.program.program import Program
from bridgekit_codemods.rules.base import Options
from bridgekit_codemods.rules.sqlalchemy_eager import SqlalchemyEager

MODELS = """\
    from sqlalchemy import ForeignKey
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship


    class Base(DeclarativeBase):
        pass


    class Owner(Base):
        __tablename__ = "owner"
        id: Mapped[int] = mapped_column(primary_key=True)
        pets: Mapped[list["Pet"]] = relationship(back_populates="owner")


    class Pet(Base):
        __tablename__ = "pet"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id"))
        owner: Mapped["Owner"] = relationship(back_populates="pets")
        visits: Mapped[list["Visit"]] = relationship()


    class Visit(Base):
        __tablename__ = "visit"
        id: Mapped[int] = mapped_column(primary_key=True)
        pet_id: Mapped[int] = mapped_column(ForeignKey("pet.id"))


    def find(session: Session, pet_id: int) -> Pet:
        return session.get(Pet, pet_id, options=[joinedload(Pet.owner)])


    def history(session: Session, pet_id: int):
        pet: Pet = session.get(Pet, pet_id)
        return [visit.id for visit in pet.visits]
"""  # noqa: E501
USES_OWNER = """\


    def card(session: Session):
        return find(session, 1).owner.id
"""


def after_step(source: str) -> str:
    sources = {"models.py": dedent(source).encode()}
    step = SqlalchemyEager().propose(Program.load(sources), Options(), frozenset())
    assert step is not None
    data = step.changes["models.py"]
    assert data is not None
    return data.decode()


def statements(source: str) -> int:
    """How many statements `card` sends on a database with one pet."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "models.py", "exec", dont_inherit=True), namespace)
    engine = create_engine("sqlite://")
    namespace["Base"].metadata.create_all(engine)
    with namespace["Session"](engine) as session:
        pet = namespace["Pet"](id=1, owner=namespace["Owner"](id=1))
        session.add_all([pet, namespace["Visit"](id=1, pet_id=1)])
        session.commit()
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    with namespace["Session"](engine) as session:
        assert namespace["card"](session) == 1
    engine.dispose()
    return len(sent)


def test_the_query_loads_what_it_names_and_no_more() -> None:
    before = dedent(MODELS + USES_OWNER)
    after = after_step(MODELS + USES_OWNER)
    assert after.count('lazy="selectin"') == 2
    assert 'options=[joinedload(Pet.owner), lazyload("*")]' in after
    assert statements(before) == statements(after) == 1
    assert statements(after.replace(', lazyload("*")', "")) > 1


@pytest.mark.parametrize(
    "use",
    [
        "\n\n    def card(session: Session):\n        return len(find(session, 1).visits)\n",
        "\n\n    def card(session: Session):\n        return count(find(session, 1))\n\n\n"
        "    def count(pet):\n        return len(pet.visits)\n",
        "\n\n    def card(session: Session):\n        return find(session, 1).owner.pets\n",
        "\n\n    from flask import render_template\n\n\n    def card(session: Session):\n"
        '        return render_template("card.html", pet=find(session, 1))\n',
    ],
)
def test_where_more_may_be_read_the_query_is_not_touched(use: str) -> None:
    assert "lazyload" not in after_step(MODELS + use)


def test_options_that_are_not_all_known_are_not_touched() -> None:
    source = MODELS.replace("joinedload(Pet.owner)]", "joinedload(Pet.owner), mine()]")
    assert "lazyload" not in after_step(source + USES_OWNER)
