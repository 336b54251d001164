"""Tasks outlive neither their region nor whoever runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from lab import control, tasks
from lab.paths import PROJECT
from lab.tasks import RegionEnded, RegionWatch, run_beside
from tests.machine import processes_with, wait_for

BOUND_SECONDS = 60  # two are meant


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """In the place of a region's."""
    region = subprocess.Popen(["sleep", "600"])
    yield region
    region.kill()
    region.wait()


def running(process: subprocess.Popen[bytes], folder: Path) -> control.Running:
    return control.Running(folder, "http://127.0.0.1:1", process.pid, "eu-central-1")


@pytest.mark.parametrize("ignores", ["", "trap '' TERM; "])
def test_tasks_end_with_their_region_and_are_told_why(
    process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignores: str
) -> None:
    region = running(process, tmp_path)
    began: list[float] = []

    def end() -> None:
        began.append(time.monotonic())
        process.kill()

    monkeypatch.setattr(tasks, "STOP_WITHOUT_REGION_SECONDS", 0.3)
    threading.Timer(0.5, end).start()
    mark = f"mark-{os.getpid()}-{tmp_path.name}"
    with pytest.raises(RegionEnded, match=r"^the rehearsal region has ended: .*; its log is .*region.log$"):
        run_beside(["bash", "-c", f"{ignores}while true; do sleep 0.2; done", mark], RegionWatch(region))
    assert time.monotonic() - began[0] < BOUND_SECONDS
    assert processes_with(mark) == []


def test_a_machine_that_ran_out_of_memory_is_named(
    process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = tmp_path / "vmstat"
    counts.write_text("nr_free_pages 1\noom_kill 3\n")
    monkeypatch.setattr(tasks, "VMSTAT", counts)
    watch = RegionWatch(running(process, tmp_path))
    watch.check()
    counts.write_text("nr_free_pages 1\noom_kill 4\n")
    process.kill()
    assert watch.ended(BOUND_SECONDS)
    with pytest.raises(RegionEnded, match="this machine ran out of memory"):
        watch.check()


def test_what_is_waited_for_in_a_region_ends_with_it(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    watch = RegionWatch(running(process, tmp_path))
    done: Future[int] = Future()
    done.set_result(7)
    assert watch.result(done) == 7
    threading.Timer(0.5, process.kill).start()
    with pytest.raises(RegionEnded):
        watch.result(Future[int]())


def test_a_region_that_was_gone_before_is_one_line(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(RegionEnded):
        RegionWatch(running(gone, tmp_path))


RUN = """
import os, sys
from pathlib import Path
from lab.control import Running
from lab.tasks import WITH_PARENT, RegionWatch, run_beside
region = Running(Path(sys.argv[1]), "http://127.0.0.1:1", os.getppid(), "eu-central-1")
run_beside([*WITH_PARENT, "sleep", "600.25", sys.argv[2]], RegionWatch(region))
"""


def test_tasks_end_with_whoever_runs_them_even_if_that_is_killed(tmp_path: Path) -> None:
    mark = str(tmp_path / "sleeper")
    Path(mark).symlink_to("/bin/sleep")
    program = RUN.replace('"sleep", "600.25", sys.argv[2]', 'sys.argv[2], "600"')
    runner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), mark], cwd=PROJECT)
    wait_for("the task runs", lambda: any(p.name != str(runner.pid) for p in processes_with(mark, "600")), 120)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    wait_for("the task has ended", lambda: processes_with(mark, "600") == [], BOUND_SECONDS)
