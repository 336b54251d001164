"""Reads TCP connections from the kernel by netlink, sock_diag(7): messages, and the sockets that carry them.

The data are those of `ss -tin`: for each connection struct tcp_info, with the bytes that the peer has acknowledged and
sent, and the fill of both buffers. No privilege is needed. Layouts are those of linux/netlink.h, linux/inet_diag.h and
linux/tcp.h, which only grow at the end; the fields read here exist since Linux 4.6.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

# linux/netlink.h
NETLINK_SOCK_DIAG = 4
NETLINK_ADD_MEMBERSHIP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_DUMP = 0x300
SOL_NETLINK = 270  # linux/socket.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
INET_DIAG_INFO = 2  # linux/inet_diag.h
FAMILIES = (socket.AF_INET, socket.AF_INET6)

# Multicast groups to which the kernel sends a connection's final counters when it is destroyed
# (SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY).
END_GROUPS = (1, 3)

# net/tcp_states.h: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING.
# Left out: SYN_RECV (3) and TIME_WAIT (6) have no counts, CLOSE (7) and LISTEN (10) move nothing.
_STATE_MASK = sum(1 << state for state in (1, 2, 4, 5, 8, 9, 11))

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
# struct inet_diag_req_v2: family, protocol, extensions, states; struct inet_diag_sockid: 40 bytes, cookie
_REQUEST = struct.Struct("=BBBxI40sQ")
# struct inet_diag_msg: family, …; struct inet_diag_sockid; expires, rqueue, wqueue, uid, inode
_MESSAGE = struct.Struct("=Bxxx40sQ4xII4xI")
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_ERROR = struct.Struct("=i")  # struct nlmsgerr: the error, negative
_BYTE_COUNTS = struct.Struct("=QQ8xI")
_BYTE_COUNTS_AT = 120  # in struct tcp_info: bytes_acked, bytes_received; after two counts of segments notsent_bytes

DATAGRAM_BYTES = 1 << 18
# Requests in one datagram. An answer takes about a kilobyte of the receive buffer, which has 212992 bytes by default.
AT_ONCE = 64
# The receive buffer for ended connections, a kilobyte each: a server may end thousands between two readings.
ENDS_BYTES = 1 << 22
# The kernel answers within the call; the timeout only keeps processes from staying stopped if it does not.
ANSWER_S = 1.0


class Connection(NamedTuple):
    """One TCP connection. `inode` is 0 once no process holds it; the kernel still sends what is buffered.

    `acked_bytes` counts SYN and FIN as a byte each, as the kernel does.
    """

    family: int
    endpoints: bytes  # ports, addresses and interface in struct inet_diag_sockid, to ask for it again
    cookie: int  # the kernel's unique number of it
    inode: int
    unread_bytes: int  # received, not yet read by the process
    unacked_bytes: int  # written by the process, not yet acknowledged by the peer
    acked_bytes: int
    received_bytes: int
    notsent_bytes: int  # of the unacknowledged ones, those that were not sent yet

    @property
    def process_bytes(self) -> int:
        """What the process has written and read: constant while the process is stopped."""
        return self.acked_bytes + self.unacked_bytes + self.received_bytes - self.unread_bytes


class Answer(NamedTuple):
    """The content of a datagram. `answered` are the sequence numbers of its requests, also of those whose connection no
    longer exists; `done` tells that a dump has ended.
    """

    connections: list[Connection]
    answered: list[int]
    done: bool


def dump_request(family: int, sequence: int) -> bytes:
    """Returns a request for all connections of an address family."""
    return _request(family, bytes(40), 0, sequence, NLM_F_REQUEST | NLM_F_DUMP)


def exact_requests(connections: Sequence[Connection], first_sequence: int) -> bytes:
    """Returns one datagram that requests these connections; the kernel looks each up without walking its table."""
    return b"".join(
        _request(each.family, each.endpoints, each.cookie, sequence, NLM_F_REQUEST)
        for sequence, each in enumerate(connections, first_sequence)
    )


def _request(family: int, endpoints: bytes, cookie: int, sequence: int, flags: int) -> bytes:
    extensions = 1 << (INET_DIAG_INFO - 1)
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, _STATE_MASK, endpoints, cookie)
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, sequence, 0) + body


def parse_answer(datagram: bytes) -> Answer:
    """Parses a datagram. Raises OSError when the kernel refuses the request, ValueError when it is cut off."""
    connections: list[Connection] = []
    answered: list[int] = []
    done = False
    offset = 0
    try:
        while offset < len(datagram):
            length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, offset)
            if length < _HEADER.size or offset + length > len(datagram):
                raise ValueError(f"a netlink message of {length} bytes in a datagram of {len(datagram)}")
            body = datagram[offset + _HEADER.size : offset + length]
            answered.append(sequence)
            if kind == SOCK_DIAG_BY_FAMILY:
                if (found := _parse_connection(body)) is not None:
                    connections.append(found)
            elif kind == NLMSG_ERROR:
                _check_missing(body)
                done = True  # of a dump: the kernel does not know the family
            elif kind == NLMSG_DONE:
                done = True
            offset += _aligned(length)
    except struct.error as error:
        raise ValueError(f"a datagram of {len(datagram)} bytes ends within a structure ({error})") from None
    return Answer(connections, answered, done)


def _parse_connection(body: bytes) -> Connection | None:
    """Returns None for a connection without counters, as in TIME_WAIT or FIN_WAIT2."""
    family, endpoints, cookie, unread, unacked, inode = _MESSAGE.unpack_from(body)
    offset = _MESSAGE.size
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size or offset + length > len(body):
            raise ValueError(f"a netlink attribute of {length} bytes where {len(body) - offset} are left")
        if kind == INET_DIAG_INFO:
            info = body[offset + _ATTRIBUTE.size : offset + length]
            acked, received, notsent = _BYTE_COUNTS.unpack_from(info, _BYTE_COUNTS_AT)
            return Connection(family, endpoints, cookie, inode, unread, unacked, acked, received, notsent)
        offset += _aligned(length)
    return None


def _check_missing(body: bytes) -> None:
    (negative,) = _ERROR.unpack_from(body)
    # ENOENT: no such connection. ESTALE: its addresses are taken by a later one, whose cookie is another.
    if -negative not in (2, 116):
        raise OSError(-negative, "the kernel does not report TCP connections (sock_diag)")


def _aligned(length: int) -> int:
    return (length + 3) & ~3


class DiagSocket:
    """Reads connections, live and ended. Raises OSError where the kernel, or a sandbox, has no sock_diag."""

    def __init__(self) -> None:
        self._questions = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._questions.settimeout(ANSWER_S)
        self._ends = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._ends.setblocking(False)
        self._sequence = 0
        try:
            try:
                self._ends.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ENDS_BYTES)  # for root, beyond the limit
            except PermissionError:
                self._ends.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ENDS_BYTES)
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

    def ask(self, connections: Sequence[Connection]) -> list[Connection]:
        """Returns the current state of these connections, of those that still exist."""
        found: list[Connection] = []
        for start in range(0, len(connections), AT_ONCE):
            part = connections[start : start + AT_ONCE]
            first = self._number(len(part))
            self._questions.send(exact_requests(part, first))
            outstanding = set(range(first, first + len(part)))
            while outstanding:
                answer = parse_answer(self._questions.recv(DATAGRAM_BYTES))
                if not outstanding.isdisjoint(answer.answered):
                    outstanding.difference_update(answer.answered)
                    found += answer.connections
        return found

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

    def _number(self, count: int) -> int:
        """Returns the first of `count` sequence numbers (32 bits) that no recent request used."""
        first = self._sequence + 1 if self._sequence < 2**31 else 1
        self._sequence = first + count - 1
        return first

    def close(self) -> None:
        """Closes both sockets."""
        self._questions.close()
        self._ends.close()
