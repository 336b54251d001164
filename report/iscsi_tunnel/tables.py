"""iscsi-tunnel's tables: rates, the tunnel's price, what was attached, what was lost, the proofs."""

from __future__ import annotations

from collections.abc import Sequence

import report.proofs
from report.format import MISSING, figure, latency_us, ratio, seconds, size_bytes
from report.iscsi_tunnel.schema import Attaching, Loss, OnlySsh, Price, Summary
from report.iscsi_tunnel.schema import Cell as DiskCell
from report.proofs import Proofs
from report.table import Cell, Column, Table

_PATH_WORDS = {"tunnel": "through the tunnel", "direct": "iSCSI without it", "ssh": "ssh alone"}


def cells_table(cells: Sequence[DiskCell]) -> Table:
    columns = [
        Column("path"),
        Column("operation"),
        Column("pattern"),
        Column("request", True),
        Column("depth", True),
        Column("MiB/s", True),
        Column("op/s", True),
        Column("p50", True),
        Column("p99", True),
        Column("longest", True),
        Column("note"),
    ]
    rows = [
        (
            _PATH_WORDS.get(cell.path, cell.path),
            cell.op,
            cell.pattern,
            size_bytes(cell.request_bytes),
            figure(cell.depth),
            figure(cell.mib_per_s),
            figure(cell.iops),
            latency_us(cell.latency_p50_us),
            latency_us(cell.latency_p99_us),
            latency_us(cell.latency_max_us),
            Cell(cell.reason or "", "bad" if cell.reason else ""),
        )
        for cell in cells
    ]
    note = "ssh alone: zeros from memory to nowhere over one connection, the log-in not counted."
    return Table("Rates", columns, rows, note, name="rates")


def prices_table(prices: Sequence[Price]) -> Table:
    columns = [
        Column("operation"),
        Column("pattern"),
        Column("request", True),
        Column("tunnel MiB/s", True),
        Column("direct MiB/s", True),
        Column("ssh MiB/s", True),
        Column("tunnel / direct", True),
        Column("tunnel / ssh", True),
    ]
    rows = [
        (
            price.op,
            price.pattern,
            size_bytes(price.request_bytes),
            figure(price.tunnel_mib_per_s),
            figure(price.direct_mib_per_s),
            figure(price.ssh_mib_per_s),
            ratio(price.tunnel_to_direct_ratio),
            ratio(price.tunnel_to_ssh_ratio),
        )
        for price in prices
    ]
    note = "The price of the tunnel: what it leaves of the same disk's rate by iSCSI alone, and of what ssh moves."
    return Table("What the tunnel costs", columns, rows, note, name="prices")


def attaching_table(seen: Attaching, only_ssh: OnlySsh) -> Table:
    rows: list[tuple[Cell | str, ...]] = [
        ("attached as", seen.device or MISSING),
        ("bytes of the volume", figure(seen.expected_bytes)),
        ("bytes of the disk", _judged(figure(seen.seen_bytes), seen.size_differences)),
        ("attached, times", figure(seen.attached)),
        ("detached, times", figure(seen.detached)),
        ("detachments that left something", _judged(figure(seen.left_behind), seen.left_behind)),
        ("longest attach", seconds(seen.attach_seconds_max)),
        ("longest detach", seconds(seen.detach_seconds_max)),
        ("MTU of the tunnel, bytes", figure(seen.mtu_bytes)),
        ("places tried beside the tunnel", figure(only_ssh.ports_tried)),
        ("of them reached", _judged(figure(only_ssh.ports_reached), only_ssh.ports_reached)),
        ("packets captured, SSH", figure(only_ssh.ssh_packets)),
        ("packets captured, others", _judged(figure(only_ssh.other_packets), only_ssh.other_packets)),
        ("packets with readable iSCSI", _judged(figure(only_ssh.readable_packets), only_ssh.readable_packets)),
    ]
    return Table("Attaching, detaching, and the way between", [Column("what"), Column("seen")], rows, name="attaching")


def losses_table(losses: Sequence[Loss]) -> Table:
    columns = [
        Column("what was lost"),
        Column("reads", True),
        Column("failed", True),
        Column("longest read", True),
        Column("tunnel afterwards"),
        Column("session afterwards"),
    ]
    words = {"ssh-killed": "ssh was killed", "path-cut": "the path was cut"}
    rows = [
        (
            words.get(loss.how, loss.how),
            figure(loss.reads),
            _judged(figure(loss.errors), loss.errors),
            seconds(loss.longest_stall_s),
            loss.tunnel or MISSING,
            loss.session or MISSING,
        )
        for loss in losses
    ]
    return Table("The connection lost while the disk was read", columns, rows, name="losses")


_PROOF_WORDS = {
    "ssh-only": "between client and server nothing passes but SSH, and no iSCSI can be read in it",
    "closed-port": "the target is not reached but through the tunnel",
    "listeners": "the target listens on the tunnel's address alone",
}


def proofs_table(proofs: Proofs) -> Table:
    return report.proofs.proofs_table(proofs, _PROOF_WORDS)


def all_tables(summary: Summary) -> list[Table]:
    """What a terminal is shown before the claims."""
    found = [cells_table(summary.cells)] if summary.cells else []
    if summary.prices:
        found.append(prices_table(summary.prices))
    found.append(attaching_table(summary.attaching, summary.only_ssh))
    if summary.losses:
        found.append(losses_table(summary.losses))
    if summary.proofs and summary.proofs.records:
        found.append(proofs_table(summary.proofs))
    return found


def _judged(words: str, faults: int | None) -> Cell:
    return Cell(words, "" if faults is None else "bad" if faults else "good")
