"""Adds up what the connections of some processes have moved, while connections open, close and change owners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workloads.throttle.sock_diag import Connection


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

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.sent_bytes + other.sent_bytes,
            self.received_bytes + other.received_bytes,
            self.process_bytes + other.process_bytes,
        )

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.sent_bytes - other.sent_bytes,
            self.received_bytes - other.received_bytes,
            self.process_bytes - other.process_bytes,
        )


@dataclass(frozen=True)
class Buffered:
    """What processes have written and peers have not acknowledged; `notsent_bytes` of it were not sent yet."""

    unacked_bytes: int = 0
    notsent_bytes: int = 0


def counts_of(connection: Connection) -> Counts:
    """Returns what a connection has moved since it was opened, or last reset."""
    return Counts(connection.acked_bytes, connection.received_bytes, connection.process_bytes)


def _was_reset(before: Connection, now: Connection) -> bool:
    """Returns whether the kernel has set the connection's counters to zero between two readings.

    tcp_disconnect() does so (net/ipv4/tcp.c): in a close with SO_LINGER 0, which sends RST, before it reports the final
    counters; and in connect(AF_UNSPEC), after which the socket may be connected again. It also advances write_seq by a
    window, so that `unacked_bytes` is meaningless until then.
    """
    return now.acked_bytes < before.acked_bytes or now.received_bytes < before.received_bytes


@dataclass
class _Ours:
    connection: Connection
    excluded: Counts  # what it had moved before it became ours, less what a reset has cleared since
    alive: bool = True

    @property
    def counts(self) -> Counts:
        return counts_of(self.connection) - self.excluded

    def read(self, connection: Connection) -> None:
        """Updates the connection; keeps what was counted before a reset."""
        if _was_reset(self.connection, connection):
            self.excluded -= counts_of(self.connection)
        self.connection = connection


class Tally:
    """Counts the connections of our processes: each from the time one of them was seen to hold it.

    A connection stays ours after all have closed it, while the kernel sends the rest; not once another process holds
    it. What it moved before, under another process, does not count.
    """

    def __init__(self, there_before: Iterable[Connection] = ()) -> None:
        self._ours: dict[int, _Ours] = {}
        self._others = {each.cookie: each for each in there_before}
        self._finished = Counts()

    @property
    def alive(self) -> list[Connection]:
        """Our connections that still exist, as last read."""
        return [each.connection for each in self._ours.values() if each.alive]

    @property
    def counts(self) -> Counts:
        """What our connections have moved, with those that have ended."""
        return sum((each.counts for each in self._ours.values()), self._finished)

    @property
    def buffered(self) -> Buffered:
        """The send buffers of our connections, also of closed ones: the kernel sends them even during a stop."""
        alive = self.alive
        return Buffered(sum(each.unacked_bytes for each in alive), sum(each.notsent_bytes for each in alive))

    def add_dump(self, connections: Iterable[Connection], our_inodes: set[int]) -> None:
        """Takes all connections of the namespace, and the inodes of the sockets that our processes hold."""
        others: dict[int, Connection] = {}
        here = set()
        for connection in connections:
            cookie = connection.cookie
            here.add(cookie)
            if cookie not in self._ours and connection.inode in our_inodes:
                before = self._others.get(cookie)
                # `update` below takes its current counters.
                self._ours[cookie] = _Ours(connection, Counts()) if before is None else _Ours(before, counts_of(before))
            elif cookie not in self._ours:
                others[cookie] = connection
        self._others = others
        self.update(connections, our_inodes)
        self.mark_unlisted(each.connection for cookie, each in self._ours.items() if cookie not in here)

    def update(self, connections: Iterable[Connection], our_inodes: set[int] | None = None) -> None:
        """Takes new readings of some of ours; with `our_inodes`, gives up those that another process holds."""
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is None:
                continue
            entry.read(connection)
            entry.alive = True  # a disconnected socket is not listed until it is connected again
            if our_inodes is not None and connection.inode and connection.inode not in our_inodes:
                self._others[connection.cookie] = connection
                self._finish(connection.cookie)

    def mark_unlisted(self, connections: Iterable[Connection]) -> None:
        """Takes connections that are no longer listed; they keep their counts until the final counters come."""
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is not None:
                entry.alive = False

    def end(self, connections: Iterable[Connection]) -> None:
        """Takes connections' final counters, ours or not. They are zero after a reset; the last reading then stays."""
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is not None:
                if not _was_reset(entry.connection, connection):
                    entry.connection = connection
                self._finish(connection.cookie)

    def _finish(self, cookie: int) -> None:
        self._finished += self._ours.pop(cookie).counts
