"""iscsi-tunnel's tables: rates, the tunnel's price, attaching and detaching, the lost connection."""

from __future__ import annotations

from collections.abc import Sequence

from report.format import MISSING, figure, latency_us, ratio, seconds, size_bytes
from report.iscsi_tunnel.schema import Attaching, Loss, OnlySsh, TunnelCost
from report.iscsi_tunnel.schema import Cell as DiskCell
from report.table import Cell, Column, NumberColumn, Table, TextColumn, bad_if, judged

PROOFS = {
    "ssh-only": "between client and server nothing passes but SSH, and no iSCSI can be read in it",
    "closed-port": "the target is not reached but through the tunnel",
    "listeners": "the target listens on the tunnel's address alone",
}
_PATHS = {"tunnel": "through the tunnel", "direct": "iSCSI without it", "ssh": "ssh alone"}
_LOSSES = {"ssh-killed": "ssh was killed", "path-cut": "the path was cut"}


def cells_table(cells: Sequence[DiskCell]) -> Table:
    columns: list[TextColumn[DiskCell]] = [
        TextColumn("path", lambda cell: _PATHS.get(cell.path, cell.path)),
        TextColumn("operation", lambda cell: cell.op),
        TextColumn("pattern", lambda cell: cell.pattern),
        NumberColumn("request", lambda cell: size_bytes(cell.request_bytes)),
        NumberColumn("depth", lambda cell: figure(cell.depth)),
        NumberColumn("MiB/s", lambda cell: figure(cell.mib_per_s)),
        NumberColumn("op/s", lambda cell: figure(cell.iops)),
        NumberColumn("p50", lambda cell: latency_us(cell.latency_p50_us)),
        NumberColumn("p99", lambda cell: latency_us(cell.latency_p99_us)),
        NumberColumn("longest", lambda cell: latency_us(cell.latency_max_us)),
        TextColumn("note", lambda cell: bad_if(cell.reason or "", cell.reason)),
    ]
    note = "ssh alone: zeros from memory to nowhere over one connection, the log-in not counted."
    return Table.of("Rates", columns, cells, note, name="rates")


def prices_table(prices: Sequence[TunnelCost]) -> Table:
    columns: list[TextColumn[TunnelCost]] = [
        TextColumn("operation", lambda price: price.op),
        TextColumn("pattern", lambda price: price.pattern),
        NumberColumn("request", lambda price: size_bytes(price.request_bytes)),
        NumberColumn("tunnel MiB/s", lambda price: figure(price.tunnel_mib_per_s)),
        NumberColumn("direct MiB/s", lambda price: figure(price.direct_mib_per_s)),
        NumberColumn("ssh MiB/s", lambda price: figure(price.ssh_mib_per_s)),
        NumberColumn("tunnel / direct", lambda price: ratio(price.tunnel_to_direct_ratio)),
        NumberColumn("tunnel / ssh", lambda price: ratio(price.tunnel_to_ssh_ratio)),
    ]
    note = "The price of the tunnel: what it leaves of the same disk's rate by iSCSI alone, and of what ssh moves."
    return Table.of("What the tunnel costs", columns, prices, note, name="prices")


def attaching_table(seen: Attaching, only_ssh: OnlySsh) -> Table:
    differences = seen.size_differences
    rows: list[tuple[Cell | str, ...]] = [
        ("attached as", seen.device or MISSING),
        ("bytes of the volume", figure(seen.expected_bytes)),
        ("bytes of the disk", judged(figure(seen.seen_bytes), None if differences is None else not differences)),
        ("attached, times", figure(seen.attached)),
        ("detached, times", figure(seen.detached)),
        ("detachments that left something", _zero(seen.left_behind)),
        ("longest attach", seconds(seen.attach_seconds_max)),
        ("longest detach", seconds(seen.detach_seconds_max)),
        ("MTU of the tunnel, bytes", figure(seen.mtu_bytes)),
        ("places tried beside the tunnel", figure(only_ssh.ports_tried)),
        ("of them reached", _zero(only_ssh.ports_reached)),
        ("packets captured, SSH", figure(only_ssh.ssh_packets)),
        ("packets captured, others", _zero(only_ssh.other_packets)),
        ("packets with readable iSCSI", _zero(only_ssh.readable_packets)),
    ]
    return Table("Attaching, detaching, and the way between", [Column("what"), Column("seen")], rows, name="attaching")


def losses_table(losses: Sequence[Loss]) -> Table:
    columns: list[TextColumn[Loss]] = [
        TextColumn("what was lost", lambda loss: _LOSSES.get(loss.how, loss.how)),
        NumberColumn("reads", lambda loss: figure(loss.reads)),
        NumberColumn("failed", lambda loss: _zero(loss.errors)),
        NumberColumn("longest read", lambda loss: seconds(loss.longest_stall_s)),
        TextColumn("tunnel afterwards", lambda loss: loss.tunnel or MISSING),
        TextColumn("session afterwards", lambda loss: loss.session or MISSING),
    ]
    return Table.of("The connection lost while the disk was read", columns, losses, name="losses")


def _zero(count: int | None) -> Cell:
    """Returns the cell of a count that should be 0."""
    return judged(figure(count), None if count is None else count == 0)
