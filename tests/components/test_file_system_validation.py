"""The file system settings: the table against botocore's, and every combination of settings against the rules."""

from __future__ import annotations

import boto3
import botocore.loaders
from hypothesis import given
from hypothesis import strategies as st

from aws_offers import EFS_ONE_ZONE_REGIONS, REGIONS
from components.file_system_validation import (
    AVAILABILITIES,
    PERFORMANCE_MODES,
    THROUGHPUT_MODES,
    FileSystemSpec,
    check_file_system,
    durability_message,
)
from components.settings import Settings

KEYS = ("throughputMode", "provisionedMibPerS", "performanceMode", "availability", "clientZones")


def test_every_region_of_the_table_has_efs() -> None:
    assert set(boto3.Session().get_available_regions("efs")) >= REGIONS


def test_one_zone_regions_are_regions() -> None:
    assert EFS_ONE_ZONE_REGIONS <= REGIONS


def test_modes_are_the_words_of_the_api() -> None:
    shapes = botocore.loaders.create_loader().load_service_model("efs", "service-2")["shapes"]
    assert set(THROUGHPUT_MODES) == set(shapes["ThroughputMode"]["enum"])
    assert set(PERFORMANCE_MODES) == set(shapes["PerformanceMode"]["enum"])


def faults(spec: FileSystemSpec, region: str) -> list[str]:
    """The settings at fault, once for each line."""
    settings = Settings({}, "s")
    check_file_system(settings, spec, region)
    assert all(len(error.splitlines()) == 1 for error in settings.errors)
    return [error.split(": ")[1].removeprefix("tidemark:") for error in settings.errors]


specs = st.builds(
    FileSystemSpec,
    throughput_mode=st.sampled_from(THROUGHPUT_MODES),
    provisioned_mib_per_s=st.none() | st.integers(1, 3414),
    performance_mode=st.sampled_from(PERFORMANCE_MODES),
    availability=st.sampled_from(AVAILABILITIES),
    client_zones=st.integers(1, 6),
)


@given(specs, st.sampled_from(sorted(REGIONS)))
def test_each_rule_decides_alone_about_its_setting(spec: FileSystemSpec, region: str) -> None:
    one_zone = spec.availability == "one-zone"
    expected = set()
    if (spec.throughput_mode == "provisioned") != (spec.provisioned_mib_per_s is not None):
        expected.add("provisionedMibPerS")
    if spec.performance_mode == "maxIO" and (one_zone or spec.throughput_mode == "elastic"):
        expected.add("performanceMode")
    if one_zone and region not in EFS_ONE_ZONE_REGIONS:
        expected.add("availability")
    if one_zone and spec.client_zones > 1:
        expected.add("clientZones")
    assert sorted(faults(spec, region)) == sorted(expected)  # each once


@given(specs, st.sampled_from(sorted(REGIONS)))
def test_a_setting_with_an_error_gets_no_second_one(spec: FileSystemSpec, region: str) -> None:
    settings = Settings({}, "s")
    for key in KEYS:
        settings.add_error(f"tidemark:{key}", "malformed", "mend it")
    before = list(settings.errors)
    check_file_system(settings, spec, region)
    assert settings.errors == before


@given(specs)
def test_the_message_names_what_may_be_lost(spec: FileSystemSpec) -> None:
    line = durability_message(spec, "eu-central-1", "eu-central-1b")
    assert ("eu-central-1b alone" in line) == (spec.availability == "one-zone")
    assert "until `pulumi destroy`" in line
    assert len(line.splitlines()) == 1
