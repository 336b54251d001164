"""The service's limits as the cells show them (plateaus, one writer's rate, the knee between them, hosts' shares), and
what limited each cell, as far as the run's own records show it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aws_offers import LINE_RATES, LineRates
from report.efs_iops.cells import NIC_COLUMNS, OPS, Clients, Sweep
from report.efs_iops.schema import Cell, Evidence, HighestRates, Limits, OperationLimits, Service
from report.efs_iops.window import Window
from report.hosts import BUSY_RATIO_MIN, LINE_RATE_RATIO_MIN, Role
from report.missing import divided, known, mean

# Rates this near to the highest are on its plateau.
PLATEAU_RATIO = 0.97
# A plateau needs cells with different numbers of writers: more of them added nothing.
PLATEAU_WRITER_COUNTS = 2
REACHED_RATIO = 0.95
# The number of writers of the original experiment's typical rates.
BUSY_WRITERS = 20

OPERATION_LIMIT = "operation limit"
THROUGHPUT_LIMIT = "throughput limit"
CLIENT_NETWORK = "client network"
ROUND_TRIP = "round trip \u00d7 writers"
CLIENT_CPU = "client CPU"

# Each writer has one operation in flight: this near to writers x one writer's rate, none waited for another.
ROUND_TRIP_RATIO_MIN = 0.9
PERMITTED_RATIO_MIN = 0.95


@dataclass(frozen=True)
class Plateau:
    rate: float  # the mean of its cells
    cells: list[Cell]


def find_plateau(cells: Sequence[Cell], rate: Callable[[Cell], float | None]) -> Plateau | None:
    """The cells within 3 % of the highest, if they are of different numbers of writers; None: none was seen."""
    rates = {cell.cell: value for cell in cells if (value := rate(cell)) is not None and value > 0}
    if not rates:
        return None
    near = [cell for cell in cells if rates.get(cell.cell, 0.0) >= PLATEAU_RATIO * max(rates.values())]
    if len({cell.total_writers for cell in near}) < PLATEAU_WRITER_COUNTS:
        return None
    return Plateau(statistics.fmean(rates[cell.cell] for cell in near), near)


def find_limits(cells: Sequence[Cell]) -> Limits:
    """Without what needs each cell's `limited_by`."""
    found = {op: _found([cell for cell in cells if cell.op == op]) for op in OPS}
    sequential = [found[op].sequential_mb_per_s for op in OPS]
    return Limits(
        write=found["write"],
        read=found["read"],
        sequential_mb_per_s=max(known(sequential), default=None),
        sequential_to_permitted_ratio=None,
        operation_limit_seen=None,
        throughput_limit_seen=None,
    )


def one_writer(cells: Sequence[Cell], op: str) -> list[Cell]:
    """The fixed-pattern cells of a single writer."""
    return [
        c for c in cells if c.op == op and c.pattern == "fixed" and c.total_writers == 1 and c.ops_per_s is not None
    ]


def sequential_plateau(cells: Sequence[Cell], op: str) -> Plateau | None:
    """In MB/s."""
    return find_plateau([c for c in cells if c.op == op and c.pattern == "sequential"], lambda cell: cell.mb_per_s)


def _found(cells: Sequence[Cell]) -> OperationLimits:
    """Of one operation."""
    fixed = [cell for cell in cells if cell.pattern == "fixed" and cell.ops_per_s is not None]
    plateau = find_plateau(fixed, lambda cell: cell.ops_per_s)
    alone = mean([cell.ops_per_s for cell in fixed if cell.total_writers == 1])
    limit = plateau.rate if plateau else None
    reached = [
        cell.total_writers for cell in fixed if limit and cell.ops_per_s and cell.ops_per_s >= REACHED_RATIO * limit
    ]
    splits = known(cell.jain_index for cell in (plateau.cells if plateau else []))
    sequential = known(cell.mb_per_s for cell in cells if cell.pattern == "sequential")
    return OperationLimits(
        limit_ops_per_s=limit,
        limit_cells=[cell.cell for cell in plateau.cells] if plateau else [],
        one_writer_ops_per_s=alone,
        twenty_writers_ops_per_s=mean(
            [cell.ops_per_s for cell in fixed if cell.total_writers == BUSY_WRITERS and len(cell.hosts) == 1]
        ),
        knee_writers=limit / alone if limit and alone else None,
        knee_measured_writers=min(reached, default=None),
        split_jain=min(splits, default=None),
        sequential_mb_per_s=max(sequential, default=None),
        one_host=_reach([cell for cell in fixed if len(cell.hosts) == 1]),
        two_hosts=_reach([cell for cell in fixed if len(cell.hosts) == 2]),
    )


def _reach(cells: Sequence[Cell]) -> HighestRates:
    busy = [cell for cell in cells if cell.total_writers >= BUSY_WRITERS]
    rates = known(cell.ops_per_s for cell in busy)
    by_writers: dict[int, list[Cell]] = {}
    for cell in busy:
        by_writers.setdefault(cell.total_writers, []).append(cell)
    spreads = known(_size_spread(alike) for alike in by_writers.values())
    return HighestRates(
        highest_ops_per_s=max(known(cell.ops_per_s for cell in cells), default=None),
        lowest_busy_ops_per_s=min(rates, default=None),
        highest_busy_ops_per_s=max(rates, default=None),
        size_spread_ratio=max(spreads, default=None),
    )


def _size_spread(cells: Sequence[Cell]) -> float | None:
    """Of cells with the same writers."""
    rates = [cell.ops_per_s for cell in cells if cell.ops_per_s]
    return max(rates) / min(rates) if rates and len({cell.request_bytes for cell in cells}) > 1 else None


def with_limits(
    sweep: Sweep, limits: Limits, service: Service, clients: Clients, roles: Sequence[Role], rehearsal: bool
) -> list[Cell]:
    """The cells with `limited_by`, its hosts and its evidence. A rehearsal's hosts have the names of AWS's types, but
    not their links.
    """
    cells = sweep.cells
    rates = {} if rehearsal else {role.name: LINE_RATES.get(role.instance_type or "") for role in roles}
    sequential = {cell.cell for op in OPS if (found := sequential_plateau(cells, op)) for cell in found.cells}
    medians = {op: mean(cell.latency_p50_us for cell in one_writer(cells, op)) for op in OPS}
    return [
        _with_limit(
            cell,
            sweep.windows.get(cell.cell),
            limits.write if cell.op == "write" else limits.read,
            medians[cell.op],
            cell.cell in sequential,
            service,
            clients,
            rates,
        )
        for cell in cells
    ]


def with_limits_seen(limits: Limits, cells: Sequence[Cell], service: Service) -> Limits:
    """The limits with what follows from the cells' `limited_by`."""
    measured = [cell for cell in cells if cell.ops_per_s is not None]
    fixed = [cell for cell in measured if cell.pattern == "fixed"]
    sequential = [cell for cell in measured if cell.pattern == "sequential"]
    return dataclasses.replace(
        limits,
        sequential_to_permitted_ratio=divided(limits.sequential_mb_per_s, service.permitted_throughput_mb_per_s),
        operation_limit_seen=any(OPERATION_LIMIT in (cell.limited_by or "") for cell in fixed) if fixed else None,
        throughput_limit_seen=(
            any(THROUGHPUT_LIMIT in (cell.limited_by or "") for cell in sequential) if sequential else None
        ),
    )


def _with_limit(
    cell: Cell,
    window: Window | None,
    found: OperationLimits,
    one_writer_us: float | None,
    on_sequential_plateau: bool,
    service: Service,
    clients: Clients,
    rates: Mapping[str, LineRates | None],
) -> Cell:
    if window is None or cell.ops_per_s is None:
        return cell
    fixed = cell.pattern == "fixed"
    busy, links = _cpu(cell, window, clients), _links(cell, window, clients, rates)
    offered = found.one_writer_ops_per_s * cell.total_writers if found.one_writer_ops_per_s else None
    evidence = Evidence(
        plateau_ratio=divided(cell.ops_per_s, found.limit_ops_per_s) if fixed else None,
        latency_ratio=divided(cell.latency_p50_us, one_writer_us) if fixed else None,
        round_trip_ratio=divided(cell.ops_per_s, offered) if fixed else None,
        permitted_ratio=divided(cell.mb_per_s, service.permitted_throughput_mb_per_s),
        client_cpu_busy_ratio=max(busy.values(), default=None),
        client_link_used_ratio=max(links.values(), default=None),
    )
    at_limit: dict[str, list[str]] = {}
    if (
        evidence.plateau_ratio is not None
        and evidence.plateau_ratio >= PLATEAU_RATIO
        and (evidence.latency_ratio is None or evidence.latency_ratio > 1)
    ):
        at_limit[OPERATION_LIMIT] = []
    if on_sequential_plateau or (
        evidence.permitted_ratio is not None and evidence.permitted_ratio >= PERMITTED_RATIO_MIN
    ):
        at_limit[THROUGHPUT_LIMIT] = []
    at_limit[CLIENT_NETWORK] = [host for host, used in links.items() if used >= LINE_RATE_RATIO_MIN]
    if evidence.round_trip_ratio is not None and evidence.round_trip_ratio >= ROUND_TRIP_RATIO_MIN:
        at_limit[ROUND_TRIP] = []
    at_limit[CLIENT_CPU] = [host for host, ratio in busy.items() if ratio >= BUSY_RATIO_MIN]
    names = [name for name, hosts in at_limit.items() if hosts or name not in (CLIENT_NETWORK, CLIENT_CPU)]
    return dataclasses.replace(
        cell,
        limited_by=" + ".join(names) or None,
        limited_by_hosts=sorted({host for hosts in at_limit.values() for host in hosts}),
        evidence=evidence,
    )


def _cpu(cell: Cell, window: Window, clients: Clients) -> dict[str, float]:
    ratios = {host: clients.cpu_busy_ratio(host, window) for host in cell.hosts}
    return {host: ratio for host, ratio in ratios.items() if ratio is not None}


def _links(cell: Cell, window: Window, clients: Clients, rates: Mapping[str, LineRates | None]) -> dict[str, float]:
    """The busier direction's share of each host's line rate, where that is known."""
    used = {}
    for host in cell.hosts:
        line = rates.get(host)
        rates_each_way = known(clients.nic_rate(host, name, window) for name in NIC_COLUMNS[:2]) if line else []
        if line and rates_each_way:
            used[host] = max(rates_each_way) / line.network_bytes_per_s
    return used
