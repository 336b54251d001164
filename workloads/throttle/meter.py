"""What a tree of processes moves over TCP: its sockets by /proc/PID/fd, their counts by sock_diag.

What is missed: a connection that begins and ends between two searches, because nobody was seen to hold it. A search
follows every stop, and who is stopped opens and closes nothing: it must begin and end within one stretch of running,
and within the time between searches. Of a connection that was found nothing is missed: when it is destroyed, the
kernel tells its final counters. Only where its own process reset it (RST by SO_LINGER 0) they are zero, and what it
moved since the last look is missed.
"""

from __future__ import annotations

from collections.abc import Iterable

from workloads.throttle.diag_socket import DiagSocket
from workloads.throttle.processes import socket_inodes
from workloads.throttle.tally import Buffered, Counts, Tally

# A socket that is no TCP connection (yet) is looked for again, ever more rarely.
FIRST_AGAIN_S = 0.05
LAST_AGAIN_S = 1.0


class Meter:
    """Counts from its making on; what the connections had moved before does not count."""

    def __init__(self, diag: DiagSocket) -> None:
        self._diag = diag
        self._tally = Tally(diag.dump())
        self._our_inodes: set[int] = set()
        self._unclear: dict[int, tuple[float, float]] = {}  # inode: when to look again, and how long after that
        self.unseen: set[int] = set()
        """Pids of processes whose sockets may not be seen: what they move is not counted."""

    @property
    def buffered(self) -> Buffered:
        """What was in the send buffers at the last look."""
        return self._tally.buffered

    def read(self) -> Counts:
        """The counts of those connections that are known."""
        self._tally.end(self._diag.ended())
        self._ask()
        return self._tally.counts

    def search(self, pids: Iterable[int], now_s: float) -> Counts:
        """The counts, after a search for new connections of these processes; `now_s` is of any clock that does not go
        back.
        """
        self._our_inodes = set()
        for pid in pids:
            try:
                self._our_inodes |= socket_inodes(pid)
            except PermissionError:
                self.unseen.add(pid)
        self._tally.end(self._diag.ended())
        if self._has_news(now_s):
            self._tally.add_dump(self._diag.dump(), self._our_inodes)
            self._remember_unclear(now_s)
        else:
            self._ask(self._our_inodes)
        return self._tally.counts

    def _ask(self, our_inodes: set[int] | None = None) -> None:
        found, missing = self._diag.ask(self._tally.alive)
        self._tally.update(found, our_inodes)
        self._tally.lose(missing)

    def _has_news(self, now_s: float) -> bool:
        strangers = self._our_inodes - {each.inode for each in self._tally.alive}
        self._unclear = {inode: again for inode, again in self._unclear.items() if inode in strangers}
        return any(inode not in self._unclear or self._unclear[inode][0] <= now_s for inode in strangers)

    def _remember_unclear(self, now_s: float) -> None:
        for inode in self._our_inodes - {each.inode for each in self._tally.alive}:
            _, wait_s = self._unclear.get(inode, (now_s, FIRST_AGAIN_S))
            self._unclear[inode] = (now_s + wait_s, min(2 * wait_s, LAST_AGAIN_S))
