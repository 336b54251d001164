"""The file system settings of a stack: which combinations EFS has, and where. EFS has no call that tells this."""

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

_THROUGHPUT_MODE = "tidemark:throughputMode"
_PROVISIONED = "tidemark:provisionedMibPerS"
_PERFORMANCE_MODE = "tidemark:performanceMode"
_AVAILABILITY = "tidemark:availability"
CLIENT_ZONES = "tidemark:clientZones"
COST_KEYS = (_THROUGHPUT_MODE, _PROVISIONED, _AVAILABILITY)
"""The settings that a file system's price depends on."""


@dataclass(frozen=True)
class FileSystemSpec:
    """A file system, in the words above. `provisioned_mib_per_s` is None if no number was given."""

    throughput_mode: str
    provisioned_mib_per_s: int | None
    performance_mode: str
    availability: str
    client_zones: int


def read_file_system(settings: Settings) -> FileSystemSpec:
    """Reads these settings, each by itself. The defaults are the published setup."""
    low, high = EFS_PROVISIONED_MIB_PER_S
    return FileSystemSpec(
        throughput_mode=settings.choice(_THROUGHPUT_MODE, THROUGHPUT_MODES, BURSTING),
        provisioned_mib_per_s=settings.integer_or_none(_PROVISIONED, low, high),
        performance_mode=settings.choice(_PERFORMANCE_MODE, PERFORMANCE_MODES, GENERAL_PURPOSE),
        availability=settings.choice(_AVAILABILITY, AVAILABILITIES, REGIONAL),
        # No region has more than six zones.
        client_zones=settings.integer(CLIENT_ZONES, 1, 6, 1),
    )


def check_file_system(settings: Settings, spec: FileSystemSpec, region: str) -> None:
    """Checks that EFS has such a file system, and has it in the region."""
    _check_provisioned(settings, spec)
    _check_max_io(settings, spec)
    if spec.availability == ONE_ZONE and settings.is_valid(_AVAILABILITY):
        _check_one_zone(settings, spec, region)


def _check_provisioned(settings: Settings, spec: FileSystemSpec) -> None:
    if not settings.is_valid(_THROUGHPUT_MODE, _PROVISIONED):
        return
    low, high = EFS_PROVISIONED_MIB_PER_S
    if spec.throughput_mode == PROVISIONED:
        if spec.provisioned_mib_per_s is None:
            fault = f"missing, and {PROVISIONED} throughput needs it"
            settings.add_error(_PROVISIONED, fault, f"allowed are {low} to {high} MiB/s")
    elif spec.provisioned_mib_per_s is not None:
        fault = f"{spec.throughput_mode} throughput takes no number of MiB/s"
        settings.add_error(_PROVISIONED, fault, f"remove it, or set {_THROUGHPUT_MODE} {PROVISIONED}")


def _check_max_io(settings: Settings, spec: FileSystemSpec) -> None:
    """Max I/O has limits of its own (CreateFileSystem, PerformanceMode; EFS User Guide, "Performance modes")."""
    if spec.performance_mode != MAX_IO or not settings.is_valid(_PERFORMANCE_MODE):
        return
    if spec.throughput_mode == ELASTIC and settings.is_valid(_THROUGHPUT_MODE):
        fault = f"{MAX_IO} does not go with {ELASTIC} throughput"
        settings.add_error(_PERFORMANCE_MODE, fault, f"choose {GENERAL_PURPOSE}, or another throughput mode")
    elif spec.availability == ONE_ZONE and settings.is_valid(_AVAILABILITY):
        fault = f"{MAX_IO} does not go with {ONE_ZONE}"
        settings.add_error(_PERFORMANCE_MODE, fault, f"choose {GENERAL_PURPOSE}, or set {_AVAILABILITY} {REGIONAL}")


def _check_one_zone(settings: Settings, spec: FileSystemSpec, region: str) -> None:
    if settings.is_valid(REGION) and region not in EFS_ONE_ZONE_REGIONS:
        settings.add_error(
            _AVAILABILITY,
            f"{ONE_ZONE} is not offered in {region} (table of {EFS_AS_OF})",
            f"choose {REGIONAL}, or one of {', '.join(sorted(EFS_ONE_ZONE_REGIONS))}",
        )
    if settings.is_valid(CLIENT_ZONES) and spec.client_zones != 1:
        settings.add_error(
            CLIENT_ZONES,
            f"{spec.client_zones} zones, and a {ONE_ZONE} file system has a mount target in one",
            f"choose 1, or set {_AVAILABILITY} {REGIONAL}",
        )


def durability_message(spec: FileSystemSpec, region: str, zone: str) -> str:
    """Returns one line for the user: where the data will be, and until when."""
    if spec.availability == ONE_ZONE:
        where = f"One Zone: its data is in {zone} alone, and lost if that zone is"
    else:
        where = f"Regional: its data is in several zones of {region}, and outlives the loss of one"
    return f"file system: {where}; it stays, and is billed, until `pulumi destroy`, also after its hosts have ended"
