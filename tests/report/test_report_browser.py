"""The page as a browser shows it: nothing fetched, nothing in the console, figures, tables, a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from report.build import build_report
from report.efs_iops.experiment import summarize
from report.overview import build_overview
from report.runs import open_run
from tests.report.browser import CHROMIUM, DRIVER, WHY_SKIPPED, browser, requested, said, show
from tests.report.efs_run_builder import EfsRunBuilder
from tests.report.run_builder import RunBuilder

pytestmark = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=WHY_SKIPPED)
PHONE, DESK = 360, 1100
PAPER = 718  # A4 less the margins that Chromium gives it, in CSS pixels
SCROLLS_SIDEWAYS = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("results")
    made = {"md-raid": RunBuilder(seconds=2).write(folder), "efs-iops": EfsRunBuilder().write(folder)}
    for path in made.values():
        build_report(path)
    return made


def marks(driver: webdriver.Chrome, figure: str, mark: str) -> int:
    return len(driver.find_elements(By.CSS_SELECTOR, f"#figure-{figure} .live .mark-{mark} > path"))


def smallest_text_px(driver: webdriver.Chrome) -> float:
    sizes: list[float] = driver.execute_script(
        "return [...document.querySelectorAll('p, dd, td, th, h1, h2, h3, figcaption, .live svg text')]"
        ".filter((each) => each.textContent.trim() && each.getClientRects().length)"
        ".map((each) => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert len(sizes) > 100
    return min(sizes)


@pytest.mark.parametrize(
    ("experiment", "width", "dark"),
    [("md-raid", PHONE, True), ("md-raid", DESK, False), ("efs-iops", PHONE, False), ("efs-iops", DESK, True)],
)
def test_nothing_is_fetched_nothing_goes_wrong_and_all_fits(
    driver: webdriver.Chrome, runs: dict[str, Path], experiment: str, width: int, dark: bool
) -> None:
    page = runs[experiment] / "report.html"
    requested(driver)
    said(driver)
    show(driver, page, width=width, dark=dark, anew=True)
    assert said(driver) == []
    assert {url for url in requested(driver) if not url.startswith(("data:", "blob:"))} == {page.as_uri()}
    charts = driver.find_elements(By.CSS_SELECTOR, "figure.chart")
    assert len(charts) == {"md-raid": 3, "efs-iops": 4}[experiment]
    for chart in charts:
        assert "is-live" in str(chart.get_attribute("class"))
        panels = chart.find_elements(By.CSS_SELECTOR, ".live svg")
        assert len(panels) == (3 if chart.get_attribute("id") in ("figure-drill", "figure-timeline") else 2)
        assert all(0 < panel.size["width"] <= width for panel in panels)
        assert all("REHEARSAL" in str(panel.get_attribute("textContent")) for panel in panels)
    assert driver.execute_script(SCROLLS_SIDEWAYS) is False
    if width == PHONE:
        assert smallest_text_px(driver) >= 10


# The next three are on the page that the last one has shown.


def test_a_figure_has_a_mark_for_each_cell(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    show(driver, runs["efs-iops"] / "report.html", width=DESK, dark=True)
    summary = summarize(open_run(runs["efs-iops"]))
    measured = [cell for cell in summary.cells if cell.pattern == "fixed" and cell.ops_per_s is not None]
    published = 6
    assert marks(driver, "iops", "symbol.role-mark") == len(measured) + published
    assert marks(driver, "latency", "symbol.role-mark") == 5 * len(summary.cells)


def test_the_pointer_is_told_what_a_mark_is(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    show(driver, runs["efs-iops"] / "report.html", width=DESK, dark=True)
    mark: Any = driver.find_elements(By.CSS_SELECTOR, "#figure-latency .live .mark-symbol.role-mark > path")[0]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(driver).move_to_element(mark).perform()
    told = driver.find_element(By.ID, "vg-tooltip-element")
    assert told.is_displayed()
    assert "p50" in told.text


def test_print_and_no_script_show_the_still_figures(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    show(driver, runs["efs-iops"] / "report.html", width=DESK, dark=True)
    shown = "return [...document.querySelectorAll('.still, .live')].map((e) => [e.className, e.clientHeight > 50])"
    assert all(there == ("live" in kind) for kind, there in driver.execute_script(shown))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert all(there == (kind == "still") for kind, there in driver.execute_script(shown))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get((runs["efs-iops"] / "report.html").as_uri())
        assert all(each.is_displayed() for each in driver.find_elements(By.CSS_SELECTOR, "figure.chart .still svg"))
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_what_was_not_measured_has_no_mark(driver: webdriver.Chrome, tmp_path: Path) -> None:
    builder = EfsRunBuilder()
    lost = next(record for record in builder.streams["cells"] if record["cell"] == "write-1-w20-i1")
    lost.update(complete=False, reason="the client went away")
    path = builder.write(tmp_path)
    build_report(path)
    show(driver, path / "report.html", width=DESK)
    cells = len(builder.streams["cells"])
    assert marks(driver, "latency", "symbol.role-mark") == 5 * (cells - 1)
    assert "not measured" in str(driver.find_element(By.CSS_SELECTOR, "#figure-latency .live").text)


def test_one_page_over_all_draws_every_figure(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    page = build_overview(runs["md-raid"].parents[2])
    requested(driver)
    said(driver)
    show(driver, page, width=PHONE, anew=True)
    assert said(driver) == []
    assert {url for url in requested(driver) if not url.startswith(("data:", "blob:"))} == {page.as_uri()}
    charts = driver.find_elements(By.CSS_SELECTOR, "figure.chart.is-live")
    assert len(charts) == 7
    assert driver.execute_script(SCROLLS_SIDEWAYS) is False


def column(driver: webdriver.Chrome, table: str, number: int) -> list[str]:
    cells = driver.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr td:nth-child({number})")
    return [str(cell.get_attribute("textContent")) for cell in cells]


def test_nothing_is_wider_than_a_sheet(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    for name, run in runs.items():
        show(driver, run / "report.html", width=PAPER)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        try:
            assert driver.execute_script("return document.documentElement.scrollWidth") <= PAPER, name
        finally:
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_tables_are_sorted_by_what_they_say(driver: webdriver.Chrome, runs: dict[str, Path]) -> None:
    show(driver, runs["md-raid"] / "report.html", width=DESK)
    before = column(driver, "table-steps", 2)
    head: Any = driver.find_elements(By.CSS_SELECTOR, "#table-steps th button")[1]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", head)
    head.click()
    ascending = column(driver, "table-steps", 2)
    head.click()
    assert column(driver, "table-steps", 2) == ascending[::-1]
    assert sorted(ascending) == sorted(before)
    assert ascending != before
    seconds = [
        float(text.removesuffix(" s")) if "min" not in text else 60 * float(text.split()[0]) for text in ascending
    ]
    assert seconds == sorted(seconds)
    heads = driver.find_elements(By.CSS_SELECTOR, "#table-steps th")
    assert [each.get_attribute("aria-sort") for each in heads] == [None, "descending", None]
