"""An experiment is a folder of report/ and a claims file: nothing else names it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import report
from report import build, ledger
from report.__main__ import main
from report.claims import CLAIMS
from report.experiments import experiment_names, load_experiment, summary_type
from report.overview import build_overview
from tests import toy_dice

MANIFEST = {
    "schema": 1,
    "experiment": "toy-dice",
    "stack": "toy-dice.lab",
    "region": "eu-central-1",
    "rehearsal": True,
    "started_at": "2026-11-23T10:30:00Z",
    "finished_at": "2026-11-23T10:31:00Z",
    "status": "complete",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A seventh experiment, in a folder that belongs to the package for the time of the test."""
    folder = tmp_path / "package" / "toy_dice"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "schema.py").write_text(toy_dice.SCHEMA)
    (folder / "experiment.py").write_text(toy_dice.PAGE)
    claims = tmp_path / "claims"
    shutil.copytree(CLAIMS, claims)
    (claims / "toy-dice.yaml").write_text(toy_dice.CLAIMS)
    monkeypatch.setattr(report, "__path__", [*report.__path__, str(folder.parent)])
    for module in (build, ledger):
        monkeypatch.setattr(module, "CLAIMS", claims)
    yield
    for name in [name for name in sys.modules if name.startswith("report.toy_dice")]:
        del sys.modules[name]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "results" / "toy-dice" / "toy-dice.lab" / "2026-11-23T103000Z"
    (path / "raw").mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps(MANIFEST))
    (path / "raw" / "throws.ndjson").write_text('{"face": 3}\n{"face": 6}\n')
    return path


def test_the_six_are_found_by_their_folders() -> None:
    names = ["efs-iops", "eip-region", "encrypted-backup", "iscsi-tunnel", "md-raid", "s3-throttle"]
    assert experiment_names() == names == sorted(path.stem for path in CLAIMS.glob("*.yaml"))


@pytest.mark.parametrize("name", experiment_names())
def test_each_has_a_schema_and_an_experiment(name: str) -> None:
    assert summary_type(name).__name__ == "Summary"
    assert callable(load_experiment(name).summarize)


@pytest.mark.usefixtures("toy")
def test_a_new_folder_is_an_experiment_with_a_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert "Throws of the dice (rehearsal)" in printed
    assert "toy-dice/thrown" in printed
    html = (run / "report.html").read_text()
    assert "Is it a die?" in html
    assert json.loads((run / "summary.json").read_text())["throws"] == 2
    assert json.loads((run / "verdicts.json").read_text())["verdicts"][0]["verdict"] == "holds"


@pytest.mark.usefixtures("toy")
def test_a_new_folder_is_in_the_ledger_and_in_the_overview(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = run.parents[2]
    page = build_overview(results).read_text()
    assert "toy-dice" in page
    assert "no run yet" in page
    assert ledger.main(["--results", str(results)]) == 0
    assert "toy-dice.lab 2026-11-23" in capsys.readouterr().out


def test_a_run_of_an_unknown_experiment_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run)]) == 1
    assert "experiment 'toy-dice' is not one of efs-iops, eip-region" in capsys.readouterr().err
