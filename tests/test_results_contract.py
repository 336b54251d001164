"""What workloads/ writes is what report/ reads: the rooms share a format and no code, so a test must hold both ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from report.runs import open_run
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.results import Results


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path))


def test_a_manifest_is_read_as_it_was_written() -> None:
    written = Results.start(inventory_of(inventory_document()), plan={"name": "short"})
    with written.recording():
        written.step("configure volumes", 6.4, 15)
        written.step("run", 88.0, None)
    run = open_run(written.directory)
    assert run.name == f"md-raid/md-raid.test/{written.directory.name}"
    assert [(step.name, step.seconds, step.changes) for step in run.manifest.steps] == [
        ("configure volumes", 6.4, 15),
        ("run", 88.0, None),
    ]
    assert (run.manifest.status, run.manifest.rehearsal) == ("complete", False)
    assert len(run.manifest.inventory["hosts"]) == 4
    assert "ssh" not in run.manifest.inventory
    assert run.problems == []


def test_records_are_read_as_they_were_written() -> None:
    written = Results.start(inventory_of(inventory_document()))
    written.append("drill", {"t_unix_s": 1.5, "event": "killed", "host": "storage-1"})
    written.append("drill", {"t_unix_s": 2.5, "event": "returned", "host": "storage-1"})
    assert [record["event"] for record in open_run(written.directory).stream("drill")] == ["killed", "returned"]
