"""The conversation with the kernel about its TCP connections; what is said is in sock_diag.py."""

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
# An answer takes about a kilobyte of the socket's receive buffer, which has 212992 bytes unless told otherwise.
AT_ONCE = 64
# An end takes about as much. A server may end thousands of connections between two looks.
ENDS_BYTES = 1 << 22
# The kernel answers within the call; this is only so that nothing stays stopped if it should not.
ANSWER_S = 1.0


class DiagSocket:
    """Asks and listens. Raises OSError where the kernel (or a sandbox around us) has no sock_diag."""

    def __init__(self) -> None:
        self._questions = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._questions.settimeout(ANSWER_S)
        self._ends = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._ends.setblocking(False)
        self._sequence = 0
        try:
            self._make_room()
            self._questions.bind((0, 0))
            self._ends.bind((0, 0))
            for group in END_GROUPS:
                # Without these messages the last bytes of a connection are lost, no more.
                with contextlib.suppress(OSError):
                    self._ends.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except OSError:
            self.close()
            raise

    def dump(self) -> list[Connection]:
        """Every connection of this network namespace."""
        found: list[Connection] = []
        for family in FAMILIES:
            number = self._number(1)
            self._questions.send(dump_request(family, number))
            done = False
            while not done:
                answer = parse_answer(self._questions.recv(DATAGRAM_BYTES))
                if number not in answer.answered:
                    continue  # what was left of a question that was given up
                done = answer.done
                found += answer.connections
        return found

    def ask(self, connections: Sequence[Connection]) -> tuple[list[Connection], list[Connection]]:
        """These connections as they are now, and those of them that are no more."""
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

    def _make_room(self) -> None:
        """As many ends may wait to be read as root may keep, or as anyone may."""
        try:
            self._ends.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ENDS_BYTES)
        except PermissionError:
            self._ends.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ENDS_BYTES)

    def _number(self, count: int) -> int:
        """The first of so many numbers that no question of late had; they have 32 bits."""
        first = self._sequence + 1 if self._sequence < 2**31 else 1
        self._sequence = first + count - 1
        return first

    def ended(self) -> list[Connection]:
        """Connections that were destroyed since the last call, with their final counters."""
        found: list[Connection] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    found += parse_answer(self._ends.recv(DATAGRAM_BYTES)).connections
                except OSError as fault:
                    if isinstance(fault, BlockingIOError):
                        raise
                    # ENOBUFS: more ended at once than the buffer holds; those are lost, the next are not.
        return found

    def close(self) -> None:
        """Closes both sockets."""
        self._questions.close()
        self._ends.close()

    def __enter__(self) -> DiagSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
