"""raw/mountstats.ndjson: what each client's kernel counted of its mount, on the runner's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from report.efs_iops.clocks import RunnerClock
from report.efs_iops.counters import Counters, Growth
from report.efs_iops.schema import Mountstats
from report.efs_iops.window import Window, share
from report.runs import Record, RecordError, Run, number, text, whole
from report.worker import Interval

KIB = 1024
NOTHING_KNOWN = Mountstats(None, None, None, None, None, None)
# The worker's word for an operation, NFS's, and the counter of its payload.
NFS_OPERATIONS = {"read": ("READ", "server_read"), "write": ("WRITE", "server_write")}
_FIELDS = ("operations", "transmissions", "bytes_sent", "bytes_received", "rtt_ms", "execute_ms")


def column(op: str, field: str) -> str:
    return f"{op} {field}"


WIRE = "wire bytes"  # of all operations, both directions
_COLUMNS = (
    "age_s",
    WIRE,
    *(column(op, field) for op in NFS_OPERATIONS for field in (*_FIELDS, "payload_bytes")),
)


def read_mountstats(run: Run, clock: RunnerClock) -> dict[str, Counters]:
    """By host."""
    rows: dict[str, list[tuple[float, list[float]]]] = {}
    if not run.has_stream("mountstats"):
        run.problem("raw/mountstats.ndjson is missing: what the clients' kernels counted is not known")
        return {}
    for record in run.stream("mountstats"):
        try:
            host, t_unix_s = text(record, "host"), number(record, "t_unix_s")
            rows.setdefault(host, []).append((clock.of(host).on_runner(t_unix_s), _values(record)))
        except RecordError as error:
            run.problem(f"raw/mountstats.ndjson: a record left out: {error}")
    found = {}
    for host, of_host in rows.items():
        of_host.sort(key=lambda row: row[0])
        columns = zip(*(values for _, values in of_host), strict=True)
        found[host] = Counters([t for t, _ in of_host], dict(zip(_COLUMNS, columns, strict=True)))
    return found


def cell_mountstats(
    counters: Mapping[str, Counters], op: str, window: Window, intervals: Mapping[str, Sequence[Interval]]
) -> Mountstats:
    """Of all hosts of `intervals` together; None throughout when one was not read twice in the window.

    A host's rate is that from its first reading inside the window to its last; where only one fell into a short window,
    the joint time serves uncut. The workers' operations beside it are those of the same stretch of time.
    """
    grown: list[dict[str, float]] = []
    rates: list[float] = []
    kib_per_s = worker_operations = 0.0
    for host, of_host in intervals.items():
        growths = {
            field: growth_in(counters[host], column(op, field), window) if host in counters else None
            for field in _FIELDS
        }
        known = {field: growth for field, growth in growths.items() if growth is not None}
        if len(known) < len(_FIELDS) or (rate := known["operations"].per_s) is None:
            return NOTHING_KNOWN
        stretch = known["operations"]
        rates.append(rate)
        grown.append({field: growth.amount for field, growth in known.items()})
        wire = known["bytes_sent"].amount + known["bytes_received"].amount
        kib_per_s += wire / KIB / (stretch.end_unix_s - stretch.start_unix_s)
        worker_operations += share(of_host, stretch.start_unix_s, stretch.end_unix_s).ops
    if not grown:
        return NOTHING_KNOWN
    added = {field: sum(each[field] for each in grown) for field in _FIELDS}
    operations = added["operations"]
    return Mountstats(
        ops_per_s=sum(rates),
        kib_per_s=kib_per_s,
        retransmissions=round(added["transmissions"] - operations),
        rtt_ms=_ratio(added["rtt_ms"], operations),
        execute_ms=_ratio(added["execute_ms"], operations),
        to_worker_ratio=_ratio(operations, worker_operations),
    )


def growth_in(counters: Counters, name: str, window: Window) -> Growth | None:
    return counters.inside(name, *window.bounds) or counters.inside(name, *window.joint_unix_s)


def _values(record: Record) -> list[float]:
    """In the order of _COLUMNS. An operation that was never sent is not in the record: nothing was counted of it."""
    ops, payload = record.get("ops"), record.get("bytes")
    if not isinstance(ops, dict) or not isinstance(payload, dict):
        raise RecordError("ops and bytes must be objects")
    wire = 0
    for name, each in ops.items():
        if not isinstance(each, dict):
            raise RecordError(f"ops.{name} is not an object")
        wire += whole(each, "bytes_sent") + whole(each, "bytes_received")
    values: list[float] = [number(record, "age_s"), wire]
    for nfs, payload_field in NFS_OPERATIONS.values():
        each = ops.get(nfs)
        values += [0.0] * len(_FIELDS) if each is None else [whole(each, field) for field in _FIELDS]
        values.append(whole(payload, payload_field))
    return values


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b
