"""Measures what a tree of processes moves over TCP: its sockets by /proc/PID/fd, their counters by sock_diag.

A connection that begins and ends between two searches is missed: its owner was never seen. A search follows every
stop, so both must happen within one run. Of a connection that was found nothing is missed: the kernel reports its
final counters when it is destroyed. They are zero only where the process itself reset it (RST by SO_LINGER 0); then
what it moved since the last reading is missed.
"""

from __future__ import annotations

from collections.abc import Iterable

from workloads.throttle.diag_socket import DiagSocket
from workloads.throttle.processes import socket_inodes
from workloads.throttle.tally import Buffered, Counts, Tally

# A socket that is not (yet) a TCP connection is searched for again, after ever longer times.
FIRST_AGAIN_S = 0.05
LAST_AGAIN_S = 1.0


class Meter:
    """Counts bytes from its creation on."""

    def __init__(self, diag: DiagSocket) -> None:
        self._diag = diag
        self._tally = Tally(diag.dump())
        self._our_inodes: set[int] = set()
        self._unclear: dict[int, tuple[float, float]] = {}  # inode: when to search again, and the wait after that
        self.unseen: set[int] = set()
        """Pids of processes whose sockets may not be read: what they move is not counted."""

    @property
    def buffered(self) -> Buffered:
        """What was in the send buffers at the last reading."""
        return self._tally.buffered

    def read(self) -> Counts:
        """Returns the counts of the known connections."""
        self._tally.end(self._diag.ended())
        self._ask()
        return self._tally.counts

    def search(self, pids: Iterable[int], now_s: float) -> Counts:
        """Searches for new connections of these processes; returns the counts. `now_s` is of any monotonic clock."""
        self._our_inodes = set()
        for pid in pids:
            try:
                self._our_inodes |= socket_inodes(pid)
            except PermissionError:
                self.unseen.add(pid)
        self._tally.end(self._diag.ended())
        if self._has_new_sockets(now_s):
            self._tally.add_dump(self._diag.dump(), self._our_inodes)
            self._remember_unclear(now_s)
        else:
            self._ask(self._our_inodes)
        return self._tally.counts

    def _ask(self, our_inodes: set[int] | None = None) -> None:
        found, missing = self._diag.ask(self._tally.alive)
        self._tally.update(found, our_inodes)
        self._tally.mark_unlisted(missing)

    def _has_new_sockets(self, now_s: float) -> bool:
        unknown = self._our_inodes - {each.inode for each in self._tally.alive}
        self._unclear = {inode: again for inode, again in self._unclear.items() if inode in unknown}
        return any(inode not in self._unclear or self._unclear[inode][0] <= now_s for inode in unknown)

    def _remember_unclear(self, now_s: float) -> None:
        for inode in self._our_inodes - {each.inode for each in self._tally.alive}:
            _, wait_s = self._unclear.get(inode, (now_s, FIRST_AGAIN_S))
            self._unclear[inode] = (now_s + wait_s, min(2 * wait_s, LAST_AGAIN_S))
