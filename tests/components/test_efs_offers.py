"""What EFS offers: the table against botocore's, and every combination of settings against the rules."""

from __future__ import annotations

import boto3
import botocore.loaders
from hypothesis import given
from hypothesis import strategies as st

from aws_offers import EFS_ONE_ZONE_REGIONS, REGIONS
from components.efs_offers import (
    AVAILABILITIES,
    PERFORMANCE_MODES,
    THROUGHPUT_MODES,
    FileSystemDemand,
    FileSystemKeys,
    check_file_system,
    in_plain_words,
)
from components.settings import Settings

KEYS = FileSystemKeys("mode", "number", "performance", "availability", "zones")


def test_every_region_of_the_table_has_efs() -> None:
    assert set(boto3.Session().get_available_regions("efs")) >= REGIONS


def test_one_zone_regions_are_regions() -> None:
    assert EFS_ONE_ZONE_REGIONS <= REGIONS


def test_modes_are_the_words_of_the_api() -> None:
    shapes = botocore.loaders.create_loader().load_service_model("efs", "service-2")["shapes"]
    assert set(THROUGHPUT_MODES) == set(shapes["ThroughputMode"]["enum"])
    assert set(PERFORMANCE_MODES) == set(shapes["PerformanceMode"]["enum"])


def faults(demand: FileSystemDemand, region: str) -> list[str]:
    """The settings at fault, once for each line."""
    settings = Settings({}, "s")
    check_file_system(settings, KEYS, demand, region)
    assert all(len(problem.splitlines()) == 1 for problem in settings.problems)
    return [problem.split(": ")[1] for problem in settings.problems]


demands = st.builds(
    FileSystemDemand,
    throughput_mode=st.sampled_from(THROUGHPUT_MODES),
    provisioned_mib_per_s=st.none() | st.integers(1, 3414),
    performance_mode=st.sampled_from(PERFORMANCE_MODES),
    availability=st.sampled_from(AVAILABILITIES),
    client_zones=st.integers(1, 6),
)


@given(demands, st.sampled_from(sorted(REGIONS)))
def test_each_rule_alone_decides_of_its_setting(demand: FileSystemDemand, region: str) -> None:
    one_zone = demand.availability == "one-zone"
    expected = set()
    if (demand.throughput_mode == "provisioned") != (demand.provisioned_mib_per_s is not None):
        expected.add("number")
    if demand.performance_mode == "maxIO" and (one_zone or demand.throughput_mode == "elastic"):
        expected.add("performance")
    if one_zone and region not in EFS_ONE_ZONE_REGIONS:
        expected.add("availability")
    if one_zone and demand.client_zones > 1:
        expected.add("zones")
    assert sorted(faults(demand, region)) == sorted(expected)  # each once


@given(demands, st.sampled_from(sorted(REGIONS)))
def test_a_setting_that_is_at_fault_already_is_not_told_again(demand: FileSystemDemand, region: str) -> None:
    settings = Settings({}, "s")
    for key in ("mode", "number", "performance", "availability", "zones"):
        settings.refuse(key, "malformed", "mend it")
    before = list(settings.problems)
    check_file_system(settings, KEYS, demand, region)
    assert settings.problems == before


@given(demands)
def test_plain_words_name_what_may_be_lost(demand: FileSystemDemand) -> None:
    line = in_plain_words(demand, "eu-central-1", "eu-central-1b")
    assert ("eu-central-1b alone" in line) == (demand.availability == "one-zone")
    assert "until `pulumi destroy`" in line
    assert len(line.splitlines()) == 1
