"""s3-throttle's tables: how well each way held, what it cost, the duty cycle against its promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import report.proofs
from report.format import MISSING, figure, percent, seconds
from report.proofs import Proofs
from report.s3_throttle.cells import FREE
from report.s3_throttle.schema import Cell as SyncCell
from report.s3_throttle.schema import Free
from report.s3_throttle.totals import promised, to_promised, while_running, while_stopped
from report.table import Cell, Column, Table

WITHIN = 0.03
"""The aim: a mean this near its target."""
METHODS = {
    "free": "nothing",
    "duty-cycle": "SIGSTOP by the clock",
    "closed-loop": "the throttle's rate",
    "max-bandwidth": "max_bandwidth",
    "tc": "tc tbf",
}
_IDENTICAL = {"byte-identical": "the objects in the bucket are the files, byte by byte"}


def rates_table(cells: Sequence[SyncCell]) -> Table:
    columns = [Column("sync"), Column("capped by")]
    columns += [
        Column(name, True)
        for name in ("target MB/s", "of free", "mean MB/s", "mean/target", "±", "std of 1 s", "burst", "steady s")
    ]
    columns += [Column("start s", True), Column("tail s", True), Column("ended by")]
    note = (
        "Mean: objects' bytes a second by the network interface, in the steady part: without the start (a second, or "
        "two cycles; with a target until what went at once is paid off) and the tail. \u00b1: half of its 95 % "
        "interval; a sync ends when that is small enough, or when its time is over. Of a run without steady parts: all "
        "but the first 100 ms, and what one burst more or less makes of it. Standard deviation: of windows of one "
        "second, over the target. Burst: the largest 100 ms, over what 100 ms of the target are. A duty cycle's target "
        f"is run / (run + stop) of the free rate. Good: within {WITHIN:.0%} and \u00b1."
    )
    return Table("How well each way held", columns, [_rate_row(cell) for cell in cells], note, name="rates")


def _rate_row(cell: SyncCell) -> list[Cell | str]:
    if not cell.complete:
        return [cell.cell, Cell(f"not complete: {cell.reason or MISSING}", "bad"), *[MISSING] * 11]
    to_target = cell.mean_to_target_ratio
    std = cell.window_std_to_target_ratio
    known = WITHIN + (cell.mean_uncertainty_ratio or 0.0)
    held = "" if to_target is None or cell.method == FREE else "good" if abs(to_target - 1) <= known else "bad"
    return [
        cell.cell,
        METHODS.get(cell.method, cell.method),
        _mb(cell.target_mb_per_s),
        percent(cell.target_to_free_ratio),
        _mb(cell.mean_mb_per_s),
        Cell(_fine(to_target), held),
        percent(cell.mean_uncertainty_ratio),
        MISSING if std is None else percent(std),
        MISSING if cell.burst_ratio is None else f"{cell.burst_ratio:.1f} \u00d7",
        _seconds(cell.seconds if cell.steady_s is None else cell.steady_s),
        _seconds(cell.start_s),
        _seconds(cell.tail_s),
        MISSING if cell.ended_by is None else _ENDED_BY.get(cell.ended_by, cell.ended_by),
    ]


_ENDED_BY = {"itself": "all was sent", "known": "mean known", "bound": "time over"}


def _seconds(value: float | None) -> str:
    return figure(None if value is None else round(value, 2))


def costs_table(cells: Sequence[SyncCell]) -> Table:
    names = ("objects", "requests", "tried again", "failed", "segments again", "CPU s", "CPU s a MB", "throttle's CPU")
    columns = [
        Column("sync"),
        *(Column(name, True) for name in (*names, "host busy", "longest gap")),
        Column("objects"),
    ]
    columns[-1] = Column("identical")
    note = (
        "Requests: attempts by the CLI's own count; tried again and failed are of those. Segments again: by TCP, of "
        "the whole host. CPU: of the CLI and the throttle together, from start to end; the throttle's, of one "
        "processor while it ran. Longest gap: between two looks at the interface, since a shorter burst can't be told."
    )
    return Table("What it cost", columns, [_cost_row(cell) for cell in cells], note, name="costs")


def _cost_row(cell: SyncCell) -> list[Cell | str]:
    mb = None if cell.bytes is None else cell.bytes / 1e6
    return [
        cell.cell,
        figure(cell.objects),
        figure(cell.attempts),
        Cell(figure(cell.retries), "bad" if cell.retries else ""),
        Cell(figure(cell.failures), "bad" if cell.failures else ""),
        figure(cell.segments_sent_again),
        figure(cell.cpu_s),
        figure(None if cell.cpu_s is None or not mb else cell.cpu_s / mb),
        percent(cell.throttle_cpu_ratio),
        percent(cell.host_busy_ratio),
        seconds(cell.longest_gap_s),
        Cell(figure(cell.identical), "" if cell.identical is None else "good" if cell.identical else "bad"),
    ]


def duty_cycle_table(cells: Sequence[SyncCell]) -> Table:
    found = [cell for cell in cells if cell.method == "duty-cycle"]
    rows = [
        (
            figure(cell.stop_s),
            figure(cell.run_s),
            "the system's" if cell.send_buffer_bytes is None else f"{cell.send_buffer_bytes / 1024:g} KiB",
            percent(promised(cell)),
            percent(cell.mean_to_free_ratio),
            _fine(to_promised(cell)),
            percent(cell.mean_uncertainty_ratio),
            _fine(while_running(cell, cells)),
            _fine(while_stopped(cell, cells)),
            _kb(cell.unacked_at_stop_bytes),
            _kb(cell.notsent_at_stop_bytes),
        )
        for cell in sorted(found, key=lambda cell: (promised(cell) or 0, cell.send_buffer_bytes or 0))
    ]
    names = ["stop s", "run s", "send buffer", "run / (run + stop)", "rate / free rate", "measured / promised", "±"]
    names += ["while running", "while stopped", "in buffers kB", "not sent kB"]
    note = (
        "What is in the send buffers when a stop begins goes on while the process stands: what peers acknowledged "
        "while it ran, and while it stood, are the two parts of measured / promised. In buffers: "
        "unacknowledged when a stop began, of all connections, the mean; not sent: of that, what had not been sent yet "
        "(tcp_info). Send buffer: net.ipv4.tcp_wmem."
    )
    return Table("The duty cycle against its promise", [Column(n, True) for n in names], rows, note, name="duty-cycle")


def link_table(free: Free) -> Table:
    """The known answer of a rehearsal: the link's rate, found again by the sync that nothing holds."""
    rows = [
        ("link, as it was set", figure(free.link_mbit_per_s), "Mbit/s"),
        ("the free sync on the wire, headers counted", figure(free.wire_mbit_per_s), "Mbit/s"),
        ("found / set", _fine(free.wire_to_link_ratio), ""),
        ("objects' bytes, first", _mb(free.mean_mb_per_s), "MB/s"),
        ("… and at the end of the run", _mb(free.again_mb_per_s), "MB/s"),
        ("end / first", _fine(free.again_to_first_ratio), ""),
    ]
    columns = [Column("free rate"), Column("", True), Column("unit")]
    note = "What TCP sends again is counted twice on the wire. Where the end differs, something else had the machine."
    return Table("Free rate and link", columns, rows, note, name="link")


def proofs_table(proofs: Proofs) -> Table:
    return replace(report.proofs.proofs_table(proofs, _IDENTICAL), title="Proofs")


def _kb(value: float | None) -> str:
    return figure(None if value is None else round(value / 1e3, 1))


def _mb(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _fine(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
