"""Netlink messages about TCP connections, sock_diag(7): makes requests and parses answers; has no socket.

The data are those of `ss -tin`: for each connection struct tcp_info, with the bytes that the peer has acknowledged and
sent, and the fill of both buffers. No privilege is needed. Layouts are those of linux/netlink.h, linux/inet_diag.h and
linux/tcp.h, which only grow at the end; the fields read here exist since Linux 4.6.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_DUMP = 0x300
INET_DIAG_INFO = 2
FAMILIES = (socket.AF_INET, socket.AF_INET6)

# Multicast groups to which the kernel sends a connection's final counters when it is destroyed
# (SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY).
END_GROUPS = (1, 3)

# net/tcp_states.h. Left out: SYN_RECV (3) and TIME_WAIT (6) have no counts, CLOSE (7) and LISTEN (10) move nothing.
_STATES = {
    "ESTABLISHED": 1,
    "SYN_SENT": 2,
    "FIN_WAIT1": 4,
    "FIN_WAIT2": 5,
    "CLOSE_WAIT": 8,
    "LAST_ACK": 9,
    "CLOSING": 11,
}
_STATE_MASK = sum(1 << number for number in _STATES.values())

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI48s")  # struct inet_diag_req_v2: family, protocol, extensions, states, id
_MESSAGE = struct.Struct("=BBBB48sIIIII")  # struct inet_diag_msg: …, id, expires, rqueue, wqueue, uid, inode
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_COOKIE = struct.Struct("=Q")
_COOKIE_AT = 40  # in struct inet_diag_sockid, after ports, addresses and interface
_BYTE_COUNTS = struct.Struct("=QQ8xI")
_BYTE_COUNTS_AT = 120  # in struct tcp_info: bytes_acked, bytes_received; after two counts of segments notsent_bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection. `inode` is 0 once no process holds it; the kernel still sends what is buffered.

    `acked_bytes` counts SYN and FIN as a byte each, as the kernel does.
    """

    family: int
    id: bytes  # struct inet_diag_sockid, to ask for it again
    inode: int
    unread_bytes: int  # received, not yet read by the process
    unacked_bytes: int  # written by the process, not yet acknowledged by the peer
    acked_bytes: int
    received_bytes: int
    notsent_bytes: int = 0  # of the unacknowledged ones, those that were not sent yet

    @property
    def cookie(self) -> int:
        """The kernel's unique number of this connection."""
        return int(_COOKIE.unpack_from(self.id, _COOKIE_AT)[0])

    @property
    def process_bytes(self) -> int:
        """What the process has written and read: constant while the process is stopped."""
        return self.acked_bytes + self.unacked_bytes + self.received_bytes - self.unread_bytes


@dataclass(frozen=True)
class Answer:
    """The content of a datagram. `answered` are the sequence numbers of its requests, `missing` those whose connection
    no longer exists; `done` tells that a dump has ended.
    """

    connections: tuple[Connection, ...]
    missing: tuple[int, ...]
    answered: tuple[int, ...]
    done: bool


def dump_request(family: int, sequence: int) -> bytes:
    """Returns a request for all connections of an address family."""
    return _request(family, bytes(48), sequence, NLM_F_REQUEST | NLM_F_DUMP)


def exact_requests(connections: Sequence[Connection], first_sequence: int) -> bytes:
    """Returns one datagram that requests these connections; the kernel looks each up without walking its table."""
    return b"".join(
        _request(each.family, each.id, sequence, NLM_F_REQUEST)
        for sequence, each in enumerate(connections, first_sequence)
    )


def parse_answer(datagram: bytes) -> Answer:
    """Parses a datagram. Raises OSError when the kernel refuses the request, ValueError when it is cut off."""
    connections: list[Connection] = []
    missing: list[int] = []
    answered: list[int] = []
    done = False
    offset = 0
    while offset < len(datagram):
        length, kind, _, sequence, _ = _unpack(_HEADER, datagram, offset)
        if length < _HEADER.size or offset + length > len(datagram):
            raise ValueError(f"a netlink message of {length} bytes in a datagram of {len(datagram)}")
        body = datagram[offset + _HEADER.size : offset + length]
        answered.append(sequence)
        if kind == NLMSG_DONE:
            done = True
        elif kind == NLMSG_ERROR:
            _check_missing(body)
            missing.append(sequence)
            done = True  # of a dump: the kernel does not know the family
        elif kind == SOCK_DIAG_BY_FAMILY:
            found = _parse_connection(body)
            if found is None:
                missing.append(sequence)
            else:
                connections.append(found)
        offset += _aligned(length)
    return Answer(tuple(connections), tuple(missing), tuple(answered), done)


def _request(family: int, identity: bytes, sequence: int, flags: int) -> bytes:
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), _STATE_MASK, identity)
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, sequence, 0) + body


def _parse_connection(body: bytes) -> Connection | None:
    """Returns None for a connection without counters, as in TIME_WAIT or FIN_WAIT2."""
    family, _, _, _, identity, _, unread, unacked, _, inode = _unpack(_MESSAGE, body, 0)
    offset = _MESSAGE.size
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size or offset + length > len(body):
            raise ValueError(f"a netlink attribute of {length} bytes where {len(body) - offset} are left")
        if kind == INET_DIAG_INFO:
            info = body[offset + _ATTRIBUTE.size : offset + length]
            acked, received, notsent = _unpack(_BYTE_COUNTS, info, _BYTE_COUNTS_AT)
            return Connection(family, identity, inode, unread, unacked, acked, received, notsent)
        offset += _aligned(length)
    return None


def _check_missing(body: bytes) -> None:
    (negative,) = _unpack(struct.Struct("=i"), body, 0)
    # ENOENT: no such connection. ESTALE: its addresses are taken by a later one, whose cookie is another.
    if -negative not in (2, 116):
        raise OSError(-negative, "the kernel does not report TCP connections (sock_diag)")


def _unpack(layout: struct.Struct, data: bytes, offset: int) -> tuple[Any, ...]:
    try:
        return layout.unpack_from(data, offset)
    except struct.error:
        raise ValueError(f"{len(data)} bytes end within a structure of {layout.size} at {offset}") from None


def _aligned(length: int) -> int:
    return (length + 3) & ~3
