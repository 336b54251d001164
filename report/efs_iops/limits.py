"""The service's limits as the cells show them (plateaus, one writer's rate, the knee between them, hosts' shares), and
what limited each cell, as far as the run's own records show it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aws_offers import LINE_RATES, LineRates
from report.efs_iops.cells import NIC_COLUMNS, OPS, Clients, Sweep
from report.efs_iops.schema import Cell, Evidence, HighestRates, Limits, OperationLimits, Service
from report.efs_iops.window import Window
from report.hosts import BUSY_RATIO_MIN, LINE_RATE_RATIO_MIN, Role
from report.missing import divided, known, mean, times

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
class _Found:
    """Of one operation."""

    limits: OperationLimits
    one_writer_us: float | None  # its median latency
    sequential_plateau: set[str]  # its cells


def find_limits(
    sweep: Sweep, service: Service, clients: Clients, roles: Sequence[Role], rehearsal: bool
) -> tuple[list[Cell], Limits]:
    """Returns the cells with what limited them and its evidence, and the limits. A rehearsal's hosts have the names of
    AWS's types, but not their links.
    """
    permitted = service.permitted_throughput_mb_per_s
    rates = {} if rehearsal else {role.name: LINE_RATES.get(role.instance_type or "") for role in roles}
    found = {op: _found([cell for cell in sweep.cells if cell.op == op]) for op in OPS}
    cells = [
        _with_limit(cell, found[cell.op], permitted, _cpu(cell, window, clients), _links(cell, window, clients, rates))
        if (window := sweep.windows.get(cell.cell))
        else cell
        for cell in sweep.cells
    ]
    sequential = max(known(each.limits.sequential_mb_per_s for each in found.values()), default=None)
    return cells, Limits(
        write=found["write"].limits,
        read=found["read"].limits,
        sequential_mb_per_s=sequential,
        sequential_to_permitted_ratio=divided(sequential, permitted),
        operation_limit_seen=_seen(OPERATION_LIMIT, cells, "fixed"),
        throughput_limit_seen=_seen(THROUGHPUT_LIMIT, cells, "sequential"),
    )


def _seen(limit: str, cells: Sequence[Cell], pattern: str) -> bool | None:
    """Returns whether this limit was seen; None if no cell of the pattern was measured."""
    measured = [cell for cell in cells if cell.pattern == pattern and cell.ops_per_s is not None]
    return any(limit in (cell.limited_by or "") for cell in measured) if measured else None


def _found(cells: Sequence[Cell]) -> _Found:
    fixed = [cell for cell in cells if cell.pattern == "fixed" and cell.ops_per_s is not None]
    sequential = [cell for cell in cells if cell.pattern == "sequential"]
    one_writer = [cell for cell in fixed if cell.total_writers == 1]
    plateau = _plateau(fixed, lambda cell: cell.ops_per_s)
    limit = mean(cell.ops_per_s for cell in plateau)
    alone = mean(cell.ops_per_s for cell in one_writer)
    reached = [
        cell.total_writers for cell in fixed if limit and cell.ops_per_s and cell.ops_per_s >= REACHED_RATIO * limit
    ]
    limits = OperationLimits(
        limit_ops_per_s=limit,
        limit_cells=[cell.cell for cell in plateau],
        one_writer_ops_per_s=alone,
        twenty_writers_ops_per_s=mean(
            cell.ops_per_s for cell in fixed if cell.total_writers == BUSY_WRITERS and len(cell.hosts) == 1
        ),
        knee_writers=limit / alone if limit and alone else None,
        knee_measured_writers=min(reached, default=None),
        split_jain=min(known(cell.jain_index for cell in plateau), default=None),
        sequential_mb_per_s=max(known(cell.mb_per_s for cell in sequential), default=None),
        one_host=_reach([cell for cell in fixed if len(cell.hosts) == 1]),
        two_hosts=_reach([cell for cell in fixed if len(cell.hosts) == 2]),
    )
    at_most = _plateau(sequential, lambda cell: cell.mb_per_s)
    return _Found(limits, mean(cell.latency_p50_us for cell in one_writer), {cell.cell for cell in at_most})


def _plateau(cells: Sequence[Cell], rate: Callable[[Cell], float | None]) -> list[Cell]:
    """Returns the cells within 3 % of the highest, if they have different numbers of writers; else none was seen."""
    highest = max(known(map(rate, cells)), default=0.0)
    near = [cell for cell in cells if (rate(cell) or 0.0) >= PLATEAU_RATIO * highest] if highest > 0 else []
    return near if len({cell.total_writers for cell in near}) >= PLATEAU_WRITER_COUNTS else []


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
    """Returns the highest over the lowest rate of these cells; None unless their request sizes differ."""
    rates = [cell.ops_per_s for cell in cells if cell.ops_per_s]
    return max(rates) / min(rates) if rates and len({cell.request_bytes for cell in cells}) > 1 else None


def _with_limit(
    cell: Cell,
    found: _Found,
    permitted_mb_per_s: float | None,
    cpu: Mapping[str, float],
    links: Mapping[str, float],
) -> Cell:
    """Returns the cell with its limit. `cpu` and `links` say how much of each host's was used, if that is known."""
    alone, fixed = found.limits.one_writer_ops_per_s, cell.pattern == "fixed"
    evidence = Evidence(
        plateau_ratio=divided(cell.ops_per_s, found.limits.limit_ops_per_s) if fixed else None,
        latency_ratio=divided(cell.latency_p50_us, found.one_writer_us) if fixed else None,
        round_trip_ratio=divided(cell.ops_per_s, times(alone, cell.total_writers)) if fixed else None,
        permitted_ratio=divided(cell.mb_per_s, permitted_mb_per_s),
        client_cpu_busy_ratio=max(cpu.values(), default=None),
        client_link_used_ratio=max(links.values(), default=None),
    )
    full_links = {host for host, used in links.items() if used >= LINE_RATE_RATIO_MIN}
    busy = {host for host, ratio in cpu.items() if ratio >= BUSY_RATIO_MIN}
    waited = evidence.latency_ratio is None or evidence.latency_ratio > 1
    reached = {
        OPERATION_LIMIT: _at_least(evidence.plateau_ratio, PLATEAU_RATIO) and waited,
        THROUGHPUT_LIMIT: cell.cell in found.sequential_plateau
        or _at_least(evidence.permitted_ratio, PERMITTED_RATIO_MIN),
        CLIENT_NETWORK: bool(full_links),
        ROUND_TRIP: _at_least(evidence.round_trip_ratio, ROUND_TRIP_RATIO_MIN),
        CLIENT_CPU: bool(busy),
    }
    return dataclasses.replace(
        cell,
        limited_by=" + ".join(name for name, is_reached in reached.items() if is_reached) or None,
        limited_by_hosts=sorted(full_links | busy),
        evidence=evidence,
    )


def _at_least(ratio: float | None, least: float) -> bool:
    return ratio is not None and ratio >= least


def _cpu(cell: Cell, window: Window, clients: Clients) -> dict[str, float]:
    ratios = {host: clients.cpu_busy_ratio(host, window) for host in cell.hosts}
    return {host: ratio for host, ratio in ratios.items() if ratio is not None}


def _links(cell: Cell, window: Window, clients: Clients, rates: Mapping[str, LineRates | None]) -> dict[str, float]:
    """Returns the busier direction's share of each host's line rate, if that is known."""
    used = {}
    for host in cell.hosts:
        line = rates.get(host)
        rates_each_way = known(clients.nic_rate(host, name, window) for name in NIC_COLUMNS[:2]) if line else []
        if line and rates_each_way:
            used[host] = max(rates_each_way) / line.network_bytes_per_s
    return used
