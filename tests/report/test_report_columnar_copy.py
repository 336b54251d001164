"""The columnar copy of long streams: the same report, as long as the raw records are the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from report import long_streams
from report.efs_iops.clocks import RunnerClock
from report.efs_iops.experiment import summarize
from report.efs_iops.long_streams import read_workers
from report.runs import Run, open_run
from tests.report.efs_run_builder import EfsRunBuilder

LONG = ("worker", "mountstats", "host")
STREAMS_OF_COPIES = {"workers": ["worker"], "clients": ["mountstats", "host"]}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose streams count as long, with a damaged line and a second with errors; all is read in this process."""
    monkeypatch.setattr(long_streams, "BYTES_MIN", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    builder = EfsRunBuilder(brief=True)
    worker = builder.streams["worker"]
    next(record for record in worker if record["kind"] == "interval")["errors"] = {"EIO": 3}
    path = builder.write(tmp_path)
    for stream in LONG:
        with (path / "raw" / f"{stream}.ndjson").open("a") as file:
            file.write("{oops\n")
    return path


@pytest.fixture
def read_streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The long streams whose raw records were read."""
    read: list[str] = []
    batches = Run.batches

    def noted(self: Run, name: str, decode: Any) -> Any:
        read.append(name)
        return batches(self, name, decode)

    monkeypatch.setattr(Run, "batches", noted)
    return read


def summary(path: Path) -> Any:
    return msgspec.to_builtins(summarize(open_run(path)))


def files_of_copies(path: Path) -> list[Path]:
    return sorted(file for file in (path / "columns").rglob("*") if file.is_file())


def test_a_second_report_reads_the_copy_and_finds_the_same(run: Path, read_streams: list[str]) -> None:
    first = summary(run)
    assert sorted(read_streams) == sorted(LONG)
    assert len([problem for problem in first["problems"] if "not JSON" in problem]) == 3
    assert first["timeline"]["latencies"]
    read_streams.clear()
    assert summary(run) == first
    assert read_streams == []


def test_the_intervals_of_a_copy_are_those_of_the_records(run: Path, read_streams: list[str]) -> None:
    (read, _), (copied, _) = (read_workers(open_run(run), RunnerClock({})) for _ in range(2))
    assert read_streams == ["worker"]
    assert list(copied) == list(read)
    for cell, worker in read.items():
        assert list(copied[cell].intervals) == list(worker.intervals)
        assert copied[cell].finals == worker.finals
    assert any(interval.errors for worker in copied.values() for interval in worker.intervals)


@pytest.mark.parametrize("stream", [*LONG, "clocks"])
def test_a_copy_of_other_records_is_made_again(run: Path, read_streams: list[str], stream: str) -> None:
    summary(run)
    file = run / "raw" / f"{stream}.ndjson"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[: len(lines) // 2]))
    read_streams.clear()
    changed = summary(run)
    assert set(read_streams) == (
        set(LONG) if stream == "clocks" else {"worker"} if stream == "worker" else set(LONG[1:])
    )
    read_streams.clear()
    assert summary(run) == changed
    assert read_streams == []


def test_another_content_of_the_same_size_and_time_is_noticed(run: Path, read_streams: list[str]) -> None:
    summary(run)
    file = run / "raw" / "worker.ndjson"
    before, content = file.stat(), file.read_bytes()
    file.write_bytes(content.replace(b'"ops": 1', b'"ops": 2'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    read_streams.clear()
    summary(run)
    assert read_streams == ["worker"]


def test_what_a_killed_report_has_left_is_removed(run: Path) -> None:
    summary(run)
    names = {path.name for path in (run / "columns").iterdir()}
    left = run / "columns" / f".{min(names)}.x1y2z3"
    left.mkdir()
    (left / "half.parquet").write_text("PAR1")
    shutil.rmtree(run / "columns" / min(names))
    summary(run)
    assert {path.name for path in (run / "columns").iterdir()} == names


def test_a_change_between_the_compared_pieces_is_noticed(
    run: Path, read_streams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time set back as `cp --preserve` or `rsync --times` does: the kernel's own time of the change tells."""
    monkeypatch.setattr(long_streams, "_PIECE_BYTES", 1)
    monkeypatch.setattr(long_streams, "_PIECES", 2)
    summary(run)
    file = run / "raw" / "worker.ndjson"
    before, content = file.stat(), file.read_bytes()
    with file.open("r+b") as opened:
        opened.write(content.replace(b'"ops": 1', b'"ops": 2'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    read_streams.clear()
    summary(run)
    assert read_streams == ["worker"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_copy_is_ignored_and_made_again(run: Path, read_streams: list[str], damage: str) -> None:
    first = summary(run)
    assert len(files_of_copies(run)) == 8
    for file in files_of_copies(run):
        content = file.read_bytes()
        if damage == "cut":
            file.write_bytes(content[: len(content) // 2])
        elif damage == "flipped":
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        else:
            file.unlink()
        read_streams.clear()
        assert summary(run) == first, file
        # These alone: the copies that were damaged before have been made again.
        assert sorted(read_streams) == sorted(STREAMS_OF_COPIES[file.parent.name]), file
    read_streams.clear()
    assert summary(run) == first
    assert read_streams == []


def test_a_copy_of_an_earlier_program_is_made_again(
    run: Path, read_streams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = summary(run)
    monkeypatch.setattr(long_streams, "_program", lambda: "another")
    read_streams.clear()
    assert summary(run) == first
    assert sorted(read_streams) == sorted(LONG)


def test_where_no_copy_can_be_written_the_records_are_read_each_time(run: Path, read_streams: list[str]) -> None:
    (run / "columns").touch()
    first = summary(run)
    read_streams.clear()
    assert summary(run) == first
    assert sorted(read_streams) == sorted(LONG)


def test_short_streams_have_no_copy(tmp_path: Path) -> None:
    path = EfsRunBuilder(brief=True).write(tmp_path)
    summary(path)
    assert not (path / "columns").exists()


def test_streams_that_are_missing_or_empty_have_a_copy_too(run: Path, read_streams: list[str]) -> None:
    (run / "raw" / "mountstats.ndjson").unlink()
    (run / "raw" / "worker.ndjson").write_text("")
    first = summary(run)
    assert any("mountstats.ndjson is missing" in problem for problem in first["problems"])
    read_streams.clear()
    assert summary(run) == first
    assert read_streams == []
