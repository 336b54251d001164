"""What EFS offers, where, and what goes with what. The account cannot be asked: EFS has no call for it."""

from __future__ import annotations

from dataclasses import dataclass

from aws_offers import EFS_AS_OF, EFS_ONE_ZONE_REGIONS, EFS_PROVISIONED_MIB_PER_S
from components.aws_settings import REGION
from components.settings import Settings

BURSTING, ELASTIC, PROVISIONED = "bursting", "elastic", "provisioned"
THROUGHPUT_MODES = (BURSTING, ELASTIC, PROVISIONED)
GENERAL_PURPOSE, MAX_IO = "generalPurpose", "maxIO"
PERFORMANCE_MODES = (GENERAL_PURPOSE, MAX_IO)
REGIONAL, ONE_ZONE = "regional", "one-zone"
AVAILABILITIES = (REGIONAL, ONE_ZONE)


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
    low, high = EFS_PROVISIONED_MIB_PER_S
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
    if settings.good(REGION) and region not in EFS_ONE_ZONE_REGIONS:
        settings.refuse(
            keys.availability,
            f"{ONE_ZONE} is not offered in {region} (table of {EFS_AS_OF})",
            f"choose {REGIONAL}, or one of {', '.join(sorted(EFS_ONE_ZONE_REGIONS))}",
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
