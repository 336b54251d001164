"""The requests that the tasks send on standard input."""

from __future__ import annotations

import os
import select

CHUNK_BYTES = 65536


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
