"""raw/mountstats.ndjson: what each client's kernel counted of its mount, on the runner's clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from msgspec.structs import astuple

from report.efs_iops.clocks import RunnerClock
from report.efs_iops.cloudwatch import MINUTE_SECONDS
from report.efs_iops.counters import GAP_SECONDS_MAX, Counters, Growth
from report.efs_iops.schema import Mountstats
from report.efs_iops.window import Window, counts_within
from report.hosts import tables_of_hosts
from report.intervals import Floats, Intervals
from report.missing import divided
from report.records import WHOLE_MAX
from report.runs import Run, decode_lines

KIB = 1024
NOTHING_KNOWN = Mountstats(None, None, None, None, None, None)
# The worker's name of an operation, NFS's, and the counter of its payload.
NFS_OPERATIONS = {"read": ("READ", "server_read"), "write": ("WRITE", "server_write")}
_Whole = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]
_FIELDS = ("operations", "transmissions", "bytes_sent", "bytes_received", "rtt_ms", "execute_ms")


def column(op: str, field: str) -> str:
    return f"{op} {field}"


# Of all operations, both directions. Decoded only around whole minutes, where it is needed: operations other than READ
# and WRITE are most of a record.
WIRE = "wire bytes"
_COLUMNS = (
    "age_s",
    WIRE,
    *(column(op, field) for op in NFS_OPERATIONS for field in (*_FIELDS, "payload_bytes")),
)


class _Operation(Struct, gc=False, frozen=True):
    """The fields of _FIELDS, in their order. A record lacks an operation that was never sent: its counts are 0."""

    operations: _Whole
    transmissions: _Whole
    bytes_sent: _Whole
    bytes_received: _Whole
    rtt_ms: _Whole
    execute_ms: _Whole


_NOT_ONE = _Operation(0, 0, 0, 0, 0, 0)


class _Operations(Struct, gc=False):
    READ: _Operation = _NOT_ONE
    WRITE: _Operation = _NOT_ONE


class _Payload(Struct, gc=False):
    server_read: _Whole
    server_write: _Whole


class _Reading(Struct, gc=False):
    host: Annotated[str, Meta(min_length=1)]
    t_unix_s: float
    age_s: float
    bytes: _Payload
    ops: _Operations
    wire_bytes: float = math.nan


class _Bytes(Struct, gc=False):
    bytes_sent: _Whole
    bytes_received: _Whole


class _Wire(Struct, gc=False):
    ops: dict[str, _Bytes]


_READINGS = msgspec.json.Decoder(_Reading)
_WIRES = msgspec.json.Decoder(_Wire)


def read_mountstats(run: Run, clock: RunnerClock) -> dict[str, Counters]:
    """Reads the counters of mountstats, by host."""
    if not run.has_stream("mountstats", "what the clients' kernels counted is not known"):
        return {}
    near_s = GAP_SECONDS_MAX + clock.offset_max_s

    def decode(block: bytes) -> list[_Reading]:
        readings = decode_lines(_READINGS, block)
        near = [at for at, each in enumerate(readings) if (each.t_unix_s + near_s) % MINUTE_SECONDS <= 2 * near_s]
        lines = block.split(b"\n") if near else []
        for at in near:
            readings[at].wire_bytes = _wire_bytes(lines[at])
        return readings

    def table(host: str, readings: Sequence[_Reading]) -> Floats:
        found = _table(readings)
        found[0] = clock.of(host).all_on_runner(found[0])
        return found

    tables = tables_of_hosts(run.batches("mountstats", decode), table)
    return {host: Counters(each[0], dict(zip(_COLUMNS, each[1:], strict=True))) for host, each in tables.items()}


def cell_mountstats(
    counters: Mapping[str, Counters], op: str, window: Window, intervals: Mapping[str, Intervals]
) -> Mountstats:
    """Adds up all hosts of `intervals`. Nothing is known if a host was not read twice in the window.

    A host's rate is that from its first reading inside the window to its last. Where a short window has only one
    reading, the whole joint time is taken. The workers' operations are those of the same stretch of time.
    """
    added = dict.fromkeys(_FIELDS, 0.0)
    ops_per_s = kib_per_s = worker_operations = 0.0
    for host, of_host in intervals.items():
        growths = {field: growth_in(counters, host, column(op, field), window) for field in _FIELDS}
        known = {field: growth for field, growth in growths.items() if growth is not None}
        if len(known) < len(_FIELDS) or (rate := known["operations"].per_s) is None:
            return NOTHING_KNOWN
        stretch = known["operations"]
        ops_per_s += rate
        wire = known["bytes_sent"].amount + known["bytes_received"].amount
        kib_per_s += wire / KIB / (stretch.end_unix_s - stretch.start_unix_s)
        worker_operations += counts_within(of_host, stretch.start_unix_s, stretch.end_unix_s).ops
        for field, growth in known.items():
            added[field] += growth.amount
    operations = added["operations"]
    return Mountstats(
        ops_per_s=ops_per_s,
        kib_per_s=kib_per_s,
        retransmissions=round(added["transmissions"] - operations),
        rtt_ms=divided(added["rtt_ms"], operations),
        execute_ms=divided(added["execute_ms"], operations),
        to_worker_ratio=divided(operations, worker_operations),
    )


def growth_in(counters: Mapping[str, Counters], host: str, name: str, window: Window) -> Growth | None:
    if host not in counters:
        return None
    of_host = counters[host]
    return of_host.inside(name, *window.bounds) or of_host.inside(name, *window.joint_unix_s)


def _table(readings: Sequence[_Reading]) -> Floats:
    """Returns the times, then a row for each of _COLUMNS."""
    tables = [
        _row([each.t_unix_s for each in readings]),
        _row([each.age_s for each in readings]),
        _row([each.wire_bytes for each in readings]),
    ]
    for nfs, payload in NFS_OPERATIONS.values():
        fields = chain.from_iterable([astuple(getattr(each.ops, nfs)) for each in readings])
        tables.append(np.fromiter(fields, np.float64, len(_FIELDS) * len(readings)).reshape(-1, len(_FIELDS)).T)
        tables.append(_row([getattr(each.bytes, payload) for each in readings]))
    return np.concatenate(tables)


def _row(values: Sequence[float]) -> Floats:
    return np.fromiter(values, np.float64, len(values)).reshape(1, -1)


def _wire_bytes(record: bytes) -> float:
    """Returns the bytes of a record on the wire; NaN if one of its operations is damaged."""
    try:
        return sum([op.bytes_sent + op.bytes_received for op in _WIRES.decode(record).ops.values()])
    except ValueError:
        return math.nan
