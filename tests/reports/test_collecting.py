"""What a report knows of a program."""

from __future__ import annotations

from collections.abc import Callable

from bridgekit_codemods.reports.model import Counts, Edge, FunctionNode, Report

Build = Callable[..., Report]


def function(report: Report, name: str) -> FunctionNode:
    return report.functions[report.index[name]]


def edge(report: Report, caller: str, callee: str) -> Edge:
    key = report.index[caller], report.index[callee]
    (found,) = [e for e in report.edges if (e.caller, e.callee) == key]
    return found


def test_functions_have_colours_and_tests_are_left_out(small: Report) -> None:
    assert small.program == "little-shop"
    assert small.counts == Counts(pure=2, blocking=6, native=0, bridges=0)
    assert not any(f.path.startswith("tests/") for f in small.functions)
    rate = function(small, "shop.rates.rate")
    assert (rate.colour, rate.effects, rate.line) == ("blocking", ("http",), 5)
    assert function(small, "shop.rates.patient").effects == ("http", "sleep")


def test_a_function_blocks_through_the_next_on_the_shortest_way(small: Report) -> None:
    names = [small.functions[n].name for n in small.reason(small.index["shop.views.price"])]
    assert names == ["shop.views.price", "shop.views.quote", "shop.rates.patient"]
    price = function(small, "shop.views.price")
    assert price.via_line == 9
    patient = function(small, "shop.rates.patient")
    assert patient.via is None
    (leaf,) = [small.leaves[n] for n in patient.leaves]
    assert (leaf.target, leaf.effect, leaf.line) == ("time.sleep", "sleep", 10)


def test_there_is_a_path_from_an_entry_point_to_each_function_that_blocks(small: Report) -> None:
    entry = small.index["shop.views.price"]
    ways = [[small.functions[n].name for n in p.functions] for p in small.paths_of[entry]]
    assert ways == [
        ["shop.views.price", "shop.views.quote", "shop.rates.patient"],
        ["shop.views.price", "shop.views.quote", "shop.rates.patient", "shop.rates.rate"],
    ]
    assert [p.lines for p in small.paths_of[entry]] == [(9, 18), (9, 18, 11)]
    assert small.index["shop.views.health"] not in small.paths_of


def test_calls_have_lines_and_say_whether_their_caller_waits(small: Report) -> None:
    assert edge(small, "shop.views.price", "shop.rates.pure").waits is False
    quote = edge(small, "shop.views.price", "shop.views.quote")
    assert (quote.line, quote.waits, quote.bridge) == (9, True, None)


def test_entry_points_reach_what_they_call(small: Report) -> None:
    assert [small.functions[n].name for n in small.entries] == [
        "shop.views.price",
        "shop.views.health",
        "shop.views.euro",
    ]
    assert function(small, "shop.rates.rate").entries == 2
    assert function(small, "shop.rates.Rates.euro").entries == 1
    assert function(small, "shop.rates.patient").entries == 1
    assert function(small, "shop.rates.rate").depth == 3


def test_hot_files_come_by_the_entry_points_that_wait_for_them(small: Report) -> None:
    assert [(f.path, f.entries, f.calls, f.blocking) for f in small.hot_files] == [
        ("shop/rates.py", 2, 2, 3),
        ("shop/views.py", 2, 0, 3),
    ]


def test_bridges_are_seen_and_facades_are_not_counted_twice(build: Build) -> None:
    report = build(
        {
            "app.py": b"""\
import time
from bridgekit import async_to_sync, to_thread


def slow():
    time.sleep(1)


async def work_async():
    await to_thread.run_sync(slow)
    await to_thread.run_sync(lambda: slow())


def work():
    return async_to_sync(work_async)()


def caller():
    work()
"""
        }
    )
    assert report.counts == Counts(pure=0, blocking=2, native=1, bridges=2)
    assert edge(report, "app.work_async", "app.slow").bridge == "thread"
    assert edge(report, "app.work_async", "app.slow").waits is False
    facade = edge(report, "app.work", "app.work_async")
    assert (facade.bridge, function(report, "app.work").is_facade) == ("loop", True)
    assert edge(report, "app.caller", "app.work").waits is True
    assert {leaf.kind for leaf in report.leaves} == {"call", "facade"}
    assert dict(report.effects) == {"sleep": 1}


def test_a_program_without_functions_has_a_report(build: Build) -> None:
    report = build({"empty.py": b"x = 1\n"})
    assert (report.functions, report.paths, report.counts) == ((), (), Counts())


def test_call_cycles_end(build: Build) -> None:
    report = build(
        {
            "app.py": b"""\
import time


def a():
    b()


def b():
    a()
    time.sleep(1)
"""
        }
    )
    assert [report.functions[n].name for n in report.reason(0)] == ["app.a", "app.b"]
    assert {(f.depth, f.height) for f in report.functions} == {(0, 0)}
