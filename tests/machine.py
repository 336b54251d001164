"""This machine as tests use it: its processes, its compiler, and waiting for a condition."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def wait_for(what: str, look: Callable[[], bool], seconds: float) -> float:
    """Look until it is so; the seconds that took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def attempts(seconds: float = 120) -> Iterator[int]:
    """Counts the attempts at what must happen in time, for so long: a busy machine delays one, a mistake each."""
    began = time.monotonic()
    yield from itertools.takewhile(lambda _: time.monotonic() - began < seconds, itertools.count())


def make(folder: Path, target: str = "all") -> Path:
    """Makes a target of a native part in its own `build` folder, and returns that folder.

    `make worker` has made most of it there. The lock keeps the workers of pytest-xdist from building side by side.
    """
    with (folder / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", str(folder), target], check=True)
    return folder / "build"


def processes_with(*words: str) -> list[Path]:
    """The /proc folder of each process that has all of these among its arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if all(word.encode() in arguments for word in words):
                found.append(entry)
    return found


def may_lower_an_oom_score() -> bool:
    """Whether this process has CAP_SYS_RESOURCE (capabilities(7)), which root in a container may lack."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("CapEff:")]
    return bool(int(line.split()[1], 16) >> 24 & 1)


def oom_score(process: int | Path) -> int:
    """A process's oom_score_adj (proc(5)), by its number or its directory."""
    directory = process if isinstance(process, Path) else Path(f"/proc/{process}")
    return int((directory / "oom_score_adj").read_text())
