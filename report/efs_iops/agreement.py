"""Compares operations and bytes of the same minutes, as the workers, the clients' kernels, their network interfaces
and CloudWatch counted them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from report.efs_iops.cells import NIC_COLUMNS, Clients
from report.efs_iops.cloudwatch import DATA_METRICS, MINUTE_SECONDS, CloudWatch
from report.efs_iops.counters import Counters
from report.efs_iops.metering import metered_bytes
from report.efs_iops.minutes import WorkerMinute
from report.efs_iops.mountstats import WIRE, column
from report.efs_iops.schema import Agreement, Cell, Counted, Minute, NicCounted
from report.missing import divided, known, total

# What a frame of NFS has around its TCP payload, as Linux counts an interface's bytes: Ethernet 14 (without checksum),
# IPv4 20, TCP 20 and its timestamps 12 (RFC 7323).
HEADER_BYTES = 66


@dataclass(frozen=True)
class Sources:
    clients: Clients
    cloudwatch: CloudWatch
    hosts: Sequence[str]  # the clients whose counters are added up
    minimum_bytes: int | None
    workers_seen: bool  # whether workers wrote any line: without one, their counts are not known to be 0


class _CounterGrowth:
    """The growth of the hosts' counters in each minute."""

    def __init__(self, counters: Mapping[str, Counters], hosts: Sequence[str], starts: Sequence[float]) -> None:
        self._counters, self._hosts, self._starts = counters, hosts, starts
        self._moments = np.array([(start, start + MINUTE_SECONDS) for start in starts], np.float64).ravel()
        self._columns: dict[tuple[str, str], dict[float, float]] = {}

    def of_host(self, host: str, name: str, start: float) -> float | None:
        if host not in self._counters:
            return None
        if (host, name) not in self._columns:
            growths = self._counters[host].each_between(name, self._moments)[::2]
            self._columns[host, name] = dict(zip(self._starts, growths.tolist(), strict=True))
        grown = self._columns[host, name][start]
        return None if math.isnan(grown) else grown

    def of_hosts(self, name: str, start: float) -> float | None:
        return total([self.of_host(host, name, start) for host in self._hosts])

    def unknown(self, names: Sequence[str], start: float) -> list[str]:
        """Returns the hosts of which one of these counters is not known."""
        return [host for host in self._hosts if any(self.of_host(host, name, start) is None for name in names)]


def read_agreement(workers: Mapping[float, WorkerMinute], sources: Sources, cells: Iterable[Cell]) -> Agreement:
    """Compares the sources' counts. `workers` are by the start of each minute."""
    starts = sorted(workers)
    mountstats = _CounterGrowth(sources.clients.mountstats, sources.hosts, starts)
    nic = _CounterGrowth(sources.clients.nic, sources.hosts, starts)
    every = [_minute(start, workers[start], sources, mountstats, nic) for start in starts]
    minutes = [minute for minute in every if minute.read or minute.write]
    added = _with_all_sources(minutes)
    ratios = known(cell.mountstats.to_worker_ratio for cell in cells)
    return Agreement(
        minutes=minutes,
        minutes_added=len(added),
        read=_sum([minute.read for minute in added]),
        write=_sum([minute.write for minute in added]),
        nic=_sum_nic([minute.nic for minute in added]),
        cells_mountstats_to_worker_lowest=min(ratios, default=None),
        cells_mountstats_to_worker_highest=max(ratios, default=None),
    )


def _minute(
    start: float, worker: WorkerMinute, sources: Sources, mountstats: _CounterGrowth, nic: _CounterGrowth
) -> Minute:
    counted = {op: _count(op, start, worker, sources, mountstats) for op in DATA_METRICS}
    missing = [
        f"CloudWatch {metric}"
        for op, metric in DATA_METRICS.items()
        if (each := counted[op]) is not None and each.cloudwatch_operations is None
    ]
    missing += [f"mountstats {host}" for host in mountstats.unknown([WIRE], start)]
    missing += [f"interface {host}" for host in nic.unknown(["nic_rx_bytes", "nic_tx_bytes"], start)]
    return Minute(
        start_unix_s=start,
        read=counted["read"],
        write=counted["write"],
        nic=_nic([*(nic.of_hosts(name, start) for name in NIC_COLUMNS), mountstats.of_hosts(WIRE, start)]),
        missing=missing,
    )


def _count(op: str, start: float, worker: WorkerMinute, sources: Sources, mountstats: _CounterGrowth) -> Counted | None:
    """Returns the counts of a minute; None if no source counted an operation of this kind."""

    def kernels(field: str) -> float | None:
        return mountstats.of_hosts(column(op, field), start)

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


_COUNTS = [
    field.name
    for field in dataclasses.fields(Counted)
    if field.name.endswith(("_operations", "_bytes")) and "_to_" not in field.name
]


def _counted(counts: Mapping[str, float | None]) -> Counted:
    """Returns the counts with their ratios. `counts` has all of _COUNTS."""

    def ratio(above: str, below: str) -> float | None:
        return divided(counts[above], counts[below])

    wire, payload = total([counts["wire_sent_bytes"], counts["wire_received_bytes"]]), counts["mountstats_bytes"]
    return Counted(
        **counts,
        mountstats_to_worker_operations=ratio("mountstats_operations", "worker_operations"),
        mountstats_to_worker_bytes=ratio("mountstats_bytes", "worker_bytes"),
        cloudwatch_to_worker_operations=ratio("cloudwatch_operations", "worker_operations"),
        cloudwatch_to_worker_bytes=ratio("cloudwatch_bytes", "worker_bytes"),
        cloudwatch_to_mountstats_operations=ratio("cloudwatch_operations", "mountstats_operations"),
        cloudwatch_to_metered_bytes=ratio("cloudwatch_bytes", "metered_bytes"),
        protocol_share=None if wire is None or payload is None else divided(wire - payload, wire),
    )


def _nic(counts: Iterable[float | None]) -> NicCounted:
    """Returns a NicCounted of `counts`, which are its first fields in their order."""
    rx_bytes, tx_bytes, rx_packets, tx_packets, wire_bytes = counts
    frames, packets = total([rx_bytes, tx_bytes]), total([rx_packets, tx_packets])
    tcp = None if frames is None or packets is None else frames - packets * HEADER_BYTES
    return NicCounted(rx_bytes, tx_bytes, rx_packets, tx_packets, wire_bytes, divided(tcp, wire_bytes))


def _with_all_sources(minutes: Sequence[Minute]) -> list[Minute]:
    """Returns the minutes that lack no source, except sources that the whole run lacks."""
    if not minutes:
        return []
    never = set.intersection(*(set(minute.missing) for minute in minutes))
    return [minute for minute in minutes if set(minute.missing) <= never]


def _sum(minutes: Sequence[Counted | None]) -> Counted | None:
    """Adds up the minutes in which a worker did such operations. Those that only other programs did are no
    disagreement.
    """
    with_work = [counted for counted in minutes if counted is not None and counted.worker_operations]
    if not with_work:
        return None
    return _counted({name: total([getattr(counted, name) for counted in with_work]) for name in _COUNTS})


def _sum_nic(minutes: Sequence[NicCounted]) -> NicCounted:
    names = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "wire_bytes")
    return _nic(total([getattr(each, name) for each in minutes]) for name in names)
