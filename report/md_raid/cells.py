"""The cells of raw/cells.ndjson, and how the read rate scales from one to the next."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from report.cells import CellRecord, parse_cells
from report.intervals import INTERVAL_SECONDS_MIN
from report.md_raid.hosts import CLIENT_NETWORK, SERVER_NETWORK, Hosts, Work
from report.md_raid.schema import Cell, MdCost, Point, Scaling, Series, Volume
from report.missing import divided
from report.records import Record, RecordError, known_as, natural, number, text, whole_or_none
from report.runs import Run
from report.summary import MB, MIB, shared_fields
from report.worker import CLOCK_SLACK_S, LATENCIES, Measured, Worker, figures_of, measure

LAYOUTS = ("stripe", "mirror", "raw")
PATTERNS = ("sequential", "random")
OPERATIONS = ("read", "write")
READERS = ("one", "many")


def read_cells(run: Run, workers: dict[str, Worker], hosts: Hosts) -> list[Cell]:
    return parse_cells(run, lambda cell: _cell(run, cell, cell.last_attempt(workers), hosts))


def _cell(run: Run, cell: CellRecord, worker: Worker, hosts: Hosts) -> Cell:
    record = cell.record
    layout, pattern = text(record, "layout"), text(record, "pattern")
    # Runs before 2026-12 have reads alone, and no layouts that are compared.
    operation, readers = record.get("operation", "read"), record.get("readers", "many")
    if layout not in LAYOUTS or pattern not in PATTERNS:
        raise RecordError(f"layout {layout!r}, pattern {pattern!r} is not one of {LAYOUTS}, {PATTERNS}")
    if operation not in OPERATIONS or readers not in READERS:
        raise RecordError(f"operation {operation!r}, readers {readers!r} is not one of {OPERATIONS}, {READERS}")
    complete = record.get("complete") is True
    reason = record.get("reason") or None
    ended = measure(worker)
    measured = ended if complete else None
    if not complete:
        reason = reason or "the cell was not completed"
    elif measured is None:
        reason = "no final line from the worker"
    elif not measured.ops and not measured.errors:
        reason = "the worker did no operation"
    volumes = record.get("volumes")
    request_bytes = natural(record, "request_bytes")
    work = None
    if measured is not None:
        known_volumes = [str(each) for each in volumes] if isinstance(volumes, list) else []
        work = Work(measured.t_start_unix_s, measured.t_end_unix_s, request_bytes, known_volumes)
    limit = hosts.limit(work)
    if limit.above_model:
        first, more = limit.above_model[0], len(limit.above_model) - 1
        run.problem(
            f"{cell.name}: {first} in the service model{f', and {more} more' if more else ''}: the limits were not in "
            "force, so what the run found again proves nothing; run `make worker`, then the rehearsal again"
        )
    return known_as(
        Cell,
        record,
        operation=operation,
        readers=readers,
        buffered=record.get("buffered") is True,
        servers=natural(record, "servers"),
        disks=natural(record, "disks"),
        mirrors=whole_or_none(record, "mirrors"),
        request_bytes=request_bytes,
        depth=natural(record, "depth"),
        started_unix_s=number(record, "started_unix_s"),
        complete=complete,
        reason=None if reason is None else str(reason),
        **figures_of(measured, "requests_in_flight", "seconds", "ops", "mib_per_s", "iops"),
        **figures_of(measured, *LATENCIES),
        # Failed reads count even where they are the reason why the cell was not measured.
        errors=ended.error_count if ended else None,
        errors_by_errno=ended.errors if ended else None,
        variation_coefficient=variation_coefficient(worker, measured) if measured else None,
        limited_by=limit.limited_by,
        limited_by_hosts=limit.hosts,
        evidence=limit.evidence,
        leg_read_bytes=_leg_read_bytes(record),
    )


def _leg_read_bytes(record: Record) -> dict[str, int] | None:
    counts = record.get("leg_read_bytes")
    if not isinstance(counts, dict):
        return None
    return {str(volume): count for volume, count in counts.items() if isinstance(count, int) and count >= 0}


def variation_coefficient(worker: Worker, measured: Measured) -> float | None:
    """Returns standard deviation / mean of the window's whole seconds, in each of which the hosts' rates are added."""
    rates: dict[int, dict[str, float]] = {}
    for interval in worker.intervals:
        inside = (
            interval.t_start_unix_s >= measured.t_start_unix_s - CLOCK_SLACK_S
            and interval.t_end_unix_s <= measured.t_end_unix_s + CLOCK_SLACK_S
        )
        if inside and interval.seconds >= INTERVAL_SECONDS_MIN:
            second = round(interval.t_start_unix_s - measured.t_start_unix_s)
            rates.setdefault(second, {})[interval.host] = interval.bytes / interval.seconds
    hosts = {host for of_second in rates.values() for host in of_second}
    totals = [sum(of_second.values()) for of_second in rates.values() if len(of_second) == len(hosts)]
    return divided(statistics.stdev(totals), statistics.fmean(totals)) if len(totals) > 1 else None


def volume_figures(cells: Sequence[Cell]) -> Volume:
    sequential = _fewest_disks(cells, "sequential")
    random = _fewest_disks(cells, "random")
    return Volume(
        sequential_mb_per_s=(
            sequential.mib_per_s * MIB / MB / sequential.disks
            if sequential and sequential.mib_per_s is not None
            else None
        ),
        random_iops=divided(random.iops, random.disks) if random else None,
    )


def _fewest_disks(cells: Iterable[Cell], pattern: str) -> Cell | None:
    measured = [
        cell
        for cell in cells
        if cell.layout == "raw" and cell.pattern == pattern and cell.disks > 0 and cell.mib_per_s is not None
    ]
    return min(measured, key=lambda cell: cell.disks, default=None)


def scaling(cells: Sequence[Cell]) -> Scaling:
    return Scaling(
        stripe_sequential=_series(cells, "stripe", "sequential", "mirrors"),
        stripe_random=_series(cells, "stripe", "random", "mirrors"),
        raw_sequential=_series(cells, "raw", "sequential", "servers"),
        raw_random=_series(cells, "raw", "random", "servers"),
        raw_disks_sequential=_series(cells, "raw", "sequential", "disks"),
        raw_disks_random=_series(cells, "raw", "random", "disks"),
        stripe_servers_sequential=_series(cells, "stripe", "sequential", "servers"),
        stripe_servers_random=_series(cells, "stripe", "random", "servers"),
        md_cost=_md_cost([cell for cell in cells if cell.operation == "read"]),
    )


def _series(cells: Sequence[Cell], layout: str, pattern: str, grows_with: str) -> Series | None:
    """Cells that differ only in `grows_with`; of several groups of them the longest, then the one with most disks."""
    groups: dict[tuple[int, float], dict[int, Cell]] = {}
    for cell in cells:
        if (cell.layout, cell.pattern, cell.operation) != (layout, pattern, "read"):
            continue
        if not cell.servers or not _units(cell, grows_with):
            continue
        alike = cell.disks / cell.servers if grows_with == "servers" else cell.servers
        groups.setdefault((cell.request_bytes, alike), {})[_units(cell, grows_with)] = cell
    if not groups:
        return None
    by_units = max(groups.values(), key=lambda group: (len(group), max(cell.disks for cell in group.values())))
    ordered = [by_units[units] for units in sorted(by_units)]
    first, last = ordered[0], ordered[-1]
    points = [_point(cell, first, grows_with) for cell in ordered]
    several = len(ordered) > 1
    return Series(
        layout=layout,
        pattern=pattern,
        request_bytes=first.request_bytes,
        grows_with=grows_with,
        points=points,
        growth=divided(last.mib_per_s, first.mib_per_s) if several else None,
        efficiency=points[-1].efficiency if several else None,
        network_limited=_network_limited(last),
    )


def _network_limited(cell: Cell) -> bool | None:
    limits = (cell.limited_by or "").split(" + ")
    if CLIENT_NETWORK in limits or SERVER_NETWORK in limits:
        return True
    return None if cell.evidence.client_link_used_ratio is None else False


def _point(cell: Cell, first: Cell, grows_with: str) -> Point:
    growth = divided(cell.mib_per_s, first.mib_per_s)
    efficiency = divided(growth, _units(cell, grows_with) / _units(first, grows_with))
    return Point(**shared_fields(Point, cell), efficiency=efficiency)


def _units(cell: Cell, grows_with: str) -> int:
    if grows_with == "disks":
        return cell.disks // cell.servers
    return cell.servers if grows_with == "servers" else cell.mirrors or 0


def _md_cost(cells: Sequence[Cell]) -> list[MdCost]:
    raw = {(c.pattern, c.request_bytes, c.servers, c.disks): c for c in cells if c.layout == "raw"}
    costs = []
    for stripe in cells:
        same = raw.get((stripe.pattern, stripe.request_bytes, stripe.servers, stripe.disks))
        if stripe.layout != "stripe" or same is None:
            continue
        costs.append(
            MdCost(
                **shared_fields(MdCost, stripe),
                stripe_mib_per_s=stripe.mib_per_s,
                raw_mib_per_s=same.mib_per_s,
                stripe_requests_in_flight=stripe.requests_in_flight,
                raw_requests_in_flight=same.requests_in_flight,
                stripe_to_raw_ratio=divided(stripe.mib_per_s, same.mib_per_s),
            )
        )
    return sorted(costs, key=lambda cost: (PATTERNS.index(cost.pattern), cost.request_bytes, cost.disks))
