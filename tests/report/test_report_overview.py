"""The one page over the newest run of every experiment."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from report.experiments import experiment_names
from report.overview import main
from tests.report.efs_run_builder import EfsRunBuilder
from tests.report.run_builder import RunBuilder
from tests.report.test_report_page import Page


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of md-raid a newer run and an older one; of efs-iops one; a damaged one."""
    folder = tmp_path_factory.mktemp("results")
    RunBuilder(seconds=2).write(folder, "2026-11-22T103000Z")
    RunBuilder(seconds=2, rehearsal=False).write(folder)
    EfsRunBuilder().write(folder)
    (folder / "md-raid" / "md-raid.lab" / "2026-11-25T000000Z").mkdir()
    return folder


@pytest.fixture(scope="module")
def html(results: Path) -> str:
    assert main(["--results", str(results)]) == 0
    return (results / "report.html").read_text()


def test_it_is_whole_and_its_ids_are_its_own(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert {"md-raid-figure-scaling", "efs-iops-figure-iops", "md-raid-claims", "efs-iops-claims"} <= set(page.ids)


def test_it_shows_the_newest_run_of_each_and_names_those_without(html: str, results: Path) -> None:
    page = Page(html)
    assert page.fetched == [
        "efs-iops/efs-iops.lab/2026-11-23T103000Z/report.html",
        "md-raid/md-raid.eu-central-1/2026-11-23T103000Z/report.html",
    ]
    assert all((results / path).is_file() for path in page.fetched)
    table = html[html.index('id="table-experiments"') :]
    table = table[: table.index("</table>")]
    assert table.count("<tr>") == 1 + len(experiment_names())
    assert table.count("no run yet") == len(experiment_names()) - 2
    assert table.count("(rehearsal)") == 1


def test_the_library_is_in_it_once(html: str) -> None:
    assert html.count("window.vegaEmbed") == 1
    assert len(html) < 5_000_000


def test_each_page_is_announced_and_a_damaged_run_is_named(
    results: Path, html: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--results", str(results)]) == 0
    out, err = capsys.readouterr()
    assert out == f"report: {results / 'report.html'}\n"
    *pages, damage = err.splitlines()
    assert [line.rpartition(": ")[0] for line in pages] == ["report: page 1 of 2", "report: page 2 of 2"]
    assert damage == f"report: {results}/md-raid/md-raid.lab/2026-11-25T000000Z: damaged: no manifest.json"
    assert (results / "report.html").read_text() == html


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunBuilder(seconds=2).write(tmp_path)
    (tmp_path / "report.html").mkdir()
    assert main(["--results", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    _page, fault = err.splitlines()
    assert (out, fault) == ("", f"report: {tmp_path}/report.html: can't be written: Is a directory")
    assert (run / "report.html").is_file()


def test_why_no_run_could_be_shown_is_in_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunBuilder(seconds=2).write(tmp_path)
    (run / "summary.json").mkdir()
    assert main(["--results", str(tmp_path)]) == 1
    why = f"{run}/summary.json: can't be written: Is a directory"
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"report: {tmp_path}: no run is there that a page could show; the last: {why}"
    assert said[:-1] == [f"report: page 1 of 1: {run}"]


def test_without_a_run_it_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err
        == f"report: {tmp_path}: no run is there that a page could show; `fab results` lists them\n"
    )


def test_a_rehearsal_of_several_ends_with_it(
    results: Path, html: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = results / "efs-iops" / "efs-iops.lab" / "2026-11-23T103000Z"
    document = {
        "schema": 1,
        "experiments": [{"experiment": "efs-iops", "seconds": 9.0, "run": str(run), "reason": None}],
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document)))
    assert main(["--outcomes"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"All of them in one page: {results / 'report.html'}")
