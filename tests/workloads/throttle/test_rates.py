"""Rates as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.errors import WorkloadError
from workloads.throttle.settings import LEAST_BYTES_PER_S, MOST_BYTES_PER_S, UNITS, in_unit, parse_rate


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("2MiB/s", 2 * 1024 * 1024),
        ("2 MiB/s", 2 * 1024 * 1024),
        ("2   MiB/s", 2 * 1024 * 1024),
        (" 2 MiB/s ", 2 * 1024 * 1024),
        ("1.5MB/s", 1_500_000),
        ("500 kB/s", 500_000),
        ("500KB/s", 500_000),
        ("64KiB/s", 65536),
        ("1GiB/s", 2**30),
        ("1 GB/s", 10**9),
        ("4096 B/s", 4096),
        ("16 Mbit/s", 2_000_000),
        ("800kbit/s", 100_000),
        ("800 Kbit/s", 100_000),
        ("1Gbit/s", 125_000_000),
        ("9000 bit/s", 1125),
    ],
)
def test_a_rate_is_what_it_says(text: str, bytes_per_s: float) -> None:
    assert parse_rate(text).bytes_per_s == bytes_per_s


@pytest.mark.parametrize("text", ["2", "2000000", "1.5"])
def test_a_plain_number_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(WorkloadError, match=r"has no unit; a rate is a number and one of B/s, kB/s, .*Gbit/s"):
        parse_rate(text)


@pytest.mark.parametrize(
    "text",
    [
        *("2 Mb/s", "2 mbps", "2M", "2 MiB", "2 MIB/s", "2 mB/s", "2 MiB /s", "two MiB/s", "-2 MiB/s", "1e6 B/s"),
        *("", "MiB/s", "2..5 MB/s", ".5 MB/s", "1,5 MB/s", "٢ MiB/s", "nan MB/s", "inf MB/s", "2 MiB/s 3 MiB/s"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(WorkloadError, match="a rate is a number and one of") as refused:
        parse_rate(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["0 MiB/s", "1023 B/s", "1025 GiB/s", "999999999999999 GB/s"])
def test_a_rate_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(WorkloadError, match="from 1 KiB/s to 1024 GiB/s"):
        parse_rate(text)


def test_a_rate_is_explained_in_bytes() -> None:
    assert parse_rate("2MiB/s").explained == "held to 2 MiB/s, which is 2,097,152 bytes a second"
    assert parse_rate("2 KB/s").explained == "held to 2 kB/s, which is 2,000 bytes a second"


@given(
    st.integers(0, 10**6),
    st.integers(0, 999),
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["", " ", "  "]),
)
def test_units_differ_by_their_factors_alone(whole: int, thousandths: int, unit: str, blank: str) -> None:
    expected = Fraction(1000 * whole + thousandths, 1000) * UNITS[unit]
    text = f"{whole}.{thousandths:03}{blank}{unit}"
    if LEAST_BYTES_PER_S <= expected <= MOST_BYTES_PER_S:
        rate = parse_rate(text)
        assert rate.bytes_per_s == float(expected)
        assert parse_rate(rate.words) == rate
    else:
        with pytest.raises(WorkloadError):
            parse_rate(text)


def test_a_measured_rate_is_shown_in_the_unit_that_was_asked_for() -> None:
    assert in_unit(2 * 1024 * 1024, "MiB/s") == "2 MiB/s"
    assert in_unit(250_000, "Mbit/s") == "2 Mbit/s"
    assert in_unit(12_345 * 2**20, "MiB/s") == "12,345 MiB/s"
