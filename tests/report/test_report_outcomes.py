"""The table of a rehearsal of several experiments, and the verdicts that a run keeps for it."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.format import MISSING
from report.overview import main, outcomes_table
from report.runs import RunError
from report.table import Cell
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN, VERDICTS, StoredVerdict, read_verdicts
from tests.report.run_builder import RunBuilder


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An md-raid run with its report."""
    directory = RunBuilder(seconds=2).write(tmp_path_factory.mktemp("reported"))
    build_report(directory)
    return directory


@pytest.fixture
def run(reported: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may change."""
    return shutil.copytree(reported, tmp_path / reported.name)


def counted(run: Path) -> Counter[str]:
    """How many claims of a run have each verdict."""
    return Counter(each.verdict for each in (read_verdicts(run) or {}).values())


def document(*entries: dict[str, Any]) -> str:
    return json.dumps({"schema": 1, "experiments": entries})


def entry(**fields: Any) -> dict[str, Any]:
    return {"experiment": "md-raid", "seconds": 190.4, "run": None, "reason": None, **fields}


def words(row: Any) -> list[str]:
    return [cell.text if isinstance(cell, Cell) else cell for cell in row]


def test_a_run_keeps_its_verdicts(run: Path) -> None:
    report = build_report(run)
    kept = json.loads((run / VERDICTS).read_text())
    assert [(each["claim"], each["verdict"]) for each in kept["verdicts"]] == [
        (verdict.claim.id, verdict.verdict) for verdict in report.verdicts
    ]
    assert counted(run).total() == len(report.verdicts)


@pytest.mark.parametrize(("measured", "verdict"), [(3.5, NOT_JUDGED), (None, NOT_RUN)])
def test_a_verdict_of_an_older_report_is_read_in_todays_words(run: Path, measured: float | None, verdict: str) -> None:
    older = {"claim": "md-raid/scales", "verdict": "not measured", "detail": "why", "measured": measured}
    (run / VERDICTS).write_text(json.dumps({"schema": 1, "verdicts": [older]}))
    assert read_verdicts(run) == {"md-raid/scales": StoredVerdict(verdict, "why", measured)}


def test_a_row_counts_the_verdicts(run: Path) -> None:
    (row,) = outcomes_table(document(entry(run=str(run)))).rows
    assert words(row) == [
        "md-raid",
        "done",
        "190",
        *(str(counted(run)[verdict]) for verdict in (HOLDS, DIFFERS, NOT_JUDGED, NOT_RUN)),
        str(run / "report.html"),
    ]


def test_a_failure_says_why_and_counts_what_it_found(run: Path) -> None:
    (row,) = outcomes_table(document(entry(run=str(run), reason="its tasks failed"))).rows
    assert words(row)[1] == "not done"
    assert words(row)[-1] == "its tasks failed"
    assert words(row)[3] == str(counted(run)[HOLDS])


def test_what_is_missing_is_not_zero() -> None:
    (row,) = outcomes_table(document(entry(seconds=None, reason="interrupted"))).rows
    assert words(row) == ["md-raid", "not done", *[MISSING] * 5, "interrupted"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not those"),
        ("[]", "not those"),
        (document({"experiment": "md-raid"}), "not those"),
        (json.dumps({"schema": 2}), "schema is 2"),
    ],
)
def test_what_is_no_such_document_is_refused(text: str, fault: str) -> None:
    with pytest.raises(RunError, match=fault):
        outcomes_table(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "damaged"),
        ("{}", "damaged"),
        ('{"schema":2}', "schema is 2"),
        (
            '{"schema":1,"verdicts":[{"claim":"a/b","verdict":"perhaps","detail":"","measured":null}]}',
            "'perhaps' is no verdict",
        ),
    ],
)
def test_damaged_verdicts_are_told_in_the_row(run: Path, text: str, fault: str) -> None:
    (run / VERDICTS).write_text(text)
    (row,) = outcomes_table(document(entry(run=str(run)))).rows
    assert words(row)[3:7] == [MISSING] * 4
    assert fault in words(row)[-1]


def test_the_command_prints_it(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(document(entry(run=str(run)))))
    assert main(["--outcomes"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("All experiments (rehearsal)")
    assert "|done " in said.replace("| done", "|done")


def test_what_it_can_not_read_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("{"))
    assert main(["--outcomes"]) == 1
    assert capsys.readouterr().err == "report: outcomes: not those of a rehearsal\n"
