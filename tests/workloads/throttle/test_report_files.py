"""Where the report goes: files, devices, pipes, and what is left when there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workloads.errors import WorkloadError
from workloads.throttle.record import Sample, Stop
from workloads.throttle.report import Writer

SAMPLE = Sample(start_s=5.25, bytes=12, running_ratio=0.5)
STOP = Stop(start_s=5.0, stopped_s=0.4, unacked_bytes=900, notsent_bytes=700, acked_bytes=800)


@pytest.mark.parametrize(("name", "samples"), [("r.json", "r.samples.ndjson"), ("report", "report.samples.ndjson")])
def test_samples_lie_beside_the_report(tmp_path: Path, name: str, samples: str) -> None:
    with Writer(tmp_path / name) as writer:
        writer._unix_minus_clock_s = 1000.0
        writer.write_sample(Sample(start_s=5.25, bytes=12, running_ratio=0.123456))
        writer.write_sample(Sample(start_s=5.35, bytes=None, running_ratio=1.0))
        writer.write({"schema": 1})
    assert writer.samples == tmp_path / samples
    assert [json.loads(line) for line in (tmp_path / samples).read_text().splitlines()] == [
        {"t_unix_s": 1005.25, "bytes": 12, "running_ratio": 0.1235},
        {"t_unix_s": 1005.35, "bytes": None, "running_ratio": 1.0},
    ]
    assert json.loads((tmp_path / name).read_text()) == {"schema": 1}


def test_stops_lie_beside_the_report(tmp_path: Path) -> None:
    with Writer(tmp_path / "r.json") as writer:
        writer._unix_minus_clock_s = 1000.0
        writer.write_stop(STOP)
        writer.write({"schema": 1})
    assert writer.stops == tmp_path / "r.stops.ndjson"
    assert json.loads((tmp_path / "r.stops.ndjson").read_text()) == {
        "t_unix_s": 1005.0,
        "stopped_s": 0.4,
        "unacked_bytes": 900,
        "notsent_bytes": 700,
        "acked_bytes": 800,
    }


def test_a_full_disk_is_told_at_the_end_and_not_before(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here, which is always full")
    (tmp_path / "r.samples.ndjson").symlink_to("/dev/full")
    with Writer(tmp_path / "r.json") as writer:
        for number in range(10_000):  # far more than a buffer holds
            writer.write_sample(Sample(start_s=float(number), bytes=12, running_ratio=0.5))
        with pytest.raises(OSError, match="No space left"):
            writer.write({"schema": 1})
    assert json.loads((tmp_path / "r.json").read_text()) == {"schema": 1}


def test_a_place_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WorkloadError, match="No such file or directory; give a file in a directory that can be written"
    ):
        Writer(tmp_path / "nothing" / "r.json")


def test_a_report_without_its_samples_is_not_left(tmp_path: Path) -> None:
    """The report's name is as long as a name may be, its samples' longer."""
    longest = tmp_path / ("r" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    with pytest.raises(WorkloadError, match="File name too long"):
        Writer(longest)
    assert list(tmp_path.iterdir()) == []


def test_who_has_nothing_to_report_leaves_all_as_it_was(tmp_path: Path) -> None:
    """As where the command can't be run."""
    with Writer(tmp_path / "new.json"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.json").write_text("old")
    with Writer(tmp_path / "old.json"):
        pass
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_a_report_that_is_there_is_replaced(tmp_path: Path) -> None:
    for name in ("r.json", "r.samples.ndjson"):
        (tmp_path / name).write_text("what is longer than the report" * 100)
    with Writer(tmp_path / "r.json") as writer:
        writer.write_sample(SAMPLE)
        writer.write({"schema": 1})
    assert json.loads((tmp_path / "r.json").read_text()) == {"schema": 1}
    assert json.loads((tmp_path / "r.samples.ndjson").read_text())["bytes"] == 12


def test_a_pipe_gets_the_report_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with Writer(pipe) as writer:
        assert (writer.samples, writer.stops) == (None, None)
        writer.write_sample(SAMPLE)
        writer.write_stop(STOP)
        writer.write({"schema": 1})
    assert json.loads(os.read(reading, 4096)) == {"schema": 1}
    os.close(reading)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WorkloadError, match="pipe: No such device or address; give a file"):
        Writer(tmp_path / "pipe")


def test_the_name_of_a_descriptor_gets_the_report_after_what_it_holds(tmp_path: Path) -> None:
    """Nothing lands beside that name, nor beside the file that the descriptor is of."""
    with (tmp_path / "log").open("a+") as log:
        print("the command's", file=log, flush=True)
        with Writer(Path(f"/dev/fd/{log.fileno()}")) as writer:
            writer.write_sample(SAMPLE)
            writer.write({"schema": 1})
    first, rest = (tmp_path / "log").read_text().split("\n", 1)
    assert first == "the command's"
    assert json.loads(rest) == {"schema": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["log"]
