from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from report.build import summary_json
from report.efs_iops.experiment import summarize
from report.efs_iops.schema import Cell, Summary
from report.histogram import Histogram, merge
from report.runs import open_run
from tests.conftest import THOROUGH
from tests.report.efs_run_builder import CLIENTS, STARTED_UNIX_S, EfsRunBuilder, Record

MIB = 1 << 20
STREAMS = ["cells", "worker", "clocks", "mountstats", "host", "storage", "cloudwatch", "proofs"]


def summary_of(builder: EfsRunBuilder, tmp_path: Path) -> Summary:
    return summarize(open_run(builder.write(tmp_path)))


def cell(summary: Summary, name: str) -> Cell:
    return next(c for c in summary.cells if c.cell == name)


def records(builder: EfsRunBuilder, stream: str, **fields: object) -> list[Record]:
    """Those that have these fields."""
    return [r for r in builder.streams[stream] if all(r.get(key) == value for key, value in fields.items())]


@pytest.fixture
def builder() -> EfsRunBuilder:
    return EfsRunBuilder()


def test_a_cell_of_one_host(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "write-10000-w20-i1"
    whole = records(builder, "worker", cell=name, kind="interval")
    final = records(builder, "worker", cell=name, kind="final")[0]
    found = cell(summary_of(builder, tmp_path), name)
    last = whole[-1]["ops"] / (whole[-1]["t_end_unix_s"] - whole[-1]["t_start_unix_s"])
    rate = (whole[1]["ops"] + whole[2]["ops"] + last) / 3
    assert found.ops_per_s == pytest.approx(rate, rel=1e-5)
    assert found.mb_per_s == pytest.approx(rate * 10000 / 1e6, rel=1e-5)
    assert found.whole_seconds == 3
    assert found.window_seconds == pytest.approx(3)
    assert found.ops == sum(r["ops"] for r in whole)
    assert (found.jain_index, found.start_skew_s) == (None, None)
    assert (found.total_writers, found.writers, found.hosts) == (20, 20, ["client-1"])
    p99 = Histogram.from_json(final["latency_ns"]).percentile_ns(99)
    assert p99 is not None
    assert found.latency_p99_us == p99 / 1000
    assert (found.errors, found.errors_by_errno, found.reason) == (0, {}, None)


def test_a_cell_of_two_hosts(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "read-1-w40-i2"
    finals = records(builder, "worker", cell=name, kind="final")
    found = cell(summary_of(builder, tmp_path), name)
    each = [host.ops_per_s for host in found.per_host]
    assert [host.host for host in found.per_host] == list(CLIENTS)
    assert found.ops_per_s == sum(rate for rate in each if rate is not None)
    assert found.ops_per_s == pytest.approx(3500, rel=0.02)
    assert found.jain_index == pytest.approx(1, abs=1e-3)
    assert found.start_skew_s == pytest.approx(0.007, abs=1e-5)
    assert found.first_done_s is not None
    assert found.last_done_s is not None
    assert 4 < found.first_done_s < found.last_done_s < 4.1
    p50 = merge(Histogram.from_json(final["latency_ns"]) for final in finals).percentile_ns(50)
    assert p50 is not None
    assert found.latency_p50_us == p50 / 1000


def test_the_hosts_clocks_change_nothing(tmp_path: Path) -> None:
    """Two seconds ahead and a fortnight behind: the runner's clock is the one that counts."""
    right = summary_of(EfsRunBuilder(offsets_s=dict.fromkeys(CLIENTS, 0.0)), tmp_path / "right")
    wrong = summary_of(EfsRunBuilder(offsets_s={"client-1": 2.0, "client-2": -1_209_600.0}), tmp_path / "wrong")
    for a, b in zip(right.cells, wrong.cells, strict=True):
        assert b.ops_per_s == pytest.approx(a.ops_per_s, rel=1e-4)
        assert b.start_skew_s == pytest.approx(a.start_skew_s, abs=1e-4)
        assert b.mountstats.ops_per_s == pytest.approx(a.mountstats.ops_per_s, rel=1e-4)
    assert wrong.agreement.minutes_added == right.agreement.minutes_added == 3
    assert wrong.clocks.hosts[1].offset_first_s == pytest.approx(-1_209_600, abs=0.01)
    assert wrong.problems == []


def test_without_clocks_the_hosts_are_taken_as_right(builder: EfsRunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    (path / "raw" / "clocks.ndjson").unlink()
    summary = summarize(open_run(path))
    assert "raw/clocks.ndjson is missing: the hosts' clocks are taken for the runner's" in summary.problems
    assert [clock.measurements for clock in summary.clocks.hosts] == [0, 0]
    assert [clock.offset_first_s for clock in summary.clocks.hosts] == [None, None]
    # One of the two is 2.35 s ahead: of four seconds little more than one is left to be shared.
    assert cell(summary, "read-1-w40-i2").start_skew_s == pytest.approx(2.37, abs=0.01)
    assert cell(summary, "read-1-w40-i2").whole_seconds == 0


def test_mountstats_of_a_cell(builder: EfsRunBuilder, tmp_path: Path) -> None:
    found = cell(summary_of(builder, tmp_path), "read-1024-w40-i1").mountstats
    assert found.ops_per_s == pytest.approx(3500, rel=0.03)
    assert found.kib_per_s is not None
    assert found.ops_per_s is not None
    # Call, reply and payload of each.
    assert found.kib_per_s * 1024 / found.ops_per_s == pytest.approx(208 + 132 + 1024)
    assert found.rtt_ms == pytest.approx(7.4, abs=0.01)
    assert found.execute_ms == pytest.approx(7.7, abs=0.01)
    assert found.to_worker_ratio == pytest.approx(1, abs=2e-3)
    assert found.retransmissions == 0


def test_retransmissions_are_seen(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "write-1-w20-i2"
    start = records(builder, "cells", cell=name)[0]["start_unix_s"]
    for record in records(builder, "mountstats", host="client-1"):
        if record["t_unix_s"] > start + 2.5 and "WRITE" in record["ops"]:
            record["ops"]["WRITE"]["transmissions"] += 5
    summary = summary_of(builder, tmp_path)
    assert cell(summary, name).mountstats.retransmissions == 5
    assert cell(summary, "write-1-w40-i2").mountstats.retransmissions == 0


def test_a_mount_that_began_anew_hides_what_was_before(builder: EfsRunBuilder, tmp_path: Path) -> None:
    start = records(builder, "cells", cell="write-1-w20-i2")[0]["start_unix_s"]
    for record in records(builder, "mountstats", host="client-1"):
        if record["t_unix_s"] > start + 2.5:
            record["age_s"] -= 500
    summary = summary_of(builder, tmp_path)
    assert cell(summary, "write-1-w20-i2").mountstats.ops_per_s is None
    assert cell(summary, "write-1-w40-i2").mountstats.ops_per_s is not None
    # It began anew in the first minute, which is left out for want of readings anyhow.
    first = summary.agreement.minutes[0]
    assert first.write is not None
    assert first.write.mountstats_operations is None


def test_another_operation_that_is_damaged_leaves_reads_and_writes(builder: EfsRunBuilder, tmp_path: Path) -> None:
    whole = summary_of(builder, tmp_path / "whole")
    for record in records(builder, "mountstats", host="client-1"):
        record["ops"]["GETATTR"] = {"bytes_sent": "many"}
    damaged = summary_of(builder, tmp_path / "damaged")
    assert damaged.cells == whole.cells
    assert damaged.agreement.nic.wire_bytes is None
    assert whole.agreement.nic.wire_bytes is not None
    assert "mountstats client-1" in damaged.agreement.minutes[0].missing


def test_what_the_interfaces_carried(builder: EfsRunBuilder, tmp_path: Path) -> None:
    nic = cell(summary_of(builder, tmp_path), "write-sequential-1048576-w8-i1").nic
    assert nic.rx_mb_per_s is not None
    assert nic.tx_mb_per_s is not None
    assert nic.rx_mb_per_s + nic.tx_mb_per_s == pytest.approx(105, rel=0.03)
    assert nic.rx_packets_per_s == pytest.approx(nic.tx_packets_per_s, rel=0.01)


def test_a_lost_host_leaves_the_other_s_figures_and_no_total(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "write-1024-w40-i2"
    records(builder, "cells", cell=name)[0].update(complete=False, reason=None, lost_hosts=["client-2"])
    builder.streams["worker"] = [
        r
        for r in builder.streams["worker"]
        if not (r["cell"] == name and r["host"] == "client-2" and (r["kind"] == "final" or r["second"] > 1))
    ]
    found = cell(summary_of(builder, tmp_path), name)
    assert found.reason == "client-2 went away"
    assert (found.ops_per_s, found.mb_per_s, found.jain_index, found.latency_p50_us) == (None,) * 4
    assert [host.host for host in found.per_host] == ["client-1"]
    assert found.per_host[0].ops_per_s == pytest.approx(1500, rel=0.03)
    assert found.lost_hosts == ["client-2"]
    assert found.limited_by is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rs: [r for r in rs if r["kind"] != "final"], "no final line from client-1, client-2"),
        (lambda rs: [r for r in rs if r["kind"] != "interval" or r["second"] != 2], "seconds of client-1, client-2"),
        (lambda _: [], "no final line from client-1, client-2"),
        (
            lambda rs: [r for r in rs if r["kind"] == "final" or r["host"] == "client-1"],
            "did not run at the same time",
        ),
    ],
)
def test_a_cell_without_all_its_lines_is_no_measurement(
    builder: EfsRunBuilder, tmp_path: Path, change: Callable[[list[Record]], list[Record]], reason: str
) -> None:
    name = "read-1-w20-i2"
    mine = records(builder, "worker", cell=name)
    builder.streams["worker"] = [r for r in builder.streams["worker"] if r not in mine] + change(mine)
    found = cell(summary_of(builder, tmp_path), name)
    assert found.reason is not None
    assert reason in found.reason
    assert (found.ops_per_s, found.variation_coefficient, found.limited_by) == (None, None, None)


def test_failed_operations_count_even_where_they_spoil_the_cell(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "write-1-w20-i2"
    for final in records(builder, "worker", cell=name, kind="final"):
        final["errors"] = {"EIO": 2, "ETIMEDOUT": 1}
    records(builder, "cells", cell=name)[0].update(complete=False, reason="6 writes failed")
    found = cell(summary_of(builder, tmp_path), name)
    assert (found.errors, found.errors_by_errno) == (6, {"EIO": 4, "ETIMEDOUT": 2})
    assert (found.ops_per_s, found.reason) == (None, "6 writes failed")


def test_a_cell_begun_again_counts_from_its_last_start(builder: EfsRunBuilder, tmp_path: Path) -> None:
    name = "write-1-w40-i2"
    once = cell(summary_of(EfsRunBuilder(), tmp_path / "once"), name)
    earlier = []
    for record in records(builder, "worker", cell=name):
        early = {**record, "ops": 1, "bytes": 1}
        for key in ("t_start_unix_s", "t_end_unix_s", "t_first_unix_s", "t_last_unix_s"):
            if key in early:
                early[key] -= 3600
        earlier.append(early)
    first = {**records(builder, "cells", cell=name)[0], "complete": False}
    first["start_unix_s"] -= 3600
    builder.streams["worker"] = earlier + builder.streams["worker"]
    builder.streams["cells"] = [first, *builder.streams["cells"]]
    summary = summary_of(builder, tmp_path / "again")
    assert [c.cell for c in summary.cells].count(name) == 1
    assert cell(summary, name).ops_per_s == once.ops_per_s


def test_limits_of_the_model_are_found(builder: EfsRunBuilder, tmp_path: Path) -> None:
    limits = summary_of(builder, tmp_path).limits
    assert limits.write.limit_ops_per_s == pytest.approx(3000, rel=0.01)
    assert limits.read.limit_ops_per_s == pytest.approx(3500, rel=0.01)
    assert limits.write.one_writer_ops_per_s == pytest.approx(1 / 0.0075, rel=0.02)
    assert limits.read.knee_writers == pytest.approx(3500 * 0.0073, rel=0.03)
    assert limits.read.knee_measured_writers == 40
    assert limits.write.split_jain == pytest.approx(1, abs=1e-3)
    assert limits.sequential_mb_per_s == pytest.approx(104.9, rel=0.02)
    assert limits.sequential_to_permitted_ratio == pytest.approx(1, rel=0.02)
    assert limits.write.one_host.lowest_busy_ops_per_s == pytest.approx(2667, rel=0.02)
    assert limits.write.one_host.size_spread_ratio == pytest.approx(1, abs=0.02)
    assert limits.write.two_hosts.highest_ops_per_s == pytest.approx(3000, rel=0.02)
    assert (limits.operation_limit_seen, limits.throughput_limit_seen) == (True, True)


def test_one_number_of_writers_shows_no_plateau(builder: EfsRunBuilder, tmp_path: Path) -> None:
    builder.streams["cells"] = [r for r in builder.streams["cells"] if len(r["hosts"]) == 1]
    summary = summary_of(builder, tmp_path)
    assert summary.limits.write.limit_ops_per_s is None
    assert summary.limits.write.limit_cells == []
    assert (summary.limits.write.knee_writers, summary.limits.write.knee_measured_writers) == (None, None)
    assert cell(summary, "write-1-w40-i1").limited_by is None
    assert summary.limits.operation_limit_seen is False
    assert [m.from_limits_percent for m in summary.io_limit.minutes] == [None] * 4
    assert summary.known_answers is not None
    # Those of limits and knees, the split, and what hangs on them; the metering, too, for want of half the workers.
    assert summary.known_answers.not_found == 8


def test_why_not_more(builder: EfsRunBuilder, tmp_path: Path) -> None:
    summary = summary_of(builder, tmp_path)
    limited = {c.cell: c.limited_by for c in summary.cells}
    assert limited["write-1-w1-i1"] == "round trip \u00d7 writers"
    assert limited["write-1-w20-i1"] == "round trip \u00d7 writers"
    assert limited["write-1-w40-i1"] == "operation limit"
    assert limited["read-10000-w40-i2"] == "operation limit"
    assert limited["read-sequential-1048576-w4-i1"] == "throughput limit"
    evidence = cell(summary, "write-1-w40-i2").evidence
    assert evidence.plateau_ratio == pytest.approx(1, abs=0.01)
    assert evidence.round_trip_ratio == pytest.approx(0.28, abs=0.01)
    assert evidence.latency_ratio == pytest.approx(3.56, rel=0.05)
    assert evidence.permitted_ratio == pytest.approx(0, abs=0.01)
    assert cell(summary, "write-sequential-1048576-w8-i1").evidence.plateau_ratio is None


def test_a_busy_client_is_named_beside_the_limit(builder: EfsRunBuilder, tmp_path: Path) -> None:
    for record in records(builder, "host", host="client-2"):
        record["cpu_busy_ratio"] = 0.99
    summary = summary_of(builder, tmp_path)
    found = cell(summary, "read-1-w40-i2")
    assert (found.limited_by, found.limited_by_hosts) == ("operation limit + client CPU", ["client-2"])
    assert cell(summary, "read-1-w40-i1").limited_by == "operation limit"


def test_the_network_limits_at_the_type_s_line_rate_and_never_in_a_rehearsal(tmp_path: Path) -> None:
    for rehearsal, expected in ((False, "throughput limit + client network"), (True, "throughput limit")):
        builder = EfsRunBuilder(rehearsal=rehearsal)
        for record in records(builder, "host"):
            record["nic_rx_bytes"] = int((record["t_unix_s"] - STARTED_UNIX_S) * 0.92e8)  # of 0.75 Gbit/s
        found = cell(summary_of(builder, tmp_path / str(rehearsal)), "read-sequential-1048576-w8-i1")
        assert found.limited_by == expected
        assert found.limited_by_hosts == ([] if rehearsal else ["client-1"])
        assert found.evidence.client_link_used_ratio == (None if rehearsal else pytest.approx(0.981, abs=0.01))


def test_the_permitted_throughput_is_a_limit_by_itself(builder: EfsRunBuilder, tmp_path: Path) -> None:
    keep = "write-sequential-1048576-w4-i1"
    builder.streams["cells"] = [
        r for r in builder.streams["cells"] if "sequential" not in r["cell"] or r["cell"] == keep
    ]
    assert cell(summary_of(builder, tmp_path / "a"), keep).limited_by == "throughput limit"
    for record in records(builder, "cloudwatch", metric="PermittedThroughput"):
        record["statistics"]["Average"] = 300e6
    assert cell(summary_of(builder, tmp_path / "b"), keep).limited_by is None


def test_the_four_sources_agree(builder: EfsRunBuilder, tmp_path: Path) -> None:
    agreement = summary_of(builder, tmp_path).agreement
    assert [len(m.missing) for m in agreement.minutes] == [4, 0, 0, 0]
    assert agreement.minutes_added == 3
    for counted in (agreement.read, agreement.write):
        assert counted is not None
        assert counted.mountstats_to_worker_operations == pytest.approx(1, abs=1e-3)
        assert counted.mountstats_to_worker_bytes == pytest.approx(1, abs=2e-3)
        assert counted.cloudwatch_to_worker_operations == pytest.approx(1, abs=1e-4)
        assert counted.cloudwatch_to_metered_bytes == pytest.approx(1, abs=1e-3)
        assert counted.cloudwatch_to_worker_bytes is not None
        assert counted.cloudwatch_to_worker_bytes > 1.05
    assert agreement.nic.tcp_to_wire_ratio == pytest.approx(1, abs=1e-3)
    assert agreement.cells_mountstats_to_worker_lowest == pytest.approx(1, abs=0.02)
    # Reads of 1 B to 10 000 B: calls, replies, and little else.
    third = agreement.minutes[2].read
    assert third is not None
    assert third.protocol_share == pytest.approx(0.39, abs=0.02)


def test_all_that_the_workers_did_is_in_the_minutes(builder: EfsRunBuilder, tmp_path: Path) -> None:
    agreement = summary_of(builder, tmp_path).agreement
    counted = [getattr(m, op) for m in agreement.minutes for op in ("read", "write") if getattr(m, op)]
    ops = sum(r["ops"] for r in records(builder, "worker", kind="interval"))
    assert sum(each.worker_operations for each in counted) == pytest.approx(ops)
    assert sum(each.cloudwatch_operations for each in counted) == pytest.approx(ops, abs=6)


def test_a_missing_minute_is_listed_and_not_added(builder: EfsRunBuilder, tmp_path: Path) -> None:
    gone = records(builder, "cloudwatch", metric="DataReadIOBytes")[-1]
    builder.streams["cloudwatch"].remove(gone)
    summary = summary_of(builder, tmp_path)
    last = summary.agreement.minutes[-1]
    assert last.missing == ["CloudWatch DataReadIOBytes"]
    assert last.read is not None
    assert last.read.cloudwatch_operations is None
    assert last.read.worker_operations
    assert summary.agreement.minutes_added == 2
    assert summary.agreement.read is not None
    assert summary.agreement.read.cloudwatch_to_worker_operations == pytest.approx(1, abs=1e-4)


def test_without_interfaces_the_other_three_are_still_added(builder: EfsRunBuilder, tmp_path: Path) -> None:
    builder.streams["host"] = []
    agreement = summary_of(builder, tmp_path).agreement
    assert agreement.minutes_added == 3
    assert agreement.nic.rx_bytes is None
    assert agreement.write is not None
    assert agreement.write.mountstats_to_worker_operations == pytest.approx(1, abs=1e-3)


def test_minutes_that_reach_beyond_the_run_are_left_out(builder: EfsRunBuilder, tmp_path: Path) -> None:
    builder.manifest["started_at"] = "2026-11-23T10:30:01Z"
    builder.manifest["finished_at"] = "2026-11-23T10:33:59Z"
    minutes = summary_of(builder, tmp_path).agreement.minutes
    assert [m.start_unix_s - STARTED_UNIX_S for m in minutes] == [60, 120]


def test_without_workers_nothing_is_said_of_them(builder: EfsRunBuilder, tmp_path: Path) -> None:
    builder.streams["worker"] = []
    agreement = summary_of(builder, tmp_path).agreement
    counted = agreement.minutes[1].write
    assert counted is not None
    assert (counted.worker_operations, counted.worker_bytes, counted.metered_bytes) == (None, None, None)
    assert counted.cloudwatch_operations


def test_operations_beside_the_workers_are_seen_as_such(builder: EfsRunBuilder, tmp_path: Path) -> None:
    """Files that a run lays out itself: CloudWatch counts them, the workers don't."""
    minute = records(builder, "cloudwatch", metric="DataWriteIOBytes", t_unix_s=STARTED_UNIX_S + 60)[0]
    minute["statistics"]["SampleCount"] += 10_000
    agreement = summary_of(builder, tmp_path).agreement
    assert agreement.write is not None
    assert agreement.write.cloudwatch_to_worker_operations == pytest.approx(1.1, abs=0.01)


def test_metering(builder: EfsRunBuilder, tmp_path: Path) -> None:
    metering = summary_of(builder, tmp_path).metering
    assert metering.minimum_bytes == 4096
    assert metering.least_and_greatest_as_expected is True
    by_minute = {((m.start_unix_s - STARTED_UNIX_S) / 60, m.op): m for m in metering.minutes}
    assert by_minute[0, "write"].minimum_bytes == pytest.approx(4096)
    assert by_minute[0, "write"].requests_bytes == [1]
    assert by_minute[1, "write"].minimum_bytes == pytest.approx(4096, rel=1e-3)
    assert by_minute[2, "write"].reason == "no request below 4096 bytes"
    assert by_minute[2, "read"].minimum_bytes == pytest.approx(4096, rel=1e-3)


def test_metering_where_the_counts_differ_is_not_inferred(builder: EfsRunBuilder, tmp_path: Path) -> None:
    for record in builder.streams["cloudwatch"]:
        if record.get("metric") in ("DataReadIOBytes", "DataWriteIOBytes"):
            record["statistics"]["SampleCount"] *= 1.02
    metering = summary_of(builder, tmp_path).metering
    assert metering.minimum_bytes is None
    assert metering.least_and_greatest_as_expected is None
    reasons = [m.reason for m in metering.minutes]
    assert any(reason and reason.startswith("CloudWatch counted") for reason in reasons)


def test_another_minimum_is_found_too(builder: EfsRunBuilder, tmp_path: Path) -> None:
    """Nothing in the report knows 4096 beforehand."""
    for op, metric in (("read", "DataReadIOBytes"), ("write", "DataWriteIOBytes")):
        for record in records(builder, "cloudwatch", metric=metric):
            start = record["t_unix_s"]
            counts = [(w.size_bytes, w.until(start + 60) - w.until(start)) for w in builder.work if w.op == op]
            metered = [(max(size, 512), n) for size, n in counts if n > 0.5]
            record["statistics"].update(
                Sum=sum(size * n for size, n in metered),
                Minimum=min(size for size, _ in metered),
                Maximum=max(size for size, _ in metered),
            )
    metering = summary_of(builder, tmp_path).metering
    assert metering.minimum_bytes == 512
    assert metering.least_and_greatest_as_expected is True


def test_a_least_value_that_no_request_has_is_seen(builder: EfsRunBuilder, tmp_path: Path) -> None:
    records(builder, "cloudwatch", metric="DataReadIOBytes")[-1]["statistics"]["Minimum"] = 9999
    assert summary_of(builder, tmp_path).metering.least_and_greatest_as_expected is False


def test_reads_while_only_writes_ran_are_counted(builder: EfsRunBuilder, tmp_path: Path) -> None:
    clean = summary_of(EfsRunBuilder(), tmp_path / "clean").write_only
    assert (clean.mountstats_read_operations, clean.cloudwatch_read_operations, clean.read_operations) == (0, 0, 0)
    assert len(clean.cells) == 10
    start = records(builder, "cells", cell="write-1-w20-i1")[0]["start_unix_s"]
    for record in records(builder, "mountstats", host="client-1"):
        # A reading in the middle of the cell, and all after it.
        if record["t_unix_s"] > start + 2.5:
            read = record["ops"].setdefault("READ", builder._operation(0, 0, 0, 1.0))
            read["operations"] += 7
    found = summary_of(builder, tmp_path / "read").write_only
    assert found.mountstats_read_operations == 7
    assert found.read_operations == 7


def test_reads_that_cloudwatch_metered_while_only_writes_ran(builder: EfsRunBuilder, tmp_path: Path) -> None:
    write = records(builder, "cloudwatch", metric="DataWriteIOBytes")[0]
    statistics = {**write["statistics"], "SampleCount": 3, "Sum": 12288}
    builder.streams["cloudwatch"].append({**write, "metric": "DataReadIOBytes", "statistics": statistics})
    found = summary_of(builder, tmp_path).write_only
    assert (found.mountstats_read_operations, found.cloudwatch_read_operations) == (0, 3)
    assert found.read_operations == 3


def test_the_other_metrics(builder: EfsRunBuilder, tmp_path: Path) -> None:
    service = summary_of(builder, tmp_path).service
    assert service.permitted_throughput_mb_per_s == pytest.approx(104.8576)
    assert service.burst_credit_minutes == 4
    first, last = service.burst_credit_first_bytes, service.burst_credit_last_bytes
    assert first is not None
    assert last is not None
    assert first > last > 0
    assert service.burst_credit_least_bytes == last
    assert service.client_connections_greatest == 2
    assert (service.storage_first_bytes, service.storage_last_bytes) == (None, None)


def storage(builder: EfsRunBuilder, *rows: tuple[float, int, int]) -> None:
    """(seconds, df's word, the files), in MiB."""
    builder.streams["storage"] = [
        {
            "t_unix_s": STARTED_UNIX_S + t,
            "host": "client-1",
            "df_total_bytes": 1 << 40,
            "df_used_bytes": used * MIB,
            "files_bytes": files * MIB,
        }
        for t, used, files in rows
    ]


def test_df_that_shows_a_change_later(builder: EfsRunBuilder, tmp_path: Path) -> None:
    storage(builder, (0, 12, 0), (10, 12, 500), (20, 300, 500), (75, 513, 500), (90, 512, 500))
    found = summary_of(builder, tmp_path).storage
    assert found is not None
    assert [p.df_used_bytes for p in found.points] == [0, 0, 288 * MIB, 501 * MIB, 500 * MIB]
    assert [p.caught_up for p in found.points] == [None, False, False, True, True]
    assert (found.lag_seconds, found.watched_seconds, found.lag_at_least_seconds) == (65, 80, 65)


def test_df_s_lag_is_of_the_last_change(builder: EfsRunBuilder, tmp_path: Path) -> None:
    storage(builder, (0, 12, 0), (10, 112, 100), (20, 112, 900), (30, 912, 900))
    found = summary_of(builder, tmp_path).storage
    assert found is not None
    assert (found.lag_seconds, found.watched_seconds) == (10, 10)


def test_df_that_never_showed_it(builder: EfsRunBuilder, tmp_path: Path) -> None:
    storage(builder, (0, 500, 500), (10, 500, 900), (4000, 510, 900))
    found = summary_of(builder, tmp_path).storage
    assert found is not None
    assert (found.lag_seconds, found.lag_at_least_seconds) == (None, 3990)
    storage(builder)
    assert summary_of(builder, tmp_path / "none").storage is None


def test_known_answers_are_found_again(builder: EfsRunBuilder, tmp_path: Path) -> None:
    known = summary_of(builder, tmp_path).known_answers
    assert known is not None
    assert (known.model, known.within, known.outside, known.not_found) == ("efs-2018", 11, 0, 0)
    assert {row.answer: row.model for row in known.rows}["knee, write"] == pytest.approx(22.5)


def test_a_model_that_the_run_contradicts(builder: EfsRunBuilder, tmp_path: Path) -> None:
    assert builder.model is not None
    builder.model.update(write_ops_per_s=4000, metering_minimum_bytes=32768, delay_seconds=0.02)
    known = summary_of(builder, tmp_path).known_answers
    assert known is not None
    outside = [row.answer for row in known.rows if row.within is False]
    knees = ["knee, write", "one writer, read", "knee, read"]
    assert outside == ["write limit", "one writer, write", *knees, "least metered"]


def test_a_model_without_limits(builder: EfsRunBuilder, tmp_path: Path) -> None:
    assert builder.model is not None
    builder.model.update(write_ops_per_s=None, bytes_per_s=None, base_seconds={})
    known = summary_of(builder, tmp_path).known_answers
    assert known is not None
    rows = {row.answer: row for row in known.rows}
    # The run did find a plateau: against a model without one that is a wrong answer.
    assert (rows["write limit"].model, rows["write limit"].within) == (None, False)
    assert rows["one writer, write"].within is None
    assert rows["sequential"].within is None
    assert "knee, write" not in rows
    assert "PercentIOLimit, off by" not in rows


def test_nothing_else_depends_on_the_model(builder: EfsRunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    with_model = summarize(open_run(path))
    (path / "service-model.json").unlink()
    without = summarize(open_run(path))
    assert without.known_answers is None
    assert dataclasses.replace(with_model, known_answers=None) == without


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "service-model.json: the known answers can't be read"),
        ("[]", "not an object"),
        ('{"name": "x", "delay_seconds": "slow", "metering_minimum_bytes": 1}', "delay_seconds must be a number"),
        ('{"name": "x", "delay_seconds": 0, "read_ops_per_s": 0, "metering_minimum_bytes": 1}', "read_ops_per_s must"),
    ],
)
def test_a_broken_model_is_said(builder: EfsRunBuilder, tmp_path: Path, text: str, says: str) -> None:
    path = builder.write(tmp_path)
    (path / "service-model.json").write_text(text)
    summary = summarize(open_run(path))
    assert summary.known_answers is None
    assert any(says in problem for problem in summary.problems)


def test_the_run_in_time(builder: EfsRunBuilder, tmp_path: Path) -> None:
    timeline = summary_of(builder, tmp_path).timeline
    assert timeline is not None
    assert timeline.step_seconds == 1
    written = sum(s.worker_write_ops_per_s or 0 for s in timeline.stretches)
    assert written == pytest.approx(sum(w.ops for w in builder.work if w.op == "write"))
    by_kernels = sum(s.mountstats_write_ops_per_s or 0 for s in timeline.stretches)
    assert by_kernels == pytest.approx(written, rel=1e-3)
    # Between cells no worker is at work, which is not a rate of 0.
    assert any(s.worker_write_ops_per_s is None and s.mountstats_write_ops_per_s == 0 for s in timeline.stretches)
    assert len(timeline.cloudwatch) == 4
    assert timeline.cloudwatch[1].ops_per_s == pytest.approx(1687, rel=0.02)


def test_a_long_run_in_time_is_not_told_second_by_second(builder: EfsRunBuilder, tmp_path: Path) -> None:
    for record in records(builder, "worker", cell="write-1-w1-i1", kind="interval"):
        record["t_start_unix_s"] -= 7 * 3600
        record["t_end_unix_s"] -= 7 * 3600
    timeline = summary_of(builder, tmp_path).timeline
    assert timeline is not None
    assert timeline.step_seconds == 22
    assert len(timeline.stretches) <= 1200


def test_the_same_raw_gives_the_same_summary(builder: EfsRunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    assert summary_json(summarize(open_run(path))) == summary_json(summarize(open_run(path)))


def test_a_whole_run_has_no_problems(builder: EfsRunBuilder, tmp_path: Path) -> None:
    assert summary_of(builder, tmp_path).problems == []


def test_torn_lines_are_said_and_the_rest_is_read(builder: EfsRunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    for stream in STREAMS:
        file = path / "raw" / f"{stream}.ndjson"
        text = file.read_text()
        file.write_text(text[: len(text) - 20])
    summary = summarize(open_run(path))
    assert [p for p in summary.problems if "half-written" in p] == [
        f"raw/{stream}.ndjson: the last line is half-written, left out"
        for stream in ("clocks", "worker", "mountstats", "host", "cloudwatch", "cells", "storage", "proofs")
    ]
    assert cell(summary, "write-1-w40-i2").ops_per_s == pytest.approx(3000, rel=0.02)


def test_why_cloudwatch_is_short_is_said(builder: EfsRunBuilder, tmp_path: Path) -> None:
    records(builder, "cloudwatch", kind="asked")[0]["reason"] = "2 minutes had not come after 600 s"
    assert "CloudWatch: 2 minutes had not come after 600 s" in summary_of(builder, tmp_path).problems


def _drop(field: str) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record.pop(field, None)

    return change


def _set(field: str, value: object) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record[field] = value

    return change


WRONG_VALUES: tuple[object, ...] = ("?", None, [1], -5, {}, 1e18)
FAULTS: list[Callable[[str], Callable[[Record], None]]] = [
    _drop,
    *(partial(_set, value=wrong) for wrong in WRONG_VALUES),
]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("turn", range(len(FAULTS) if THOROUGH else 3))
def test_any_field_wrong_or_missing_leaves_a_summary(tmp_path: Path, stream: str, turn: int) -> None:
    """Every field in turn, in some record: no traceback, and what was left out is said or just missing.

    Fields next to each other have different faults; in as many turns as there are faults each field has each.
    """
    builder = EfsRunBuilder(brief=True)
    every = builder.streams[stream]
    fields = list(dict.fromkeys(field for record in every for field in record))
    for number, field in enumerate(fields):
        having = [record for record in every if field in record]
        record = having[builder.random.randrange(len(having))]
        FAULTS[(number + 3 * turn) % len(FAULTS)](field)(record)
    summary = summary_of(builder, tmp_path)
    written = json.loads(summary_json(summary))
    assert (written["schema"], written["experiment"]) == (1, "efs-iops")


@pytest.mark.parametrize("missing", [None, *STREAMS])
def test_a_missing_stream_leaves_a_summary(tmp_path: Path, missing: str | None) -> None:
    builder = EfsRunBuilder(brief=True)
    path = builder.write(tmp_path)
    for stream in [missing] if missing else STREAMS:
        (path / "raw" / f"{stream}.ndjson").unlink()
    summary = summarize(open_run(path))
    assert summary_json(summary)
    assert any("missing" in problem for problem in summary.problems)


def test_what_an_attempt_before_left_is_no_part_of_the_cell(builder: EfsRunBuilder, tmp_path: Path) -> None:
    """One worker was not ready in time and the cell was begun anew; the other had worked for some seconds by then."""
    name = next(record["cell"] for record in builder.streams["cells"] if len(record["hosts"]) == 2)
    untouched = cell(summary_of(builder, tmp_path / "untouched"), name)
    earlier = [
        {**record, **{key: record[key] - 20 for key in ("t_start_unix_s", "t_end_unix_s")}}
        for record in records(builder, "worker", cell=name, host=CLIENTS[0])
    ]
    assert [record["kind"] for record in earlier][-1] == "final"
    builder.streams["worker"][:0] = earlier
    assert cell(summary_of(builder, tmp_path / "begun-anew"), name) == untouched
