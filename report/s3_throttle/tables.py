"""s3-throttle's tables: how well each way held, what it cost, the duty cycle against its promise."""

from __future__ import annotations

from collections.abc import Sequence

from report.format import MISSING, figure, formatted, percent, seconds
from report.missing import divided, times
from report.s3_throttle.cells import FREE, promised, to_promised, while_running, while_stopped
from report.s3_throttle.schema import Cell as SyncCell
from report.s3_throttle.schema import FreeRate
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, judged

PROOFS = {"byte-identical": "the objects in the bucket are the files, byte by byte"}
WITHIN = 0.03
"""The aim: a mean this near its target."""
METHODS = {
    "free": "nothing",
    "duty-cycle": "SIGSTOP by the clock",
    "closed-loop": "the throttle's rate",
    "max-bandwidth": "max_bandwidth",
    "tc": "tc tbf",
}
_ENDED_BY = {"itself": "all was sent", "known": "mean known", "bound": "time over"}


def rates_table(cells: Sequence[SyncCell]) -> Table:
    measured: list[TextColumn[SyncCell]] = [
        NumberColumn("target MB/s", lambda cell: _three_decimals(cell.target_mb_per_s)),
        NumberColumn("of free", lambda cell: percent(cell.target_to_free_ratio)),
        NumberColumn("mean MB/s", lambda cell: _three_decimals(cell.mean_mb_per_s)),
        NumberColumn("mean/target", _to_target),
        NumberColumn("\u00b1", lambda cell: percent(cell.mean_uncertainty_ratio)),
        NumberColumn("std of 1 s", lambda cell: percent(cell.window_std_to_target_ratio)),
        NumberColumn("burst", lambda cell: formatted(cell.burst_ratio, "{:.1f} \u00d7")),
        NumberColumn("steady s", lambda cell: _seconds(cell.seconds if cell.steady_s is None else cell.steady_s)),
        NumberColumn("start s", lambda cell: _seconds(cell.start_s)),
        NumberColumn("tail s", lambda cell: _seconds(cell.tail_s)),
        TextColumn("ended by", lambda cell: _ENDED_BY.get(cell.ended_by or "", cell.ended_by or MISSING)),
    ]
    columns: list[TextColumn[SyncCell]] = [
        TextColumn("sync", lambda cell: cell.cell),
        TextColumn("capped by", _capped_by),
        *(_if_complete(column) for column in measured),
    ]
    note = (
        "Mean: objects' bytes a second by the network interface, in the steady part: without the start (a second, or "
        "two cycles; with a target until what went at once is paid off) and the tail. \u00b1: half of its 95 % "
        "interval; a sync ends when that is small enough, or when its time is over. Of a run without steady parts: all "
        "but the first 100 ms, and what one burst more or less makes of it. Standard deviation: of windows of one "
        "second, over the target. Burst: the largest 100 ms, over what 100 ms of the target are. A duty cycle's target "
        f"is run / (run + stop) of the free rate. Good: within {WITHIN:.0%} and \u00b1."
    )
    return Table.of("How well each way held", columns, cells, note, name="rates")


def _capped_by(cell: SyncCell) -> Cell | str:
    if not cell.complete:
        return Cell(f"not complete: {cell.reason or MISSING}", "bad")
    return METHODS.get(cell.method, cell.method)


def _if_complete(column: TextColumn[SyncCell]) -> TextColumn[SyncCell]:
    return TextColumn(column.name, lambda cell: column.show(cell) if cell.complete else MISSING, column.numeric)


def _to_target(cell: SyncCell) -> Cell:
    to_target = cell.mean_to_target_ratio
    within = WITHIN + (cell.mean_uncertainty_ratio or 0.0)
    held = None if to_target is None or cell.method == FREE else abs(to_target - 1) <= within
    return judged(_three_decimals(to_target), held)


def costs_table(cells: Sequence[SyncCell]) -> Table:
    columns: list[TextColumn[SyncCell]] = [
        TextColumn("sync", lambda cell: cell.cell),
        NumberColumn("objects", lambda cell: figure(cell.objects)),
        NumberColumn("requests", lambda cell: figure(cell.attempts)),
        NumberColumn("tried again", lambda cell: bad_if(figure(cell.retries), cell.retries)),
        NumberColumn("failed", lambda cell: bad_if(figure(cell.failures), cell.failures)),
        NumberColumn("segments again", lambda cell: figure(cell.segments_sent_again)),
        NumberColumn("CPU s", lambda cell: figure(cell.cpu_s)),
        NumberColumn("CPU s a MB", lambda cell: figure(divided(cell.cpu_s, times(cell.bytes, 1e-6)))),
        NumberColumn("throttle's CPU", lambda cell: percent(cell.throttle_cpu_ratio)),
        NumberColumn("host busy", lambda cell: percent(cell.host_busy_ratio)),
        NumberColumn("longest gap", lambda cell: seconds(cell.longest_gap_s)),
        TextColumn("identical", lambda cell: judged(figure(cell.identical), cell.identical)),
    ]
    note = (
        "Requests: attempts by the CLI's own count; tried again and failed are of those. Segments again: by TCP, of "
        "the whole host. CPU: of the CLI and the throttle together, from start to end; the throttle's, of one "
        "processor while it ran. Longest gap: between two looks at the interface, since a shorter burst can't be told."
    )
    return Table.of("What it cost", columns, cells, note, name="costs")


def duty_cycle_table(cells: Sequence[SyncCell]) -> Table:
    columns: list[TextColumn[SyncCell]] = [
        NumberColumn("stop s", lambda cell: figure(cell.stop_s)),
        NumberColumn("run s", lambda cell: figure(cell.run_s)),
        NumberColumn("send buffer", _send_buffer),
        NumberColumn("run / (run + stop)", lambda cell: percent(promised(cell))),
        NumberColumn("rate / free rate", lambda cell: percent(cell.mean_to_free_ratio)),
        NumberColumn("measured / promised", lambda cell: _three_decimals(to_promised(cell))),
        NumberColumn("\u00b1", lambda cell: percent(cell.mean_uncertainty_ratio)),
        NumberColumn("while running", lambda cell: _three_decimals(while_running(cell, cells))),
        NumberColumn("while stopped", lambda cell: _three_decimals(while_stopped(cell, cells))),
        NumberColumn("in buffers kB", lambda cell: _kb(cell.unacked_at_stop_bytes)),
        NumberColumn("not sent kB", lambda cell: _kb(cell.notsent_at_stop_bytes)),
    ]
    note = (
        "What is in the send buffers when a stop begins goes on while the process stands: what peers acknowledged "
        "while it ran, and while it stood, are the two parts of measured / promised. In buffers: "
        "unacknowledged when a stop began, of all connections, the mean; not sent: of that, what had not been sent yet "
        "(tcp_info). Send buffer: net.ipv4.tcp_wmem."
    )
    found = [cell for cell in cells if cell.method == "duty-cycle"]
    found.sort(key=lambda cell: (promised(cell) or 0, cell.send_buffer_bytes or 0))
    return Table.of("The duty cycle against its promise", columns, found, note, name="duty-cycle")


def _send_buffer(cell: SyncCell) -> str:
    return "the system's" if cell.send_buffer_bytes is None else f"{cell.send_buffer_bytes / 1024:g} KiB"


def link_table(free: FreeRate) -> Table:
    """Returns the known answer of a rehearsal: the link's rate, measured by the sync that has no cap."""
    rows = [
        ("link, as it was set", figure(free.link_mbit_per_s), "Mbit/s"),
        ("the free sync on the wire, headers counted", figure(free.wire_mbit_per_s), "Mbit/s"),
        ("found / set", _three_decimals(free.wire_to_link_ratio), ""),
        ("objects' bytes, first", _three_decimals(free.mean_mb_per_s), "MB/s"),
        ("… and at the end of the run", _three_decimals(free.again_mb_per_s), "MB/s"),
        ("end / first", _three_decimals(free.again_to_first_ratio), ""),
    ]
    columns = [Column("free rate"), Column("", True), Column("unit")]
    note = "What TCP sends again is counted twice on the wire. Where the end differs, something else had the machine."
    return Table("Free rate and link", columns, rows, note, name="link")


def _seconds(value: float | None) -> str:
    return figure(None if value is None else round(value, 2))


def _kb(value: float | None) -> str:
    return figure(None if value is None else round(value / 1e3, 1))


def _three_decimals(value: float | None) -> str:
    return formatted(value, "{:.3f}")
