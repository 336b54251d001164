"""efs-iops' other tables: limits found, known answers, agreement, metering, the service's metrics, clocks, mounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import report.proofs
from report.efs_iops.schema import (
    Agreement,
    Clocks,
    Counted,
    Found,
    IoLimit,
    KnownAnswers,
    Limits,
    MeteredMinute,
    Metering,
    Minute,
    Summary,
)
from report.efs_iops.words import MB, agreement_ratio, clock_time, megabytes, request_size
from report.format import MISSING, figure, percent, seconds, size_bytes
from report.proofs import Proofs
from report.table import Cell, Column, Table

# A run of hours has hundreds of minutes: of these, the ones that a reader looks for.
ROWS_MAX = 24

T = TypeVar("T")


def limits_table(limits: Limits) -> Table:
    def both(words: str, value: Callable[[Found], str]) -> list[str]:
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


def known_answers_table(answers: KnownAnswers) -> Table:
    tones = {True: Cell("within", "good"), False: Cell("outside", "bad"), None: Cell("not found", "muted")}
    return Table(
        f"Known answers: what the service model {answers.model} says, and what the run found",
        [
            Column("answer"),
            Column("model", True),
            Column("found", True),
            Column("unit"),
            Column("tolerance"),
            Column("outcome"),
        ],
        [
            (
                row.answer,
                figure(row.model, 4),
                figure(row.found, 4),
                row.unit,
                row.tolerance,
                tones[row.within],
            )
            for row in answers.rows
        ],
        "The run is not told the model: it finds these by measuring. Nothing else in this report depends on it.",
        name="known-answers",
    )


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
    rows = [(minute, op, counted) for minute in minutes for op in ("write", "read") if (counted := getattr(minute, op))]
    shown, note = _worst(rows, lambda row: _disagreement(row[2]), "that agree least")
    return Table(
        "Minute by minute: operations and megabytes",
        [
            Column("minute, op"),
            Column("worker", True),
            Column("mountstats", True),
            Column("CloudWatch", True),
            Column("worker MB", True),
            Column("payload MB", True),
            Column("wire MB", True),
            Column("CloudWatch MB", True),
            Column("protocol", True),
        ],
        [
            (
                f"{clock_time(minute.start_unix_s)} {op}",
                figure(c.worker_operations),
                figure(c.mountstats_operations),
                figure(c.cloudwatch_operations),
                megabytes(c.worker_bytes),
                megabytes(c.mountstats_bytes),
                megabytes(_sum(c.wire_sent_bytes, c.wire_received_bytes)),
                megabytes(c.cloudwatch_bytes),
                percent(c.protocol_share),
            )
            for minute, op, c in shown
        ],
        f"UTC. Payload and wire by mountstats; CloudWatch's bytes are metered ones.{note}",
        name="minutes",
    )


def _nic_table(minutes: Sequence[Minute]) -> Table:
    shown, note = _worst(minutes, lambda minute: abs((minute.nic.tcp_to_wire_ratio or 0.0) - 1), "that agree least")
    return Table(
        "Minute by minute: the clients' network interfaces",
        [
            Column("minute"),
            Column("received MB", True),
            Column("sent MB", True),
            Column("packets in", True),
            Column("packets out", True),
            Column("NFS MB", True),
            Column("ratio", True),
            Column("missing"),
        ],
        [
            (
                clock_time(minute.start_unix_s),
                megabytes(minute.nic.rx_bytes),
                megabytes(minute.nic.tx_bytes),
                figure(minute.nic.rx_packets),
                figure(minute.nic.tx_packets),
                megabytes(minute.nic.wire_bytes),
                agreement_ratio(minute.nic.tcp_to_wire_ratio),
                Cell(", ".join(minute.missing), "bad") if minute.missing else "",
            )
            for minute in shown
        ],
        f"Ratio: the interfaces' bytes less 66 a packet, over NFS's. Missing: what that minute lacks.{note}",
        name="interfaces",
    )


def _disagreement(counted: Counted) -> float:
    ratios = (
        counted.mountstats_to_worker_operations,
        counted.cloudwatch_to_worker_operations,
        counted.cloudwatch_to_metered_bytes,
    )
    return max(abs((ratio if ratio is not None else 2.0) - 1) for ratio in ratios)


def _worst(rows: Sequence[T], badness: Callable[[T], float], words: str) -> tuple[list[T], str]:
    """At most ROWS_MAX, in their order, and a note if some are left out."""
    if len(rows) <= ROWS_MAX:
        return list(rows), ""
    ranked = sorted(range(len(rows)), key=lambda at: badness(rows[at]), reverse=True)[:ROWS_MAX]
    return [rows[at] for at in sorted(ranked)], f" Of {len(rows)} rows, the {ROWS_MAX} {words}."


def metering_table(metering: Metering) -> Table:
    rows, note = _worst(metering.minutes, _metering_badness, "that tell least or differ most")
    return Table(
        "How requests are metered"
        + (f": {size_bytes(metering.minimum_bytes)} at least" if metering.minimum_bytes is not None else ""),
        [
            Column("minute"),
            Column("op"),
            Column("requests"),
            Column("inferred minimum", True),
            Column("CloudWatch least", True),
            Column("greatest", True),
            Column("as expected"),
        ],
        [
            (
                clock_time(row.start_unix_s),
                row.op,
                ", ".join(request_size(size) for size in row.requests_bytes),
                figure(None if row.minimum_bytes is None else round(row.minimum_bytes, 1), 4),
                figure(row.least_bytes),
                figure(row.greatest_bytes),
                Cell(figure(row.as_expected), "" if row.as_expected is None else "good" if row.as_expected else "bad")
                if row.reason is None
                else Cell(f"{figure(row.as_expected)}; {row.reason}", "" if row.as_expected else "bad"),
            )
            for row in rows
        ],
        "Inferred: each request counted as this at least, the workers' requests make CloudWatch's sum. As expected: "
        f"the least and the greatest are those of the smallest and largest request, so counted.{note}",
        name="metering",
    )


def _metering_badness(row: MeteredMinute) -> float:
    return 2.0 if row.as_expected is False else 1.0 if row.reason is not None else 0.0


def io_limit_table(io_limit: IoLimit) -> Table:
    rows, note = _worst(io_limit.minutes, lambda row: abs(row.difference_points or 0.0), "that differ most")
    return Table(
        "PercentIOLimit, and what the limits found make of the same minutes",
        [
            Column("minute"),
            Column("writes/s", True),
            Column("reads/s", True),
            Column("PercentIOLimit", True),
            Column("from the limits", True),
            Column("difference", True),
        ],
        [
            (
                clock_time(row.start_unix_s),
                figure(row.write_ops_per_s),
                figure(row.read_ops_per_s),
                f"{row.metric_percent:.1f} %",
                MISSING if row.from_limits_percent is None else f"{row.from_limits_percent:.1f} %",
                MISSING if row.difference_points is None else f"{row.difference_points:+.1f}",
            )
            for row in rows
        ],
        f"Means over the minute; difference in points.{note}",
        name="io-limit",
    )


def service_table(summary: Summary) -> Table:
    service, storage, write_only = summary.service, summary.storage, summary.write_only
    first, last = service.burst_credit_first_bytes, service.burst_credit_last_bytes
    rows: list[tuple[str, str]] = [
        ("PermittedThroughput, median", f"{figure(service.permitted_throughput_mb_per_s)} MB/s"),
        ("sequential over it", percent(summary.limits.sequential_to_permitted_ratio)),
        (
            f"BurstCreditBalance over {service.burst_credit_minutes} min",
            f"{_giga(first)} to {_giga(last)} GB, least {_giga(service.burst_credit_least_bytes)}",
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


def _giga(value_bytes: float | None) -> str:
    return figure(None if value_bytes is None else value_bytes / MB / 1000)


def clocks_table(clocks: Clocks) -> Table:
    return Table(
        "The hosts' clocks against the runner's",
        [
            Column("host"),
            Column("measured", True),
            Column("offset first", True),
            Column("offset last", True),
            Column("uncertainty", True),
        ],
        [
            (
                clock.host,
                f"{clock.measurements}\u00d7",
                _offset(clock.offset_first_s),
                _offset(clock.offset_last_s),
                MISSING if clock.uncertainty_s is None else f"\u00b1{clock.uncertainty_s * 1000:.1f} ms",
            )
            for clock in clocks.hosts
        ],
        "Every host's times are put on the runner's clock by these. The largest start skew of a cell: "
        f"{_offset(clocks.start_skew_max_s)}.",
        name="clocks",
    )


def _offset(value_s: float | None) -> str:
    return MISSING if value_s is None else f"{value_s * 1000:+.1f} ms"


_PROOF_WORDS = {"mount-options": "the file system is mounted as the mount helper mounts it, read back from the kernel"}


def proofs_table(proofs: Proofs) -> Table:
    return report.proofs.proofs_table(proofs, _PROOF_WORDS)


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
