"""Reads /proc/self/mountstats: what the kernel counts of an NFS mount. Text in, dataclasses out.

The format is the kernel's (fs/nfs/super.c, nfs_show_stats; net/sunrpc/stats.c, rpc_clnt_show_stats). Rates mean what
nfsiostat of nfs-utils means, which the original experiment read: its kB are 1024 bytes, of whole calls and replies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ParseError(ValueError):
    """The text is no mountstats, or lacks this mount; one line."""


@dataclass(frozen=True)
class Bytes:
    """The line `bytes:`. `pages_…` are pages, and None in statvers 1.0.

    `normal_…` and `direct_…` are what programs asked for, `server_…` what READ and WRITE carried, without headers.
    """

    normal_read: int
    normal_write: int
    direct_read: int
    direct_write: int
    server_read: int
    server_write: int
    pages_read: int | None
    pages_written: int | None


@dataclass(frozen=True)
class Transport:
    """The lines `xprt:`, added up when the mount has several connections (nconnect)."""

    protocol: str
    connections: int
    sends: int
    receives: int
    bad_xids: int


@dataclass(frozen=True)
class Operation:
    """One line of the per-op statistics since the mount.

    `transmissions` exceeds `operations` by what was sent again; `bytes_…` are whole calls and replies, with headers;
    times are sums over all operations; `errors` is None before Linux 5.3 (RPC iostats 1.0).
    """

    operations: int
    transmissions: int
    major_timeouts: int
    bytes_sent: int
    bytes_received: int
    queue_ms: int
    rtt_ms: int
    execute_ms: int
    errors: int | None


NOTHING_YET = Operation(0, 0, 0, 0, 0, 0, 0, 0, None)


@dataclass(frozen=True)
class MountStats:
    """One mount. `options` as the kernel lists them, defaults too; `capabilities` are the line `caps:`."""

    device: str
    mount_point: str
    file_system: str
    options: tuple[str, ...]
    age_s: int
    capabilities: Mapping[str, str]
    bytes: Bytes
    transport: Transport
    operations: Mapping[str, Operation]

    def record(self, t_unix_s: float, host: str) -> dict[str, Any]:
        """The document of raw/mountstats.ndjson; `t_unix_s` is the host's clock when the text was read.

        Operations that were never sent are left out.
        """
        return {
            "t_unix_s": t_unix_s,
            "host": host,
            "age_s": self.age_s,
            "bytes": dict(vars(self.bytes)),
            "transport": {
                "protocol": self.transport.protocol,
                "sends": self.transport.sends,
                "receives": self.transport.receives,
                "bad_xids": self.transport.bad_xids,
            },
            "ops": {name: dict(vars(each)) for name, each in self.operations.items() if each.operations},
        }


@dataclass(frozen=True)
class Rate:
    """What nfsiostat shows of one operation between two readings; quotients of no operations are None."""

    operations: int
    ops_per_s: float
    kib_per_s: float
    kib_per_op: float | None
    retransmissions: int
    retransmissions_percent: float | None
    rtt_ms: float | None
    execute_ms: float | None
    queue_ms: float | None
    errors: int | None
    errors_percent: float | None


_DEVICE = re.compile(
    r"device (?P<device>.+) mounted on (?P<point>\S+) with fstype (?P<type>\S+)( statvers=(?P<version>\S+))?$"
)
_RPC = re.compile(r"RPC iostats version:\s+(?P<version>\S+)")
# A procedure without a name shows its number.
_OPERATION = re.compile(r"(\w+):((?: +\d+)+)$")
_RPC_VERSIONS = ("1.0", "1.1")
_STAT_VERSIONS = ("1.0", "1.1")  # include/linux/nfs_iostat.h, NFS_IOSTAT_VERS
# Where sends, receives and bad_xids stand behind the protocol's name (net/sunrpc/xprtsock.c, xs_*_print_stats;
# xprtrdma/transport.c, xprt_rdma_print_stats). udp has neither connections nor idle time.
_FIRST_COUNTER = {"tcp": 5, "rdma": 5, "udp": 2}


def parse(text: str, mount_point: str) -> MountStats:
    """The statistics of what is mounted at `mount_point`, the last one where several lie upon each other.

    Raises ParseError when nothing of NFS is mounted there, or the text was cut short or is of an unknown version.
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
    if head["version"] not in ("", *_STAT_VERSIONS):
        raise ParseError(f"{wanted}: statvers {head['version']} is not known, {' and '.join(_STAT_VERSIONS)} are")
    return _mount(head, lines)


def rates(before: MountStats, after: MountStats, seconds: float | None = None) -> dict[str, Rate]:
    """What every operation did between two readings `seconds` apart, by its name.

    Without `seconds`, the mount's age tells, which has whole seconds only. Raises ParseError when it was mounted anew
    between the two, or no time has passed.
    """
    point = after.mount_point
    if point != before.mount_point:
        raise ParseError(f"the readings are of two mounts, {before.mount_point} and {point}")
    if after.age_s < before.age_s:
        raise ParseError(f"{point} was mounted anew between the readings ({before.age_s} s old, then {after.age_s} s)")
    elapsed_s = after.age_s - before.age_s if seconds is None else seconds
    if elapsed_s <= 0:
        raise ParseError(f"no time passed between the readings of {point}; give the seconds, above 0")
    found = {}
    for name, later in after.operations.items():
        earlier = before.operations.get(name, NOTHING_YET)
        if later.operations < earlier.operations:
            raise ParseError(f"{point} was mounted anew between the readings ({name} counts fewer operations)")
        found[name] = _rate(earlier, later, elapsed_s)
    return found


def _rate(before: Operation, after: Operation, seconds: float) -> Rate:
    operations = after.operations - before.operations
    retransmissions = after.transmissions - before.transmissions - operations
    moved = after.bytes_sent - before.bytes_sent + after.bytes_received - before.bytes_received
    errors = None if after.errors is None else after.errors - (before.errors or 0)
    kib = moved / 1024

    def per_op(amount: float) -> float | None:
        return amount / operations if operations else None

    return Rate(
        operations=operations,
        ops_per_s=operations / seconds,
        kib_per_s=kib / seconds,
        kib_per_op=per_op(kib),
        retransmissions=retransmissions,
        retransmissions_percent=per_op(retransmissions * 100),
        rtt_ms=per_op(after.rtt_ms - before.rtt_ms),
        execute_ms=per_op(after.execute_ms - before.execute_ms),
        queue_ms=per_op(after.queue_ms - before.queue_ms),
        errors=errors,
        errors_percent=None if errors is None else per_op(errors * 100),
    )


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


def _mount(head: Mapping[str, str], lines: list[str]) -> MountStats:
    point = head["point"]
    fields: dict[str, str] = {}
    transports: list[tuple[str, list[int]]] = []
    operations: dict[str, Operation] = {}
    per_op = False
    for line in lines:
        if match := _RPC.match(line):
            if match["version"] not in _RPC_VERSIONS:
                raise ParseError(
                    f"{point}: RPC iostats version {match['version']} is not known, {' and '.join(_RPC_VERSIONS)} are"
                )
        elif line.startswith("xprt:"):
            transports.append(_transport(point, line))
        elif line == "per-op statistics":
            per_op = True
        elif per_op:
            name, operation = _operation(point, line)
            operations[name] = operation
            if (operation.errors is None) != (next(iter(operations.values())).errors is None):
                raise ParseError(
                    f"{point}: mountstats was cut short in {name}, which has not as many numbers as others"
                )
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if not transports or not operations:
        missing = "per-op statistics" if transports else "xprt"
        raise ParseError(f"{point}: mountstats was cut short before {missing}")
    capabilities = (each.partition("=") for each in fields.get("caps", "").split(",") if each)
    # With nconnect there is a line for each connection; nfsiostat looks at the last alone.
    sends, receives, bad_xids = (sum(counters[index] for _, counters in transports) for index in range(3))
    return MountStats(
        device=head["device"],
        mount_point=point,
        file_system=head["type"],
        options=tuple(_field(point, fields, "opts").split(",")),
        age_s=_numbers(point, f"age: {_field(point, fields, 'age')}", 1)[0],
        capabilities={name: value for name, _, value in capabilities},
        bytes=_bytes(point, _field(point, fields, "bytes")),
        transport=Transport(transports[0][0], len(transports), sends, receives, bad_xids),
        operations=operations,
    )


def _field(point: str, fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise ParseError(f"{point}: mountstats was cut short before {name}")
    return fields[name]


def _numbers(point: str, line: str, least: int) -> list[int]:
    """Returns the whole numbers after the first word of `line`, at least `least` of them."""
    words = line.split()[1:]
    if len(words) < least or not all(word.isdecimal() for word in words):
        raise ParseError(f"{point}: {line[:60]!r} should be {least} or more whole numbers")
    return [int(word) for word in words]


def _bytes(point: str, value: str) -> Bytes:
    numbers = _numbers(point, f"bytes: {value}", 6)
    pages_read, pages_written = numbers[6:8] if len(numbers) >= 8 else (None, None)
    return Bytes(
        normal_read=numbers[0],
        normal_write=numbers[1],
        direct_read=numbers[2],
        direct_write=numbers[3],
        server_read=numbers[4],
        server_write=numbers[5],
        pages_read=pages_read,
        pages_written=pages_written,
    )


def _transport(point: str, line: str) -> tuple[str, list[int]]:
    """Returns the protocol, and the counters sends, receives and bad_xids."""
    words = line.split()[1:]
    first = _FIRST_COUNTER.get(words[0]) if words else None
    if first is None:
        raise ParseError(f"{point}: {line[:60]!r} should be a transport of {', '.join(sorted(_FIRST_COUNTER))}")
    # Only these are looked at: idle time, before them, is signed.
    counters = words[1:][first : first + 3]
    return words[0], _numbers(point, " ".join(["xprt:", *counters]), 3)


def _operation(point: str, line: str) -> tuple[str, Operation]:
    match = _OPERATION.match(line)
    numbers = [int(word) for word in match.group(2).split()] if match else []
    if match is None or len(numbers) < 8:
        raise ParseError(f"{point}: {line[:60]!r} should be an operation with eight or nine whole numbers")
    return match.group(1), Operation(
        operations=numbers[0],
        transmissions=numbers[1],
        major_timeouts=numbers[2],
        bytes_sent=numbers[3],
        bytes_received=numbers[4],
        queue_ms=numbers[5],
        rtt_ms=numbers[6],
        execute_ms=numbers[7],
        errors=numbers[8] if len(numbers) > 8 else None,
    )
