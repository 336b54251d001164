"""Messages as the kernel writes them (linux/inet_diag.h, linux/tcp.h): the layouts, written a second time."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

SOCK_DIAG_BY_FAMILY = 20


@dataclass(frozen=True)
class Socket:
    """What the kernel knows of a connection."""

    family: int = socket.AF_INET
    ports: tuple[int, int] = (40000, 443)
    cookie: int = 77
    inode: int = 5000
    unread: int = 0
    unacked: int = 0
    acked: int = 0
    received: int = 0
    notsent: int = 0

    def identity(self) -> bytes:
        """struct inet_diag_sockid."""
        addresses = bytes(range(32))
        return struct.pack("!HH", *self.ports) + addresses + struct.pack("=IQ", 0, self.cookie)

    def message(self, sequence: int = 1, *, info_bytes: int = 280, other_attributes: bool = True) -> bytes:
        """One answer; without tcp_info when `info_bytes` is 0, as for TIME_WAIT."""
        body = bytes([self.family, 1, 0, 0]) + self.identity()
        body += struct.pack("=5I", 0, self.unread, self.unacked, 1000, self.inode)
        if other_attributes:
            body += attribute(8, b"\x00") + attribute(4, b"cubic\x00")
        if info_bytes:
            info = bytearray(b"\xee" * info_bytes)
            info[120:136] = struct.pack("=QQ", self.acked, self.received)
            info[144:148] = struct.pack("=I", self.notsent)
            body += attribute(2, bytes(info))
        if other_attributes:
            body += attribute(15, struct.pack("=I", 7))
        return netlink(SOCK_DIAG_BY_FAMILY, sequence, body)


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def netlink(kind: int, sequence: int, body: bytes, *, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 4242) + body + bytes(-len(body) % 4)


def failure(errno: int, sequence: int) -> bytes:
    """struct nlmsgerr, with the header of the request that it is about."""
    return netlink(2, sequence, struct.pack("=i", -errno) + bytes(16))


def done(sequence: int) -> bytes:
    return netlink(3, sequence, struct.pack("=i", 0))
