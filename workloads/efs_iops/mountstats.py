"""Parses /proc/self/mountstats: the kernel's counters of an NFS mount.

The format is the kernel's (fs/nfs/super.c, nfs_show_stats; net/sunrpc/stats.c, rpc_clnt_show_stats). The original
experiment read the same counters with nfsiostat of nfs-utils.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ParseError(ValueError):
    """The text is not mountstats, or lacks the mount; one line."""


BYTES = (
    "normal_read",
    "normal_write",
    "direct_read",
    "direct_write",
    "server_read",
    "server_write",
    "pages_read",
    "pages_written",
)
"""The numbers of the line `bytes:`. Programs requested `normal_…` and `direct_…`; READ and WRITE carried `server_…`,
without headers. `pages_…` are pages, and missing in statvers 1.0.
"""
COUNTERS = ("sends", "receives", "bad_xids")
"""Those of the lines `xprt:` that are read, added up when the mount has several connections (nconnect)."""


@dataclass(frozen=True)
class Operation:
    """One line of the per-op statistics since the mount.

    `transmissions` minus `operations` are retransmissions; `bytes_…` are whole calls and replies, with headers; times
    are sums over all operations; `errors` is None before Linux 5.3 (RPC iostats 1.0).
    """

    operations: int
    transmissions: int
    major_timeouts: int
    bytes_sent: int
    bytes_received: int
    queue_ms: int
    rtt_ms: int
    execute_ms: int
    errors: int | None = None


@dataclass(frozen=True)
class MountStats:
    """The counters of one mount: `bytes` by the names in BYTES; `transport` has the protocol, and COUNTERS."""

    age_s: int
    bytes: Mapping[str, int | None]
    transport: Mapping[str, str | int]
    operations: Mapping[str, Operation]

    def record(self, t_unix_s: float, host: str) -> dict[str, Any]:
        """Returns the record for raw/mountstats.ndjson, without operations that were never sent.

        `t_unix_s` is the host's clock when the text was read.
        """
        return {
            "t_unix_s": t_unix_s,
            "host": host,
            "age_s": self.age_s,
            "bytes": self.bytes,
            "transport": self.transport,
            "ops": {name: dict(vars(each)) for name, each in self.operations.items() if each.operations},
        }


_DEVICE = re.compile(
    r"device (?P<device>.+) mounted on (?P<point>\S+) with fstype (?P<type>\S+)( statvers=(?P<version>\S+))?$"
)
_RPC = re.compile(r"RPC iostats version:\s+(?P<version>\S+)")
# A procedure without a name shows its number.
_OPERATION = re.compile(r"(\w+):((?: +\d+)+)$")
_RPC_VERSIONS = ("1.0", "1.1")
_STAT_VERSIONS = ("1.0", "1.1")  # include/linux/nfs_iostat.h, NFS_IOSTAT_VERS
# The position of sends, receives and bad_xids after the protocol's name (net/sunrpc/xprtsock.c, xs_*_print_stats;
# xprtrdma/transport.c, xprt_rdma_print_stats). udp has neither connections nor idle time.
_FIRST_COUNTER = {"tcp": 5, "rdma": 5, "udp": 2}


def parse(text: str, mount_point: str) -> MountStats:
    """Returns the statistics of the mount at `mount_point`; of several mounts there, of the last, visible one.

    Raises ParseError when no NFS is mounted there, and for a text that was cut short or is of an unknown version.
    """
    mounts = _mounts(text)
    wanted = mount_point.rstrip("/") or "/"
    found = [mount for mount in mounts if mount[0]["point"] == wanted]
    if not found:
        there = ", ".join(sorted({head["point"] for head, _ in mounts if head["type"].startswith("nfs")}))
        raise ParseError(f"nothing is mounted at {wanted}; NFS is mounted at {there or 'no place'}")
    head, lines = found[-1]
    if not head["type"].startswith("nfs"):
        raise ParseError(f"{wanted} is a mount of {head['type']}, not of NFS")
    try:
        if head["version"] not in ("", *_STAT_VERSIONS):
            raise ParseError(f"statvers {head['version']} is not known, {' and '.join(_STAT_VERSIONS)} are")
        return _mount(lines)
    except ParseError as error:
        raise ParseError(f"{wanted}: {error}") from None


def _mounts(text: str) -> list[tuple[dict[str, str], list[str]]]:
    """Returns each mount's first line, parsed, and its other lines."""
    mounts: list[tuple[dict[str, str], list[str]]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if match := _DEVICE.match(stripped):
            mounts.append(({name: _unescaped(value or "") for name, value in match.groupdict().items()}, []))
        elif stripped.startswith("no device mounted on "):
            mounts.append(({"device": "", "point": "", "type": "none"}, []))
        elif stripped and not mounts:
            raise ParseError(f"not /proc/self/mountstats: {stripped[:60]!r}")
        elif stripped:
            mounts[-1][1].append(stripped)
    return mounts


def _unescaped(word: str) -> str:
    """Decodes the octal numbers for blanks in a path (seq_path(); proc(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), word)


def _mount(lines: list[str]) -> MountStats:
    fields: dict[str, str] = {}
    transports: list[tuple[str, list[int]]] = []
    operations: dict[str, Operation] = {}
    per_op = False
    for line in lines:
        if match := _RPC.match(line):
            if match["version"] not in _RPC_VERSIONS:
                raise ParseError(
                    f"RPC iostats version {match['version']} is not known, {' and '.join(_RPC_VERSIONS)} are"
                )
        elif line.startswith("xprt:"):
            transports.append(_transport(line))
        elif line == "per-op statistics":
            per_op = True
        elif per_op:
            name, operation = _operation(line)
            operations[name] = operation
            if (operation.errors is None) != (next(iter(operations.values())).errors is None):
                raise ParseError(f"mountstats was cut short in {name}, which has not as many numbers as others")
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if not transports or not operations:
        missing = "per-op statistics" if transports else "xprt"
        raise ParseError(f"mountstats was cut short before {missing}")
    age = _numbers(f"age: {_field(fields, 'age')}", 1)[0]
    moved = _numbers(f"bytes: {_field(fields, 'bytes')}", 6)
    pages = moved[6:8] if len(moved) >= 8 else (None, None)
    # With nconnect there is a line for each connection; nfsiostat reads only the last.
    counters = map(sum, zip(*(numbers for _, numbers in transports), strict=True))
    return MountStats(
        age_s=age,
        bytes=dict(zip(BYTES, (*moved[:6], *pages), strict=True)),
        transport={"protocol": transports[0][0], **dict(zip(COUNTERS, counters, strict=True))},
        operations=operations,
    )


def _field(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise ParseError(f"mountstats was cut short before {name}")
    return fields[name]


def _numbers(line: str, least: int) -> list[int]:
    """Returns the whole numbers after the first word of `line`, at least `least` of them."""
    words = line.split()[1:]
    if len(words) < least or not all(word.isdecimal() for word in words):
        raise ParseError(f"{line[:60]!r} should be {least} or more whole numbers")
    return [int(word) for word in words]


def _transport(line: str) -> tuple[str, list[int]]:
    """Returns the protocol, and its COUNTERS."""
    words = line.split()[1:]
    first = _FIRST_COUNTER.get(words[0]) if words else None
    if first is None:
        raise ParseError(f"{line[:60]!r} should be a transport of {', '.join(sorted(_FIRST_COUNTER))}")
    # Only these are looked at: idle time, before them, is signed.
    counters = words[1:][first : first + 3]
    return words[0], _numbers(" ".join(["xprt:", *counters]), 3)


def _operation(line: str) -> tuple[str, Operation]:
    match = _OPERATION.match(line)
    numbers = [int(word) for word in match.group(2).split()] if match else []
    if match is None or len(numbers) < 8:
        raise ParseError(f"{line[:60]!r} should be an operation with eight or nine whole numbers")
    return match.group(1), Operation(*numbers[:9])
