"""The tasks of an experiment, a process of their own that outlives neither the rehearsal nor the region."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from lab.clients import environment
from lab.control import Running
from lab.errors import LabError
from lab.isolation import isolated
from lab.leak_check import REGION_VARIABLE
from lab.paths import PROJECT

STOP_SECONDS = 20
# A task whose region has ended has nothing left to undo: its hosts are gone.
STOP_WITHOUT_REGION_SECONDS = 1.0
LOOK_SECONDS = 0.2
FAB = (sys.executable, "-m", "fabric")
# Ends with this process, even if that is killed: nobody would read what the tasks say, nor end them.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
VMSTAT = Path("/proc/vmstat")  # proc(5): oom_kill counts the processes that were killed for want of memory

T = TypeVar("T")


class RegionEnded(LabError):
    """The region's process is gone, and all that was in it."""


class RegionWatch:
    """Sees that a region's process has ended, and why; by the process itself and not by its number."""

    def __init__(self, region: Running) -> None:
        """Raises RegionEnded when it has ended already."""
        self._log = region.folder / "region.log"
        self._killed_before = out_of_memory_kills()
        try:
            self._process: int | None = os.pidfd_open(region.pid)
        except ProcessLookupError:
            self._process = None
            raise self.fault() from None

    def close(self) -> None:
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def ended(self, seconds: float = 0) -> bool:
        """Whether it has; waits for that as long."""
        return self._process is None or bool(select.select([self._process], [], [], seconds)[0])

    def check(self) -> None:
        """Raises RegionEnded when it has ended."""
        if self.ended():
            raise self.fault()

    def fault(self) -> RegionEnded:
        kills = out_of_memory_kills()
        if kills is not None and self._killed_before is not None and kills > self._killed_before:
            why = "this machine ran out of memory and its kernel killed processes (dmesg names them)"
        else:
            why = "its process was killed, or failed"
        return RegionEnded(f"the rehearsal region has ended: {why}; its log is {self._log}")

    def result(self, work: Future[T]) -> T:
        """What the work returns; raises RegionEnded when the region ends before it does."""
        while not work.done():
            with contextlib.suppress(TimeoutError):
                return work.result(LOOK_SECONDS)
            if not work.done():
                self.check()
        return work.result()


def out_of_memory_kills() -> int | None:
    """How many processes were killed so far since memory ran out; None where the kernel does not say."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def run_task(region: Running, watch: RegionWatch, inventory: Path, task: str, *arguments: str) -> int:
    """`fab TASK`, as a person would type it: 0, or 1 when it failed.

    In a process group of its own, which is ended whole when this is interrupted, or when the region ends; for that
    RegionEnded is raised.
    """
    command = [*WITH_PARENT, *FAB, task, "--inventory", str(inventory), *arguments]
    return run_beside(command, region, watch)


def run_beside(command: Sequence[str], region: Running, watch: RegionWatch) -> int:
    """Run a command to its end, or to the region's."""
    tasks = subprocess.Popen(
        command,
        cwd=PROJECT,
        env={
            **isolated(os.environ),
            **environment(region.url, region.region),
            REGION_VARIABLE: str(region.folder),
        },
        start_new_session=True,
    )
    try:
        while True:
            try:
                return 0 if tasks.wait(LOOK_SECONDS) == 0 else 1
            except subprocess.TimeoutExpired:
                watch.check()
    except RegionEnded:
        _end(tasks, STOP_WITHOUT_REGION_SECONDS)
        raise
    except BaseException:
        _end(tasks, STOP_SECONDS)
        raise


def _end(tasks: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(tasks.pid, signal.SIGTERM)
    try:
        tasks.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(tasks.pid, signal.SIGKILL)
        tasks.wait()
