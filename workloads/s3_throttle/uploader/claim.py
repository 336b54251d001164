"""Lets one run at a time use the uploader: two would share the rate. The error of the second names the first."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A run that was killed still exists for a moment: its sync gets five seconds to end (sync.py).
PATIENCE_S = 7.0
POLL_S = 0.2


class Taken(Exception):
    """Another run has the uploader, which the error names."""


@contextmanager
def claimed(folder: Path, who: str, patience_s: float = PATIENCE_S) -> Iterator[int]:
    """Locks the uploader for `who` while this process lives; forked children must close the descriptor."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "claim", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor, patience_s):
            first = os.pread(descriptor, 4096, 0).decode(errors="replace")
            raise Taken(" ".join(first.split()) or "somebody who gave no name")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{who}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, patience_s: float) -> bool:
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            # The kernel releases the lock when the process ends, in whatever way.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(POLL_S)
        else:
            return True
