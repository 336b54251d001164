"""This machine as tests use it: its processes, its compiler, and waiting for a condition."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

P = ParamSpec("P")


def wait_for(what: str, look: Callable[[], bool], seconds: float) -> float:
    """Look until it is so; the seconds that took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


class Delayed(AssertionError):
    """Something took longer, or came to less, than where nothing else wants the processors."""


def in_time(is_so: bool, what: object = "it was delayed") -> None:
    """Asserts what another program's use of the processors may spoil. For tests with `repeated_when_delayed`."""
    if not is_so:
        raise Delayed(what)


def repeated_when_delayed(test: Callable[P, None]) -> Callable[P, None]:
    """Begins a test again when it was delayed, for two minutes: a busy machine delays one attempt, a mistake each."""

    @functools.wraps(test)
    def repeated(*arguments: P.args, **named: P.kwargs) -> None:
        began = time.monotonic()
        while True:
            try:
                return test(*arguments, **named)
            except Delayed:
                if time.monotonic() - began > 120:
                    raise

    return repeated


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
