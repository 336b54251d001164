"""ONC RPC and NFS 4.1 messages made by hand: RFC 5531 (records, headers), RFC 5662 (COMPOUND and what is in it)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MIB = 1024**2
RECORD_LIMIT_BYTES = 8 * MIB

# RFC 5662: nfs_opnum4 and nfsstat4.
GETATTR, PUTFH, READ, WRITE, SEQUENCE = 9, 22, 25, 38, 53
NFS4_OK, NFS4ERR_STALE, NFS4ERR_BADSESSION = 0, 70, 10052

NULL_CREDENTIAL = struct.pack(">II", 0, 0)
UNIX_CREDENTIAL = struct.pack(">II", 1, 24) + struct.pack(">II4sIII", 0, 1, b"host", 0, 0, 0)
FILE_HANDLE = bytes(range(40))
STATEID = bytes(range(16))
SESSION = b"session-of-16-by"


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def opaque(data: bytes) -> bytes:
    return u32(len(data)) + data + bytes(-len(data) % 4)


def record(message: bytes, cuts: Iterable[int] = ()) -> bytes:
    """With its marks, a fragment between each two of the cuts."""
    ends = [*sorted(cuts), len(message)]
    starts = [0, *ends[:-1]]
    fragments = [message[start:end] for start, end in zip(starts, ends, strict=True)]
    marks = [len(fragment) | (0x80000000 if i == len(fragments) - 1 else 0) for i, fragment in enumerate(fragments)]
    return b"".join(u32(mark) + fragment for mark, fragment in zip(marks, fragments, strict=True))


def call(
    xid: int,
    *operations: bytes,
    program: int = 100003,
    version: int = 4,
    procedure: int = 1,
    credential: bytes = UNIX_CREDENTIAL,
    tag: bytes = b"",
    rpc_version: int = 2,
) -> bytes:
    """A call of COMPOUND; of another procedure, `operations` are its arguments."""
    header = u32(xid, 0, rpc_version, program, version, procedure) + credential + NULL_CREDENTIAL
    compound = opaque(tag) + u32(1, len(operations)) if procedure == 1 else b""
    return header + compound + b"".join(operations)


def sequence() -> bytes:
    return u32(SEQUENCE) + SESSION + u32(7, 3, 30, 0)


def putfh(handle: bytes = FILE_HANDLE) -> bytes:
    return u32(PUTFH) + opaque(handle)


def getattr_() -> bytes:
    return u32(GETATTR, 2, 0x18, 0x30A23A)


def read(count: int, offset: int = 0) -> bytes:
    return u32(READ) + STATEID + struct.pack(">QI", offset, count)


def write(data: bytes, offset: int = 0) -> bytes:
    return u32(WRITE) + STATEID + struct.pack(">QI", offset, 2) + opaque(data)


def read_call(xid: int, count: int) -> bytes:
    """As Linux's client reads."""
    return call(xid, sequence(), putfh(), read(count))


def write_call(xid: int, data: bytes) -> bytes:
    """As Linux's client writes."""
    return call(xid, sequence(), putfh(), write(data), getattr_())


def null_call(xid: int) -> bytes:
    return call(xid, procedure=0, credential=NULL_CREDENTIAL)


def reply(xid: int, *results: bytes, status: int = NFS4_OK, accept: int = 0, tag: bytes = b"") -> bytes:
    """A COMPOUND's reply, `status` that of the whole."""
    header = u32(xid, 1, 0) + NULL_CREDENTIAL + u32(accept)
    return header + u32(status) + opaque(tag) + u32(len(results)) + b"".join(results)


def denied(xid: int) -> bytes:
    """MSG_DENIED, AUTH_ERROR, AUTH_TOOWEAK."""
    return u32(xid, 1, 1, 1, 5)


def null_reply(xid: int) -> bytes:
    return u32(xid, 1, 0) + NULL_CREDENTIAL + u32(0)


def sequence_result(status: int = NFS4_OK) -> bytes:
    return u32(SEQUENCE, status) + (SESSION + u32(7, 3, 30, 30, 0) if status == NFS4_OK else b"")


def putfh_result(status: int = NFS4_OK) -> bytes:
    return u32(PUTFH, status)


def read_result(data: bytes, end_of_file: bool = False) -> bytes:
    return u32(READ, NFS4_OK, end_of_file) + opaque(data)


def write_result(count: int) -> bytes:
    return u32(WRITE, NFS4_OK, count, 2) + b"verifier"


def getattr_result() -> bytes:
    return u32(GETATTR, NFS4_OK, 1, 0x18) + opaque(bytes(16))


def read_reply(xid: int, data: bytes, end_of_file: bool = False) -> bytes:
    return reply(xid, sequence_result(), putfh_result(), read_result(data, end_of_file))


def write_reply(xid: int, count: int) -> bytes:
    return reply(xid, sequence_result(), putfh_result(), write_result(count), getattr_result())
