"""The ledger: every claim with its newest verdict, and what has been documented since."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from report import ledger as ledgers
from report.build import build_report
from report.claims import CLAIMS, ClaimError, load_claims
from report.experiments import experiment_names, summary_type
from report.format import MISSING
from report.ledger import NO_RUN, ledger, ledger_table
from report.md_raid.experiment import summarize
from report.runs import open_run
from report.table import Cell
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN, VERDICTS, StoredVerdict, judge
from tests.report.run_builder import RunBuilder

MD_RAID = summary_type("md-raid")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two md-raid runs with reports: a rehearsal, and one of AWS before it."""
    folder = tmp_path_factory.mktemp("reported")
    for rehearsal, name in ((False, "2026-11-22T080000Z"), (True, "2026-11-23T103000Z")):
        build_report(RunBuilder(rehearsal=rehearsal, seconds=2).write(folder, name))
    return folder


@pytest.fixture
def results(reported: Path, tmp_path: Path) -> Path:
    """A copy of them, which a test may damage."""
    return shutil.copytree(reported, tmp_path, dirs_exist_ok=True)


def said(capsys: pytest.CaptureFixture[str], results: Path) -> tuple[str, str]:
    assert ledgers.main(["--results", str(results)]) == 0
    out, err = capsys.readouterr()
    return out, err


def row_of(out: str, claim: str) -> str:
    (row,) = [line for line in out.splitlines() if line.startswith(f"|{claim} ")]
    return row


def test_each_claim_of_each_experiment_has_a_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, err = said(capsys, tmp_path)
    assert err == ""
    for name in experiment_names():
        for claim in load_claims(name, summary_type(name)):
            assert NO_RUN in row_of(out, claim.id.partition("/")[2])
    assert {path.stem for path in CLAIMS.glob("*.yaml")} == set(experiment_names())


def test_a_verdict_that_judges_counts_before_a_newer_one_that_does_not(
    capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    out, _ = said(capsys, results)
    assert "md-raid.eu-central-1 2026-11-23" in row_of(out, "volume-rate")  # a rehearsal does not judge it
    assert NOT_JUDGED not in row_of(out, "volume-rate")
    assert "md-raid.lab 2026-11-23" in row_of(out, "survives-two")
    assert "(rehearsal)" in row_of(out, "survives-two")
    assert "(rehearsal)" not in row_of(out, "volume-rate")


def test_of_verdicts_that_do_not_judge_the_newest_says_why() -> None:
    (claim, *_) = load_claims("md-raid", MD_RAID)
    runs = [(open_run_named(name), {claim.id: StoredVerdict(NOT_RUN, name, None)}) for name in ("first", "second")]
    (verdict,) = ledger([claim], runs)
    assert (verdict.detail, verdict.run) == ("second", runs[1][0])


def open_run_named(name: str) -> Any:
    return type("Manifest", (), {"rehearsal": True, "stack": name, "started_at": "2026-11-23T10:30:00Z"})()


def test_a_damaged_run_is_named_and_breaks_nothing(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    first, second = sorted((results / "md-raid").glob("*/*"))
    (first / VERDICTS).write_text("{")
    (second / "manifest.json").write_text("{")
    out, err = said(capsys, results)
    assert NO_RUN in row_of(out, "scales")
    assert [line.split(": ")[0] for line in err.splitlines()] == ["report", "report"]
    assert str(first / VERDICTS) in err
    assert f"{second}: damaged: manifest.json is not whole JSON" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "damage",
    [
        "[" * 100_000,
        "[]",
        '{"schema": 1, "verdicts": 3}',
        '{"schema": 1, "verdicts": [{"claim": "a", "verdict": "holds", "detail": "", "measured": {}}]}',
        '{"schema": 1, "verdicts": [{"claim": "a", "verdict": "holds", "detail": "", "measured": 1%s}]}' % ("0" * 400),
        '{"schema": 1, "verdicts": [{"claim": "a", "verdict": "holds", "detail": "", "measured": Infinity}]}',
    ],
)
def test_damaged_verdicts_are_named_and_break_nothing(
    capsys: pytest.CaptureFixture[str], results: Path, damage: str
) -> None:
    first, _ = sorted((results / "md-raid").glob("*/*"))
    (first / VERDICTS).write_text(damage.replace('"a"', '"md-raid/scales"'))
    _, err = said(capsys, results)
    assert err == f"report: {first / VERDICTS}: damaged; `python -m report {first}` makes it again\n"


def test_a_wrong_claims_file_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ledgers, "CLAIMS", tmp_path)
    assert ledgers.main(["--results", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"report: {tmp_path}/efs-iops.yaml: no such file; each experiment has one\n"


def test_claims_are_kept_until_one_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    claims, cache = tmp_path / "claims", tmp_path / "cache" / "tidemark"
    shutil.copytree(CLAIMS, claims)
    monkeypatch.setattr(ledgers, "CLAIMS", claims)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    read = ledgers.load_all_claims()
    with monkeypatch.context() as without:
        without.delattr(ledgers, "load_claims")
        assert repr(ledgers.load_all_claims()["md-raid"][0].published) == repr(read["md-raid"][0].published)
    claims_with(claims, [])
    assert ledgers.load_all_claims()["md-raid"][0].published.value == 1
    (kept,) = cache.iterdir()
    kept.write_bytes(b"")
    assert ledgers.load_all_claims()["md-raid"][0].published.value == 1
    (claims / "md-raid.yaml").write_text("experiment: [")
    with pytest.raises(ClaimError, match="not YAML"):
        ledgers.load_all_claims()


@pytest.mark.parametrize(
    "words", [["ledger"], ["results"], ["results", "--sql", "from range(99999)", "--format", "csv"]], ids=" ".join
)
def test_a_full_disk_under_the_output_is_one_line(words: list[str], results: Path) -> None:
    command = [sys.executable, "-m", f"report.{words[0]}", "--results", str(results), *words[1:]]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=CLAIMS.parent, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("report: standard output: No space left on device; see")


def test_a_checkout_whose_name_this_locale_can_t_read(tmp_path: Path) -> None:
    """`fab claims` at a path with an umlaut, as cron runs it: without a locale that has one, and UTF-8 off."""
    checkout = tmp_path / "über"
    checkout.mkdir()
    (checkout / "claims").symlink_to(CLAIMS)
    program = "import report.ledger, sys; report.ledger.CLAIMS = report.ledger.CLAIMS.__class__(sys.argv[1])\n"
    program += "report.ledger._cache_file()"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-c", program, str(checkout / "claims")]
    done = subprocess.run(words, cwd=CLAIMS.parent, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's file")
def test_what_another_user_keeps_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = ledgers.load_all_claims()
    (kept,) = (tmp_path / "tidemark").iterdir()
    kept.write_bytes(b"{}")
    os.chown(kept, 65534, 65534)
    assert ledgers.load_all_claims().keys() == read.keys()


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"md-raid": [{"id": 3}]}'])
def test_what_is_kept_damaged_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damaged: bytes) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = ledgers.load_all_claims()
    (kept,) = (tmp_path / "tidemark").iterdir()
    assert ledgers.load_all_claims() == read
    kept.write_bytes(damaged)
    assert ledgers.load_all_claims() == read


# --- what has been documented since ------------------------------------------------------------------------


def claims_with(tmp_path: Path, later: object) -> Path:
    document = yaml.safe_load((CLAIMS / "md-raid.yaml").read_text())
    (volume_rate,) = [claim for claim in document["claims"] if claim["id"] == "md-raid/volume-rate"]
    volume_rate["later"] = later
    volume_rate["published"]["value"] = 1  # nothing is as slow
    (tmp_path / "md-raid.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def fact(**fields: Any) -> dict[str, Any]:
    return {"fact": "volumes are faster", "date": "2020", "source": "a guide", **fields}


@pytest.mark.parametrize(("test", "documented"), [("volume.sequential_mb_per_s > 2", True), ("published > 2", False)])
def test_a_difference_may_be_as_documented(tmp_path: Path, test: str, documented: bool) -> None:
    run = open_run(RunBuilder(rehearsal=False, seconds=2).write(tmp_path / "results"))
    (claim, *_) = load_claims("md-raid", MD_RAID, claims_with(tmp_path, [fact(test=test)]))
    verdict = judge(claim, summarize(run), rehearsal=False)
    assert verdict.verdict == DIFFERS
    assert verdict.detail.endswith("; as documented since (2020): volumes are faster") is documented


def test_later_facts_stand_below_the_table(tmp_path: Path) -> None:
    claims = load_claims("md-raid", MD_RAID, claims_with(tmp_path, [fact()]))
    table = ledger_table("md-raid", ledger(claims, []))
    assert table.note == "Since published:\nvolume-rate: volumes are faster (2020, a guide)."
    (first, *_) = table.rows
    assert first[-1] == MISSING
    assert first[3] == Cell(NOT_RUN, "muted")
    assert HOLDS not in json.dumps([str(cell) for row in table.rows for cell in row])


@pytest.mark.parametrize(
    ("later", "fault"),
    [
        ("soon", 'later is "soon"; expected a list of facts'),
        ([fact(test="no.such > 1")], "later[0].test: no.such"),
        ([fact(test="published")], "it can't hold or differ"),
        ([{"fact": "x"}], "later[0].date is missing; expected text"),
        ([fact(url="x")], "later[0].url is not a field; allowed are fact, date"),
    ],
)
def test_a_wrong_later_fact_is_named(tmp_path: Path, later: object, fault: str) -> None:
    with pytest.raises(ClaimError) as raised:
        load_claims("md-raid", MD_RAID, claims_with(tmp_path, later))
    assert fault in str(raised.value)
    assert "md-raid/volume-rate" in str(raised.value)
