"""efs-iops' tables of cells: the matrix, the limits, what the clients counted, latency, how hosts shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from report.efs_iops.labels import agreement_ratio, at_once, in_order, request_size
from report.efs_iops.schema import Cell as SweepCell
from report.efs_iops.schema import Limits, OperationLimits, Summary
from report.format import MISSING, figure, formatted, percent, ratio
from report.missing import times, total
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, latency_columns

_CELL: list[TextColumn[SweepCell]] = [
    TextColumn("op", lambda cell: cell.op if cell.pattern == "fixed" else f"{cell.op} seq."),
    NumberColumn("request", lambda cell: request_size(cell.request_bytes)),
    NumberColumn("at once", at_once),
]


def sweep_tables(summary: Summary) -> list[Table]:
    """Returns the tables for which there are cells."""
    cells = in_order(summary.cells)
    fixed = [cell for cell in cells if cell.pattern == "fixed"]
    sequential = [cell for cell in cells if cell.pattern == "sequential"]
    several = [cell for cell in cells if len(cell.hosts) > 1]
    found = []
    if fixed:
        found.append(_matrix("Operations a second, by writers on each host", "matrix", fixed, lambda c: c.ops_per_s))
    if sequential:
        title = "Sequential: MB/s, by writers on each host"
        found.append(_matrix(title, "matrix-sequential", sequential, lambda c: c.mb_per_s))
    if cells:
        found += [_rates(cells), _clients(cells)]
    if several:
        found.append(_shared(several))
    return found


def latency_table(cells: Sequence[SweepCell]) -> Table:
    columns: list[TextColumn[SweepCell]] = [
        *_CELL,
        *latency_columns(),
        NumberColumn("errors", lambda cell: bad_if(figure(cell.errors), cell.errors)),
    ]
    note = "Of all operations of a cell, from the workers' merged histograms."
    return Table.of("Latency of single operations, ms", columns, in_order(cells), note, name="latency")


def limits_table(limits: Limits) -> Table:
    def both(words: str, value: Callable[[OperationLimits], str]) -> list[str]:
        return [words, value(limits.write), value(limits.read)]

    return Table(
        "Limits that the run found",
        [Column("question"), Column("write", True), Column("read", True)],
        [
            both("limit, op/s", lambda f: figure(f.limit_ops_per_s)),
            both("cells on that plateau", lambda f: figure(len(f.limit_cells)) if f.limit_cells else MISSING),
            both("one writer, op/s", lambda f: figure(f.one_writer_ops_per_s)),
            both("20 writers on one host, op/s", lambda f: figure(f.twenty_writers_ops_per_s)),
            both("knee, writers", lambda f: figure(f.knee_writers)),
            both("fewest writers measured that reach it", lambda f: figure(f.knee_measured_writers)),
            both("one host, highest op/s", lambda f: figure(f.one_host.highest_ops_per_s)),
            both(
                "one host, 20 writers or more, op/s",
                lambda f: _range(f.one_host.lowest_busy_ops_per_s, f.one_host.highest_busy_ops_per_s),
            ),
            both("two hosts, highest op/s", lambda f: figure(f.two_hosts.highest_ops_per_s)),
            both("split of several hosts, Jain index", lambda f: agreement_ratio(f.split_jain)),
            both("sequential, MB/s", lambda f: figure(f.sequential_mb_per_s)),
        ],
        "A limit is a plateau: two cells or more of different numbers of writers within 3 % of the highest. Knee: "
        f"where writers \u00d7 one writer's rate meets it. {MISSING}: the run does not tell.",
        name="limits",
    )


def _range(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{figure(low)} to {figure(high)}"


def _matrix(title: str, name: str, cells: Sequence[SweepCell], rate: Callable[[SweepCell], float | None]) -> Table:
    writers = sorted({cell.writers for cell in cells})
    rows: dict[tuple[str, int, int], dict[int, SweepCell]] = {}
    for cell in cells:
        rows.setdefault((cell.op, cell.request_bytes, len(cell.hosts)), {})[cell.writers] = cell

    def shown(cell: SweepCell | None) -> Cell | str:
        if cell is None:
            return ""
        return Cell("failed", "bad") if cell.reason is not None else figure(rate(cell))

    return Table(
        title,
        [Column("op"), Column("request", True), Column("hosts", True), *(Column(str(n), True) for n in writers)],
        [
            [op, request_size(size), figure(hosts), *(shown(by_writers.get(n)) for n in writers)]
            for (op, size, hosts), by_writers in rows.items()
        ],
        "Each writer has a file of its own and one operation under way. Over the time in which all hosts were at work.",
        name=name,
    )


def _rates(cells: Sequence[SweepCell]) -> Table:
    columns: list[TextColumn[SweepCell]] = [
        *_CELL,
        NumberColumn("op/s", lambda cell: figure(cell.ops_per_s)),
        NumberColumn("MB/s", lambda cell: figure(cell.mb_per_s)),
        NumberColumn("seconds", lambda cell: figure(cell.window_seconds if cell.reason is None else None)),
        NumberColumn("variation", lambda cell: ratio(cell.variation_coefficient)),
        NumberColumn("of limit", lambda cell: percent(cell.evidence.plateau_ratio)),
        NumberColumn("of n \u00d7 1", lambda cell: percent(cell.evidence.round_trip_ratio)),
        TextColumn("limited by", _limit),
    ]
    note = (
        "At once: hosts \u00d7 writers on each; seq.: sequential. Seconds: the joint window. Variation: standard "
        "deviation over mean of the per-second totals. Of limit: op/s over the limit found. Of n \u00d7 1: over as "
        f"many times the op/s of one writer. Limited by {MISSING}: not known."
    )
    return Table.of("Rates, and why not more", columns, cells, note, name="rates")


def _limit(cell: SweepCell) -> Cell | str:
    if cell.reason is not None:
        return Cell(f"not measured: {cell.reason}", "bad")
    if cell.limited_by_hosts and len(cell.hosts) > 1:
        return f"{cell.limited_by} ({', '.join(cell.limited_by_hosts)})"
    return cell.limited_by or MISSING


def _clients(cells: Sequence[SweepCell]) -> Table:
    columns: list[TextColumn[SweepCell]] = [
        *_CELL,
        NumberColumn("op/s", lambda cell: figure(cell.mountstats.ops_per_s)),
        NumberColumn("/ worker", lambda cell: agreement_ratio(cell.mountstats.to_worker_ratio)),
        NumberColumn("kB/s", lambda cell: figure(cell.mountstats.kib_per_s)),
        NumberColumn(
            "resent", lambda cell: bad_if(figure(cell.mountstats.retransmissions), cell.mountstats.retransmissions)
        ),
        NumberColumn("RTT ms", lambda cell: figure(cell.mountstats.rtt_ms)),
        NumberColumn("exe ms", lambda cell: figure(cell.mountstats.execute_ms)),
        NumberColumn("CPU", lambda cell: percent(cell.evidence.client_cpu_busy_ratio)),
        NumberColumn("NIC MB/s", lambda cell: figure(total([cell.nic.rx_mb_per_s, cell.nic.tx_mb_per_s]))),
        NumberColumn("packets/s", lambda cell: figure(total([cell.nic.rx_packets_per_s, cell.nic.tx_packets_per_s]))),
    ]
    note = (
        "By mountstats, as nfsiostat reads it: op/s, also over the workers' in the same time; kB/s of 1024 bytes, "
        "headers too; retransmissions; mean times. CPU: the busier client. NIC, packets: both ways, all clients."
    )
    return Table.of("What the clients saw in the same time", columns, cells, note, name="clients")


def _shared(cells: Sequence[SweepCell]) -> Table:
    columns: list[TextColumn[SweepCell]] = [
        *_CELL,
        TextColumn("op/s of each", _each_host),
        NumberColumn("Jain index", lambda cell: agreement_ratio(cell.jain_index)),
        NumberColumn("start skew ms", lambda cell: figure(times(cell.start_skew_s, 1000))),
        NumberColumn("first done s", lambda cell: formatted(cell.first_done_s, "{:.3f}")),
        NumberColumn("last done s", lambda cell: formatted(cell.last_done_s, "{:.3f}")),
    ]
    note = (
        "Jain index: 1 when all had the same. Skew: between the hosts' first operations. Done: after the common start."
    )
    return Table.of("How several hosts shared", columns, cells, note, name="shared")


def _each_host(cell: SweepCell) -> str:
    lost = f", without {', '.join(cell.lost_hosts)}" if cell.lost_hosts else ""
    return " + ".join(figure(each.ops_per_s) for each in cell.per_host) + lost
