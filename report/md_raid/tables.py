"""md-raid's tables: the sweep, what md costs, the drill."""

from __future__ import annotations

from collections.abc import Sequence

from report.format import MISSING, figure, milliseconds, percent, ratio, seconds, size_bytes
from report.md_raid.hosts import CLIENT_CPU, CLIENT_NETWORK
from report.md_raid.layouts_and_writes import RAID1, RAID1_ROTATIONAL
from report.md_raid.schema import Cell as SweepCell
from report.md_raid.schema import Drill, LayoutReads, Layouts, MdCost, Phase, Scaling, Series, Summary, WrittenCell
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, judged, latency_columns

PROOFS = {
    "mtu": "jumbo frames pass unfragmented, a byte more does not",
    "closed-port": "a port that no security group opens is closed",
    "memory-limit": "memory is limited, so that caches count for little",
    "cpu-limit": "CPUs are limited",
    "zeroed": "fresh volumes read as zero, so that a mirror may be assumed clean",
}
_VOLUMES: list[TextColumn[SweepCell]] = [
    TextColumn("layout", lambda cell: cell.layout),
    NumberColumn("servers", lambda cell: figure(cell.servers)),
    NumberColumn("volumes of each", lambda cell: figure(volumes_each(cell))),
    NumberColumn("volumes", lambda cell: figure(cell.disks)),
]


def sweep_tables(summary: Summary) -> list[Table]:
    """Returns a table for each pattern and request size."""
    over_servers = _efficiencies(summary.scaling, ("servers",))
    over_volumes = _efficiencies(summary.scaling, ("disks", "mirrors"))
    columns: list[TextColumn[SweepCell]] = [
        *_VOLUMES,
        NumberColumn("in flight", lambda cell: figure(cell.requests_in_flight)),
        NumberColumn("MiB/s", lambda cell: figure(cell.mib_per_s)),
        NumberColumn("IOPS", lambda cell: figure(cell.iops)),
        NumberColumn("over servers", lambda cell: ratio(over_servers.get(cell.cell))),
        NumberColumn("over volumes", lambda cell: ratio(over_volumes.get(cell.cell))),
        TextColumn("limited by", _limit),
    ]
    note = (
        "In flight: reads outstanding at once. Over servers, over volumes: the efficiency of the growth with servers "
        "(as many volumes of each) and with volumes (as many servers), the rate over that of the smallest step times "
        "the growth. A stripe has a mirror for each of a server's volumes. "
        f"Limited by {MISSING}: nothing was at its limit."
    )
    return _for_each_kind(summary, "rates", "sweep", columns, note)


def latency_tables(summary: Summary) -> list[Table]:
    """Returns a table for each pattern and request size."""
    columns: list[TextColumn[SweepCell]] = [
        *_VOLUMES,
        *latency_columns(" ms"),
        NumberColumn("variation", lambda cell: ratio(cell.variation_coefficient)),
        NumberColumn("errors", lambda cell: bad_if(figure(cell.errors), cell.errors)),
    ]
    note = "Variation: standard deviation over mean of the per-second rates."
    return _for_each_kind(summary, "latency", "latency", columns, note)


def _for_each_kind(
    summary: Summary, title: str, name: str, columns: Sequence[TextColumn[SweepCell]], note: str
) -> list[Table]:
    kinds: dict[tuple[str, int], list[SweepCell]] = {}
    for cell in in_order(sweep_cells(summary.cells)):
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


def sweep_cells(cells: Sequence[SweepCell]) -> list[SweepCell]:
    """Leaves out writes, and the layouts that are compared: these have tables of their own."""
    return [cell for cell in cells if cell.operation == "read" and not (cell.layout == "mirror" and cell.copies)]


def volumes_each(cell: SweepCell) -> int | None:
    return cell.disks // cell.servers if cell.servers else None


def _efficiencies(scaling: Scaling, grows_with: Sequence[str]) -> dict[str, float | None]:
    """Returns the efficiency of each cell, of the series of several points that grow with one of these."""
    return {
        point.cell: point.efficiency
        for series in vars(scaling).values()
        if isinstance(series, Series) and series.grows_with in grows_with and len(series.points) > 1
        for point in series.points
    }


def in_order(cells: Sequence[SweepCell]) -> list[SweepCell]:
    """Sorts cells: raw, mirror, stripe, from few disks to many, instead of the order in which they were measured."""
    layouts = ("raw", "mirror", "stripe")
    patterns = ("sequential", "random")
    return sorted(cells, key=lambda c: (patterns.index(c.pattern), layouts.index(c.layout), c.disks, c.servers))


def _limit(cell: SweepCell) -> Cell | str:
    if cell.reason is not None:
        return Cell(f"not measured: {cell.reason}", "bad")
    if cell.limited_by_hosts and cell.limited_by not in (CLIENT_CPU, CLIENT_NETWORK):
        return f"{cell.limited_by} ({', '.join(cell.limited_by_hosts)})"
    return cell.limited_by or MISSING


def md_cost_table(costs: Sequence[MdCost]) -> Table:
    columns: list[TextColumn[MdCost]] = [
        TextColumn("pattern", lambda cost: cost.pattern),
        NumberColumn("request", lambda cost: size_bytes(cost.request_bytes)),
        NumberColumn("servers", lambda cost: figure(cost.servers)),
        NumberColumn("volumes", lambda cost: figure(cost.disks)),
        NumberColumn("stripe MiB/s", lambda cost: figure(cost.stripe_mib_per_s)),
        NumberColumn("raw MiB/s", lambda cost: figure(cost.raw_mib_per_s)),
        NumberColumn("stripe in flight", lambda cost: figure(cost.stripe_requests_in_flight)),
        NumberColumn("raw in flight", lambda cost: figure(cost.raw_requests_in_flight)),
        NumberColumn("stripe / raw", lambda cost: ratio(cost.stripe_to_raw_ratio)),
    ]
    note = "Where the reads in flight differ, so does the load: the ratio then holds for these depths only."
    return Table.of("What md costs: the stripe over the same volumes read raw", columns, costs, note, name="md-cost")


_LAYOUTS = {RAID1: "RAID-1", RAID1_ROTATIONAL: "RAID-1, told that its legs rotate"}


def layouts_table(layouts: Layouts) -> Table:
    columns: list[TextColumn[LayoutReads]] = [
        TextColumn("layout", lambda row: _LAYOUTS.get(row.copies, f"RAID-10 {row.copies}")),
        TextColumn("reads", lambda row: row.pattern),
        TextColumn("in flight", lambda row: row.readers),
        NumberColumn("MiB/s", lambda row: figure(row.mib_per_s)),
        NumberColumn("IOPS", lambda row: figure(row.iops)),
        NumberColumn("over RAID-1", lambda row: ratio(row.to_raid1_ratio)),
        NumberColumn("legs read", lambda row: MISSING if row.legs_read is None else f"{row.legs_read} of {row.legs}"),
        TextColumn("share of each leg", lambda row: ", ".join(map(percent, row.leg_shares or [])) or MISSING),
    ]
    answer = layouts_answer(layouts)
    note = (
        f"{answer} One mirror of {layouts.legs} legs, read-only, in each layout over the same legs. One sequential "
        "reader reads through the page cache, as a file system does; all else past it. The client's /proc/diskstats "
        "counts each leg."
    )
    return Table.of("Does a plain RAID-1 read from one leg?", columns, layouts.rows, note.strip(), name="layouts")


def layouts_answer(layouts: Layouts) -> str:
    """Returns the table's answer in a sentence; empty if one reader was not measured in both."""
    if layouts.raid1_legs_read is None or layouts.offset_legs_read is None:
        return ""
    times = (
        "" if layouts.offset_to_raid1_ratio is None else f", {figure(layouts.offset_to_raid1_ratio, 2)} times as fast"
    )
    told = layouts.raid1_rotational_legs_read
    return (
        f"One sequential reader of a plain RAID-1 reads from {layouts.raid1_legs_read} of {layouts.legs} legs, which "
        f"{'rotate' if layouts.legs_rotational else 'do not rotate'}; "
        f"{'' if told is None else f'from {told} where md is told that they rotate; '}"
        f"and from {layouts.offset_legs_read} in the offset layout{times}."
    )


def writes_table(writes: Sequence[WrittenCell]) -> Table:
    def held(cell: WrittenCell) -> Cell:
        words = {True: "all that was written", False: "not what was written", None: MISSING}[cell.matched]
        return judged(words, cell.matched)

    columns: list[TextColumn[WrittenCell]] = [
        TextColumn("pattern", lambda cell: cell.pattern),
        NumberColumn("request", lambda cell: size_bytes(cell.request_bytes)),
        NumberColumn("servers", lambda cell: figure(cell.servers)),
        NumberColumn("mirrors", lambda cell: figure(cell.mirrors)),
        NumberColumn("MiB/s", lambda cell: figure(cell.mib_per_s)),
        NumberColumn("IOPS", lambda cell: figure(cell.iops)),
        TextColumn("limited by", lambda cell: cell.limited_by or MISSING),
        NumberColumn("servers read back", lambda cell: figure(cell.servers_checked)),
        NumberColumn("of each", lambda cell: size_bytes(cell.checked_bytes)),
        TextColumn("each holds", held),
    ]
    note = (
        "Each block is written to a leg on every server: the client sends as many times what it writes. Afterwards the "
        "stripe's beginning is read from the legs of each server alone, and compared with what was written."
    )
    return Table.of("Writes to stripes over mirrors", columns, writes, note, name="writes")


def drill_table(drill: Drill) -> Table:
    columns: list[TextColumn[Phase]] = [
        TextColumn("phase", lambda phase: _phase(phase.cell)),
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


def _phase(cell: str) -> str:
    killed = cell.removeprefix("drill-kill-")
    if killed == cell:
        return "all servers up"
    return "1 server killed" if killed == "1" else f"{killed} servers killed"


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
