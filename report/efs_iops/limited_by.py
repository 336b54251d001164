"""Why not more: what held each cell back, as far as the run's own records show it."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from aws_offers import LINE_RATES, LineRates
from report.efs_iops.cells import NIC_COLUMNS, Clients, Sweep
from report.efs_iops.limits import PLATEAU_RATIO, one_writer, sequential_plateau
from report.efs_iops.schema import Cell, Evidence, Found, Limits, Service
from report.efs_iops.window import Window
from report.hosts import BUSY_RATIO_MIN, LINE_RATE_RATIO_MIN, Role

OPERATION_LIMIT = "operation limit"
THROUGHPUT_LIMIT = "throughput limit"
CLIENT_NETWORK = "client network"
ROUND_TRIP = "round trip \u00d7 writers"
CLIENT_CPU = "client CPU"

# Each writer has one operation under way: so near to writers x one writer's rate, none waited for another.
ROUND_TRIP_RATIO_MIN = 0.9
PERMITTED_RATIO_MIN = 0.95


def with_limits(
    sweep: Sweep, limits: Limits, service: Service, clients: Clients, roles: Sequence[Role], rehearsal: bool
) -> list[Cell]:
    """The cells with `limited_by`, its hosts and its evidence. A rehearsal's hosts bear AWS's type names, without the
    links of those types.
    """
    cells = sweep.cells
    rates = {} if rehearsal else {role.name: LINE_RATES.get(role.instance_type or "") for role in roles}
    sequential = {
        cell.cell for op in ("write", "read") if (found := sequential_plateau(cells, op)) for cell in found.cells
    }
    medians = {
        op: [cell.latency_p50_us for cell in one_writer(cells, op) if cell.latency_p50_us is not None]
        for op in ("write", "read")
    }
    return [
        _with_limit(
            cell,
            sweep.windows.get(cell.cell),
            limits.write if cell.op == "write" else limits.read,
            statistics.fmean(medians[cell.op]) if medians[cell.op] else None,
            cell.cell in sequential,
            service,
            clients,
            rates,
        )
        for cell in cells
    ]


def with_limits_seen(limits: Limits, cells: Sequence[Cell], service: Service) -> Limits:
    """What the cells' `limited_by` adds to the limits."""
    measured = [cell for cell in cells if cell.ops_per_s is not None]
    fixed = [cell for cell in measured if cell.pattern == "fixed"]
    sequential = [cell for cell in measured if cell.pattern == "sequential"]
    return dataclasses.replace(
        limits,
        sequential_to_permitted_ratio=_ratio(limits.sequential_mb_per_s, service.permitted_throughput_mb_per_s),
        operation_limit_seen=any(OPERATION_LIMIT in (cell.limited_by or "") for cell in fixed) if fixed else None,
        throughput_limit_seen=(
            any(THROUGHPUT_LIMIT in (cell.limited_by or "") for cell in sequential) if sequential else None
        ),
    )


def _with_limit(
    cell: Cell,
    window: Window | None,
    found: Found,
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
        plateau_ratio=_ratio(cell.ops_per_s, found.limit_ops_per_s) if fixed else None,
        latency_ratio=_ratio(cell.latency_p50_us, one_writer_us) if fixed else None,
        round_trip_ratio=_ratio(cell.ops_per_s, offered) if fixed else None,
        permitted_ratio=_ratio(cell.mb_per_s, service.permitted_throughput_mb_per_s),
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
        sides = [clients.nic_rate(host, name, window) for name in NIC_COLUMNS[:2]] if line else []
        known = [side for side in sides if side is not None]
        if line and known:
            used[host] = max(known) / line.network_bytes_per_s
    return used


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b
