"""Assignments that wait: no thread can make them for the function."""

from __future__ import annotations

import pytest

from bridgekit_codemods.planning.colours import Colours
from bridgekit_codemods.planning.obstacles import Obstacles
from bridgekit_codemods.program import Program

SOURCE = """
import time, requests
class Stored:
    def __get__(self, order, owner): return time.sleep(READ)
    def __set__(self, order, value): time.sleep(SET)
    def __delete__(self, order): time.sleep(SET)
class Order:
    @property
    def total(self): return time.sleep(READ)
    @total.setter
    def total(self, value): time.sleep(SET)
    stored = Stored()
    def __init__(self): self.plain = 1
def use(order: Order):
    STATEMENT
    return requests.get("http://localhost/")
"""


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("order.total = 3", ["BK324"]),
        ("order.total += 3", ["BK324"]),
        ("order.stored = 3", ["BK324"]),
        ("del order.stored", ["BK324"]),
        ("order.plain = 3", []),
        ("print(order.total)", []),
        ("print(order.stored)", []),
    ],
)
def test_a_function_whose_assignment_waits_stays_sync(statement: str, found: list[str]) -> None:
    source = SOURCE.replace("STATEMENT", statement).replace("READ", "1").replace("SET", "1")
    program = Program.load({"m.py": source.encode()})
    findings = Obstacles(program.derived(Colours)).of(program.functions["m.use"])
    assert [finding.code for finding in findings] == found


@pytest.mark.parametrize("statement", ["order.total = 3", "order.stored = 3", "del order.stored"])
def test_an_assignment_that_does_not_wait_is_no_obstacle(statement: str) -> None:
    source = SOURCE.replace("STATEMENT", statement).replace("time.sleep(SET)", "None")
    program = Program.load({"m.py": source.replace("READ", "1").encode()})
    assert Obstacles(program.derived(Colours)).of(program.functions["m.use"]) == ()
