"""Operations and bytes of the same minutes, counted by the workers, by the clients' kernels, by their network
interfaces and by CloudWatch: do they agree?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from report.efs_iops.cells import NIC_COLUMNS, Clients
from report.efs_iops.cloudwatch import DATA_METRICS, MINUTE_SECONDS, CloudWatch
from report.efs_iops.counters import Counters, total
from report.efs_iops.metering import metered_bytes
from report.efs_iops.minutes import WorkerMinute
from report.efs_iops.mountstats import WIRE, column
from report.efs_iops.schema import Agreement, Cell, Counted, Minute, NicCounted

# What a frame of NFS has around its TCP payload, as Linux counts an interface's bytes: Ethernet 14 (without checksum),
# IPv4 20, TCP 20 and its timestamps 12 (RFC 7323).
HEADER_BYTES = 66


@dataclass(frozen=True)
class Sources:
    clients: Clients
    cloudwatch: CloudWatch
    hosts: Sequence[str]  # the clients whose counters are added up
    minimum_bytes: int | None
    workers_seen: bool  # whether there are any lines of workers: without, none is not known to be 0


def read_agreement(workers: Mapping[float, WorkerMinute], sources: Sources, cells: Iterable[Cell]) -> Agreement:
    """`workers` by the start of each minute."""
    every = [_minute(start, worker, sources) for start, worker in sorted(workers.items())]
    minutes = [minute for minute in every if minute.read or minute.write]
    added = _with_all_sources(minutes)
    ratios = [ratio for cell in cells if (ratio := cell.mountstats.to_worker_ratio) is not None]
    return Agreement(
        minutes=minutes,
        minutes_added=len(added),
        read=_sum([minute.read for minute in added]),
        write=_sum([minute.write for minute in added]),
        nic=_sum_nic([minute.nic for minute in added]),
        cells_mountstats_to_worker_lowest=min(ratios, default=None),
        cells_mountstats_to_worker_highest=max(ratios, default=None),
    )


def _minute(start: float, worker: WorkerMinute, sources: Sources) -> Minute:
    counted = {op: _count(op, start, worker, sources) for op in DATA_METRICS}
    missing = [
        f"CloudWatch {metric}"
        for op, metric in DATA_METRICS.items()
        if (each := counted[op]) is not None and each.cloudwatch_operations is None
    ]
    mountstats, nic = sources.clients.mountstats, sources.clients.nic
    missing += [f"mountstats {host}" for host in sources.hosts if _of_host(mountstats, host, WIRE, start) is None]
    missing += [
        f"interface {host}"
        for host in sources.hosts
        if any(_of_host(nic, host, name, start) is None for name in ("nic_rx_bytes", "nic_tx_bytes"))
    ]
    rx_bytes, tx_bytes, rx_packets, tx_packets = (_of_hosts(nic, sources.hosts, name, start) for name in NIC_COLUMNS)
    wire_bytes = _of_hosts(mountstats, sources.hosts, WIRE, start)
    return Minute(
        start_unix_s=start,
        read=counted["read"],
        write=counted["write"],
        nic=_nic(rx_bytes, tx_bytes, rx_packets, tx_packets, wire_bytes),
        missing=missing,
    )


def _count(op: str, start: float, worker: WorkerMinute, sources: Sources) -> Counted | None:
    """None when nobody counted an operation of this kind."""

    def kernels(field: str) -> float | None:
        return _of_hosts(sources.clients.mountstats, sources.hosts, column(op, field), start)

    published = sources.cloudwatch.minute(DATA_METRICS[op], start) or {}
    counted = _counted(
        {
            "worker_operations": worker.operations(op) if sources.workers_seen else None,
            "worker_bytes": worker.bytes(op) if sources.workers_seen else None,
            "mountstats_operations": kernels("operations"),
            "mountstats_bytes": kernels("payload_bytes"),
            "wire_sent_bytes": kernels("bytes_sent"),
            "wire_received_bytes": kernels("bytes_received"),
            "cloudwatch_operations": published.get("SampleCount"),
            "cloudwatch_bytes": published.get("Sum"),
            "metered_bytes": metered_bytes(worker.requests[op], sources.minimum_bytes)
            if sources.workers_seen
            else None,
        }
    )
    seen = (counted.worker_operations, counted.mountstats_operations, counted.cloudwatch_operations)
    return counted if any(seen) else None


_COUNTS = (
    "worker_operations",
    "worker_bytes",
    "mountstats_operations",
    "mountstats_bytes",
    "wire_sent_bytes",
    "wire_received_bytes",
    "cloudwatch_operations",
    "cloudwatch_bytes",
    "metered_bytes",
)


def _counted(counts: Mapping[str, float | None]) -> Counted:
    """`counts` has all of _COUNTS."""

    def ratio(above: str, below: str) -> float | None:
        return _ratio(counts[above], counts[below])

    wire, payload = total([counts["wire_sent_bytes"], counts["wire_received_bytes"]]), counts["mountstats_bytes"]
    return Counted(
        **counts,
        mountstats_to_worker_operations=ratio("mountstats_operations", "worker_operations"),
        mountstats_to_worker_bytes=ratio("mountstats_bytes", "worker_bytes"),
        cloudwatch_to_worker_operations=ratio("cloudwatch_operations", "worker_operations"),
        cloudwatch_to_worker_bytes=ratio("cloudwatch_bytes", "worker_bytes"),
        cloudwatch_to_mountstats_operations=ratio("cloudwatch_operations", "mountstats_operations"),
        cloudwatch_to_metered_bytes=ratio("cloudwatch_bytes", "metered_bytes"),
        protocol_share=None if wire is None or payload is None else _ratio(wire - payload, wire),
    )


def _nic(
    rx_bytes: float | None,
    tx_bytes: float | None,
    rx_packets: float | None,
    tx_packets: float | None,
    wire_bytes: float | None,
) -> NicCounted:
    frames, packets = total([rx_bytes, tx_bytes]), total([rx_packets, tx_packets])
    tcp = None if frames is None or packets is None else frames - packets * HEADER_BYTES
    return NicCounted(rx_bytes, tx_bytes, rx_packets, tx_packets, wire_bytes, _ratio(tcp, wire_bytes))


def _with_all_sources(minutes: Sequence[Minute]) -> list[Minute]:
    """Those that lack no source, but such as the whole run lacks."""
    if not minutes:
        return []
    never = set.intersection(*(set(minute.missing) for minute in minutes))
    return [minute for minute in minutes if set(minute.missing) <= never]


def _sum(minutes: Sequence[Counted | None]) -> Counted | None:
    """Of the minutes in which a worker did such operations: what others did alone is no disagreement."""
    with_work = [counted for counted in minutes if counted is not None and counted.worker_operations]
    if not with_work:
        return None
    return _counted({name: total([getattr(counted, name) for counted in with_work]) for name in _COUNTS})


def _sum_nic(minutes: Sequence[NicCounted]) -> NicCounted:
    return _nic(
        total([each.rx_bytes for each in minutes]),
        total([each.tx_bytes for each in minutes]),
        total([each.rx_packets for each in minutes]),
        total([each.tx_packets for each in minutes]),
        total([each.wire_bytes for each in minutes]),
    )


def _of_hosts(counters: Mapping[str, Counters], hosts: Sequence[str], name: str, start: float) -> float | None:
    return total([_of_host(counters, host, name, start) for host in hosts])


def _of_host(counters: Mapping[str, Counters], host: str, name: str, start: float) -> float | None:
    return counters[host].between(name, start, start + MINUTE_SECONDS) if host in counters else None


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b
