"""Netlink sockets that read TCP connections from the kernel; sock_diag.py has the messages."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from workloads.throttle.sock_diag import (
    END_GROUPS,
    FAMILIES,
    Connection,
    dump_request,
    exact_requests,
    parse_answer,
)

NETLINK_SOCK_DIAG = 4  # linux/netlink.h
SOL_NETLINK = 270  # linux/socket.h
NETLINK_ADD_MEMBERSHIP = 1  # linux/netlink.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
DATAGRAM_BYTES = 1 << 18
# Requests in one datagram. An answer takes about a kilobyte of the receive buffer, which has 212992 bytes by default.
AT_ONCE = 64
# The receive buffer for ended connections, a kilobyte each: a server may end thousands between two readings.
ENDS_BYTES = 1 << 22
# The kernel answers within the call; the timeout only keeps processes from staying stopped if it does not.
ANSWER_S = 1.0


class DiagSocket:
    """Reads connections, live and ended. Raises OSError where the kernel, or a sandbox, has no sock_diag."""

    def __init__(self) -> None:
        self._questions = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._questions.settimeout(ANSWER_S)
        self._ends = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._ends.setblocking(False)
        self._sequence = 0
        try:
            self._enlarge_buffer()
            self._questions.bind((0, 0))
            self._ends.bind((0, 0))
            for group in END_GROUPS:
                # Without these messages only the last bytes of a connection are lost.
                with contextlib.suppress(OSError):
                    self._ends.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except OSError:
            self.close()
            raise

    def dump(self) -> list[Connection]:
        """Returns every connection of this network namespace."""
        found: list[Connection] = []
        for family in FAMILIES:
            number = self._number(1)
            self._questions.send(dump_request(family, number))
            done = False
            while not done:
                answer = parse_answer(self._questions.recv(DATAGRAM_BYTES))
                if number not in answer.answered:
                    continue  # the rest of an answer to a request that timed out
                done = answer.done
                found += answer.connections
        return found

    def ask(self, connections: Sequence[Connection]) -> tuple[list[Connection], list[Connection]]:
        """Returns the current state of these connections, and those that no longer exist."""
        found: list[Connection] = []
        missing: list[Connection] = []
        for start in range(0, len(connections), AT_ONCE):
            part = connections[start : start + AT_ONCE]
            first = self._number(len(part))
            self._questions.send(exact_requests(part, first))
            outstanding = set(range(first, first + len(part)))
            while outstanding:
                answer = parse_answer(self._questions.recv(DATAGRAM_BYTES))
                if outstanding.isdisjoint(answer.answered):
                    continue
                outstanding.difference_update(answer.answered)
                found += answer.connections
                missing += [part[sequence - first] for sequence in answer.missing if sequence >= first]
        return found, missing

    def _enlarge_buffer(self) -> None:
        """Enlarges the buffer for ended connections; beyond the system's limit where root may."""
        try:
            self._ends.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ENDS_BYTES)
        except PermissionError:
            self._ends.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ENDS_BYTES)

    def _number(self, count: int) -> int:
        """Returns the first of `count` sequence numbers (32 bits) that no recent request used."""
        first = self._sequence + 1 if self._sequence < 2**31 else 1
        self._sequence = first + count - 1
        return first

    def ended(self) -> list[Connection]:
        """Returns the connections destroyed since the last call, with their final counters."""
        found: list[Connection] = []
        while True:
            try:
                found += parse_answer(self._ends.recv(DATAGRAM_BYTES)).connections
            except BlockingIOError:
                return found
            except OSError:
                pass  # ENOBUFS: more ended at once than the buffer holds; those are lost, later ones are not.

    def close(self) -> None:
        """Closes both sockets."""
        self._questions.close()
        self._ends.close()

    def __enter__(self) -> DiagSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
