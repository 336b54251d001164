"""What the tasks say, a line each, and whether they are still there: their end closes our standard input."""

from __future__ import annotations

import os
import select

CHUNK_BYTES = 65536


class Gone(Exception):
    """Whoever speaks to us has ended, or has given no sign of life for too long."""


class Requests:
    """Lines from a descriptor, read so that nothing is ever waited for unasked."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self, patience_s: float) -> str:
        """The next line. Raises Gone at the end of all, or when nothing has come for so long."""
        while b"\n" not in self._unread:
            if not self._poll.poll(patience_s * 1000):
                raise Gone
            self._take()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def look(self) -> None:
        """Raises Gone when there will be no more lines; does not wait."""
        if self._poll.poll(0):
            self._take()

    def _take(self) -> None:
        piece = os.read(self._descriptor, CHUNK_BYTES)
        if not piece:
            raise Gone
        self._unread += piece
