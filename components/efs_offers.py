"""What EFS offers, where, and what goes with what. The account cannot be asked: EFS has no call for it.

Compiled 2026-11. EFS is in all regions of components/regions.py (botocore's endpoint list), with every mode of
throughput and of performance. One Zone is in the regions of
https://docs.aws.amazon.com/efs/latest/ug/OneZoneAZs.html, written down from knowledge of that page, not copied by
a program. The page names zones by id, and an account's names for them are its own: which is meant only the account
can tell (components/facts.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from components.aws_settings import REGION
from components.settings import Settings

COMPILED = "2026-11"

BURSTING, ELASTIC, PROVISIONED = "bursting", "elastic", "provisioned"
THROUGHPUT_MODES = (BURSTING, ELASTIC, PROVISIONED)
GENERAL_PURPOSE, MAX_IO = "generalPurpose", "maxIO"
PERFORMANCE_MODES = (GENERAL_PURPOSE, MAX_IO)
REGIONAL, ONE_ZONE = "regional", "one-zone"
AVAILABILITIES = (REGIONAL, ONE_ZONE)

PROVISIONED_MIB_PER_S = (1, 3414)
"""What can be provisioned (CreateFileSystem, ProvisionedThroughputInMibps); a region may allow less, and a
quota more.
"""

ONE_ZONE_REGIONS = frozenset(
    [
        "af-south-1",
        "ap-east-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-south-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "me-south-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ]
)

ZONES_WITHOUT_EFS = frozenset({"use1-az3"})
"""Ids of zones where EFS has neither One Zone file systems nor mount targets (OneZoneAZs.html lists the others of
us-east-1; CreateMountTarget answers UnsupportedAvailabilityZone).
"""


@dataclass(frozen=True)
class FileSystemKeys:
    """The settings that describe a file system and who mounts it."""

    throughput_mode: str
    provisioned_mib_per_s: str
    performance_mode: str
    availability: str
    client_zones: str


@dataclass(frozen=True)
class FileSystemDemand:
    """A file system that is asked for, in the words above. `provisioned_mib_per_s` is None when no number was
    given.
    """

    throughput_mode: str
    provisioned_mib_per_s: int | None
    performance_mode: str
    availability: str
    client_zones: int


def check_file_system(settings: Settings, keys: FileSystemKeys, demand: FileSystemDemand, region: str) -> None:
    """Whether EFS has such a file system, and has it in the region, which is known to exist. Each fault is noted
    as one line.
    """
    _check_provisioned(settings, keys, demand)
    _check_max_io(settings, keys, demand)
    if demand.availability == ONE_ZONE and settings.good(keys.availability):
        _check_one_zone(settings, keys, demand, region)


def _check_provisioned(settings: Settings, keys: FileSystemKeys, demand: FileSystemDemand) -> None:
    if not settings.good(keys.throughput_mode, keys.provisioned_mib_per_s):
        return
    low, high = PROVISIONED_MIB_PER_S
    if demand.throughput_mode == PROVISIONED:
        if demand.provisioned_mib_per_s is None:
            fault = f"missing, and {PROVISIONED} throughput needs it"
            settings.refuse(keys.provisioned_mib_per_s, fault, f"allowed are {low} to {high} MiB/s")
    elif demand.provisioned_mib_per_s is not None:
        fault = f"{demand.throughput_mode} throughput takes no number of MiB/s"
        settings.refuse(keys.provisioned_mib_per_s, fault, f"remove it, or set {keys.throughput_mode} {PROVISIONED}")


def _check_max_io(settings: Settings, keys: FileSystemKeys, demand: FileSystemDemand) -> None:
    """Max I/O: CreateFileSystem, PerformanceMode; EFS User Guide, "Performance modes"."""
    if demand.performance_mode != MAX_IO or not settings.good(keys.performance_mode):
        return
    if demand.throughput_mode == ELASTIC and settings.good(keys.throughput_mode):
        fault = f"{MAX_IO} does not go with {ELASTIC} throughput"
        settings.refuse(keys.performance_mode, fault, f"choose {GENERAL_PURPOSE}, or another throughput mode")
    elif demand.availability == ONE_ZONE and settings.good(keys.availability):
        fault = f"{MAX_IO} does not go with {ONE_ZONE}"
        settings.refuse(
            keys.performance_mode, fault, f"choose {GENERAL_PURPOSE}, or set {keys.availability} {REGIONAL}"
        )


def _check_one_zone(settings: Settings, keys: FileSystemKeys, demand: FileSystemDemand, region: str) -> None:
    if settings.good(REGION) and region not in ONE_ZONE_REGIONS:
        settings.refuse(
            keys.availability,
            f"{ONE_ZONE} is not offered in {region} (table of {COMPILED})",
            f"choose {REGIONAL}, or one of {', '.join(sorted(ONE_ZONE_REGIONS))}",
        )
    if settings.good(keys.client_zones) and demand.client_zones != 1:
        settings.refuse(
            keys.client_zones,
            f"{demand.client_zones} zones, and a {ONE_ZONE} file system has a mount target in one",
            f"choose 1, or set {keys.availability} {REGIONAL}",
        )


def in_plain_words(demand: FileSystemDemand, region: str, zone: str) -> str:
    """One line for the person, before anything is created: where the data will be, and until when."""
    if demand.availability == ONE_ZONE:
        where = f"One Zone: its data is in {zone} alone, and lost if that zone is"
    else:
        where = f"Regional: its data is in several zones of {region}, and outlives the loss of one"
    return f"file system: {where}; it stays, and is billed, until `pulumi destroy`, also after its hosts have ended"
