"""The sweep: a Cell for each record of raw/cells.ndjson, and what the cells say of scaling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from report.cells import read_cell_records
from report.md_raid.hosts import Hosts
from report.md_raid.intervals import variation_coefficient
from report.md_raid.schema import Cell, MdCost, Point, Scaling, Series, Volume
from report.runs import Record, RecordError, Run, number, text, whole, whole_or_none
from report.worker import Worker, measure

LAYOUTS = ("stripe", "mirror", "raw")
PATTERNS = ("sequential", "random")
MIB = 1 << 20
MB = 1_000_000


def read_cells(run: Run, workers: dict[str, Worker], hosts: Hosts) -> list[Cell]:
    """One for each name, in the order of first mention; the last record of a name counts."""
    cells = []
    for name, found in read_cell_records(run).items():
        try:
            worker = workers.get(name, Worker())
            if found.again:  # else not: one time is of the client's clock, the other of the runner's
                worker = worker.since(number(found.record, "started_unix_s"))
            cells.append(_cell(found.record, worker, hosts))
        except RecordError as error:
            run.problem(f"raw/cells.ndjson: {name} left out: {error}")
    return cells


def _cell(record: Record, worker: Worker, hosts: Hosts) -> Cell:
    layout, pattern = text(record, "layout"), text(record, "pattern")
    if layout not in LAYOUTS or pattern not in PATTERNS:
        raise RecordError(f"layout {layout!r}, pattern {pattern!r} is not one of {LAYOUTS}, {PATTERNS}")
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
    limit = hosts.limit(measured.t_start_unix_s if measured else None, measured.t_end_unix_s if measured else None)
    return Cell(
        cell=text(record, "cell"),
        layout=layout,
        pattern=pattern,
        servers=whole(record, "servers"),
        disks=whole(record, "disks"),
        mirrors=whole_or_none(record, "mirrors"),
        request_bytes=whole(record, "request_bytes"),
        depth=whole(record, "depth"),
        requests_in_flight=measured.requests_in_flight if measured else None,
        started_unix_s=number(record, "started_unix_s"),
        complete=complete,
        reason=None if reason is None else str(reason),
        seconds=measured.seconds if measured else None,
        ops=measured.ops if measured else None,
        mib_per_s=measured.mib_per_s if measured else None,
        iops=measured.iops if measured else None,
        latency_p50_us=measured.percentile_us(50) if measured else None,
        latency_p95_us=measured.percentile_us(95) if measured else None,
        latency_p99_us=measured.percentile_us(99) if measured else None,
        latency_p99_9_us=measured.percentile_us(99.9) if measured else None,
        latency_max_us=measured.percentile_us(100) if measured else None,
        # Failed reads count even where they are why the cell is no measurement.
        errors=sum(ended.errors.values()) if ended else None,
        errors_by_errno=ended.errors if ended else None,
        variation_coefficient=variation_coefficient(worker, measured) if measured else None,
        limited_by=limit.limited_by,
        limited_by_hosts=limit.hosts,
        evidence=limit.evidence,
    )


def volume_figures(cells: Sequence[Cell]) -> Volume:
    sequential = _fewest_disks(cells, "sequential")
    random = _fewest_disks(cells, "random")
    return Volume(
        sequential_cell=sequential.cell if sequential else None,
        sequential_disks=sequential.disks if sequential else None,
        sequential_mb_per_s=(
            sequential.mib_per_s * MIB / MB / sequential.disks
            if sequential and sequential.mib_per_s is not None
            else None
        ),
        random_cell=random.cell if random else None,
        random_disks=random.disks if random else None,
        random_iops=random.iops / random.disks if random and random.iops is not None else None,
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
        md_cost=_md_cost(cells),
    )


def _series(cells: Sequence[Cell], layout: str, pattern: str, grows_with: str) -> Series | None:
    """Cells that differ in `grows_with` alone; of several such groups, the longest, then the largest."""
    groups: dict[tuple[int, float], dict[int, Cell]] = {}
    for cell in cells:
        if cell.layout != layout or cell.pattern != pattern or not cell.servers or not _units(cell, grows_with):
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
        growth=ratio(last.mib_per_s, first.mib_per_s) if several else None,
        efficiency=points[-1].efficiency if several else None,
        network_limited=_network_limited(last),
    )


def _network_limited(cell: Cell) -> bool | None:
    if cell.limited_by is not None and "network" in cell.limited_by:
        return True
    return None if cell.evidence.client_link_used_ratio is None else False


def _point(cell: Cell, first: Cell, grows_with: str) -> Point:
    growth = ratio(cell.mib_per_s, first.mib_per_s)
    return Point(
        cell=cell.cell,
        servers=cell.servers,
        disks=cell.disks,
        mirrors=cell.mirrors,
        mib_per_s=cell.mib_per_s,
        iops=cell.iops,
        efficiency=None if growth is None else growth / (_units(cell, grows_with) / _units(first, grows_with)),
        limited_by=cell.limited_by,
    )


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
                pattern=stripe.pattern,
                request_bytes=stripe.request_bytes,
                servers=stripe.servers,
                disks=stripe.disks,
                stripe_cell=stripe.cell,
                raw_cell=same.cell,
                stripe_mib_per_s=stripe.mib_per_s,
                raw_mib_per_s=same.mib_per_s,
                stripe_requests_in_flight=stripe.requests_in_flight,
                raw_requests_in_flight=same.requests_in_flight,
                stripe_to_raw_ratio=ratio(stripe.mib_per_s, same.mib_per_s),
            )
        )
    return sorted(costs, key=lambda cost: (PATTERNS.index(cost.pattern), cost.request_bytes, cost.disks))


def ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b
