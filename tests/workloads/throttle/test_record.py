"""Samples, windows and figures from counts at irregular times."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.throttle.record import ACTIVE_BYTES, Figures, Record, Sample


def record(counts: list[tuple[float, int | None, float]], start_s: float = 100.0) -> tuple[list[Sample], Figures]:
    """Counts are (seconds since the start, bytes, running seconds)."""
    samples: list[Sample] = []
    made = Record(start_s, samples.append)
    for seconds, total, running_s in counts:
        made.add(start_s + seconds, total, running_s)
    return samples, made.figures()


def each_tenth(bytes_of_sample: list[int]) -> list[tuple[float, int | None, float]]:
    total, counts = 0, []
    for number, more in enumerate(bytes_of_sample, 1):
        total += more
        counts.append((number / 10 + 1e-9, total, number / 10))
    return [(0.0, 0, 0.0), *counts]


steps = st.lists(st.tuples(st.floats(0.0001, 3), st.integers(0, 10**9), st.floats(0, 1)), min_size=1, max_size=40)


@given(steps, st.floats(0, 1e9))
def test_samples_add_up_to_what_was_counted(taken: list[tuple[float, int, float]], start_s: float) -> None:
    now_s = running_s = 0.0
    total = 0
    counts: list[tuple[float, int | None, float]] = []
    for elapsed_s, moved, ratio in taken:
        now_s, total, running_s = now_s + elapsed_s, total + moved, running_s + elapsed_s * ratio
        counts.append((now_s, total, running_s))
    samples, figures = record(counts, start_s)
    assert sum(sample.bytes or 0 for sample in samples) == total == figures.bytes
    assert all(sample.bytes is not None and sample.bytes >= 0 for sample in samples)
    assert all(0 <= sample.running_ratio <= 1 for sample in samples)
    assert [sample.start_s for sample in samples] == pytest.approx(
        [start_s + number / 10 for number in range(len(samples))]
    )
    assert len(samples) == pytest.approx(math.ceil(now_s * 10), abs=1)
    assert figures.largest_100_ms_bytes == max(sample.bytes or 0 for sample in samples)


def test_between_two_looks_bytes_are_spread_evenly() -> None:
    samples, _ = record([(0.05, 100, 0.05), (0.25, 300, 0.15)])
    assert [sample.bytes for sample in samples] == [150, 100, 50]
    assert [sample.running_ratio for sample in samples] == pytest.approx([0.75, 0.5, 0.5])


def test_windows_begin_with_the_first_bytes_and_end_with_the_last() -> None:
    """Whatever a program does before and after its transfer says nothing of the cap."""
    seconds = [[1000] * 10, [500] * 10, [0] * 10, [1500] * 10]
    active = [moved for second in seconds for moved in second]
    _, figures = record(each_tenth([0] * 25 + active + [0] * 31 + [1, 0]))  # that one byte is a FIN
    assert figures.windows == 4
    assert figures.active_s == pytest.approx(4)
    assert figures.mean_bytes_per_s == pytest.approx(30_001 / 4)
    assert figures.window_std_bytes_per_s == pytest.approx(statistics.pstdev([10_000, 5000, 0, 15_000]))
    assert figures.largest_100_ms_bytes == 1500
    assert figures.seconds == pytest.approx(9.8)


@given(st.lists(st.integers(0, 10**12), min_size=10, max_size=300))
def test_the_deviation_is_that_of_the_windows(moved: list[int]) -> None:
    moved = [ACTIVE_BYTES, *moved]
    windows = [moved[at : at + 10] for at in range(0, len(moved) - 9, 10)]
    while max(windows[-1]) < ACTIVE_BYTES:
        windows.pop()
    sums = [sum(window) for window in windows]
    _, figures = record(each_tenth(moved))
    assert figures.windows == len(windows)
    # A sample's time is rounded, and a little of what moved beside a window's edge falls on its other side.
    assert figures.window_std_bytes_per_s == pytest.approx(statistics.pstdev(sums), abs=1e-3 + 1e-6 * max(sums))


def test_less_than_a_second_has_a_mean_and_no_window() -> None:
    _, figures = record(each_tenth([1000] * 9))
    assert figures.bytes == 9000
    assert figures.windows == 0
    assert figures.mean_bytes_per_s == pytest.approx(10_000)
    assert figures.window_std_bytes_per_s is None


def test_the_active_time_is_as_exact_as_the_readings() -> None:
    """Twelve megabytes in ten milliseconds are no 120 MB/s, as whole samples of 100 ms would have it."""
    _, figures = record([(0.0, 0, 0.0), (0.45, 0, 0.45), (0.46, 12_000_000, 0.46), (1.0, 12_000_001, 0.46)])
    assert figures.active_s == pytest.approx(0.01)
    assert figures.mean_bytes_per_s == pytest.approx(1.2e9, rel=0.001)


def test_nothing_moved_is_zero_and_no_activity() -> None:
    _, figures = record(each_tenth([0] * 30))
    assert figures.bytes == 0
    assert figures.largest_100_ms_bytes == 0
    assert figures.active_s is None
    assert figures.mean_bytes_per_s is None


def test_nothing_measured_is_none_never_zero() -> None:
    samples, figures = record([(0.55, None, 0.25), (1.0, None, 0.5)])
    assert [sample.bytes for sample in samples[:5]] == [None] * 5
    assert figures.bytes is None
    assert figures.largest_100_ms_bytes is None
    assert figures.running_ratio == pytest.approx(0.5)


def test_no_time_at_all_has_no_ratio() -> None:
    _, figures = record([])
    assert figures.running_ratio is None
    assert figures.bytes == 0
