"""md-raid's tables: the sweep, what md costs, the drill, the rebuilds, the proofs."""

from __future__ import annotations

from collections.abc import Sequence

import report.proofs
from report.format import MISSING, figure, ratio, seconds, size_bytes
from report.md_raid.schema import Cell as SweepCell
from report.md_raid.schema import Drill, MdCost, Series, Summary
from report.proofs import Proofs
from report.table import Cell, Column, Table

_SWEEP = [
    Column("layout"),
    Column("servers", True),
    Column("disks", True),
    Column("mirrors", True),
    Column("in flight", True),
    Column("MiB/s", True),
    Column("IOPS", True),
    Column("efficiency", True),
    Column("limited by"),
]
_SWEEP_NOTE = (
    "In flight: reads outstanding at once. Efficiency: rate over that of the smallest step times the growth "
    f"in servers (raw, as many disks of each) or mirrors (stripe). Limited by {MISSING}: not known."
)
_LATENCY = [
    Column("layout"),
    Column("servers", True),
    Column("disks", True),
    Column("p50 ms", True),
    Column("p95 ms", True),
    Column("p99 ms", True),
    Column("p99.9 ms", True),
    Column("max ms", True),
    Column("variation", True),
    Column("errors", True),
]
_LATENCY_NOTE = "Variation: standard deviation over mean of the per-second rates."


def sweep_tables(summary: Summary) -> list[Table]:
    """One for each pattern and request size."""
    efficiencies = _efficiencies(summary)
    return [
        Table(
            f"{pattern.capitalize()} reads of {size_bytes(request_bytes)}: rates",
            _SWEEP,
            [_sweep_row(cell, efficiencies) for cell in cells],
            _SWEEP_NOTE,
            name=f"sweep-{pattern}-{request_bytes}",
        )
        for (pattern, request_bytes), cells in _kinds(summary).items()
    ]


def latency_tables(summary: Summary) -> list[Table]:
    """One for each pattern and request size."""
    return [
        Table(
            f"{pattern.capitalize()} reads of {size_bytes(request_bytes)}: latency",
            _LATENCY,
            [_latency_row(cell) for cell in cells],
            _LATENCY_NOTE,
            name=f"latency-{pattern}-{request_bytes}",
        )
        for (pattern, request_bytes), cells in _kinds(summary).items()
    ]


def _kinds(summary: Summary) -> dict[tuple[str, int], list[SweepCell]]:
    kinds: dict[tuple[str, int], list[SweepCell]] = {}
    for cell in in_order(summary.cells):
        kinds.setdefault((cell.pattern, cell.request_bytes), []).append(cell)
    return kinds


def in_order(cells: Sequence[SweepCell]) -> list[SweepCell]:
    """Raw, mirror, stripe, from few disks to many: a run measures them in an order of its own."""
    layouts = ("raw", "mirror", "stripe")
    patterns = ("sequential", "random")
    return sorted(cells, key=lambda c: (patterns.index(c.pattern), layouts.index(c.layout), c.disks, c.servers))


def _sweep_row(cell: SweepCell, efficiencies: dict[str, float | None]) -> list[Cell | str]:
    limit: Cell | str = cell.limited_by or MISSING
    if cell.reason is not None:
        limit = Cell(f"not measured: {cell.reason}", "bad")
    elif cell.limited_by_hosts and cell.limited_by != "client CPU":
        limit = f"{cell.limited_by} ({', '.join(cell.limited_by_hosts)})"
    return [
        cell.layout,
        figure(cell.servers),
        figure(cell.disks),
        figure(cell.mirrors),
        figure(cell.requests_in_flight),
        figure(cell.mib_per_s),
        figure(cell.iops),
        ratio(efficiencies.get(cell.cell)),
        limit,
    ]


def _latency_row(cell: SweepCell) -> list[Cell | str]:
    return [
        cell.layout,
        figure(cell.servers),
        figure(cell.disks),
        *(
            figure(None if us is None else us / 1000)
            for us in (
                cell.latency_p50_us,
                cell.latency_p95_us,
                cell.latency_p99_us,
                cell.latency_p99_9_us,
                cell.latency_max_us,
            )
        ),
        ratio(cell.variation_coefficient),
        _errors(cell.errors),
    ]


def _efficiencies(summary: Summary) -> dict[str, float | None]:
    scaling = summary.scaling
    every: list[Series | None] = [
        scaling.stripe_sequential,
        scaling.stripe_random,
        scaling.raw_sequential,
        scaling.raw_random,
    ]
    return {point.cell: point.efficiency for series in every if series for point in series.points}


def md_cost_table(costs: Sequence[MdCost]) -> Table:
    return Table(
        "What md costs: the stripe over the same disks read raw",
        [
            Column("pattern"),
            Column("request", True),
            Column("disks", True),
            Column("stripe MiB/s", True),
            Column("raw MiB/s", True),
            Column("stripe in flight", True),
            Column("raw in flight", True),
            Column("stripe / raw", True),
        ],
        [
            (
                cost.pattern,
                size_bytes(cost.request_bytes),
                figure(cost.disks),
                figure(cost.stripe_mib_per_s),
                figure(cost.raw_mib_per_s),
                figure(cost.stripe_requests_in_flight),
                figure(cost.raw_requests_in_flight),
                ratio(cost.stripe_to_raw_ratio),
            )
            for cost in costs
        ],
        "Where the reads in flight differ, so does the load: the ratio then holds for these depths only.",
        name="md-cost",
    )


_PHASE_WORDS = {
    "drill-steady": "all servers up",
    "drill-kill-1": "one server killed",
    "drill-kill-2": "two servers killed",
}


def drill_table(drill: Drill) -> Table:
    noted = any(phase.reason for phase in drill.phases)
    return Table(
        "Reads during the drill",
        [
            Column("phase"),
            Column("seconds", True),
            Column("reads", True),
            Column("reads/s", True),
            Column("failed", True),
            Column("p50 ms", True),
            Column("p99 ms", True),
            Column("longest stall", True),
            *([Column("note")] if noted else []),
        ],
        [
            (
                _PHASE_WORDS.get(phase.cell, phase.cell),
                figure(phase.seconds),
                figure(phase.read_ops),
                figure(phase.iops),
                _errors(phase.errors),
                figure(None if phase.latency_p50_us is None else phase.latency_p50_us / 1000),
                figure(None if phase.latency_p99_us is None else phase.latency_p99_us / 1000),
                seconds(phase.longest_stall_s),
                *([phase.reason or ""] if noted else []),
            )
            for phase in drill.phases
        ],
        "The longest stall is the longest that any one read took.",
        name="drill",
    )


def outcome_table(drill: Drill) -> Table:
    matched = drill.checksum_matched
    return Table(
        "Outcome of the drill",
        [Column("question"), Column("answer")],
        [
            ("storage servers killed", figure(drill.hosts_killed)),
            ("reads that failed", _errors(drill.read_errors)),
            (
                "legs still working after the last kill",
                f"{figure(drill.fewest_working_legs)} of {figure(drill.legs_per_array)}, in each of"
                f" {figure(drill.arrays)} mirrors",
            ),
            (
                "data read back as written",
                Cell(
                    MISSING if matched is None else f"{figure(matched)}, {size_bytes(drill.verified_bytes)}",
                    "" if matched is None else "good" if matched else "bad",
                ),
            ),
            (
                "SHA-256 of what was written first",
                MISSING if drill.written_sha256 is None else f"{drill.written_sha256[:16]}…",
            ),
            ("legs compared with each other after the rebuild", size_bytes(drill.legs_compared_bytes)),
            ("mirrors rebuilt", f"{figure(drill.arrays_rebuilt)} of {figure(drill.arrays)}"),
            *((f"rebuild of {r.array}", seconds(r.seconds)) for r in drill.rebuilds),
        ],
        name="drill-outcome",
    )


_PROOF_WORDS = {
    "mtu": "jumbo frames pass unfragmented, a byte more does not",
    "closed-port": "a port that no security group opens is closed",
    "memory-limit": "memory is limited, so that caches count for little",
    "cpu-limit": "CPUs are limited",
    "zeroed": "fresh volumes read as zero, so that a mirror may be assumed clean",
}


def proofs_table(proofs: Proofs) -> Table:
    return report.proofs.proofs_table(proofs, _PROOF_WORDS)


def _errors(count: int | None) -> Cell:
    return Cell(figure(count), "bad" if count else "")
