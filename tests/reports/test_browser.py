"""The page in a real browser, with a program of 5,000 functions.

Needs a Chromium: the one on PATH, or the one that BRIDGEKIT_CHROMIUM names.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridgekit_codemods.reports import html
from bridgekit_codemods.reports.model import Counts, Report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, helper: Any) -> Iterator[Any]:
    program = helper("browser").find_chromium()
    if program is None:
        pytest.skip("no Chromium on PATH (set BRIDGEKIT_CHROMIUM to name one)")
    with helper("browser").Browser(program, tmp_path_factory.mktemp("chromium") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def page(big: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.write(big), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, page: str) -> Any:
    browser.errors.clear()
    browser.prefer("light")
    browser.open(page)
    browser.place("#stage")
    browser.settle()
    return browser


def graph(browser: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        browser.evaluate("JSON.stringify(document.getElementById('graph').dataset)")
    )
    return found


def text(browser: Any, selector: str) -> str:
    return str(browser.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_the_page_loads_without_errors_and_asks_for_nothing_else(opened: Any, page: str) -> None:
    assert opened.errors == []
    assert opened.requests == [page]
    assert graph(opened)["level"] == "packages"
    assert text(opened, "#filters [role=status]") == "5000 functions"


def test_search_finds_a_function_and_shows_it(opened: Any) -> None:
    before = float(graph(opened)["zoom"])
    opened.press("/")
    assert opened.evaluate("document.activeElement.id") == "search"
    opened.type("area07 services_17")
    opened.wait("document.querySelectorAll('#found [role=option]').length === 1")
    assert opened.evaluate("document.getElementById('search').ariaExpanded") == "true"
    opened.press("Enter")
    opened.settle()
    now = graph(opened)
    assert now["selected"] == "shop.area07.services.part1.services_17"
    assert now["level"] == "functions"
    assert float(now["zoom"]) > before
    assert opened.evaluate("document.activeElement.id") == "graph"
    assert text(opened, "#details h3") == "services_17"
    shown = text(opened, "#details")
    assert "Blocks because" in shown
    assert "requests.get" in shown
    assert "Called by" in shown
    assert opened.evaluate("location.hash").endswith("services_17")
    assert opened.errors == []


def test_arrow_keys_choose_among_what_was_found(opened: Any) -> None:
    opened.click("#search")
    opened.type("services_1")
    opened.wait("document.querySelectorAll('#found [role=option]').length === 12")
    opened.press("ArrowDown")
    opened.press("ArrowDown")
    chosen = opened.evaluate(
        "document.getElementById('search').getAttribute('aria-activedescendant')"
    )
    assert chosen == "found-2"
    name = text(opened, "#found-2 b")
    opened.press("Enter")
    opened.wait(f"document.querySelector('#details h3').textContent === {json.dumps(name)}")
    opened.click("#search")
    opened.type("nothing_of_that_name")
    opened.wait("document.getElementById('found').textContent.includes('no function')")
    opened.press("Escape")
    assert opened.evaluate("document.getElementById('found').hidden") is True


def test_the_wheel_zooms_from_packages_to_functions(opened: Any) -> None:
    x, y = opened.place("#graph")
    levels = [graph(opened)["level"]]
    zooms = [float(graph(opened)["zoom"])]
    for _ in range(8):
        opened.wheel(x, y, -240)
        opened.settle()
        levels.append(graph(opened)["level"])
        zooms.append(float(graph(opened)["zoom"]))
    assert zooms == sorted(zooms)
    assert list(dict.fromkeys(levels)) == ["packages", "modules", "functions"]
    opened.click('[data-zoom-by="fit"]')
    opened.settle()
    assert graph(opened)["level"] == "packages"


def test_a_drag_moves_and_does_not_select(opened: Any) -> None:
    x, y = opened.place("#graph")
    opened.click('[data-zoom-by="in"]')
    opened.settle()
    before = int(graph(opened)["frames"])
    opened.drag((x, y), (x + 150, y + 60))
    opened.settle()
    assert int(graph(opened)["frames"]) > before
    assert graph(opened)["selected"] == ""


def test_keys_move_zoom_and_let_go(opened: Any) -> None:
    opened.click("#search")
    opened.type("area03 views_5")
    opened.wait("document.querySelector('#found [role=option]')")
    opened.press("Enter")
    opened.settle()
    zoom = float(graph(opened)["zoom"])
    opened.press("+")
    opened.press("ArrowLeft")
    opened.settle()
    assert float(graph(opened)["zoom"]) > zoom
    opened.press("Escape")
    opened.wait("document.getElementById('graph').dataset.selected === ''")
    opened.press("0")
    opened.settle()
    assert graph(opened)["level"] == "packages"


def test_a_click_on_a_package_goes_there_and_on_a_function_selects_it(opened: Any) -> None:
    opened.click("#search")
    opened.type("area12 domain_8")
    opened.wait("document.querySelector('#found [role=option]')")
    opened.press("Enter")
    opened.settle()
    assert graph(opened)["selected"].endswith("domain_8")
    x, y = opened.place("#graph")
    opened.press("Escape")
    opened.wait("document.getElementById('graph').dataset.selected === ''")
    # The function that was selected stands in the middle of what the legend leaves free.
    opened.click_at(x, y - 13)
    opened.wait("document.getElementById('graph').dataset.selected.endsWith('domain_8')")
    assert text(opened, "#details h3") == "domain_8"
    opened.press("0")
    opened.settle()
    box = opened.evaluate(
        """(() => {
            const box = document.getElementById("graph").getBoundingClientRect();
            return [box.left, box.top, box.width, box.height];
        })()"""
    )
    for row in range(2, 9):  # some row of packages is hit
        opened.click_at(box[0] + box[2] * 0.07, box[1] + box[3] * row / 10)
        opened.settle()
        if graph(opened)["level"] != "packages":
            break
    assert graph(opened)["level"] == "functions"


def test_filters_by_package_and_colour_hold_for_graph_and_table(opened: Any) -> None:
    opened.evaluate(
        """(() => {
            const select = document.querySelector("#filters select");
            const wanted = (option) => option.text.startsWith("shop.area04.clients");
            select.value = [...select.options].find(wanted).value;
            select.dispatchEvent(new Event("change", { bubbles: true }));
        })()"""
    )
    opened.settle()
    assert text(opened, "#filters [role=status]") == "40 of 5000 functions"
    assert graph(opened)["level"] == "functions"
    opened.click("#filters label:nth-of-type(2) input")
    opened.click("#filters label:nth-of-type(3) input")
    opened.wait("document.querySelector('#filters [role=status]').textContent.startsWith('4 of')")
    opened.click("#tab-table")
    rows = "document.querySelectorAll('#table tbody tr')"
    assert opened.evaluate(f"{rows}.length") == 4
    assert opened.evaluate(f"[...{rows}].every((r) => r.textContent.includes('native'))") is True
    opened.click("#filters button[type=reset]")
    opened.wait("document.querySelector('#filters [role=status]').textContent === '5000 functions'")
    assert opened.evaluate(f"{rows}.length") == 50
    assert opened.errors == []


def test_the_table_sorts_and_turns_pages(opened: Any) -> None:
    opened.click("#tab-table")
    opened.click("#table thead th:nth-child(1) button")
    assert opened.evaluate("document.querySelector('#table th').ariaSort") == "ascending"
    first = text(opened, "#table tbody th button")
    opened.click("#table .pager button:nth-of-type(2)")
    assert "page 2 of 100" in text(opened, "#table .pager")
    assert text(opened, "#table tbody th button") != first
    opened.click("#table tbody tr:nth-child(3) th button")
    name = text(opened, "#table tbody tr:nth-child(3) th button")
    assert text(opened, "#details h3") == name.removeprefix("▸ ")


def test_the_ways_of_an_entry_point_are_listed_when_it_is_opened(opened: Any, big: Report) -> None:
    entry, paths = next(iter(big.paths_of.items()))
    opened.click(f'details[data-entry="{entry}"] summary')
    opened.wait(f"document.querySelector('details[data-entry=\"{entry}\"] .ways')")
    items = f"document.querySelectorAll('details[data-entry=\"{entry}\"] .ways > li')"
    assert opened.evaluate(f"{items}.length") == len(paths)
    hops = opened.evaluate(f"[...{items}].map((li) => li.querySelectorAll('button').length)")
    assert hops == [len(path.functions) for path in paths]


ZOOM = """(async () => {
    const graph = document.getElementById("graph"), box = graph.getBoundingClientRect();
    const context = graph.getContext("2d"), times = [];
    const place = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    for (let n = 0; n < 90; n++) {
        const options = { deltaY: n < 45 ? -60 : 60, cancelable: true, ...place };
        graph.dispatchEvent(new WheelEvent("wheel", options));
        await new Promise((done) => requestAnimationFrame(done));
        const before = performance.now();
        context.getImageData(0, 0, 1, 1);
        times.push([graph.dataset.level, Number(graph.dataset.frame) + performance.now() - before]);
    }
    return times;
})()"""


def test_frames_are_short(opened: Any) -> None:
    """From the whole program down to a function and back, with a processor that draws the pixels:
    reading one waits until all are there."""
    answer = opened.send("Runtime.evaluate", expression=ZOOM, awaitPromise=True, returnByValue=True)
    frames = answer["result"]["value"]
    assert {level for level, _ in frames} == {"packages", "modules", "functions"}
    times = sorted(time for _, time in frames)
    print(f"frame: median {statistics.median(times):.1f} ms, 90% {times[80]:.1f} ms")
    assert statistics.median(times) < 16


def test_light_and_dark_differ_and_the_button_switches(opened: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(colour)
    opened.click("#theme")
    dark = opened.evaluate(colour)
    assert dark != light
    opened.prefer("dark")
    opened.click("#theme")
    assert opened.evaluate(colour) == light


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    opened.pdf(path)
    assert path.read_bytes().startswith(b"%PDF")
    opened.settle()
    assert opened.errors == []
    assert opened.evaluate("'printing' in document.documentElement.dataset") is False


def test_hostile_names_stay_text(browser: Any, hostile: Report, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html.write(hostile), encoding="utf-8", errors="replace")
    browser.errors.clear()
    browser.open(path.as_uri())
    browser.settle()
    browser.click("#search")
    browser.type("script")
    browser.wait("document.querySelector('#found [role=option]')")
    browser.press("Enter")
    browser.wait("document.querySelector('#details h3').textContent.includes('</script>')")
    browser.click("details[data-entry] summary")
    browser.wait("document.querySelector('.ways')")
    browser.click("#tab-table")
    assert browser.evaluate("document.querySelectorAll('img, script').length") == 2
    assert browser.errors == []


def test_narrow_screens_have_no_sideways_scroll(browser: Any, page: str) -> None:
    browser.resize(400, 800)
    try:
        browser.open(page)
        wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth")
    finally:
        browser.resize(1400, 900)
    assert wide <= 0


def test_the_whole_graph_stays_whole_when_the_window_changes(opened: Any) -> None:
    wide = float(graph(opened)["zoom"])
    opened.resize(700, 900)
    opened.settle()
    assert float(graph(opened)["zoom"]) < wide * 0.8
    opened.resize(1400, 900)
    opened.settle()
    assert float(graph(opened)["zoom"]) == pytest.approx(wide, rel=0.02)
    opened.click('[data-zoom-by="in"]')
    opened.settle()
    mine = float(graph(opened)["zoom"])
    opened.resize(700, 900)
    opened.settle()
    assert float(graph(opened)["zoom"]) == pytest.approx(mine, rel=0.02)
    opened.resize(1400, 900)


def test_enter_selects_what_is_in_the_middle(opened: Any) -> None:
    opened.evaluate("document.getElementById('graph').focus()")
    opened.press("Enter")
    opened.settle()
    assert graph(opened)["selected"].startswith("shop.")
    assert text(opened, "#details h3") != "Nothing selected"
    opened.press("Escape")
    opened.settle()
    assert graph(opened)["selected"] == ""


def test_every_section_can_be_reached_on_a_narrow_screen(opened: Any) -> None:
    opened.resize(400, 800)
    try:
        shown = opened.evaluate(
            "[...document.querySelectorAll('.bar nav a')].map(a => a.getClientRects().length)"
        )
        assert len(shown) >= 5
        assert all(shown)
        wide = opened.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400
    finally:
        opened.resize(1400, 900)


def test_a_program_without_functions_says_so(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(html.write(Report("empty", "1", 1, Counts())), encoding="utf-8")
    browser.errors.clear()
    browser.open(path.as_uri())
    assert browser.errors == []
    assert text(browser, "#table tbody") == "The program has no functions, tests left out."
    assert text(browser, "#frontier > p") == "There is nothing to draw."
