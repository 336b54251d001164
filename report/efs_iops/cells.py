"""The cells of raw/cells.ndjson: their rates over the joint window, and what the clients counted in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from report.cells import CellRecord, parse_cells
from report.efs_iops.counters import Counters
from report.efs_iops.mountstats import NOTHING_KNOWN, cell_mountstats, growth_in
from report.efs_iops.schema import Cell, Evidence, HostRate, Nic
from report.efs_iops.window import (
    Counts,
    Window,
    counts_within,
    covers,
    jain_index,
    joint_window,
    variation_coefficient,
)
from report.hosts import HostSamples
from report.missing import divided, known, total
from report.records import Record, RecordError, natural, number, read_as, text
from report.runs import Run
from report.summary import MB
from report.worker import LATENCIES, Final, Worker, figures_of, measure

OPS = ("write", "read")
PATTERNS = ("fixed", "sequential")
NIC_COLUMNS = ("nic_rx_bytes", "nic_tx_bytes", "nic_rx_packets", "nic_tx_packets")


@dataclass(frozen=True)
class Clients:
    """What the clients counted while the workers ran, by host, on the runner's clock."""

    mountstats: Mapping[str, Counters]
    samples: Mapping[str, HostSamples]
    nic: Mapping[str, Counters]

    @classmethod
    def of(cls, mountstats: Mapping[str, Counters], samples: Mapping[str, HostSamples]) -> Clients:
        nic = {
            host: Counters(each.t_unix_s, {name: getattr(each, name) for name in NIC_COLUMNS})
            for host, each in samples.items()
        }
        return cls(mountstats, samples, nic)

    def cpu_busy_ratio(self, host: str, window: Window) -> float | None:
        samples = self.samples.get(host)
        return samples.cpu_busy_mean(*window.bounds) if samples else None

    def nic_rate(self, host: str, name: str, window: Window) -> float | None:
        """Bytes or packets a second."""
        grown = growth_in(self.nic, host, name, window)
        return grown.per_s if grown else None


@dataclass(frozen=True)
class Sweep:
    cells: list[Cell]  # without what limited each, which follows from all of them together
    windows: dict[str, Window]  # by cell, of those that were measured


def read_cells(run: Run, workers: Mapping[str, Worker], clients: Clients) -> Sweep:
    """Reads the cells of the sweep. `workers` are on the runner's clock."""

    def parse(cell: CellRecord) -> tuple[Cell, Window | None]:
        # What is from before its start belongs to an earlier attempt: workers that were not ready in time start again.
        worker = workers.get(cell.name, Worker()).since(number(cell.record, "start_unix_s"))
        return _cell(cell.record, worker, clients)

    cells = parse_cells(run, parse)
    windows = {cell.cell: window for cell, window in cells if window is not None and cell.reason is None}
    return Sweep([cell for cell, _ in cells], windows)


def _cell(record: Record, worker: Worker, clients: Clients) -> tuple[Cell, Window | None]:
    op, pattern = text(record, "op"), text(record, "pattern")
    if op not in OPS or pattern not in PATTERNS:
        raise RecordError(f"op {op!r}, pattern {pattern!r} is not one of {OPS}, {PATTERNS}")
    hosts, lost = _names(record, "hosts"), _names(record, "lost_hosts")
    if not hosts:
        raise RecordError("hosts names none")
    start = number(record, "start_unix_s")
    complete = record.get("complete") is True and not lost
    worker = Worker(worker.intervals.of_hosts(hosts), [final for final in worker.finals if final.host in hosts])
    finals = {final.host: final for final in worker.finals}
    intervals = {host: worker.intervals.of_host(host) for host in hosts}
    firsts = {host: final.t_first_unix_s for host, final in finals.items()}
    # Where a cell lost a host, the others' rates are shown, but not added up to a rate of the cell.
    at_work = {host: of_host for host, of_host in intervals.items() if host not in lost}
    window = joint_window(at_work, firsts)
    within = {host: counts_within(of_host, *window.bounds) for host, of_host in at_work.items()} if window else {}
    reason = _reason(record, complete, lost, at_work, finals, window, within)
    ended = measure(worker)
    measured = ended if reason is None else None
    per_host = [_host_rate(host, within.get(host), window) for host in at_work]
    rates = [each.ops_per_s for each in per_host]
    done = _of_all([finals[host].t_last_unix_s if host in finals else None for host in hosts])
    begun = _of_all([finals[host].t_first_unix_s if host in finals else None for host in hosts])
    cell = read_as(
        Cell,
        record,
        request_bytes=natural(record, "request_bytes"),
        writers=natural(record, "writers"),
        hosts=hosts,
        total_writers=natural(record, "writers") * len(hosts),
        start_unix_s=start,
        complete=complete,
        reason=reason,
        lost_hosts=lost,
        window_seconds=window.seconds if window else None,
        whole_seconds=len(window.whole_seconds) if window else None,
        ops_per_s=total(rates) if measured else None,
        mb_per_s=total(each.mb_per_s for each in per_host) if measured else None,
        per_host=per_host,
        jain_index=jain_index(known(rates)) if measured and len(hosts) > 1 else None,
        first_done_s=min(done) - start if measured and done else None,
        last_done_s=max(done) - start if measured and done else None,
        start_skew_s=max(begun) - min(begun) if len(hosts) > 1 and begun else None,
        **figures_of(measured, "ops", *LATENCIES),
        # Failed operations count even where they are the reason why the cell was not measured.
        errors=ended.error_count if ended else None,
        errors_by_errno=ended.errors if ended else None,
        variation_coefficient=variation_coefficient(intervals, window) if measured and window else None,
        mountstats=cell_mountstats(clients.mountstats, op, window, intervals) if measured and window else NOTHING_KNOWN,
        nic=_nic(clients, hosts, window if measured else None),
        limited_by=None,
        limited_by_hosts=[],
        evidence=Evidence(None, None, None, None, None, None),
    )
    return cell, window


def _reason(
    record: Record,
    complete: bool,
    lost: Sequence[str],
    at_work: Iterable[str],
    finals: Mapping[str, Final],
    window: Window | None,
    within: Mapping[str, Counts[float]],
) -> str | None:
    """Returns why the cell was not measured; None if it was."""
    if not complete:
        if record.get("reason"):
            return str(record["reason"])
        return f"{', '.join(lost)} went away" if lost else "the cell was not completed"
    without = [host for host in at_work if host not in finals]
    if without:
        return f"no final line from {', '.join(without)}"
    if window is None:
        return "the hosts' workers did not run at the same time"
    torn = [host for host, of_window in within.items() if not covers(window, of_window)]
    if torn:
        return f"seconds of {', '.join(torn)} are missing"
    if not any(final.ops or final.errors for final in finals.values()):
        return "the workers did no operation"
    return None


def _host_rate(host: str, within: Counts[float] | None, window: Window | None) -> HostRate:
    if window is None or within is None or window.seconds <= 0 or not covers(window, within):
        return HostRate(host, None, None)
    return HostRate(host, within.ops / window.seconds, within.bytes / MB / window.seconds)


def _of_all(moments: Sequence[float | None]) -> list[float]:
    """Returns the moments; none of them if one is not known."""
    return known(moments) if None not in moments else []


def _nic(clients: Clients, hosts: Sequence[str], window: Window | None) -> Nic:
    if window is None:
        return Nic(None, None, None, None)
    rx, tx, rx_packets, tx_packets = (
        total(clients.nic_rate(host, name, window) for host in hosts) for name in NIC_COLUMNS
    )
    return Nic(divided(rx, MB), divided(tx, MB), rx_packets, tx_packets)


def _names(record: Record, key: str) -> list[str]:
    value = record.get(key)
    if value is None and key == "lost_hosts":
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise RecordError(f"{key} must be a list of names, not {value!r}")
    return list(dict.fromkeys(value))
