"""Measures what a tree of processes moves over TCP: its sockets by /proc/PID/fd, their counters by sock_diag.

A connection that begins and ends between two searches is missed: its owner was never seen. A search follows every
stop, so both must happen within one run. Of a connection that was found nothing is missed: the kernel reports its
final counters when it is destroyed. They are zero only where the process itself reset it (RST by SO_LINGER 0); then
what it moved since the last reading is missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workloads.throttle.processes import socket_inodes
from workloads.throttle.sock_diag import Connection, DiagSocket

# A socket that is not (yet) a TCP connection is searched for again, after ever longer times.
FIRST_AGAIN_S = 0.05
LAST_AGAIN_S = 1.0
_NEW = Connection(0, b"", 0, 0, unread_bytes=0, unacked_bytes=0, acked_bytes=0, received_bytes=0, notsent_bytes=0)
"""A connection that has moved nothing."""


@dataclass(frozen=True)
class Counts:
    """Bytes since the tally began.

    Peers acknowledged `sent_bytes` and sent `received_bytes`: these went over the network. `process_bytes` is what the
    processes wrote and read; the difference is in the sockets' buffers.
    """

    sent_bytes: int = 0
    received_bytes: int = 0
    process_bytes: int = 0

    @property
    def network_bytes(self) -> int:
        """Both directions together."""
        return self.sent_bytes + self.received_bytes


class Meter:
    """Counts what the processes' connections move, from its creation on."""

    def __init__(self, diag: DiagSocket) -> None:
        self._diag = diag
        self.tally = Tally(diag.dump())
        self._unclear: dict[int, tuple[float, float]] = {}  # inode: when to search again, and the wait after that
        self.unseen: set[int] = set()
        """Pids of processes whose sockets may not be read: what they move is not counted."""

    def read(self) -> Counts:
        """Returns the counts of the known connections."""
        self.tally.end(self._diag.ended())
        self.tally.update(self._diag.ask(self.tally.listed))
        return self.tally.counts

    def search(self, pids: Iterable[int], now_s: float) -> Counts:
        """Searches for new connections of these processes; returns the counts. `now_s` is of any monotonic clock."""
        our_inodes: set[int] = set()
        for pid in pids:
            try:
                our_inodes |= socket_inodes(pid)
            except PermissionError:
                self.unseen.add(pid)
        self.tally.end(self._diag.ended())
        unknown = self._unknown(our_inodes)
        self._unclear = {inode: again for inode, again in self._unclear.items() if inode in unknown}
        if any(inode not in self._unclear or self._unclear[inode][0] <= now_s for inode in unknown):
            self.tally.add_dump(self._diag.dump(), our_inodes)
            for inode in self._unknown(our_inodes):
                _, wait_s = self._unclear.get(inode, (now_s, FIRST_AGAIN_S))
                self._unclear[inode] = (now_s + wait_s, min(2 * wait_s, LAST_AGAIN_S))
        else:
            self.tally.update(self._diag.ask(self.tally.listed), our_inodes)
        return self.tally.counts

    def _unknown(self, inodes: set[int]) -> set[int]:
        return inodes - {each.inode for each in self.tally.listed}


class Tally:
    """Counts the connections of our processes: each from the time one of them was seen to hold it.

    A connection stays ours after all have closed it, while the kernel sends the rest; not once another process holds
    it. What it moved before, under another process, does not count.
    """

    def __init__(self, there_before: Iterable[Connection] = ()) -> None:
        self._ours: dict[int, Connection] = {}  # by cookie, as last read
        self._listed: set[int] = set()  # the cookies of those that the last reading had
        self._others = {each.cookie: each for each in there_before}
        self._sent_bytes = self._received_bytes = self._process_bytes = 0

    @property
    def listed(self) -> list[Connection]:
        """Our connections that still exist, as last read."""
        return [connection for cookie, connection in self._ours.items() if cookie in self._listed]

    @property
    def counts(self) -> Counts:
        """What our connections have moved, with those that have ended."""
        return Counts(self._sent_bytes, self._received_bytes, self._process_bytes)

    @property
    def buffered(self) -> tuple[int, int]:
        """What the processes have written and peers have not acknowledged, and what of it was not sent yet; also of
        closed connections: the kernel sends their buffers even during a stop.
        """
        listed = self.listed
        return sum(each.unacked_bytes for each in listed), sum(each.notsent_bytes for each in listed)

    def add_dump(self, connections: Iterable[Connection], our_inodes: set[int]) -> None:
        """Takes all connections of the namespace, and the inodes of the sockets that our processes hold."""
        others: dict[int, Connection] = {}
        for connection in connections:
            cookie = connection.cookie
            if cookie not in self._ours:
                if connection.inode in our_inodes:
                    self._ours[cookie] = self._others.get(cookie, _NEW)  # `update` below takes its current counters
                else:
                    others[cookie] = connection
        self._others = others
        self.update(connections, our_inodes)

    def update(self, connections: Iterable[Connection], our_inodes: set[int] | None = None) -> None:
        """Takes a new reading of ours; with `our_inodes`, gives up those that another process holds.

        One that the reading does not have keeps its counts until its final counters come, or until it is read again:
        a disconnected socket is not listed until it is connected again.
        """
        self._listed.clear()
        for now in connections:
            cookie = now.cookie
            before = self._ours.get(cookie)
            if before is None:
                continue
            self._count(_NEW if _was_reset(before, now) else before, now)
            if our_inodes is not None and now.inode and now.inode not in our_inodes:
                self._others[cookie] = now
                del self._ours[cookie]
            else:
                self._ours[cookie] = now
                self._listed.add(cookie)

    def end(self, connections: Iterable[Connection]) -> None:
        """Takes connections' final counters, ours or not. They are zero after a reset; the last reading then stays."""
        for now in connections:
            before = self._ours.pop(now.cookie, None)
            if before is not None and not _was_reset(before, now):
                self._count(before, now)

    def _count(self, before: Connection, now: Connection) -> None:
        """Adds what a connection has moved between two readings."""
        self._sent_bytes += now.acked_bytes - before.acked_bytes
        self._received_bytes += now.received_bytes - before.received_bytes
        self._process_bytes += now.process_bytes - before.process_bytes


def _was_reset(before: Connection, now: Connection) -> bool:
    """Returns whether the kernel has set the connection's counters to zero between two readings.

    tcp_disconnect() does so (net/ipv4/tcp.c): in a close with SO_LINGER 0, which sends RST, before it reports the final
    counters; and in connect(AF_UNSPEC), after which the socket may be connected again. It also advances write_seq by a
    window, so that `unacked_bytes` is meaningless until then.
    """
    return now.acked_bytes < before.acked_bytes or now.received_bytes < before.received_bytes
