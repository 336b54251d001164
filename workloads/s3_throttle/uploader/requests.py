"""Reads the tasks' requests, one a line, and notices their end, which closes standard input."""

from __future__ import annotations

import os
import select

CHUNK_BYTES = 65536


class Gone(Exception):
    """The tasks have ended, or have sent no heartbeat for too long."""


class Requests:
    """Reads lines from a descriptor, without blocking unless asked to."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self, patience_s: float) -> str:
        """Returns the next line. Raises Gone at the end of input, or when nothing has come for too long."""
        while b"\n" not in self._unread:
            if not self._poll.poll(patience_s * 1000):
                raise Gone
            self._take()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def look(self) -> None:
        """Raises Gone at the end of input; does not wait."""
        if self._poll.poll(0):
            self._take()

    def _take(self) -> None:
        piece = os.read(self._descriptor, CHUNK_BYTES)
        if not piece:
            raise Gone
        self._unread += piece
