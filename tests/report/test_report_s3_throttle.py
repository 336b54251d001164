"""s3-throttle's report: rates by the interface's counters, against known answers; what is missing stays missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.runs import open_run
from report.s3_throttle.experiment import summarize
from report.s3_throttle.figures import accuracy_plot, progress_plot, rates_over_time, rates_plot
from report.s3_throttle.network import MARGIN_BYTES, Part, Trace, rates
from report.s3_throttle.schema import Point, Rates

OBJECT_BYTES = 100_000
HEADERS = 1.05  # what the wire has more than the objects


def trace(bytes_per_s: float, payload_bytes: int, step_s: float = 0.02) -> Trace:
    """A steady sync: a second of nothing, the payload with its headers, a second of nothing."""
    made = Trace()
    total, t = round(payload_bytes * HEADERS), 0.0
    while t < 2 + total / (bytes_per_s * HEADERS):
        made.t.append(t)
        made.sent.append(round(min(max(0.0, (t - 1) * bytes_per_s * HEADERS), total)))
        t += step_s
    return made


def test_a_steady_rate_is_found_without_its_headers() -> None:
    found = rates(trace(1_000_000, 4_000_000), 1 / HEADERS, target=1e6)
    assert found.mean_mb_per_s == pytest.approx(1, rel=0.01)
    assert found.wire_mbit_per_s == pytest.approx(8.4, rel=0.01)
    assert found.window_std_to_target_ratio == pytest.approx(0, abs=0.002)
    assert found.largest_100_ms_bytes == pytest.approx(100_000, rel=0.02)
    assert found.seconds == pytest.approx(4, abs=0.1)
    assert found.windows == 3


def test_bursts_are_told_from_a_steady_rate() -> None:
    """A tenth of a second at ten times the mean, in each second."""
    steps = [(n * 0.02, n) for n in range(1, 5 * 50)]
    sent = [round(1_000_000 * (int(t) + min(1.0, (t % 1) / 0.1))) for t, _ in steps]
    found = rates(Trace([t for t, _ in steps], [s - sent[0] for s in sent]), 1.0, target=1e6)
    assert found.largest_100_ms_bytes == pytest.approx(1_000_000, rel=0.05)
    assert found.window_std_to_target_ratio is not None
    assert found.window_std_to_target_ratio < 0.2


def test_what_goes_at_once_at_the_beginning_is_no_part_of_the_rate() -> None:
    """Eight objects, one each second, are a rate of one a second, though seven seconds hold all of them."""
    times = [n * 0.02 for n in range(10 * 50)]
    sent = [0 if t < 1 else 100_000 * min(8, int(t)) for t in times]
    found = rates(Trace(times, sent), 1.0)
    assert found.mean_mb_per_s == pytest.approx(0.1, rel=0.02)


def test_start_and_tail_are_told_from_the_steady_part() -> None:
    """Two seconds at three times the rate, ten at it, one at half of it."""
    times = [n * 0.02 for n in range(14 * 50)]
    sent = [round(3e6 * min(t, 2) + 1e6 * min(max(0.0, t - 2), 10) + 5e5 * min(max(0.0, t - 12), 1)) for t in times]
    found = rates(Trace(times, sent), 0.5, Part(2.0, 12.0, None))
    assert found.mean_mb_per_s == pytest.approx(0.5, rel=0.001)
    assert found.steady_s == 10
    assert found.mean_uncertainty_ratio is not None
    assert found.mean_uncertainty_ratio < 0.001
    assert (found.start_s, found.start_mb) == pytest.approx((2.0, 3.0), rel=0.02)
    assert (found.tail_s, found.tail_mb) == pytest.approx((1.0, 0.25), rel=0.05)
    assert found.largest_100_ms_bytes == pytest.approx(50_000, rel=0.02)
    assert found.windows == 10


def test_a_mean_of_few_bursts_is_known_to_one_of_them() -> None:
    """Eight bursts in seven seconds, or the same amount evenly: the one is known to an eighth, the other exactly."""
    times = [n * 0.02 for n in range(10 * 50)]
    in_bursts = Trace(times, [0 if t < 1 else 100_000 * min(8, int(t)) for t in times])
    for found, known_to in ((in_bursts, 1 / 8), (trace(100_000, 800_000), 0.0)):
        seen = rates(found, 800_000 / found.total)
        assert seen.mean_uncertainty_ratio == pytest.approx(known_to, abs=0.02)


def test_what_is_sent_again_is_no_progress_but_is_on_the_wire() -> None:
    """A twentieth of the segments, all the time."""
    times = [n * 0.02 for n in range(12 * 50)]
    sent = [round(2e6 * t) for t in times]
    made = Trace(times, sent, [round(2e6 * t / 20 / 1514) for t in times])
    found = rates(made.without_retransmissions(), 0.9, Part(1.0, 11.0, None), wire=made)
    assert found.mean_mb_per_s == pytest.approx(2 * 0.95 * 0.9, rel=0.001)
    assert found.wire_mbit_per_s == pytest.approx(16, rel=0.001)
    assert Trace(times, sent).without_retransmissions() == Trace(times, sent), "of a run before they were looked at"


@pytest.mark.parametrize("sent", [[], [0], [0, 0, 0], [0, MARGIN_BYTES, 2 * MARGIN_BYTES]])
def test_next_to_nothing_has_no_rate(sent: list[int]) -> None:
    assert rates(Trace([float(n) for n in range(len(sent))], sent), 1.0) == Rates()


def test_a_sync_of_no_bytes_of_objects_has_no_uncertainty() -> None:
    """Without objects all that the interface sent is something else's."""
    found = rates(trace(1_000_000, 4_000_000), 0.0)
    assert (found.mean_mb_per_s, found.mean_uncertainty_ratio) == (0, None)


def cell(name: str, method: str, objects: int, **more: Any) -> dict[str, Any]:
    known = {
        "cell": name,
        "method": method,
        "objects": objects,
        "object_bytes": OBJECT_BYTES,
        "complete": True,
        "reason": None,
        "exit_code": 0,
        "cpu_s": 2.0,
        "cli": {"attempts": objects + 1, "retries": 0, "failures": 0},
    }
    return {**known, **more}


def write_run(
    root: Path, cells: list[tuple[dict[str, Any], float | None]], stops: Sequence[dict[str, Any]] = ()
) -> Path:
    """A run of a rehearsal with these cells, each with the rate at which it moved (None: nothing was seen of it)."""
    run = root / "s3-throttle" / "s3-throttle.lab" / "2026-11-25T120000Z"
    (run / "raw").mkdir(parents=True)
    manifest = {
        "schema": 1,
        "experiment": "s3-throttle",
        "stack": "s3-throttle.lab",
        "region": "eu-central-1",
        "rehearsal": True,
        "started_at": "2026-11-25T12:00:00Z",
        "finished_at": "2026-11-25T12:02:00Z",
        "status": "complete",
        "inventory": {"bucket": {"name": "b", "endpoint": None, "uplink_mbit_per_s": 8.4}},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    network, proofs = [], []
    for record, rate in cells:
        if rate is not None:
            made = trace(rate, record["objects"] * OBJECT_BYTES)
            network += [
                {"cell": record["cell"], "t_unix_s": 1e9 + t, "nic_tx_bytes": 7_000 + sent, "nic_rx_bytes": 0}
                for t, sent in zip(made.t, made.sent, strict=True)
            ]
            proofs.append({"proof": "byte-identical", "from": record["cell"], "to": "b", "detail": "", "passed": True})
    streams = {"cells": [record for record, _ in cells], "network": network, "proofs": proofs, "stops": stops}
    for name, lines in streams.items():
        if name == "stops" and not lines:
            continue  # as in runs before they were recorded
        (run / "raw" / f"{name}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def measured(record: dict[str, Any], seconds: float, payload_ratio: float = 1 / HEADERS) -> dict[str, Any]:
    """As the tasks write a cell now: `trace` begins to send at second 1, and goes on for `seconds`."""
    ended_by = "itself" if record["cell"] == "free" else "known"
    return {
        **record,
        "exit_code": 0 if ended_by == "itself" else -15,
        "ended_by": ended_by,
        "steady_from_unix_s": 1e9 + 2,
        "steady_until_unix_s": 1e9 + 1 + seconds - (1 if ended_by == "itself" else 0),
        "known_to_ratio": 0.01,
        "payload_to_wire_ratio": payload_ratio,
        "send_buffer_bytes": record.get("send_buffer_bytes"),
    }


def stopped(cell_name: str, cycles: int, stop_s: float, run_s: float, acked: int) -> list[dict[str, Any]]:
    """Stops of which `acked` bytes were acknowledged each, twice as many in the buffers."""
    return [
        {
            "cell": cell_name,
            "t_unix_s": 1e9 + 2 + n * (stop_s + run_s),
            "stopped_s": stop_s,
            "unacked_bytes": 2 * acked,
            "notsent_bytes": acked,
            "acked_bytes": acked,
        }
        for n in range(cycles)
    ]


def duty(stop_s: float, run_s: float, target: float) -> dict[str, Any]:
    return cell(f"d-{stop_s}-{run_s}", "duty-cycle", 20, stop_s=stop_s, run_s=run_s, target_bytes_per_s=target)


PAIRS = [(0.4, 0.6), (0.6, 0.4), (0.2, 0.8), (0.5, 0.5), (0.3, 0.7)]


def whole_run(root: Path, *, factor: float, again: float = 1e6) -> Path:
    """Duty cycles move `factor` of what they promise; the last free sync moves `again`."""
    cells: list[tuple[dict[str, Any], float | None]] = [(cell("free", "free", 40), 1e6)]
    cells += [(duty(stop, run, 1e6 * run), 1e6 * run * factor) for stop, run in PAIRS]
    cells += [(cell("loop", "closed-loop", 20, target_bytes_per_s=500_000), 510_000.0)]
    return write_run(root, [*cells, (cell("free-again", "free", 40), again)])


def test_figures_of_a_whole_run(tmp_path: Path) -> None:
    summary = summarize(open_run(whole_run(tmp_path, factor=1.0)))
    assert summary.problems == []
    assert summary.free.mean_mb_per_s == pytest.approx(1, rel=0.01)
    assert summary.free.wire_to_link_ratio == pytest.approx(1, rel=0.01)
    assert summary.duty_cycle.pairs == 5
    assert summary.duty_cycle.mean_to_promised_ratio == pytest.approx(1, rel=0.02)
    assert summary.closed_loop.largest_error_ratio == pytest.approx(0.02, abs=0.005)
    assert summary.closed_loop.largest_error_cell == "loop"
    assert (summary.transfers.syncs, summary.transfers.failed, summary.transfers.retries) == (8, 0, 0)
    assert (summary.transfers.identical, summary.transfers.different) == (8, 0)


@pytest.mark.parametrize(
    ("factor", "again", "verdict"), [(1.0, 1e6, "holds"), (1.4, 1e6, "differs"), (1.0, 5e5, "not judged")]
)
def test_the_verdict_on_the_duty_cycle(tmp_path: Path, factor: float, again: float, verdict: str) -> None:
    report = build_report(whole_run(tmp_path, factor=factor, again=again))
    assert [(v.claim.id, v.verdict) for v in report.verdicts] == [("s3-throttle/duty-cycle", verdict)]
    page = report.page.read_text()
    assert "Bytes over time" in page
    assert "rehearsal" in page
    assert {table.name for table in report.tables} >= {"rates", "costs", "duty-cycle", "link"}


def steady_run(root: Path, *, small: float = 1.0, known: bool = True) -> Path:
    """As the tasks write one now: duty cycles move 1.5 of what they promise, but with small send buffers `small` of it.

    0.6 of what is promised is sent from the buffers while they stand, half of that with small ones.
    """
    cells: list[tuple[dict[str, Any], float | None]] = [(measured(cell("free", "free", 100), 10), 1e6)]
    stops: list[dict[str, Any]] = []
    for stop, run in PAIRS:
        rate = 1.5e6 * run
        record = measured(duty(stop, run, 1e6 * run) | {"objects": round(10 * rate / OBJECT_BYTES)}, 10)
        cells.append((record, rate))
        stops += stopped(record["cell"], 9, stop, run, round(0.6 * 1e6 * run))
    limited = duty(0.4, 0.6, 6e5) | {"cell": "d-small", "send_buffer_bytes": 16384}
    stops += stopped("d-small", 9, 0.4, 0.6, 180_000)
    cells.append((measured(limited | {"objects": round(60 * small)}, 10), 6e5 * small))
    cells.append((measured(cell("free-again", "free", 100), 10), 1e6))
    run_directory = write_run(root, cells, stops)
    if not known:
        path = run_directory / "raw" / "network.ndjson"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            # One of the cells drifts: it has moved nothing for half of the time.
            if line["cell"] == f"d-{PAIRS[0][0]}-{PAIRS[0][1]}" and line["t_unix_s"] > 1e9 + 6:
                line["nic_tx_bytes"] = 7_000 + round(1.5e6 * PAIRS[0][1] * HEADERS * 5)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return run_directory


def test_what_the_send_buffers_give_is_told_from_what_moves_while_it_runs(tmp_path: Path) -> None:
    summary = summarize(open_run(steady_run(tmp_path)))
    assert summary.problems == []
    cells = {each.cell: each for each in summary.cells}
    plain, small = cells["d-0.4-0.6"], cells["d-small"]
    assert plain.start_s == pytest.approx(1, abs=0.05)
    assert (plain.steady_s, plain.ended_by) == (9, "known")
    assert plain.mean_to_target_ratio == pytest.approx(1.5, rel=0.01)
    assert plain.unacked_at_stop_bytes == pytest.approx(720_000)
    assert plain.notsent_at_stop_bytes == pytest.approx(360_000)
    assert plain.bytes == pytest.approx(9e6, rel=0.02)
    assert small.send_buffer_bytes == 16384
    assert small.unacked_at_stop_bytes == pytest.approx(360_000)
    duty_cycle = summary.duty_cycle
    assert (duty_cycle.pairs, duty_cycle.small_buffer_pairs) == (5, 1)
    assert duty_cycle.mean_to_promised_ratio == pytest.approx(1.5, rel=0.01)
    assert duty_cycle.while_stopped_to_promised_ratio == pytest.approx(0.6, rel=0.01)
    assert duty_cycle.small_buffer_to_promised_ratio == pytest.approx(1.0, rel=0.01)
    assert duty_cycle.small_buffer_while_running_to_promised_ratio == pytest.approx(0.7, rel=0.01)
    assert summary.free.largest_uncertainty_ratio == pytest.approx(0, abs=0.01)


def test_small_send_buffers_do_not_make_the_verdict(tmp_path: Path) -> None:
    """It is of what anybody finds who stops a process: the system's own."""
    report = build_report(steady_run(tmp_path))
    assert [verdict.verdict for verdict in report.verdicts] == ["differs"]
    page = report.page.read_text()
    assert "16 KiB" in page
    assert "duty cycle with a small send buffer" in page


@pytest.mark.parametrize("t_unix_s", [2**62, 1e308, 1e9 + 1e6, 0, -1e308])
def test_a_clock_that_was_set_takes_no_other_samples_along(tmp_path: Path, t_unix_s: float) -> None:
    """A figure of each tenth of a second until then would take all memory."""
    run = steady_run(tmp_path)
    whole = summarize(open_run(run))
    path = run / "raw" / "network.ndjson"
    lines = path.read_text().splitlines(keepends=True)
    damaged = {**json.loads(lines[100]), "t_unix_s": t_unix_s}
    path.write_text("".join([*lines[:100], json.dumps(damaged) + "\n", *lines[101:]]))
    found = summarize(open_run(run))
    assert found.problems == ["raw/network.ndjson: a record of free left out: its clock or counter was set meanwhile"]
    assert found.cells[0].mean_mb_per_s == pytest.approx(whole.cells[0].mean_mb_per_s, rel=0.01)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steady_until_unix_s", 2**62), ("steady_from_unix_s", -1e308), ("payload_to_wire_ratio", 1e308)],
)
def test_a_part_that_no_sync_has_is_no_part(tmp_path: Path, field: str, value: float) -> None:
    run = steady_run(tmp_path)
    path = run / "raw" / "cells.ndjson"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1]["ended_by"] == "known"
    lines[1][field] = value
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    changed = summarize(open_run(run)).cells[1]
    assert changed.steady_s is None


def test_a_mean_that_is_not_known_makes_no_verdict(tmp_path: Path) -> None:
    report = build_report(steady_run(tmp_path, known=False))
    assert [verdict.verdict for verdict in report.verdicts] == ["not judged"]


def test_what_failed_has_no_rate_and_is_counted(tmp_path: Path) -> None:
    failed = cell("loop", "closed-loop", 20, complete=False, reason="the sync ended with 1", exit_code=1, cli=None)
    run = write_run(tmp_path, [(cell("free", "free", 40), 1e6), (failed, 5e5)])
    summary = summarize(open_run(run))
    loop = summary.cells[1]
    assert (loop.mean_mb_per_s, loop.retries, loop.progress) == (None, None, [])
    assert loop.reason == "the sync ended with 1"
    assert summary.closed_loop.rates == 0
    assert (summary.transfers.failed, summary.transfers.retries) == (1, None)
    assert build_report(run).summary == summary


def test_a_report_is_shown_on_a_terminal_without_its_characters(tmp_path: Path) -> None:
    run = write_run(tmp_path, [(cell("free", "free", 40), 1e6)])
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "report", str(run)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\xb1" in shown.stdout


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, [])
    assert build_report(run).page.exists()


def test_rates_over_time_are_what_was_sent_in_the_second_before() -> None:
    progress = [Point(n / 10, n / 10 * 2.0) for n in range(21)] + [Point(2.0 + n / 10, 4.0) for n in range(1, 11)]
    found = {round(t, 1): rate for t, rate in rates_over_time(progress)}
    assert min(found) == pytest.approx(0.9)
    assert found[2.0] == pytest.approx(2)
    assert found[2.5] == pytest.approx(1)
    assert found[3.0] == pytest.approx(0, abs=1e-9)


def test_the_figures_have_a_panel_for_each_way(tmp_path: Path) -> None:
    summary = summarize(open_run(whole_run(tmp_path, factor=1.0)))
    for plot in (rates_plot(summary), progress_plot(summary)):
        assert plot is not None
        assert [panel["title"].split(",")[0] for panel in plot.panels] == ["duty-cycle", "closed-loop"]
        # The free sync, and for each of the five pairs its target and itself.
        assert len(plot.panels[0]["layer"]) == 11
    accuracy = accuracy_plot(summary)
    assert accuracy is not None
    assert len(accuracy.panels[0]["layer"][-1]["data"]["values"]) == 6
