"""The reader of aws_offers/data.json: instance types, their CPU options and their line rates."""

from __future__ import annotations

import re

import pytest

import aws_offers
from aws_offers import INSTANCE_TYPES, LINE_RATES, CpuOptions, InstanceType, LineRates, price_usd


def test_every_type_is_offered_somewhere_and_every_price_is_of_a_region() -> None:
    assert set(INSTANCE_TYPES) == set(aws_offers.ZONES_OFFERING)
    for by_region in aws_offers.ZONES_OFFERING.values():
        assert by_region
        assert set(by_region) <= aws_offers.REGIONS
    assert set(aws_offers._USD) <= aws_offers.REGIONS


def test_dates_are_months() -> None:
    for month in (aws_offers.TYPES_AS_OF, aws_offers.PRICES_AS_OF, aws_offers.EFS_AS_OF):
        assert re.fullmatch(r"20\d\d-[01]\d", month)


def test_line_rates_are_of_types_that_hold_them() -> None:
    assert LINE_RATES["c4.8xlarge"] == LineRates(10e9 / 8, 4_000e6 / 8)
    assert LINE_RATES["m4.xlarge"] == LineRates(0.75e9 / 8, 750e6 / 8)
    assert LINE_RATES["c5.18xlarge"] == LineRates(25e9 / 8, 19_000e6 / 8)
    assert LINE_RATES["c5n.18xlarge"] == LineRates(100e9 / 8, 19_000e6 / 8)
    assert {"t3.micro", "m5.xlarge"}.isdisjoint(LINE_RATES), "AWS calls their rate 'Up to'"


def test_an_unknown_price_is_none() -> None:
    assert price_usd("us-east-1", "instance_hour", "m4.xlarge") == 0.2
    assert price_usd("us-east-1", "instance_hour", "x9.large") is None
    assert price_usd("moon", "instance_hour", "m4.xlarge") is None


class TestCpuOptions:
    def test_cores_of_their_own_first(self) -> None:
        assert INSTANCE_TYPES["c4.8xlarge"].cpu_options(4) == CpuOptions(4, 1)
        assert INSTANCE_TYPES["c4.8xlarge"].cpu_options(20) == CpuOptions(10, 2)
        assert INSTANCE_TYPES["m5.xlarge"].cpu_options(2) == CpuOptions(2, 1)

    def test_nothing_to_limit(self) -> None:
        assert INSTANCE_TYPES["m4.xlarge"].cpu_options(4) is None
        assert INSTANCE_TYPES["c4.8xlarge"].cpu_options(None) is None

    @pytest.mark.parametrize("name", sorted(INSTANCE_TYPES))
    def test_each_possible_limit_has_options_that_give_it(self, name: str) -> None:
        kind = INSTANCE_TYPES[name]
        for limit in kind.possible_cpu_limits():
            options = kind.cpu_options(limit)
            assert options is None or options.cores * options.threads_per_core == limit

    def test_impossible(self) -> None:
        with pytest.raises(ValueError, match="cannot be launched with 3 CPUs"):
            INSTANCE_TYPES["c4.8xlarge"].cpu_options(3)

    def test_type_without_options(self) -> None:
        kind = InstanceType("x.large", 2, 1, (), (), 4096, True)
        assert kind.possible_cpu_limits() == (2,)
