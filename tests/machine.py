"""Looking at this machine from a test: its processes, and waiting until something is so."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path


def wait_for(what: str, look: Callable[[], bool], seconds: float) -> float:
    """Look until it is so; the seconds that took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def processes_with(*words: str) -> list[Path]:
    """The /proc folder of each process that has all of these among its arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if all(word.encode() in arguments for word in words):
                found.append(entry)
    return found
