"""s3-throttle's report: rates by the interface's counters, against known answers; what is missing stays missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.runs import open_run
from report.s3_throttle.cells import uncertainty
from report.s3_throttle.figures import accuracy_plot, progress_plot, rates_over_time, rates_plot
from report.s3_throttle.network import MARGIN_BYTES, Trace, rates
from report.s3_throttle.schema import Point
from report.s3_throttle.summarize import summarize
from workloads.s3_throttle.rates import payload_rate

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
    found = rates(trace(1_000_000, 4_000_000), 4_000_000)
    assert found is not None
    assert found.mean_bytes_per_s == pytest.approx(1_000_000, rel=0.01)
    assert found.wire_bytes_per_s == pytest.approx(1_050_000, rel=0.01)
    assert found.window_std_bytes_per_s == pytest.approx(0, abs=2_000)
    assert found.largest_100_ms_bytes == pytest.approx(100_000, rel=0.02)
    assert found.seconds == pytest.approx(4, abs=0.1)
    assert found.windows == 3


def test_bursts_are_told_from_a_steady_rate() -> None:
    """A tenth of a second at ten times the mean, in each second."""
    steps = [(n * 0.02, n) for n in range(1, 5 * 50)]
    sent = [round(1_000_000 * (int(t) + min(1.0, (t % 1) / 0.1))) for t, _ in steps]
    found = rates(Trace([t for t, _ in steps], [s - sent[0] for s in sent]), sent[-1] - sent[0])
    assert found is not None
    assert found.largest_100_ms_bytes == pytest.approx(1_000_000, rel=0.05)
    assert found.window_std_bytes_per_s is not None
    assert found.window_std_bytes_per_s < 200_000


def test_what_goes_at_once_at_the_beginning_is_no_part_of_the_rate() -> None:
    """Eight objects, one each second, are a rate of one a second, though seven seconds hold all of them."""
    times = [n * 0.02 for n in range(10 * 50)]
    sent = [0 if t < 1 else 100_000 * min(8, int(t)) for t in times]
    found = rates(Trace(times, sent), 800_000)
    assert found is not None
    assert found.mean_bytes_per_s == pytest.approx(100_000, rel=0.02)
    assert payload_rate(times, sent, 800_000) == pytest.approx(100_000, rel=0.02), "the tasks see it alike"


def test_a_mean_of_few_bursts_is_known_to_one_of_them() -> None:
    """Eight bursts in seven seconds, or the same amount evenly: the one is known to an eighth, the other exactly."""
    times = [n * 0.02 for n in range(10 * 50)]
    in_bursts = Trace(times, [0 if t < 1 else 100_000 * min(8, int(t)) for t in times])
    for found, known_to in ((in_bursts, 1 / 8), (trace(100_000, 800_000), 0.0)):
        seen = rates(found, 800_000)
        assert seen is not None
        assert uncertainty(seen) == pytest.approx(known_to, abs=0.02)


@pytest.mark.parametrize("sent", [[], [0], [0, 0, 0], [0, MARGIN_BYTES, 2 * MARGIN_BYTES]])
def test_next_to_nothing_has_no_rate(sent: list[int]) -> None:
    assert rates(Trace([float(n) for n in range(len(sent))], sent), 1_000) is None


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


def write_run(root: Path, cells: list[tuple[dict[str, Any], float | None]]) -> Path:
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
    for name, lines in (("cells", [record for record, _ in cells]), ("network", network), ("proofs", proofs)):
        (run / "raw" / f"{name}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


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
    ("factor", "again", "verdict"), [(1.0, 1e6, "holds"), (1.4, 1e6, "differs"), (1.0, 5e5, "not measured")]
)
def test_the_verdict_on_the_duty_cycle(tmp_path: Path, factor: float, again: float, verdict: str) -> None:
    report = build_report(whole_run(tmp_path, factor=factor, again=again))
    assert [(v.claim.id, v.verdict) for v in report.verdicts] == [("s3-throttle/duty-cycle", verdict)]
    page = report.page.read_text()
    assert "Bytes over time" in page
    assert "rehearsal" in page
    assert {table.name for table in report.tables} >= {"rates", "costs", "duty-cycle", "link"}


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
