from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.histogram import (
    BUCKET_COUNT,
    EXACT_BELOW_NS,
    RELATIVE_ERROR_MAX,
    Histogram,
    HistogramError,
    bucket_bounds_ns,
    bucket_middle_ns,
    merge,
)
from tests.report.histograms import bucket_index, histogram_of, histogram_of_array, latency_json

latencies = st.integers(min_value=0, max_value=1 << 50) | st.integers(min_value=0, max_value=2_000)
many = st.lists(latencies, max_size=60)
percents = st.sampled_from([0.1, 25, 50, 90, 95, 99, 99.9, 100])


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_a_value_lies_in_its_bucket_and_near_its_middle(value: int) -> None:
    index = bucket_index(value)
    low, above = bucket_bounds_ns(index)
    assert low <= value < above
    assert abs(bucket_middle_ns(index) - value) <= value * RELATIVE_ERROR_MAX
    if value < EXACT_BELOW_NS:
        assert bucket_middle_ns(index) == index == value


def test_buckets_follow_each_other_without_gap_to_64_bits() -> None:
    bounds = [bucket_bounds_ns(index) for index in range(BUCKET_COUNT)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 1 << 64
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))


@given(st.integers(min_value=256, max_value=(1 << 63) - 1))
def test_the_index_is_the_contract_s(value: int) -> None:
    e = value.bit_length() - 1
    assert bucket_index(value) == 256 + (e - 8) * 128 + ((value >> (e - 7)) - 128)


@given(many, percents)
def test_a_percentile_is_the_nearest_rank_within_the_error(values: list[int], percent: float) -> None:
    found = histogram_of(values).percentile_ns(percent)
    if not values:
        assert found is None
        return
    rank = max(1, math.ceil(round(percent * 10) * len(values) / 1000))
    true = sorted(values)[rank - 1]
    assert found is not None
    assert abs(found - true) <= true * RELATIVE_ERROR_MAX
    assert min(values) <= found <= max(values)


@given(st.lists(st.integers(0, (1 << 53) - 1), max_size=60))
def test_many_at_once_are_the_same(values: list[int]) -> None:
    assert histogram_of_array(np.array(values, np.int64)) == histogram_of(values)


@given(many, many, many)
def test_merging_is_counting_together(a: list[int], b: list[int], c: list[int]) -> None:
    together = histogram_of(a + b + c)
    assert merge([histogram_of(a), histogram_of(b), histogram_of(c)]) == together
    assert merge([merge([histogram_of(c), histogram_of(a)]), histogram_of(b)]) == together


@given(many)
def test_json_brings_it_back(values: list[int]) -> None:
    histogram = histogram_of(values)
    assert Histogram.from_json(json.loads(json.dumps(latency_json(histogram)))) == histogram


def test_empty_has_no_figure() -> None:
    empty = Histogram.from_json({"count": 0, "sum": 0, "min": None, "max": None, "buckets": []})
    assert empty.percentile_ns(50) is None
    assert empty.percentile_ns(100) is None
    assert empty == merge([])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": 3}, "the buckets hold 2 operations, count is 3"),
        ({"count": -1}, "count must be a whole number"),
        ({"count": True}, "count must be a whole number"),
        ({"sum": "x"}, "sum must be a whole number"),
        ({"min": None}, "min must be a whole number"),
        ({"min": 90}, "min 90 is above max 20"),
        ({"buckets": [[10, 1], [BUCKET_COUNT, 1]]}, f"index {BUCKET_COUNT} is above"),
        ({"buckets": [[10]]}, "each must be [index, count]"),
        ({"buckets": None}, "buckets is not a list"),
    ],
)
def test_a_wrong_document_is_refused(change: dict[str, object], says: str) -> None:
    document = {**latency_json(histogram_of([10, 20])), **change}
    with pytest.raises(HistogramError) as refusal:
        Histogram.from_json(document)
    assert says in str(refusal.value)


def test_a_percentile_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0, at most 100"):
        histogram_of([1]).percentile_ns(0)
