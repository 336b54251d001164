"""Adds up what the connections of some processes have moved, while connections come, end and change hands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workloads.throttle.sock_diag import Connection


@dataclass(frozen=True)
class Counts:
    """Bytes since the tally began.

    `sent_bytes` were acknowledged by the peers, `received_bytes` came from them: what went over the network.
    `process_bytes` is what the processes wrote and read: the difference lies in the sockets' buffers.
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
    """What the processes have written and the peers have not acknowledged: `notsent_bytes` of it was not sent yet."""

    unacked_bytes: int = 0
    notsent_bytes: int = 0


def counts_of(connection: Connection) -> Counts:
    """What a connection has moved since it was made, or since it was last reset."""
    return Counts(connection.acked_bytes, connection.received_bytes, connection.process_bytes)


def _was_reset(before: Connection, now: Connection) -> bool:
    """Whether the kernel has set the connection's counters to zero between two readings.

    tcp_disconnect() does so (net/ipv4/tcp.c): for a close with SO_LINGER 0, which sends RST, before the final counters
    are told; and for connect(AF_UNSPEC), after which the same socket may be connected again. It also moves write_seq on
    by a window, so that `unacked_bytes` mean nothing until then.
    """
    return now.acked_bytes < before.acked_bytes or now.received_bytes < before.received_bytes


@dataclass
class _Ours:
    connection: Connection
    excluded: Counts  # of its counters: what it had moved when it became ours, less what a reset took away since
    alive: bool = True

    @property
    def counts(self) -> Counts:
        return counts_of(self.connection) - self.excluded

    def read(self, connection: Connection) -> None:
        """The same connection at a later time. What has been counted stays counted."""
        if _was_reset(self.connection, connection):
            self.excluded -= counts_of(self.connection)
        self.connection = connection


class Tally:
    """A connection is ours from when one of our processes is seen to hold it.

    It stays ours when all have closed it, while the kernel sends what is left; not when somebody else holds it. What it
    had moved before it was ours (seen at somebody else's) does not count.
    """

    def __init__(self, there_before: Iterable[Connection] = ()) -> None:
        self._ours: dict[int, _Ours] = {}
        self._others = {each.cookie: each for each in there_before}
        self._finished = Counts()

    @property
    def alive(self) -> list[Connection]:
        """Ours, as last seen, without those that are no more."""
        return [each.connection for each in self._ours.values() if each.alive]

    @property
    def counts(self) -> Counts:
        """What ours have moved, ended ones included."""
        return sum((each.counts for each in self._ours.values()), self._finished)

    @property
    def buffered(self) -> Buffered:
        """What lies in the send buffers of ours, of closed ones too: the kernel sends it, whoever stands still."""
        alive = self.alive
        return Buffered(sum(each.unacked_bytes for each in alive), sum(each.notsent_bytes for each in alive))

    def add_dump(self, connections: Iterable[Connection], our_inodes: set[int]) -> None:
        """All connections there are, and the inodes of the sockets that our processes hold."""
        others: dict[int, Connection] = {}
        here = set()
        for connection in connections:
            cookie = connection.cookie
            here.add(cookie)
            if cookie not in self._ours and connection.inode in our_inodes:
                before = self._others.get(cookie)
                # `update` below reads it as it is now.
                self._ours[cookie] = _Ours(connection, Counts()) if before is None else _Ours(before, counts_of(before))
            elif cookie not in self._ours:
                others[cookie] = connection
        self._others = others
        self.update(connections, our_inodes)
        self.lose(each.connection for cookie, each in self._ours.items() if cookie not in here)

    def update(self, connections: Iterable[Connection], our_inodes: set[int] | None = None) -> None:
        """Some of ours as they are now; with `our_inodes`, those that somebody else holds are ours no longer."""
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is None:
                continue
            entry.read(connection)
            entry.alive = True  # a socket that was disconnected is not listed until it is connected again
            if our_inodes is not None and connection.inode and connection.inode not in our_inodes:
                self._others[connection.cookie] = connection
                self._finish(connection.cookie)

    def lose(self, connections: Iterable[Connection]) -> None:
        """Connections that are no longer listed. They keep their counts until the kernel tells the final ones."""
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is not None:
                entry.alive = False

    def end(self, connections: Iterable[Connection]) -> None:
        """The final counters of connections, ours or not. Those of one that was reset say nothing: what was read before
        stands.
        """
        for connection in connections:
            entry = self._ours.get(connection.cookie)
            if entry is not None:
                if not _was_reset(entry.connection, connection):
                    entry.connection = connection
                self._finish(connection.cookie)

    def _finish(self, cookie: int) -> None:
        self._finished += self._ours.pop(cookie).counts
