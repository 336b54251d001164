"""Latency percentiles over time against report/histogram.py, which keeps whole histograms."""

from __future__ import annotations

import random

import msgspec
import pytest

from report.format import MISSING
from report.histogram import Histogram, merge
from report.intervals import Interval, Intervals
from report.latency_charts import latency_panel
from report.latency_seconds import LatencySeconds
from report.panels import number
from tests.report.histograms import histogram_of, latency_json


def add(seconds: LatencySeconds, host: str, start: float, end: float, buckets: object) -> None:
    one = Intervals.of([Interval(host, start, end, 0, 0, {}, None, None)])
    seconds.add(one, [msgspec.json.encode(buckets)])


def test_hosts_and_seconds_are_merged_and_not_averaged() -> None:
    generator = random.Random(9)
    seconds = LatencySeconds(lambda host, t: t - (2.0 if host == "b" else 0.0))
    all_of_it: list[Histogram] = []
    for second in range(6):
        for host in ("a", "b"):
            ops = generator.randrange(5, 400)
            histogram = histogram_of([round(generator.lognormvariate(14, 1)) for _ in range(ops)])
            start = 100 + second + (2.0 if host == "b" else 0.0)
            add(seconds, host, start, start + 1, latency_json(histogram)["buckets"])
            all_of_it.append(histogram)
    for step in (1, 3, 6):
        found = seconds.stretches(100, 106, step)
        assert [each.t_s for each in found] == [n * step + step / 2 for n in range(6 // step)]
        for number_, each in enumerate(found):
            merged = merge(all_of_it[2 * step * number_ : 2 * step * (number_ + 1)])
            for value, percent in ((each.p50_us, 50.0), (each.p99_us, 99.0), (each.p99_9_us, 99.9)):
                assert value == pytest.approx((merged.percentile_ns(percent) or 0) / 1000, rel=1 / 128)


def test_a_long_run_keeps_several_seconds_together_and_loses_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(4)
    fine = LatencySeconds()
    monkeypatch.setattr("report.latency_seconds._KEPT_MAX", 5000)
    coarse = LatencySeconds()
    for many in range(0, 1000, 100):
        intervals = Intervals.of([Interval("a", n, n + 1, 0, 0, {}, None, None) for n in range(many, many + 100)])
        drawn = [histogram_of([round(generator.lognormvariate(14, 0.05)) for _ in range(100)]) for _ in intervals]
        texts = [msgspec.json.encode(latency_json(each)["buckets"]) for each in drawn]
        fine.add(intervals, texts)
        coarse.add(intervals, texts)
    assert fine.grain_s == 1
    assert 4 <= coarse.grain_s <= 16
    step = 2 * coarse.grain_s
    assert coarse.stretches(0, 1000, step) == fine.stretches(0, 1000, step)


@pytest.mark.parametrize("buckets", [None, "many", [[1], ["1", 2], [-1, 3], [10**9, 1]]])
def test_damaged_pairs_are_left_out(buckets: object) -> None:
    seconds = LatencySeconds()
    add(seconds, "a", 0, 1, buckets)
    assert seconds.stretches(0, 2, 1) == []


def test_a_clock_that_jumped_by_years_costs_nothing() -> None:
    seconds = LatencySeconds()
    for start in (0, 1_800_000_000):
        add(seconds, "a", start, start + 1, latency_json(histogram_of([5_000_000]))["buckets"])
    times = [each.t_s for each in seconds.stretches(0, 1_800_000_100, 1)]
    assert times == [0.5, 1.5, 1_799_999_999.5, 1_800_000_000.5, 1_800_000_001.5]


def test_a_second_without_operations_is_a_gap_and_a_run_without_has_no_panel() -> None:
    seconds = LatencySeconds()
    add(seconds, "a", 1, 2, latency_json(histogram_of([5_000_000]))["buckets"])
    panel = latency_panel("latency", seconds.stretches(0, 3, 1), number("t"))
    assert panel is not None
    assert [row["ms"] for row in panel["layer"][0]["data"]["values"]] == [None, pytest.approx(5, rel=0.01), None]
    assert panel["layer"][0]["data"]["values"][0]["is"] == MISSING
    assert latency_panel("latency", LatencySeconds().stretches(0, 3, 1), number("t")) is None
