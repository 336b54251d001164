"""The failure drill: reads continue while storage servers are killed and return, and the mirrors are rebuilt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from report.hosts import inventory_roles
from report.intervals import Interval, Intervals
from report.latency_seconds import LatencySeconds
from report.md_raid.schema import Array, Drill, DrillEvent, Leg, Phase, Rebuild, Second
from report.missing import known, total
from report.records import Record, RecordError, known_as, number, number_or_none, or_none, text, whole
from report.runs import Run
from report.summary import LatencyStretch
from report.worker import Worker, figures_of, measure, measure_from_intervals

STEADY = "drill-steady"


def phases_of(run: Run) -> list[str]:
    """Returns the drill's cells in their order: all servers up, then one more killed in each, until one is left."""
    servers = sum(host.role == "storage" for host in inventory_roles(run.manifest.inventory))
    return [STEADY, *(f"drill-kill-{number}" for number in range(1, servers))]


def read_drill(run: Run, workers: dict[str, Worker], arrays: Sequence[Record]) -> Drill | None:
    """Reads the drill; None if none was begun."""
    names = phases_of(run)
    after_last_kill = f"killed-{len(names) - 1}"
    every = _events(run) if run.has_stream("drill") else []
    events = _newest_attempt(every)
    if len(events) < len(every):
        began_unix_s = number(events[0], "t_unix_s")
        workers = {cell: worker.since(began_unix_s) for cell, worker in workers.items()}
        arrays = [a for a in arrays if a.get("when") == "configured" or number(a, "t_unix_s") >= began_unix_s]
    began = [workers[cell] for cell in names if cell in workers and workers[cell].began]
    if not events and not began:
        return None
    if not events:
        run.problem("raw/drill.ndjson is missing or empty: when servers were killed is not known")
    times = [number(e, "t_unix_s") for e in events if e["event"] != "data-written"]
    times += [i.t_start_unix_s for worker in began for i in worker.intervals]
    times += [f.t_start_unix_s for worker in began for f in worker.finals]
    zero = min(times, default=None)
    phases = [_phase(cell, workers.get(cell, Worker()), zero) for cell in names]
    rebuilds = _rebuilds(run, events, zero)
    written = [e for e in events if e["event"] == "data-written"]
    verified = [e for e in events if e["event"] == "verified"]
    read_back = [e for e in verified if e.get("when") == "rebuilt"] or verified[-1:]
    compared = _last([e for e in verified if e.get("when") == "legs-compared"], "verified")
    mirrors = {a["array"] for a in arrays if _is_mirror(a)}
    working = [a.get("working") for a in arrays if a.get("when") == after_last_kill and _is_mirror(a)]
    legs = [a.get("raid_devices") for a in arrays if _is_mirror(a)]
    stalls = [phase.longest_stall_s for phase in phases[1:]]
    return Drill(
        zero_unix_s=zero,
        hosts_killed=len({_subject(e) for e in events if e["event"] == "killed"}) if events else None,
        read_ops=total([phase.read_ops for phase in phases]),
        read_errors=_read_errors(run, phases, events),
        longest_stall_s=None if None in stalls else max(known(stalls), default=None),
        arrays=len(mirrors) or None,
        fewest_working_legs=min([n for n in working if isinstance(n, int)], default=None),
        legs_per_array=max([n for n in legs if isinstance(n, int)], default=None),
        arrays_rebuilt=len({r.array for r in rebuilds if r.finished_s is not None}) if events else None,
        rebuild_seconds_max=max(known(rebuild.seconds for rebuild in rebuilds), default=None),
        written_bytes=total([or_none(whole, e, "bytes") for e in written]),
        written_sha256=or_none(text, written[0] if written else None, "sha256"),
        verified_bytes=total([or_none(whole, e, "bytes") for e in read_back]),
        legs_compared_bytes=or_none(whole, compared, "bytes"),
        checksum_matched=all(e.get("matched") is True for e in verified) if verified else None,
        phases=phases,
        rebuilds=rebuilds,
        events=[DrillEvent(number(e, "t_unix_s") - zero, e["event"], _subject(e)) for e in events if zero is not None],
        latencies=_latencies(began, zero) if zero is not None else [],
        timeline=[
            second
            for cell in names
            if cell in workers and zero is not None
            for second in _timeline(cell, workers[cell].intervals, zero)
        ],
    )


def read_array_records(run: Run) -> list[Record]:
    def checked(record: Record) -> Record:
        text(record, "array")
        text(record, "level")
        number(record, "t_unix_s")
        return record

    return run.read("arrays", checked) if run.has_stream("arrays", "the mirrors' legs are not known") else []


def configured_arrays(records: Sequence[Record]) -> list[Array]:
    """Returns each array as first seen, before any server was killed."""
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record["array"], record)
    arrays = []
    for record in first.values():
        legs = record.get("legs")
        arrays.append(
            known_as(
                Array,
                record,
                legs=[
                    known_as(Leg, leg, slot=slot)
                    for leg in (legs if isinstance(legs, list) else [])
                    if isinstance(leg, dict) and isinstance(slot := leg.get("slot"), int)
                ],
            )
        )
    return arrays


def _is_mirror(record: Record) -> bool:
    return record.get("level") in ("raid1", "raid10")


def _events(run: Run) -> list[Record]:
    def checked(record: Record) -> Record:
        number(record, "t_unix_s")
        text(record, "event")
        return record

    return sorted(run.read("drill", checked), key=lambda event: number(event, "t_unix_s"))


def _newest_attempt(events: list[Record]) -> list[Record]:
    """Returns the events since data were last written before reads were last started: a drill may have been repeated.

    The data are written a second time in the same drill, while servers are down.
    """
    reads = [n for n, e in enumerate(events) if e["event"] == "reads-started"]
    written = [n for n, e in enumerate(events) if e["event"] == "data-written"]
    if not reads:
        return events[written[-1] :] if written else events
    before = [n for n in written if n < reads[-1]]
    return events[before[-1] if before else reads[-1] :]


def _subject(event: Record) -> str | None:
    subject = event.get("host") or event.get("array")
    return None if subject is None else str(subject)


def _phase(cell: str, worker: Worker, zero: float | None) -> Phase:
    measured, reason = measure(worker), None
    if measured is None:
        measured = measure_from_intervals(worker)
        reason = "added up from its seconds: no final line" if measured else "no reads recorded"
    slowest = max(
        (i for i in worker.intervals if i.latency_max_ns is not None),
        key=lambda i: i.latency_max_ns or 0,
        default=None,
    )
    longest_us = measured.percentile_us(100) if measured else None
    figures = figures_of(measured, "seconds", "iops", "latency_p50_us", "latency_p99_us")
    return Phase(
        cell=cell,
        started_s=measured.t_start_unix_s - zero if measured and zero is not None else None,
        **figures,
        read_ops=measured.ops if measured else None,
        errors=measured.error_count if measured else None,
        errors_by_errno=measured.errors if measured else None,
        longest_stall_s=None if longest_us is None else longest_us / 1e6,
        stall_ended_s=slowest.t_end_unix_s - zero if slowest and zero is not None else None,
        reason=reason,
    )


def _timeline(cell: str, intervals: Iterable[Interval], zero: float) -> list[Second]:
    """Returns the reads second by second; the intervals of several hosts are added."""
    seconds: dict[int, Second] = {}
    for i in sorted(intervals, key=lambda i: i.t_start_unix_s):
        if i.seconds <= 0:
            continue
        key = round(i.t_start_unix_s - zero)
        so_far = seconds.get(key)
        seconds[key] = Second(
            t_s=(i.t_start_unix_s + i.t_end_unix_s) / 2 - zero,
            cell=cell,
            iops=i.ops / i.seconds + (so_far.iops if so_far else 0.0),
            errors=sum(i.errors.values()) + (so_far.errors if so_far else 0),
        )
    return list(seconds.values())


def _latencies(workers: Sequence[Worker], zero: float) -> list[LatencyStretch]:
    """Returns the latencies until the last worker's end, for each second, or longer stretches of a drill of days."""
    seconds = LatencySeconds(lambda _, t_unix_s: t_unix_s - zero)
    every = Intervals.joined([worker.intervals for worker in workers])
    seconds.add(every, [msgspec.json.encode(list(each.buckets.items())) for each in every.histograms.values()])
    return seconds.stretches(0, math.ceil(max(every.t_end_unix_s - zero, default=0.0)), seconds.grain_s)


def _rebuilds(run: Run, events: Sequence[Record], zero: float | None) -> list[Rebuild]:
    """Returns a rebuild for each `rebuild-started`; `rebuilt` ends the newest unfinished one of its array."""
    rebuilds: list[Rebuild] = []
    for event in events:
        if event["event"] not in ("rebuild-started", "rebuilt"):
            continue
        try:
            array = text(event, "array")
            t_s = number(event, "t_unix_s") - (zero or 0.0)
            if event["event"] == "rebuild-started":
                rebuilds.append(Rebuild(array, t_s, None, None))
                continue
            seconds = number_or_none(event, "seconds")
        except RecordError as error:
            run.problem(f"raw/drill.ndjson: a {event['event']} left out: {error}")
            continue
        opened = next((r for r in reversed(rebuilds) if r.array == array and r.finished_s is None), None)
        if opened is not None:
            rebuilds.remove(opened)
        started = opened.started_s if opened else None
        if seconds is None and started is not None:
            seconds = t_s - started
        rebuilds.append(Rebuild(array, started, t_s, seconds))
    return sorted(rebuilds, key=lambda r: (r.array, r.finished_s or 0.0))


def _read_errors(run: Run, phases: Sequence[Phase], events: Sequence[Record]) -> int | None:
    """Returns the failed reads. The workers' count and the drill's own must agree; else the greater counts.

    Where the count of a phase is missing, a drill's own count of 0 does not tell that no read failed.
    """
    counted = total([phase.errors for phase in phases])
    noted = or_none(whole, _last(events, "reads-finished"), "errors")
    if counted is not None and noted is not None and counted != noted:
        run.problem(f"failed reads: the workers counted {counted}, raw/drill.ndjson has {noted}")
    return max(known([counted, noted]), default=None) if counted is not None or noted else None


def _last(events: Sequence[Record], name: str) -> Record | None:
    return next((e for e in reversed(events) if e["event"] == name), None)
