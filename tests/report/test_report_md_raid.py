from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from report.build import summary_json
from report.histogram import Histogram
from report.md_raid.experiment import summarize
from report.md_raid.figures import scaling_plot
from report.md_raid.schema import Ceilings, Cell, Summary
from report.runs import open_run
from tests.report.run_builder import STARTED_UNIX_S, Record, RunBuilder

MIB = 1 << 20


def summary_of(builder: RunBuilder, tmp_path: Path) -> Summary:
    return summarize(open_run(builder.write(tmp_path)))


def cell(summary: Summary, name: str) -> Cell:
    return next(c for c in summary.cells if c.cell == name)


def final(builder: RunBuilder, name: str) -> Record:
    return next(r for r in builder.streams["worker"] if r["cell"] == name and r["kind"] == "final")


@pytest.fixture
def builder() -> RunBuilder:
    return RunBuilder(seconds=3)


@pytest.mark.parametrize("field", ["servers", "disks", "depth", "request_bytes"])
def test_a_cell_of_none_of_what_there_must_be_one_is_left_out(tmp_path: Path, field: str) -> None:
    path = RunBuilder(seconds=2).write(tmp_path)
    cells = path / "raw" / "cells.ndjson"
    first, *rest = cells.read_text().splitlines(keepends=True)
    damaged = {**json.loads(first), field: 0}
    cells.write_text("".join([json.dumps(damaged) + "\n", *rest]))
    assert (
        f"raw/cells.ndjson: {damaged['cell']} left out: {field} must be above 0" in summarize(open_run(path)).problems
    )


def test_a_cell_s_figures_are_those_of_its_final_document(builder: RunBuilder, tmp_path: Path) -> None:
    raw = final(builder, "stripe-3-sequential")
    found = cell(summary_of(builder, tmp_path), "stripe-3-sequential")
    seconds = raw["t_end_unix_s"] - raw["t_start_unix_s"]
    assert found.mib_per_s == pytest.approx(raw["bytes"] / MIB / seconds)
    assert found.iops == pytest.approx(raw["ops"] / seconds)
    assert found.latency_max_us == raw["latency_ns"]["max"] / 1000
    p99 = Histogram.from_json(raw["latency_ns"]).percentile_ns(99)
    assert p99 is not None
    assert found.latency_p99_us == p99 / 1000
    assert (found.errors, found.errors_by_errno) == (0, {})
    assert found.requests_in_flight == 8
    assert found.reason is None


def test_requests_in_flight_are_those_of_each_thread(builder: RunBuilder, tmp_path: Path) -> None:
    final(builder, "stripe-3-sequential").update(engine="io_uring", depth=32)
    assert cell(summary_of(builder, tmp_path), "stripe-3-sequential").requests_in_flight == 8 * 32


def test_the_same_raw_gives_the_same_summary(builder: RunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    assert summary_json(summarize(open_run(path))) == summary_json(summarize(open_run(path)))


def test_two_clients_are_added_and_their_histograms_merged(builder: RunBuilder, tmp_path: Path) -> None:
    name = "raw-3x5-sequential"
    mine = [r for r in builder.streams["worker"] if r["cell"] == name]
    builder.streams["worker"] += [{**r, "host": "client-2"} for r in mine]
    alone = cell(summary_of(RunBuilder(seconds=3), tmp_path / "one"), name)
    both = cell(summary_of(builder, tmp_path / "two"), name)
    assert alone.mib_per_s is not None
    assert both.mib_per_s == pytest.approx(2 * alone.mib_per_s)
    assert both.latency_p99_us == alone.latency_p99_us
    assert both.requests_in_flight == 30
    assert both.variation_coefficient == pytest.approx(alone.variation_coefficient)


def test_variation_leaves_out_what_lies_outside_the_window(builder: RunBuilder, tmp_path: Path) -> None:
    name = "stripe-1-sequential"
    intervals = [r for r in builder.streams["worker"] if r["cell"] == name and r["kind"] == "interval"]
    rates = [r["bytes"] for r in intervals]
    warmup = {**intervals[0], "t_start_unix_s": intervals[0]["t_start_unix_s"] - 1, "bytes": 1}
    warmup["t_end_unix_s"] = intervals[0]["t_start_unix_s"]
    rest = {**intervals[-1], "t_start_unix_s": intervals[-1]["t_end_unix_s"] - 0.2, "bytes": 1}
    builder.streams["worker"] += [warmup, rest]
    mean = sum(rates) / len(rates)
    deviation = (sum((r - mean) ** 2 for r in rates) / (len(rates) - 1)) ** 0.5
    found = cell(summary_of(builder, tmp_path), name)
    assert found.variation_coefficient == pytest.approx(deviation / mean)


def test_a_cell_that_was_not_completed_has_no_figure(builder: RunBuilder, tmp_path: Path) -> None:
    record = next(r for r in builder.streams["cells"] if r["cell"] == "stripe-5-sequential")
    record.update(complete=False, reason="interrupted")
    summary = summary_of(builder, tmp_path)
    found = cell(summary, "stripe-5-sequential")
    assert found.reason == "interrupted"
    figures = [found.mib_per_s, found.iops, found.latency_p50_us, found.seconds, found.variation_coefficient]
    assert figures == [None] * 5
    series = summary.scaling.stripe_sequential
    assert series is not None
    assert series.points[-1].mib_per_s is None
    assert series.efficiency is None
    costs = {c.disks: c.stripe_to_raw_ratio for c in summary.scaling.md_cost if c.pattern == "sequential"}
    assert costs[15] is None
    assert costs[9] is not None


def test_a_cell_without_a_final_line_has_no_figure(builder: RunBuilder, tmp_path: Path) -> None:
    builder.streams["worker"].remove(final(builder, "raw-1x1-sequential"))
    summary = summary_of(builder, tmp_path)
    assert cell(summary, "raw-1x1-sequential").reason == "no final line from the worker"
    assert cell(summary, "raw-1x1-sequential").mib_per_s is None
    next_smallest = cell(summary, "raw-3x1-sequential").mib_per_s
    assert next_smallest is not None
    assert summary.volume.sequential_mb_per_s == pytest.approx(next_smallest * (1 << 20) / 1e6 / 3)


def test_a_cell_begun_again_counts_from_its_last_start(builder: RunBuilder, tmp_path: Path) -> None:
    name = "stripe-2-sequential"
    again = {**next(r for r in builder.streams["cells"] if r["cell"] == name)}
    again.update(started_unix_s=builder.now + 100, complete=True)
    builder.streams["cells"].append(again)
    summary = summary_of(builder, tmp_path)
    assert [c.cell for c in summary.cells].count(name) == 1
    assert cell(summary, name).reason == "no final line from the worker"


def test_failed_reads_are_counted_by_errno(builder: RunBuilder, tmp_path: Path) -> None:
    final(builder, "raw-1x5-random")["errors"] = {"EIO": 2, "ETIMEDOUT": 1}
    found = cell(summary_of(builder, tmp_path), "raw-1x5-random")
    assert found.errors == 3
    assert found.errors_by_errno == {"EIO": 2, "ETIMEDOUT": 1}


def test_failed_reads_count_even_where_they_spoil_the_cell(builder: RunBuilder, tmp_path: Path) -> None:
    final(builder, "raw-1x5-random")["errors"] = {"EIO": 2}
    record = next(r for r in builder.streams["cells"] if r["cell"] == "raw-1x5-random")
    record.update(complete=False, reason="2 reads failed")
    found = cell(summary_of(builder, tmp_path), "raw-1x5-random")
    assert (found.errors, found.iops, found.reason) == (2, None, "2 reads failed")


def test_what_limited_a_cell(tmp_path: Path) -> None:
    rehearsal = summary_of(RunBuilder(seconds=3), tmp_path / "r")
    assert cell(rehearsal, "raw-3x5-sequential").limited_by == "client CPU"
    assert cell(rehearsal, "raw-3x5-sequential").limited_by_hosts == ["client"]
    assert cell(rehearsal, "raw-1x1-sequential").limited_by is None
    assert cell(rehearsal, "raw-1x1-sequential").evidence.client_link_used_ratio is None
    aws = summary_of(RunBuilder(rehearsal=False, seconds=3), tmp_path / "a")
    assert cell(aws, "raw-1x5-sequential").limited_by == "server EBS link"
    assert cell(aws, "raw-1x5-sequential").limited_by_hosts == ["storage-1"]


def test_the_network_limits_at_line_rate_and_never_in_a_rehearsal(tmp_path: Path) -> None:
    for rehearsal, expected in ((False, "client network"), (True, None)):
        builder = RunBuilder(rehearsal=rehearsal, seconds=3)
        for record in builder.streams["host"]:
            since_start = record["t_unix_s"] - STARTED_UNIX_S
            record["cpu_busy_ratio"] = 0.5
            record["nic_tx_bytes"] = 0
            record["nic_rx_bytes"] = int(since_start * 1.21e9) if record["host"] == "client" else 0
        summary = summary_of(builder, tmp_path / str(rehearsal))
        assert cell(summary, "stripe-5-sequential").limited_by == expected
        assert summary.scaling.stripe_sequential is not None
        assert summary.scaling.stripe_sequential.network_limited is (None if rehearsal else True)


def test_a_storage_cpu_and_a_counter_that_went_back(builder: RunBuilder, tmp_path: Path) -> None:
    for record in builder.streams["host"]:
        if record["host"] == "storage-1":
            record["cpu_busy_ratio"] = 0.99
        if record["host"] == "client":
            record["cpu_busy_ratio"] = None
            record["nic_rx_bytes"] = -int(record["t_unix_s"])
    found = cell(summary_of(builder, tmp_path), "raw-2x5-sequential")
    assert found.limited_by == "server CPU"
    assert found.limited_by_hosts == ["storage-1"]
    assert found.evidence.client_cpu_busy_ratio is None
    # The servers know what they sent to it.
    assert found.evidence.storage_tx_mib_per_s_max is not None
    assert found.evidence.client_rx_mib_per_s == pytest.approx(2 * found.evidence.storage_tx_mib_per_s_max, rel=0.01)


def test_without_host_records_the_limit_is_not_known(builder: RunBuilder, tmp_path: Path) -> None:
    path = builder.write(tmp_path)
    (path / "raw" / "host.ndjson").unlink()
    summary = summarize(open_run(path))
    assert {c.limited_by for c in summary.cells} == {None}
    assert "raw/host.ndjson is missing: what limited each cell is not known" in summary.problems


def test_scaling_efficiency_and_md_s_cost(builder: RunBuilder, tmp_path: Path) -> None:
    summary = summary_of(builder, tmp_path)
    stripe, raw = summary.scaling.stripe_sequential, summary.scaling.raw_sequential
    assert stripe is not None
    assert raw is not None
    assert [p.mirrors for p in stripe.points] == [1, 2, 3, 4, 5]
    assert [p.servers for p in raw.points] == [1, 2, 3]
    assert [p.disks for p in raw.points] == [5, 10, 15]
    disks = summary.scaling.raw_disks_sequential
    assert disks is not None
    assert [(p.servers, p.disks) for p in disks.points] == [(3, 3), (3, 9), (3, 15)]
    first, last = stripe.points[0].mib_per_s, stripe.points[-1].mib_per_s
    assert first is not None
    assert last is not None
    assert stripe.efficiency == pytest.approx(last / first / 5)
    assert stripe.growth == pytest.approx(last / first)
    costs = [c for c in summary.scaling.md_cost if c.pattern == "sequential"]
    assert sorted(c.disks for c in costs) == [3, 9, 15]
    cost = max(costs, key=lambda c: c.disks)
    assert cost.disks == 15
    assert cost.raw_mib_per_s is not None
    assert cost.stripe_to_raw_ratio == pytest.approx(last / cost.raw_mib_per_s)
    assert (cost.stripe_requests_in_flight, cost.raw_requests_in_flight) == (8, 15)


def test_the_drill(builder: RunBuilder, tmp_path: Path) -> None:
    drill = summary_of(builder, tmp_path).drill
    assert drill is not None
    assert [p.cell for p in drill.phases] == ["drill-steady", "drill-kill-1", "drill-kill-2"]
    assert drill.phases[1].longest_stall_s == 5.3
    assert drill.phases[2].longest_stall_s == 6.1
    assert drill.longest_stall_s == 6.1
    assert (drill.hosts_killed, drill.read_errors, drill.checksum_matched) == (2, 0, True)
    assert (drill.fewest_working_legs, drill.legs_per_array, drill.arrays) == (1, 3, 5)
    assert drill.arrays_rebuilt == 5
    assert [r.array for r in drill.rebuilds] == ["md1", "md2", "md3", "md4", "md5"]
    assert all(r.seconds is not None and r.seconds > 0 for r in drill.rebuilds)
    assert sum(second.iops == 0 for second in drill.timeline) == 11


def test_a_drill_cut_short(builder: RunBuilder, tmp_path: Path) -> None:
    """Killed while the second server was away: what is not there is not known."""
    builder.streams["worker"].remove(final(builder, "drill-kill-1"))
    builder.streams["worker"] = [r for r in builder.streams["worker"] if r["cell"] != "drill-kill-2"]
    later = {"returned", "rebuild-started", "rebuilt", "verified", "reads-finished"}
    builder.streams["drill"] = [r for r in builder.streams["drill"] if r["event"] not in later]
    builder.streams["arrays"] = [r for r in builder.streams["arrays"] if r["when"] == "configured"]
    drill = summary_of(builder, tmp_path).drill
    assert drill is not None
    assert drill.phases[1].longest_stall_s == 5.3
    assert drill.phases[1].reason == "added up from its seconds: no final line"
    assert drill.phases[2].read_ops is None
    assert drill.phases[2].reason == "no reads recorded"
    assert [drill.read_errors, drill.read_ops, drill.longest_stall_s] == [None] * 3
    assert [drill.checksum_matched, drill.fewest_working_legs, drill.rebuild_seconds_max] == [None] * 3


def test_a_drill_begun_again_leaves_the_first_attempt_out(builder: RunBuilder, tmp_path: Path) -> None:
    first = builder.streams["drill"][:3]
    early = [{**r, "t_unix_s": r["t_unix_s"] - 1000} for r in first]
    early.append({"t_unix_s": early[-1]["t_unix_s"] + 1, "event": "killed", "host": "storage-1"})
    builder.streams["drill"] = early + builder.streams["drill"]
    failed = {**final(builder, "drill-steady"), "errors": {"EIO": 9}, "host": "gone"}
    failed["t_start_unix_s"] -= 1000
    failed["t_end_unix_s"] -= 1000
    builder.streams["worker"].insert(0, failed)
    drill = summary_of(builder, tmp_path).drill
    assert drill is not None
    assert drill.hosts_killed == 2
    assert drill.read_errors == 0


def test_no_drill(builder: RunBuilder, tmp_path: Path) -> None:
    builder.streams["drill"] = []
    builder.streams["worker"] = [r for r in builder.streams["worker"] if "drill" not in r["cell"]]
    assert summary_of(builder, tmp_path).drill is None


def test_counts_of_failed_reads_that_disagree_are_said(builder: RunBuilder, tmp_path: Path) -> None:
    next(r for r in builder.streams["drill"] if r["event"] == "reads-finished")["errors"] = 4
    summary = summary_of(builder, tmp_path)
    assert summary.drill is not None
    assert summary.drill.read_errors == 4
    assert "failed reads: the workers counted 0, raw/drill.ndjson has 4" in summary.problems


def test_a_checksum_that_did_not_match_once_did_not_match(builder: RunBuilder, tmp_path: Path) -> None:
    next(r for r in builder.streams["drill"] if r["event"] == "verified")["matched"] = False
    drill = summary_of(builder, tmp_path).drill
    assert drill is not None
    assert drill.checksum_matched is False


def _drop(field: str) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record.pop(field, None)

    return change


def _set(field: str, value: object) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record[field] = value

    return change


@pytest.mark.parametrize("stream", ["cells", "worker", "arrays", "drill", "host", "proofs"])
@pytest.mark.parametrize("kind", ["drop", "text", "null", "list", "negative"])
def test_any_field_wrong_or_missing_leaves_a_summary(tmp_path: Path, stream: str, kind: str) -> None:
    """Every field in turn, in some record: no traceback, and what was left out is said or just missing."""
    builder = RunBuilder(brief=True)
    values: dict[str, object] = {"text": "?", "null": None, "list": [1], "negative": -5}
    records = builder.streams[stream]
    fields = list(dict.fromkeys(field for record in records for field in record))
    for field in fields:
        having = [record for record in records if field in record]
        record = having[builder.random.randrange(len(having))]
        (_drop(field) if kind == "drop" else _set(field, values[kind]))(record)
    summary = summary_of(builder, tmp_path)
    assert dataclasses.asdict(summary)["schema"] == 1
    assert summary_json(summary)


@pytest.mark.parametrize("missing", [None, "cells", "worker", "arrays", "drill", "host", "proofs"])
def test_a_missing_stream_leaves_a_summary(tmp_path: Path, missing: str | None) -> None:
    builder = RunBuilder(brief=True)
    path = builder.write(tmp_path)
    for stream in [missing] if missing else list(builder.streams):
        (path / "raw" / f"{stream}.ndjson").unlink()
    summary = summarize(open_run(path))
    assert summary_json(summary)
    assert any("missing" in problem for problem in summary.problems)


def test_cells_of_the_worker_alone_are_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Two reports of one run are the same; a set's order is another in each process."""
    path = RunBuilder(brief=True).write(tmp_path)
    (path / "raw" / "cells.ndjson").unlink()
    lines = (path / "raw" / "worker.ndjson").read_text().splitlines()
    cells = [cell for cell in dict.fromkeys(json.loads(line)["cell"] for line in lines) if "drill" not in cell]
    left_out = [each for each in summarize(open_run(path)).problems if "is not in raw/cells.ndjson" in each]
    assert [each.split()[2] for each in left_out] == cells


def test_the_ceilings_are_those_of_the_types_and_a_rehearsal_has_none(tmp_path: Path) -> None:
    summary = summary_of(RunBuilder(rehearsal=False, seconds=2), tmp_path / "a")
    # c4.8xlarge: 10 Gbit/s of network, 4 Gbit/s of EBS.
    assert summary.ceilings.client_network_mib_per_s == pytest.approx(10e9 / 8 / (1 << 20))
    assert summary.ceilings.server_ebs_mib_per_s == pytest.approx(4e9 / 8 / (1 << 20))
    chart = scaling_plot(summary)
    assert chart is not None
    sequential, random = (
        [row["text"] for row in panel["layer"][0]["data"]["values"] if "text" in row] for panel in chart.panels
    )
    assert "EBS link of 1 server, 477" in sequential
    assert not [text for text in random if "EBS" in text or "network" in text]
    assert "a server's EBS link 477 MiB/s" in chart.caption
    rehearsed = summary_of(RunBuilder(seconds=2), tmp_path / "b")
    assert rehearsed.ceilings == Ceilings(None, None, None, None, None)
    chart = scaling_plot(rehearsed)
    assert chart is not None
    assert "A rehearsal without a service model has the links of no instance type" in chart.caption
