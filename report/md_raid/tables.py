"""md-raid's tables: the sweep, what md costs, the drill."""

from __future__ import annotations

from collections.abc import Sequence

from report.format import MISSING, figure, milliseconds, ratio, seconds, size_bytes
from report.md_raid.schema import Cell as SweepCell
from report.md_raid.schema import Drill, MdCost, Phase, Summary
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, judged

PROOFS = {
    "mtu": "jumbo frames pass unfragmented, a byte more does not",
    "closed-port": "a port that no security group opens is closed",
    "memory-limit": "memory is limited, so that caches count for little",
    "cpu-limit": "CPUs are limited",
    "zeroed": "fresh volumes read as zero, so that a mirror may be assumed clean",
}
_PHASES = {
    "drill-steady": "all servers up",
    "drill-kill-1": "one server killed",
    "drill-kill-2": "two servers killed",
}
_DISKS: list[TextColumn[SweepCell]] = [
    TextColumn("layout", lambda cell: cell.layout),
    NumberColumn("servers", lambda cell: figure(cell.servers)),
    NumberColumn("disks", lambda cell: figure(cell.disks)),
]


def sweep_tables(summary: Summary) -> list[Table]:
    """One for each pattern and request size."""
    scaling = summary.scaling
    every = (scaling.stripe_sequential, scaling.stripe_random, scaling.raw_sequential, scaling.raw_random)
    efficiencies = {point.cell: point.efficiency for series in every if series for point in series.points}
    columns: list[TextColumn[SweepCell]] = [
        *_DISKS,
        NumberColumn("mirrors", lambda cell: figure(cell.mirrors)),
        NumberColumn("in flight", lambda cell: figure(cell.requests_in_flight)),
        NumberColumn("MiB/s", lambda cell: figure(cell.mib_per_s)),
        NumberColumn("IOPS", lambda cell: figure(cell.iops)),
        NumberColumn("efficiency", lambda cell: ratio(efficiencies.get(cell.cell))),
        TextColumn("limited by", _limit),
    ]
    note = (
        "In flight: reads outstanding at once. Efficiency: rate over that of the smallest step times the growth "
        f"in servers (raw, as many disks of each) or mirrors (stripe). Limited by {MISSING}: not known."
    )
    return _for_each_kind(summary, "rates", "sweep", columns, note)


def latency_tables(summary: Summary) -> list[Table]:
    """One for each pattern and request size."""
    columns: list[TextColumn[SweepCell]] = [
        *_DISKS,
        NumberColumn("p50 ms", lambda cell: milliseconds(cell.latency_p50_us)),
        NumberColumn("p95 ms", lambda cell: milliseconds(cell.latency_p95_us)),
        NumberColumn("p99 ms", lambda cell: milliseconds(cell.latency_p99_us)),
        NumberColumn("p99.9 ms", lambda cell: milliseconds(cell.latency_p99_9_us)),
        NumberColumn("max ms", lambda cell: milliseconds(cell.latency_max_us)),
        NumberColumn("variation", lambda cell: ratio(cell.variation_coefficient)),
        NumberColumn("errors", lambda cell: bad_if(figure(cell.errors), cell.errors)),
    ]
    note = "Variation: standard deviation over mean of the per-second rates."
    return _for_each_kind(summary, "latency", "latency", columns, note)


def _for_each_kind(
    summary: Summary, title: str, name: str, columns: Sequence[TextColumn[SweepCell]], note: str
) -> list[Table]:
    kinds: dict[tuple[str, int], list[SweepCell]] = {}
    for cell in in_order(summary.cells):
        kinds.setdefault((cell.pattern, cell.request_bytes), []).append(cell)
    return [
        Table.of(
            f"{pattern.capitalize()} reads of {size_bytes(request_bytes)}: {title}",
            columns,
            cells,
            note,
            name=f"{name}-{pattern}-{request_bytes}",
        )
        for (pattern, request_bytes), cells in kinds.items()
    ]


def in_order(cells: Sequence[SweepCell]) -> list[SweepCell]:
    """Raw, mirror, stripe, from few disks to many, instead of the order in which they were measured."""
    layouts = ("raw", "mirror", "stripe")
    patterns = ("sequential", "random")
    return sorted(cells, key=lambda c: (patterns.index(c.pattern), layouts.index(c.layout), c.disks, c.servers))


def _limit(cell: SweepCell) -> Cell | str:
    if cell.reason is not None:
        return Cell(f"not measured: {cell.reason}", "bad")
    if cell.limited_by_hosts and cell.limited_by != "client CPU":
        return f"{cell.limited_by} ({', '.join(cell.limited_by_hosts)})"
    return cell.limited_by or MISSING


def md_cost_table(costs: Sequence[MdCost]) -> Table:
    columns: list[TextColumn[MdCost]] = [
        TextColumn("pattern", lambda cost: cost.pattern),
        NumberColumn("request", lambda cost: size_bytes(cost.request_bytes)),
        NumberColumn("disks", lambda cost: figure(cost.disks)),
        NumberColumn("stripe MiB/s", lambda cost: figure(cost.stripe_mib_per_s)),
        NumberColumn("raw MiB/s", lambda cost: figure(cost.raw_mib_per_s)),
        NumberColumn("stripe in flight", lambda cost: figure(cost.stripe_requests_in_flight)),
        NumberColumn("raw in flight", lambda cost: figure(cost.raw_requests_in_flight)),
        NumberColumn("stripe / raw", lambda cost: ratio(cost.stripe_to_raw_ratio)),
    ]
    note = "Where the reads in flight differ, so does the load: the ratio then holds for these depths only."
    return Table.of("What md costs: the stripe over the same disks read raw", columns, costs, note, name="md-cost")


def drill_table(drill: Drill) -> Table:
    columns: list[TextColumn[Phase]] = [
        TextColumn("phase", lambda phase: _PHASES.get(phase.cell, phase.cell)),
        NumberColumn("seconds", lambda phase: figure(phase.seconds)),
        NumberColumn("reads", lambda phase: figure(phase.read_ops)),
        NumberColumn("reads/s", lambda phase: figure(phase.iops)),
        NumberColumn("failed", lambda phase: bad_if(figure(phase.errors), phase.errors)),
        NumberColumn("p50 ms", lambda phase: milliseconds(phase.latency_p50_us)),
        NumberColumn("p99 ms", lambda phase: milliseconds(phase.latency_p99_us)),
        NumberColumn("longest stall", lambda phase: seconds(phase.longest_stall_s)),
    ]
    if any(phase.reason for phase in drill.phases):
        columns.append(TextColumn("note", lambda phase: phase.reason or ""))
    note = "The longest stall is the longest that any one read took."
    return Table.of("Reads during the drill", columns, drill.phases, note, name="drill")


def outcome_table(drill: Drill) -> Table:
    matched, sha256, arrays = drill.checksum_matched, drill.written_sha256, figure(drill.arrays)
    legs = f"{figure(drill.fewest_working_legs)} of {figure(drill.legs_per_array)}, in each of {arrays} mirrors"
    read_back = MISSING if matched is None else f"{figure(matched)}, {size_bytes(drill.verified_bytes)}"
    rows: list[tuple[str, Cell | str]] = [
        ("storage servers killed", figure(drill.hosts_killed)),
        ("reads that failed", bad_if(figure(drill.read_errors), drill.read_errors)),
        ("legs still working after the last kill", legs),
        ("data read back as written", judged(read_back, matched)),
        ("SHA-256 of what was written first", MISSING if sha256 is None else f"{sha256[:16]}…"),
        ("legs compared with each other after the rebuild", size_bytes(drill.legs_compared_bytes)),
        ("mirrors rebuilt", f"{figure(drill.arrays_rebuilt)} of {arrays}"),
        *((f"rebuild of {rebuild.array}", seconds(rebuild.seconds)) for rebuild in drill.rebuilds),
    ]
    return Table("Outcome of the drill", [Column("question"), Column("answer")], rows, name="drill-outcome")
