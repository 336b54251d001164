"""efs-iops' other tables: known answers, agreement of the sources, metering, the service's metrics, clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from report.efs_iops.cells import OPS
from report.efs_iops.labels import agreement_ratio, clock_time, megabytes, request_size
from report.efs_iops.schema import (
    Agreement,
    Clocks,
    Counted,
    HostClock,
    IoLimit,
    IoLimitMinute,
    MeteredMinute,
    Metering,
    Minute,
    Summary,
)
from report.format import MISSING, figure, formatted, percent, seconds, size_bytes
from report.missing import times, total
from report.summary import MB
from report.table import Cell, Column, NumberColumn, Table, TextColumn, judged

PROOFS = {"mount-options": "the file system is mounted as the mount helper mounts it, read back from the kernel"}
# A run of hours has hundreds of minutes: the table has those that a reader looks for.
ROWS_MAX = 24

T = TypeVar("T")


def agreement_tables(agreement: Agreement) -> list[Table]:
    found = [_ratios_table(agreement)]
    if agreement.minutes:
        found += [_minutes_table(agreement.minutes), _nic_table(agreement.minutes)]
    return found


def _ratios_table(agreement: Agreement) -> Table:
    def both(words: str, value: Callable[[Counted], str]) -> list[str]:
        return [words, *(MISSING if c is None else value(c) for c in (agreement.write, agreement.read))]

    minutes = agreement.minutes_added
    low, high = agreement.cells_mountstats_to_worker_lowest, agreement.cells_mountstats_to_worker_highest
    return Table(
        f"How far the four agree, {minutes} whole {'minute' if minutes == 1 else 'minutes'} of CloudWatch added up",
        [Column("ratio"), Column("write", True), Column("read", True)],
        [
            both("operations: mountstats / worker", lambda c: agreement_ratio(c.mountstats_to_worker_operations)),
            both("operations: CloudWatch / worker", lambda c: agreement_ratio(c.cloudwatch_to_worker_operations)),
            both(
                "operations: CloudWatch / mountstats", lambda c: agreement_ratio(c.cloudwatch_to_mountstats_operations)
            ),
            both("payload: mountstats / worker", lambda c: agreement_ratio(c.mountstats_to_worker_bytes)),
            both("bytes: CloudWatch / worker", lambda c: agreement_ratio(c.cloudwatch_to_worker_bytes)),
            both("bytes: CloudWatch / requests as metered", lambda c: agreement_ratio(c.cloudwatch_to_metered_bytes)),
            both("protocol's share of the bytes sent", lambda c: percent(c.protocol_share)),
        ],
        f"Interfaces / NFS calls and replies: {agreement_ratio(agreement.nic.tcp_to_wire_ratio)}, less the packets' "
        f"headers. Cell by cell, mountstats / worker: {agreement_ratio(low)} to {agreement_ratio(high)}.",
        name="agreement",
    )


def _minutes_table(minutes: Sequence[Minute]) -> Table:
    columns: list[TextColumn[tuple[Minute, str, Counted]]] = [
        TextColumn("minute, op", lambda row: f"{clock_time(row[0].start_unix_s)} {row[1]}"),
        NumberColumn("worker", lambda row: figure(row[2].worker_operations)),
        NumberColumn("mountstats", lambda row: figure(row[2].mountstats_operations)),
        NumberColumn("CloudWatch", lambda row: figure(row[2].cloudwatch_operations)),
        NumberColumn("worker MB", lambda row: megabytes(row[2].worker_bytes)),
        NumberColumn("payload MB", lambda row: megabytes(row[2].mountstats_bytes)),
        NumberColumn("wire MB", lambda row: megabytes(total([row[2].wire_sent_bytes, row[2].wire_received_bytes]))),
        NumberColumn("CloudWatch MB", lambda row: megabytes(row[2].cloudwatch_bytes)),
        NumberColumn("protocol", lambda row: percent(row[2].protocol_share)),
    ]
    rows = [(minute, op, counted) for minute in minutes for op in OPS if (counted := getattr(minute, op))]
    shown, left_out = _worst(rows, lambda row: _disagreement(row[2]), "that agree least")
    note = f"UTC. Payload and wire by mountstats; CloudWatch's bytes are metered ones.{left_out}"
    return Table.of("Minute by minute: operations and megabytes", columns, shown, note, name="minutes")


def _nic_table(minutes: Sequence[Minute]) -> Table:
    columns: list[TextColumn[Minute]] = [
        TextColumn("minute", lambda minute: clock_time(minute.start_unix_s)),
        NumberColumn("received MB", lambda minute: megabytes(minute.nic.rx_bytes)),
        NumberColumn("sent MB", lambda minute: megabytes(minute.nic.tx_bytes)),
        NumberColumn("packets in", lambda minute: figure(minute.nic.rx_packets)),
        NumberColumn("packets out", lambda minute: figure(minute.nic.tx_packets)),
        NumberColumn("NFS MB", lambda minute: megabytes(minute.nic.wire_bytes)),
        NumberColumn("ratio", lambda minute: agreement_ratio(minute.nic.tcp_to_wire_ratio)),
        TextColumn("missing", lambda minute: Cell(", ".join(minute.missing), "bad") if minute.missing else ""),
    ]
    shown, left_out = _worst(minutes, lambda minute: abs((minute.nic.tcp_to_wire_ratio or 0.0) - 1), "that agree least")
    note = f"Ratio: the interfaces' bytes less 66 a packet, over NFS's. Missing: what that minute lacks.{left_out}"
    return Table.of("Minute by minute: the clients' network interfaces", columns, shown, note, name="interfaces")


def _disagreement(counted: Counted) -> float:
    ratios = (
        counted.mountstats_to_worker_operations,
        counted.cloudwatch_to_worker_operations,
        counted.cloudwatch_to_metered_bytes,
    )
    return max(abs((ratio if ratio is not None else 2.0) - 1) for ratio in ratios)


def _worst(rows: Sequence[T], badness: Callable[[T], float], words: str) -> tuple[list[T], str]:
    """Returns the worst rows, ROWS_MAX at most and in their order, and a note if some are left out."""
    if len(rows) <= ROWS_MAX:
        return list(rows), ""
    ranked = sorted(range(len(rows)), key=lambda at: badness(rows[at]), reverse=True)[:ROWS_MAX]
    return [rows[at] for at in sorted(ranked)], f" Of {len(rows)} rows, the {ROWS_MAX} {words}."


def metering_table(metering: Metering) -> Table:
    columns: list[TextColumn[MeteredMinute]] = [
        TextColumn("minute", lambda row: clock_time(row.start_unix_s)),
        TextColumn("op", lambda row: row.op),
        TextColumn("requests", lambda row: ", ".join(request_size(size) for size in row.requests_bytes)),
        NumberColumn("inferred minimum", _inferred),
        NumberColumn("CloudWatch least", lambda row: figure(row.least_bytes)),
        NumberColumn("greatest", lambda row: figure(row.greatest_bytes)),
        TextColumn("as expected", _as_expected),
    ]
    shown, left_out = _worst(metering.minutes, _metering_badness, "that tell least or differ most")
    note = (
        "Inferred: each request counted as this at least, the workers' requests make CloudWatch's sum. As expected: "
        f"the least and the greatest are those of the smallest and largest request, so counted.{left_out}"
    )
    minimum = metering.minimum_bytes
    title = "How requests are metered" + (f": {size_bytes(minimum)} at least" if minimum is not None else "")
    return Table.of(title, columns, shown, note, name="metering")


def _inferred(row: MeteredMinute) -> str:
    return figure(None if row.minimum_bytes is None else round(row.minimum_bytes, 1), 4)


def _as_expected(row: MeteredMinute) -> Cell:
    if row.reason is None:
        return judged(figure(row.as_expected), row.as_expected)
    return Cell(f"{figure(row.as_expected)}; {row.reason}", "" if row.as_expected else "bad")


def _metering_badness(row: MeteredMinute) -> float:
    return 2.0 if row.as_expected is False else 1.0 if row.reason is not None else 0.0


def io_limit_table(io_limit: IoLimit) -> Table:
    columns: list[TextColumn[IoLimitMinute]] = [
        TextColumn("minute", lambda row: clock_time(row.start_unix_s)),
        NumberColumn("writes/s", lambda row: figure(row.write_ops_per_s)),
        NumberColumn("reads/s", lambda row: figure(row.read_ops_per_s)),
        NumberColumn("PercentIOLimit", lambda row: f"{row.metric_percent:.1f} %"),
        NumberColumn("from the limits", lambda row: formatted(row.from_limits_percent, "{:.1f} %")),
        NumberColumn("difference", lambda row: formatted(row.difference_points, "{:+.1f}")),
    ]
    shown, left_out = _worst(io_limit.minutes, lambda row: abs(row.difference_points or 0.0), "that differ most")
    title = "PercentIOLimit, and what the limits found make of the same minutes"
    note = f"Means over the minute; difference in points.{left_out}"
    return Table.of(title, columns, shown, note, name="io-limit")


def service_table(summary: Summary) -> Table:
    service, storage, write_only = summary.service, summary.storage, summary.write_only
    first, last = service.burst_credit_first_bytes, service.burst_credit_last_bytes
    rows: list[tuple[str, str]] = [
        ("PermittedThroughput, median", f"{figure(service.permitted_throughput_mb_per_s)} MB/s"),
        ("sequential over it", percent(summary.limits.sequential_to_permitted_ratio)),
        (
            f"BurstCreditBalance over {service.burst_credit_minutes} min",
            f"{_gigabytes(first)} to {_gigabytes(last)} GB, least {_gigabytes(service.burst_credit_least_bytes)}",
        ),
        ("ClientConnections, most", figure(service.client_connections_greatest)),
        (
            "StorageBytes, first to last",
            f"{size_bytes(service.storage_first_bytes)} to {size_bytes(service.storage_last_bytes)}",
        ),
        (
            "reads while only small writes ran",
            f"{figure(write_only.mountstats_read_operations)} by mountstats in {len(write_only.cells)} cells, "
            f"{figure(write_only.cloudwatch_read_operations)} by CloudWatch in minutes without a read",
        ),
    ]
    if storage is not None:
        shown = f"shown {seconds(storage.lag_seconds)} after the last change"
        if not storage.lag_seconds:
            shown = "shown at once" if storage.lag_seconds == 0 else f"not in {seconds(storage.watched_seconds)}"
        rows.append(
            (
                "size of the files, and df",
                f"{size_bytes(storage.files_bytes)}, {size_bytes(storage.df_used_bytes)}: {shown}",
            )
        )
    return Table("What else the service shows", [Column("question"), Column("answer")], rows, name="service")


def _gigabytes(value_bytes: float | None) -> str:
    return figure(None if value_bytes is None else value_bytes / MB / 1000)


def clocks_table(clocks: Clocks) -> Table:
    columns: list[TextColumn[HostClock]] = [
        TextColumn("host", lambda clock: clock.host),
        NumberColumn("measured", lambda clock: f"{clock.measurements}\u00d7"),
        NumberColumn("offset first", lambda clock: _offset(clock.offset_first_s)),
        NumberColumn("offset last", lambda clock: _offset(clock.offset_last_s)),
        NumberColumn("uncertainty", lambda clock: _offset(clock.uncertainty_s).replace("+", "\u00b1")),
    ]
    note = (
        "Every host's times are put on the runner's clock by these. The largest start skew of a cell: "
        f"{_offset(clocks.start_skew_max_s)}."
    )
    return Table.of("The hosts' clocks against the runner's", columns, clocks.hosts, note, name="clocks")


def _offset(value_s: float | None) -> str:
    return formatted(times(value_s, 1000), "{:+.1f} ms")
