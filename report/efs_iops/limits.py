"""The service's limits as the cells show them: plateaus, one writer's rate, the knee between them, hosts' shares."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from report.efs_iops.cells import OPS
from report.efs_iops.schema import Cell, HighestRates, Limits, OperationLimits
from report.missing import known, mean

# Rates this near to the highest are on its plateau.
PLATEAU_RATIO = 0.97
# A plateau needs cells with different numbers of writers: more of them added nothing.
PLATEAU_WRITER_COUNTS = 2
REACHED_RATIO = 0.95
# The number of writers of the original experiment's typical rates.
BUSY_WRITERS = 20


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
