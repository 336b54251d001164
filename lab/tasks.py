"""Runs the tasks of an experiment in a process that ends with the rehearsal and with the region."""

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
# A task has nothing to undo when its region has ended.
STOP_WITHOUT_REGION_SECONDS = 1.0
LOOK_SECONDS = 0.2
FAB = (sys.executable, "-m", "fabric")
# Ends with this process, even if that is killed.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
VMSTAT = Path("/proc/vmstat")  # proc(5): oom_kill counts the processes that were killed for want of memory

T = TypeVar("T")


class RegionEnded(LabError):
    """The region's process has exited, and all hosts with it."""


class RegionWatch:
    """Watches a region's process, by a file descriptor (pidfd) and not by its number, which may be used again."""

    def __init__(self, region: Running) -> None:
        """Raises RegionEnded if it has exited already."""
        self.region = region
        self._killed_before = out_of_memory_kills()
        try:
            self._process = os.pidfd_open(region.pid)
        except ProcessLookupError:
            raise self.fault() from None

    def close(self) -> None:
        os.close(self._process)

    def ended(self, seconds: float = 0) -> bool:
        """Returns whether the process has exited; waits up to `seconds` for that."""
        return bool(select.select([self._process], [], [], seconds)[0])

    def check(self) -> None:
        """Raises RegionEnded if the process has exited."""
        if self.ended():
            raise self.fault()

    def fault(self) -> RegionEnded:
        kills = out_of_memory_kills()
        if kills is not None and self._killed_before is not None and kills > self._killed_before:
            why = "this machine ran out of memory and its kernel killed processes (dmesg names them)"
        else:
            why = "its process was killed, or failed"
        return RegionEnded(f"the rehearsal region has ended: {why}; its log is {self.region.folder / 'region.log'}")

    def result(self, work: Future[T]) -> T:
        """Returns the result of the work; raises RegionEnded if the region ends first."""
        while not work.done():
            with contextlib.suppress(TimeoutError):
                return work.result(LOOK_SECONDS)
            if not work.done():
                self.check()
        return work.result()


def out_of_memory_kills() -> int | None:
    """Returns how many processes the kernel has killed for want of memory; None if it does not count them."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def run_task(watch: RegionWatch, inventory: Path, task: str, *arguments: str) -> int:
    """Runs `fab TASK`; returns 0, or 1 if it failed.

    Ends the whole process group of the task on an interrupt, and when the region ends; then it raises RegionEnded.
    """
    command = [*WITH_PARENT, *FAB, task, "--inventory", str(inventory), *arguments]
    return run_beside(command, watch)


def run_beside(command: Sequence[str], watch: RegionWatch) -> int:
    """Runs a command until it or the region ends."""
    region = watch.region
    tasks = subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**isolated(os.environ), **environment(region.url, region.region), REGION_VARIABLE: str(region.folder)},
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
