"""efs-iops' tables of cells: the matrix, why not more, what the clients saw, latency, how hosts shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from report.efs_iops.schema import Cell as SweepCell
from report.efs_iops.schema import Summary
from report.efs_iops.words import agreement_ratio, at_once, in_order, milliseconds, request_size
from report.format import MISSING, figure, percent, ratio
from report.table import Cell, Column, Table

Row = Sequence[Cell | str]


def sweep_tables(summary: Summary) -> list[Table]:
    """All of them, as far as there are cells for each."""
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
    return Table(
        "Latency of single operations, ms",
        [
            *_CELL_COLUMNS,
            Column("p50", True),
            Column("p95", True),
            Column("p99", True),
            Column("p99.9", True),
            Column("max", True),
            Column("errors", True),
        ],
        [
            [
                *_cell_words(cell),
                milliseconds(cell.latency_p50_us),
                milliseconds(cell.latency_p95_us),
                milliseconds(cell.latency_p99_us),
                milliseconds(cell.latency_p99_9_us),
                milliseconds(cell.latency_max_us),
                Cell(figure(cell.errors), "bad" if cell.errors else ""),
            ]
            for cell in in_order(cells)
        ],
        "Of all operations of a cell, from the workers' merged histograms.",
        name="latency",
    )


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


_CELL_COLUMNS = [Column("op"), Column("request", True), Column("at once", True)]


def _cell_words(cell: SweepCell) -> list[Cell | str]:
    op = cell.op if cell.pattern == "fixed" else f"{cell.op} seq."
    return [op, request_size(cell.request_bytes), at_once(cell)]


def _rates(cells: Sequence[SweepCell]) -> Table:
    return Table(
        "Rates, and why not more",
        [
            *_CELL_COLUMNS,
            Column("op/s", True),
            Column("MB/s", True),
            Column("seconds", True),
            Column("variation", True),
            Column("of limit", True),
            Column("of n \u00d7 1", True),
            Column("limited by"),
        ],
        [_rates_row(cell) for cell in cells],
        "At once: hosts \u00d7 writers on each; seq.: sequential. Seconds: the joint window. Variation: standard "
        "deviation over mean of the per-second totals. Of limit: op/s over the limit found. Of n \u00d7 1: over as "
        f"many times the op/s of one writer. Limited by {MISSING}: not known.",
        name="rates",
    )


def _rates_row(cell: SweepCell) -> Row:
    limit: Cell | str = cell.limited_by or MISSING
    if cell.reason is not None:
        limit = Cell(f"not measured: {cell.reason}", "bad")
    elif cell.limited_by_hosts and len(cell.hosts) > 1:
        limit = f"{cell.limited_by} ({', '.join(cell.limited_by_hosts)})"
    return [
        *_cell_words(cell),
        figure(cell.ops_per_s),
        figure(cell.mb_per_s),
        figure(cell.window_seconds if cell.reason is None else None),
        ratio(cell.variation_coefficient),
        percent(cell.evidence.plateau_ratio),
        percent(cell.evidence.round_trip_ratio),
        limit,
    ]


def _clients(cells: Sequence[SweepCell]) -> Table:
    return Table(
        "What the clients saw in the same time",
        [
            *_CELL_COLUMNS,
            Column("op/s", True),
            Column("/ worker", True),
            Column("kB/s", True),
            Column("resent", True),
            Column("RTT ms", True),
            Column("exe ms", True),
            Column("CPU", True),
            Column("NIC MB/s", True),
            Column("packets/s", True),
        ],
        [
            [
                *_cell_words(cell),
                figure(cell.mountstats.ops_per_s),
                agreement_ratio(cell.mountstats.to_worker_ratio),
                figure(cell.mountstats.kib_per_s),
                Cell(figure(cell.mountstats.retransmissions), "bad" if cell.mountstats.retransmissions else ""),
                figure(cell.mountstats.rtt_ms),
                figure(cell.mountstats.execute_ms),
                percent(cell.evidence.client_cpu_busy_ratio),
                _both(cell.nic.rx_mb_per_s, cell.nic.tx_mb_per_s),
                _both(cell.nic.rx_packets_per_s, cell.nic.tx_packets_per_s),
            ]
            for cell in cells
        ],
        "By mountstats, as nfsiostat reads it: op/s, also over the workers' in the same time; kB/s of 1024 bytes, "
        "headers too; retransmissions; mean times. CPU: the busier client. NIC, packets: both ways, all clients.",
        name="clients",
    )


def _both(received: float | None, sent: float | None) -> str:
    return figure(None if received is None or sent is None else received + sent)


def _shared(cells: Sequence[SweepCell]) -> Table:
    return Table(
        "How several hosts shared",
        [
            *_CELL_COLUMNS,
            Column("op/s of each"),
            Column("Jain index", True),
            Column("start skew ms", True),
            Column("first done s", True),
            Column("last done s", True),
        ],
        [
            [
                *_cell_words(cell),
                " + ".join(figure(each.ops_per_s) for each in cell.per_host)
                + (f", without {', '.join(cell.lost_hosts)}" if cell.lost_hosts else ""),
                MISSING if cell.jain_index is None else f"{cell.jain_index:.4f}",
                figure(None if cell.start_skew_s is None else cell.start_skew_s * 1000),
                _seconds(cell.first_done_s),
                _seconds(cell.last_done_s),
            ]
            for cell in cells
        ],
        "Jain index: 1 when all had the same. Skew: between the hosts' first operations. Done: after the common start.",
        name="shared",
    )


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
