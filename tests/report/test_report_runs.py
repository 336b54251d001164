from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from report.records import RecordError
from report.runs import RunError, list_runs, open_run, parse_manifest
from report.worker import read_worker
from tests.report.run_builder import RunBuilder


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    return RunBuilder(seconds=2).write(tmp_path)


def test_a_run_is_read(run_path: Path) -> None:
    run = open_run(run_path)
    assert run.name == "md-raid/md-raid.lab/2026-11-23T103000Z"
    assert run.manifest.rehearsal is True
    assert [(step.name, step.changes) for step in run.manifest.steps][:2] == [("limits", 0), ("volumes", 15)]
    assert len(list(run.stream("cells"))) == 24
    assert run.problems == []


def test_a_half_written_last_line_is_left_out_and_said(run_path: Path) -> None:
    cells = run_path / "raw" / "cells.ndjson"
    cells.write_text(cells.read_text() + '{"cell": "stripe-9-seq')
    run = open_run(run_path)
    assert len(list(run.stream("cells"))) == 24
    assert run.problems == ["raw/cells.ndjson: the last line is half-written, left out"]


def test_bad_lines_within_a_stream_are_left_out_and_counted(run_path: Path) -> None:
    cells = run_path / "raw" / "cells.ndjson"
    cells.write_text("\n".join(["{oops", "[1]", "\x00", *["}"] * 6]) + "\n" + cells.read_text())
    run = open_run(run_path)
    assert len(list(run.stream("cells"))) == 24
    assert run.problems[0] == "raw/cells.ndjson, line 1: not JSON, left out"
    assert run.problems[1] == "raw/cells.ndjson, line 2: not an object, left out"
    assert run.problems[-1] == "raw/cells.ndjson: 9 lines left out in all"
    assert len(run.problems) == 6


@pytest.mark.parametrize("line", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_a_line_that_is_nested_too_deeply_is_left_out(run_path: Path, line: str) -> None:
    worker = run_path / "raw" / "worker.ndjson"
    worker.write_text(f"{line}\n{worker.read_text()}")
    run = open_run(run_path)
    assert read_worker(run)
    assert run.problems == ["raw/worker.ndjson, line 1: not JSON, left out"]
    run = open_run(run_path)
    assert list(run.stream("worker"))
    assert run.problems == ["raw/worker.ndjson, line 1: not JSON, left out"]


@pytest.mark.parametrize("t_end_unix_s", [1e308, 2**62, 1e12])
def test_a_second_that_lasts_longer_than_a_day_is_left_out(run_path: Path, t_end_unix_s: float) -> None:
    worker = run_path / "raw" / "worker.ndjson"
    first, *rest = worker.read_text().splitlines(keepends=True)
    damaged = {**json.loads(first), "t_end_unix_s": t_end_unix_s}
    worker.write_text("".join([json.dumps(damaged) + "\n", *rest]))
    run = open_run(run_path)
    read_worker(run)
    why = "t_end_unix_s is more than a day after t_start_unix_s"
    assert run.problems == [f"raw/worker.ndjson: a record of {damaged['cell']} left out: {why}"]


def test_a_last_line_without_newline_counts_if_it_is_whole(run_path: Path) -> None:
    cells = run_path / "raw" / "cells.ndjson"
    cells.write_text(cells.read_text().rstrip("\n"))
    run = open_run(run_path)
    assert len(list(run.stream("cells"))) == 24
    assert run.problems == []


def test_a_missing_stream_is_said(run_path: Path) -> None:
    (run_path / "raw" / "host.ndjson").unlink()
    run = open_run(run_path)
    assert list(run.stream("host")) == []
    assert run.problems == ["raw/host.ndjson is missing"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "damaged: no manifest.json"),
        ('{"schema": 1, "exper', "damaged: manifest.json is not whole JSON"),
        ("[" * 100_000, "damaged: manifest.json is not whole JSON"),
        ("[]", "damaged: manifest.json: not an object"),
        ('{"schema": 2}', "schema is 2, this report reads 1"),
    ],
)
def test_a_damaged_run_is_listed_and_the_others_too(run_path: Path, text: str | None, says: str) -> None:
    damaged = run_path.with_name("2026-11-23T110000Z")
    damaged.mkdir()
    if text is not None:
        (damaged / "manifest.json").write_text(text)
    listed = list_runs(run_path.parents[2])
    assert [item.path for item in listed] == [run_path, damaged]
    assert listed[0].damage is None
    assert listed[1].run is None
    assert says in str(listed[1].damage)
    with pytest.raises(RunError, match="damaged"):
        open_run(damaged)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "done"}, "status is 'done', allowed: running, complete, failed"),
        ({"rehearsal": None}, "rehearsal must be true or false"),
        ({"experiment": ""}, "experiment must be text"),
        ({"stack": 3}, "stack must be text"),
        ({"steps": {}}, None),
        ({"steps": [7]}, "steps: each must be an object"),
        ({"steps": [{"name": "x", "seconds": "long"}]}, "seconds must be a number"),
        ({"steps": [{"name": "x", "seconds": 10**400}]}, "seconds must be a number"),
        ({"steps": [{"name": "x", "seconds": 1, "changed": "all"}]}, "changed must be a whole number"),
        ({"region": ["eu"] * 1000}, "region must be text, not ['eu', 'eu', "),
        ({"plan": []}, "plan is not an object"),
        ({"finished_at": None, "reason": None, "versions": None}, None),
    ],
)
def test_a_manifest_names_its_wrong_field(change: dict[str, Any], says: str | None) -> None:
    document = {**RunBuilder(seconds=1).manifest, **change}
    if says is None:
        assert parse_manifest(document).experiment == "md-raid"
        return
    with pytest.raises(RecordError) as refusal:
        parse_manifest(document)
    assert says in str(refusal.value)
    assert len(str(refusal.value)) < 120


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run directory"):
        open_run(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_listed_is_named_and_hides_no_other(
    run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a damaged disk, or where another user has written."""
    unreadable = run_path.parents[1].with_name("efs-iops")
    unreadable.mkdir()
    scandir = os.scandir

    def failing(path: Path) -> Any:
        if Path(path) == unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    listed = list_runs(run_path.parents[2])
    assert [(item.path, item.damage) for item in listed] == [
        (run_path, None),
        (unreadable, "damaged: can't be listed: Input/output error"),
    ]
    assert list_runs(run_path / "manifest.json") == list_runs(run_path / "nowhere") == []


def test_files_among_the_runs_are_passed_over(run_path: Path) -> None:
    (run_path.parent / "notes.txt").write_text("x")
    (run_path.parents[2] / "README").write_text(json.dumps({}))
    assert [item.path for item in list_runs(run_path.parents[2])] == [run_path]
