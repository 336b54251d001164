"""The tasks' side of the uploader: one run at a time uses it, and sends its requests on standard input."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A run that was killed still exists for a moment: its sync gets five seconds to end (sync.py).
LOCK_TIMEOUT_S = 7.0
LOCK_POLL_S = 0.2
CHUNK_BYTES = 65536


class UploaderLocked(Exception):
    """Another run uses the uploader; the error names it."""


@contextmanager
def uploader_lock(folder: Path, who: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[int]:
    """Locks the uploader for the run `who`; gives the lock's descriptor, which forked children must close.

    Two runs at a time would share the rate. Raises UploaderLocked with the name of the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "claim", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor, timeout_s):
            first = os.pread(descriptor, 4096, 0).decode(errors="replace")
            raise UploaderLocked(" ".join(first.split()) or "a run without a name")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{who}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            # The kernel releases the lock when the process ends, in whatever way.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(LOCK_POLL_S)
        else:
            return True


class TasksGone(Exception):
    """The tasks have ended, or have sent no heartbeat for too long."""


class Requests:
    """Reads lines from a descriptor, without blocking unless asked to."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self, timeout_s: float) -> str:
        """Returns the next line. Raises TasksGone at the end of input, or when nothing has come for too long."""
        while b"\n" not in self._unread:
            if not self._poll.poll(timeout_s * 1000):
                raise TasksGone
            self._take()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def look(self) -> None:
        """Raises TasksGone at the end of input; does not wait."""
        if self._poll.poll(0):
            self._take()

    def _take(self) -> None:
        piece = os.read(self._descriptor, CHUNK_BYTES)
        if not piece:
            raise TasksGone
        self._unread += piece
