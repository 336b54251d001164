"""encrypted-backup's summary, verdicts and page, from the records of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.claims import load_claims
from report.encrypted_backup.experiment import summarize
from report.encrypted_backup.schema import Summary
from report.encrypted_backup.tables import PLACES
from report.runs import open_run
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN, judge

Record = dict[str, Any]
BEGAN = 1_795_429_800.0
STEPS = ("start", "attach", "open", "mount", "copy", "verify", "publish")
BACKUP = {"snapshot": "2026-11-23T103000Z", "files": 320, "total_bytes": 9_000_000, "new_bytes": 9_000_000}


def records() -> list[Record]:
    """Two backups, three places searched, a recovery."""
    found: list[Record] = []

    def add(event: str, run: str, **fields: object) -> None:
        found.append({"t_unix_s": BEGAN + len(found), "event": event, "run": run, **fields})

    for run in ("first", "second"):
        for name in STEPS:
            add("step", run, name=name, seconds=1.5, undoing=False, fault=None)
        add("verified", run, changed_meanwhile=2, unread=3, differences=0)
        add("step", run, name="unmount", seconds=0.5, undoing=True, fault=None)
        add("backed-up", run, **BACKUP, whole_seconds=30.5)
    for place in PLACES:
        add("searched", "blind", place=place, read_bytes=1 << 30, patterns=2, found=0, control=True)
    add("recovered", "drill", seconds=61.5, sheet_seconds=50.0, files=320, entries=350, same=True)
    return found


def write(folder: Path, lines: list[Record]) -> Path:
    path = folder / "encrypted-backup" / "encrypted-backup.lab" / "2026-11-23T103000Z"
    (path / "raw").mkdir(parents=True)
    manifest = {
        "schema": 1,
        "experiment": "encrypted-backup",
        "stack": "encrypted-backup.lab",
        "region": "eu-central-1",
        "rehearsal": True,
        "started_at": "2026-11-23T10:30:00Z",
        "finished_at": "2026-11-23T10:33:00Z",
        "plan": {},
        "versions": {},
        "inventory": {"hosts": []},
        "steps": [],
        "status": "complete",
        "reason": None,
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "raw" / "backup.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def verdicts(path: Path) -> dict[str, str]:
    run = open_run(path)
    claims = load_claims("encrypted-backup", Summary)
    found = [judge(claim, summarize(run), rehearsal=True) for claim in claims]
    return {verdict.claim.id.partition("/")[2]: verdict.verdict for verdict in found}


def test_a_run_that_went_well(tmp_path: Path) -> None:
    path = write(tmp_path, records())
    summary = summarize(open_run(path))
    assert [backup.run for backup in summary.backups] == ["first", "second"]
    assert summary.backups[0].copy_seconds == 1.5
    assert (summary.backups[0].changed_meanwhile, summary.backups[0].unread) == (2, 3)
    assert summary.blind is not None
    assert summary.blind.found == 0
    assert [step.undoing for step in summary.steps].count(True) == 2
    assert verdicts(path) == {"server-blind": HOLDS, "recoverable": HOLDS}


def test_the_page_and_the_tables_are_made(tmp_path: Path) -> None:
    path = write(tmp_path, records())
    build_report(path)
    page = (path / "report.html").read_text()
    assert "What the server could read" in page
    assert "rehearsal" in page


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"found": 1}, DIFFERS),
        # A search that does not find what is there proves nothing.
        ({"control": False}, NOT_RUN),
        ({"place": "elsewhere"}, NOT_RUN),
    ],
)
def test_what_a_search_is_worth(change: Record, expected: str, tmp_path: Path) -> None:
    lines = records()
    next(line for line in lines if line["event"] == "searched").update(change)
    assert verdicts(write(tmp_path, lines))["server-blind"] == expected


@pytest.mark.parametrize(("change", "expected"), [({"same": False}, DIFFERS), ({"same": None}, NOT_JUDGED)])
def test_what_a_recovery_is_worth(change: Record, expected: str, tmp_path: Path) -> None:
    lines = records()
    lines[-1].update(change)
    assert verdicts(write(tmp_path, lines))["recoverable"] == expected


def test_a_run_that_was_cut_short_measures_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, records()[:5])
    assert verdicts(path) == {"server-blind": NOT_RUN, "recoverable": NOT_RUN}
    build_report(path)
