"""The arithmetic of efs-iops' report, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.efs_iops.clocks import HostTime
from report.efs_iops.cloudwatch import CloudWatch
from report.efs_iops.counters import GAP_SECONDS_MAX, Counters
from report.efs_iops.metering import read_metering, solve_minimum
from report.efs_iops.minutes import Requests, WorkerMinute
from report.efs_iops.schema import Counted, Minute, NicCounted
from report.efs_iops.service import read_io_limit
from report.efs_iops.timeline import stretch_rates
from report.efs_iops.window import counts_within, counts_within_each, jain_index, joint_window, variation_coefficient
from report.intervals import NONE, Interval, Intervals
from report.missing import total


def intervals(start: float, rates: Sequence[float], tail_s: float = 0.0, host: str = "a") -> Intervals:
    """Whole seconds of these rates, the last one longer by the tail."""
    lengths = [1.0] * (len(rates) - 1) + [1.0 + tail_s]
    return Intervals.of(
        Interval(host, start + n, start + n + length, round(rate * length), round(rate * length) * 10, {}, None, None)
        for n, (rate, length) in enumerate(zip(rates, lengths, strict=True))
    )


def nothing_first(hosts: Mapping[str, Intervals]) -> dict[str, float | None]:
    return dict.fromkeys(hosts)


def test_the_first_second_is_dropped_and_the_tail_cut() -> None:
    hosts = {"a": intervals(100.0, [10, 1000, 1000, 1000], tail_s=0.03)}
    window = joint_window(hosts, {"a": 100.004})
    assert window is not None
    assert window.bounds == (101.0, 104.0)
    assert len(window.whole_seconds) == 3
    assert counts_within(hosts["a"], *window.bounds).ops == pytest.approx(3000)
    assert window.joint_unix_s == (100.004, 104.03)


def test_a_partial_last_second_is_dropped() -> None:
    rates = [1000.0] * 4
    short = Interval("a", 104.0, 104.4, 5, 50, {}, None, None)
    window = joint_window({"a": Intervals.of([*intervals(100.0, rates), short])}, {"a": None})
    assert window is not None
    assert window.bounds == (101.0, 104.0)


def test_the_joint_window_is_the_time_in_which_all_were_at_work() -> None:
    hosts = {"a": intervals(100.0, [500] * 6), "b": intervals(101.3, [700] * 6)}
    window = joint_window(hosts, nothing_first(hosts))
    assert window is not None
    # From the later one's second second to the earlier one's end, on the grid of the later.
    assert window.bounds == pytest.approx((102.3, 105.3))
    assert counts_within(hosts["a"], *window.bounds).ops == pytest.approx(1500)
    assert counts_within(hosts["b"], *window.bounds).ops == pytest.approx(2100)


def test_too_short_a_joint_time_is_not_cut() -> None:
    hosts = {"a": intervals(100.0, [500, 500]), "b": intervals(100.2, [700, 700])}
    window = joint_window(hosts, nothing_first(hosts))
    assert window is not None
    assert window.bounds == pytest.approx((100.2, 102.0))
    assert window.whole_seconds == ()


def test_a_worker_that_hung_in_its_last_second_is_cut_before_it() -> None:
    window = joint_window({"a": intervals(100.0, [1000] * 5, tail_s=40)}, {"a": None})
    assert window is not None
    assert window.bounds == (101.0, 104.0)


@pytest.mark.parametrize(
    "hosts",
    [
        {},
        {"a": NONE},
        {"a": intervals(100.0, [5, 5]), "b": NONE},
        {"a": intervals(100.0, [5, 5]), "b": intervals(102.0, [5, 5])},
    ],
)
def test_without_a_joint_time_there_is_no_window(hosts: dict[str, Intervals]) -> None:
    assert joint_window(hosts, nothing_first(hosts)) is None


@given(
    st.lists(st.floats(0, 0.9), min_size=1, max_size=4),
    st.integers(3, 9),
    st.integers(100, 5000),
)
def test_a_steady_rate_is_found_whenever_the_hosts_began(late: list[float], seconds: int, rate: int) -> None:
    hosts = {f"h{n}": intervals(50 + delay, [rate] * seconds) for n, delay in enumerate(late)}
    window = joint_window(hosts, nothing_first(hosts))
    assert window is not None
    found = sum(counts_within(of_host, *window.bounds).ops for of_host in hosts.values()) / window.seconds
    assert found == pytest.approx(rate * len(late))
    assert window.start_unix_s >= max(50 + delay for delay in late)


edges = st.lists(st.floats(90, 120), min_size=2, max_size=8, unique=True).map(sorted)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8), edges, st.sampled_from([1, 3, 1000]))
def test_counts_of_a_parted_time_add_up(rates: list[int], cuts: list[float], pairs_at_once: int) -> None:
    worked = intervals(100.0, rates)
    bounds = [0.0, *cuts, 1000.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("report.efs_iops.window.PAIRS_AT_ONCE", pairs_at_once)
        parts = counts_within_each(worked, np.array(bounds[:-1]), np.array(bounds[1:]))
    alone = [
        sum(counts_within(Intervals.of([interval]), *each).ops for interval in worked) for each in pairwise(bounds)
    ]
    assert parts.ops.tolist() == pytest.approx(alone)
    assert parts.ops.sum() == pytest.approx(sum(i.ops for i in worked))
    assert parts.bytes.sum() == pytest.approx(sum(i.bytes for i in worked))
    assert parts.covered_s.sum() == pytest.approx(sum(i.seconds for i in worked))


def test_variation_is_of_the_totals_of_each_second() -> None:
    hosts = {
        "a": intervals(100.0, [10, 1000, 1200, 1000, 1200]),
        "b": intervals(100.0, [10, 1200, 1000, 1200, 1000], host="b"),
    }
    window = joint_window(hosts, nothing_first(hosts))
    assert window is not None
    assert variation_coefficient(hosts, window) == pytest.approx(0)
    alone = {"a": hosts["a"]}
    assert variation_coefficient(alone, window) == pytest.approx(math.sqrt(40000 / 3) / 1100)


rates = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=8)


@given(rates, st.floats(0.01, 100))
def test_jain_s_index_lies_between_one_of_n_and_one_in_any_unit(values: list[float], unit: float) -> None:
    index = jain_index(values)
    assert index is not None
    assert 1 / len(values) - 1e-9 <= index <= 1 + 1e-9
    assert jain_index([value * unit for value in values]) == pytest.approx(index)
    assert jain_index([7.0] * len(values)) == pytest.approx(1)


def test_jain_s_index_of_an_unequal_split() -> None:
    assert jain_index([3.0, 1.0]) == pytest.approx(0.8)
    assert jain_index([5.0, 0.0]) == pytest.approx(0.5)
    assert jain_index([0.0, 0.0]) is None


def counters(*rows: tuple[float, float | None]) -> Counters:
    return Counters([t for t, _ in rows], {"n": [value for _, value in rows]})


def between(counters: Counters, name: str, start: float, end: float) -> float | None:
    grown = float(counters.each_between(name, np.array([start, end], np.float64))[0])
    return None if math.isnan(grown) else grown


def test_counters_between_readings() -> None:
    read = counters((10, 100), (11, 200), (12, 260))
    assert between(read, "n", 10, 12) == 160
    assert between(read, "n", 10.5, 11.5) == pytest.approx(80)
    assert between(read, "n", 9.9, 11) is None
    assert between(read, "n", 11, 12.1) is None


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=12), st.data())
def test_growth_adds_up_over_any_cut(steps: list[int], data: st.DataObject) -> None:
    values = [float(sum(steps[: n + 1])) for n in range(len(steps))]
    read = Counters([float(n) for n in range(len(steps))], {"n": values})
    times = sorted(data.draw(st.lists(st.floats(0, len(steps) - 1), min_size=3, max_size=3)))
    parts = [between(read, "n", times[0], times[1]), between(read, "n", times[1], times[2])]
    whole = between(read, "n", times[0], times[2])
    assert whole is not None
    assert total(parts) == pytest.approx(whole)
    assert 0 <= whole <= values[-1] - values[0] + 1e-6


def test_nothing_is_told_across_a_counter_that_went_back_or_a_long_gap() -> None:
    again = counters((10, 100), (11, 200), (12, 5), (13, 50))
    assert between(again, "n", 10, 13) is None
    assert between(again, "n", 11.5, 12.5) is None
    assert between(again, "n", 12, 13) == 45
    assert again.inside("n", 10, 13) is None
    gap = counters((10, 100), (11 + GAP_SECONDS_MAX, 200), (12 + GAP_SECONDS_MAX, 300))
    assert between(gap, "n", 10, 12 + GAP_SECONDS_MAX) == 200  # readings themselves are known
    assert between(gap, "n", 12, 12 + GAP_SECONDS_MAX) is None


def test_the_growth_inside_a_window_is_between_its_own_readings() -> None:
    read = counters((9, 0), (10.5, 100), (11.5, 300), (12.5, 500), (13.5, 501))
    growth = read.inside("n", 10, 13)
    assert growth is not None
    assert (growth.amount, growth.start_unix_s, growth.end_unix_s) == (400, 10.5, 12.5)
    assert growth.per_s == 200
    assert read.inside("n", 10, 11) is None
    assert counters((1, None), (2, 5), (3, None)).inside("n", 1, 3) is None
    assert between(counters((1, None), (2, 5)), "n", 1, 2) is None


def test_a_sum_with_an_unknown_part_is_not_known() -> None:
    assert total([1, 2.5]) == 3.5
    assert total([1, None]) is None
    assert total([]) is None


@given(
    st.floats(-1000, 1000),
    st.floats(-1e-3, 1e-3),
    st.lists(st.floats(0, 3600), min_size=2, max_size=6, unique_by=lambda t: round(t)),
    st.floats(0, 1),
)
def test_a_drifting_clock_is_put_right_between_measurements(
    offset: float, drift: float, measured_at: list[float], where: float
) -> None:
    zero = 1_795_429_800.0
    clock = HostTime([(zero + t, offset + drift * t, 0.001) for t in measured_at])
    true = min(measured_at) + where * (max(measured_at) - min(measured_at))
    assert clock.on_runner(zero + true + offset + drift * true) == pytest.approx(zero + true, abs=1e-4)


def test_outside_of_all_measurements_the_offset_stays() -> None:
    clock = HostTime([(200.0, 3.0, None), (100.0, 1.0, 0.5)])
    assert clock.on_runner(51.0) == 50.0
    assert clock.on_runner(303.0) == 300.0
    assert clock.on_runner(152.0) == pytest.approx(150.0)
    assert HostTime().on_runner(7.5) == 7.5


sizes = st.dictionaries(st.integers(1, 20_000), st.integers(1, 100_000), min_size=1, max_size=6)


@given(sizes, st.integers(1, 40_000))
def test_the_minimum_is_found_from_the_sum_alone(counts: dict[int, int], minimum: int) -> None:
    metered = sum(n * max(size, minimum) for size, n in counts.items())
    found = solve_minimum({size: float(n) for size, n in counts.items()}, metered)
    # Below the smallest request a minimum changes nothing: no more can be told.
    assert found == pytest.approx(max(minimum, min(counts)))


def test_fewer_bytes_than_were_moved_have_no_minimum() -> None:
    assert solve_minimum({1000: 10.0}, 5000) is None


def minute(start: float, reads: float, writes: float) -> Minute:
    def counted(operations: float) -> Counted | None:
        known: dict[str, float | None] = dict.fromkeys(Counted.__dataclass_fields__)
        return Counted(**{**known, "worker_operations": operations * 60}) if operations else None

    return Minute(start, counted(reads), counted(writes), NicCounted(*[None] * 6), [])


def percents(*values: float) -> CloudWatch:
    return CloudWatch({"PercentIOLimit": {n * 60.0: {"Average": value} for n, value in enumerate(values)}})


def test_the_metric_beside_what_the_limits_make() -> None:
    found = read_io_limit(percents(50, 80), [minute(0, 0, 1500), minute(60, 1750, 900)], 3500, 3000)
    assert [row.from_limits_percent for row in found.minutes] == [pytest.approx(50), pytest.approx(80)]
    assert found.largest_difference_points == pytest.approx(0)
    assert found.percent_per_1000_reads_per_s == pytest.approx(100 / 3.5)
    assert found.percent_per_1000_writes_per_s == pytest.approx(100 / 3)


def test_without_a_limit_or_a_minute_the_metric_stands_alone() -> None:
    found = read_io_limit(percents(50, 40), [minute(0, 1000, 0), minute(60, 0, 1000)], None, 3000)
    assert [row.from_limits_percent for row in found.minutes] == [None, pytest.approx(100 / 3)]
    assert found.largest_difference_points == pytest.approx(40 - 100 / 3)
    nothing = read_io_limit(CloudWatch(), [minute(0, 1000, 0)], 3500, 3000)
    assert (nothing.minutes, nothing.largest_difference_points) == ([], None)
    assert nothing.percent_per_1000_reads_per_s is None


def test_one_mixture_of_reads_and_writes_does_not_tell_the_two_apart() -> None:
    found = read_io_limit(percents(50, 25), [minute(0, 1000, 500), minute(60, 500, 250)], 3500, 3000)
    assert (found.percent_per_1000_reads_per_s, found.percent_per_1000_writes_per_s) == (None, None)


def metered_minute(small: float, large: float, *, counted: float, least: int = 4096) -> CloudWatch:
    """A minute of one-byte writes and of 1 MiB writes, metered as 4096 bytes at least."""
    total = small * 4096 + large * (1 << 20)
    statistics = {"Sum": total, "SampleCount": counted, "Minimum": least, "Maximum": 1 << 20}
    return CloudWatch({"DataWriteIOBytes": {0.0: statistics}})


def mixed(small: float, large: float) -> dict[float, WorkerMinute]:
    found = WorkerMinute()
    found.requests["write"] = {
        1: Requests(small, small, True),
        1 << 20: Requests(large, large * (1 << 20), True),
    }
    return {0.0: found}


def test_large_requests_whose_number_is_certain_are_in_nobodys_way() -> None:
    metering = read_metering(metered_minute(1000, 500, counted=1500), mixed(1000, 500))
    assert metering.minimum_bytes == 4096


@pytest.mark.parametrize(("large", "counted"), [(500.5, 1500.5), (500, 1501)])
def test_one_large_request_that_may_be_on_the_other_side_of_the_minute_is(large: float, counted: float) -> None:
    metering = read_metering(metered_minute(1000, large, counted=counted), mixed(1000, large))
    assert metering.minimum_bytes is None
    (row,) = metering.minutes
    assert row.reason == "an operation more or less of the largest requests would change it too much"


def test_a_stretch_of_several_seconds_says_how_far_they_lay_apart() -> None:
    rates = [100.0, 300.0, 200.0, 50.0]
    worked = Intervals.of([*intervals(10.0, rates), Interval("a", 14.0, 14.4, 500, 0, {}, None, None)])
    found = stretch_rates(worked, np.array([9.0, 12.0, 15.0, 18.0]), 3)
    assert found.mean.tolist()[:2] == pytest.approx([400 / 3, 750 / 3])
    # The second in which it had not begun and that in which it ended are no rates.
    assert found.least.tolist()[:2] == [100.0, 50.0]
    assert found.greatest.tolist()[:2] == [300.0, 200.0]
    assert all(math.isnan(each[2]) for each in (found.mean, found.least, found.greatest))
