"""The volume settings of a stack: which volumes EBS can create, and how fast they are."""

from __future__ import annotations

from dataclasses import dataclass

from aws_offers import MAX_IOPS_WITHOUT_NITRO, VOLUME_TYPES, InstanceType
from components.settings import Settings


@dataclass(frozen=True)
class VolumeKeys:
    """The settings that describe a volume."""

    type: str = "tidemark:volumeType"
    size_gib: str = "tidemark:volumeSizeGib"
    iops: str = "tidemark:volumeIops"


KEYS = VolumeKeys()


@dataclass(frozen=True)
class VolumeSpec:
    """A volume of EBS. `iops` are provisioned IOPS, None for a type that takes no number."""

    type: str
    size_gib: int
    iops: int | None = None

    @property
    def baseline_iops(self) -> int | None:
        """IOPS without bursting; None for types that are not measured in IOPS. gp2 has 3 a GiB, from 100 to 16,000."""
        if self.type == "gp2":
            return max(100, min(16_000, 3 * self.size_gib))
        if self.type == "gp3":
            return self.iops or 3_000
        return self.iops


def read_volume(settings: Settings, *, default_type: str | None, example: VolumeSpec) -> VolumeSpec:
    """Reads the settings of a volume. Without a default type, type and size must be given."""
    return VolumeSpec(
        type=settings.choice(KEYS.type, VOLUME_TYPES, example.type, default=default_type),
        size_gib=settings.integer(
            KEYS.size_gib,
            1,
            65_536,
            default=None if default_type is None else example.size_gib,
            example=example.size_gib,
        ),
        iops=settings.integer_or_none(KEYS.iops, 1, 256_000, default=None, example=3_000),
    )


def check_volume(settings: Settings, volume: VolumeSpec, *, min_gib: int, reason: str) -> None:
    """Checks that AWS offers this volume, and that it has at least `min_gib` GiB, which `reason` explains."""
    if not settings.is_valid(KEYS.type):
        return
    kind = VOLUME_TYPES[volume.type]
    if settings.is_valid(KEYS.size_gib):
        low = max(kind.min_gib, min_gib)
        since = f" since {reason}" if low > kind.min_gib else ""
        if not low <= volume.size_gib <= kind.max_gib:
            remedy = f"{kind.name} allows {low} to {kind.max_gib} GiB here{since}"
            settings.add_error(KEYS.size_gib, f"{volume.size_gib} GiB is not possible", remedy)
    if settings.is_valid(KEYS.iops):
        _check_iops(settings, volume)


def _check_iops(settings: Settings, volume: VolumeSpec) -> None:
    kind = VOLUME_TYPES[volume.type]
    low, high = kind.iops or (0, 0)
    if volume.iops is None:
        if kind.iops_required:
            settings.add_error(KEYS.iops, f"missing, and {kind.name} needs it", f"allowed are {low} to {high}")
        return
    if kind.iops is None:
        settings.add_error(KEYS.iops, f"{kind.name} takes no number of IOPS", "remove it, or choose gp3, io1 or io2")
        return
    most = max(low, (kind.iops_per_gib or high) * volume.size_gib)
    if not low <= volume.iops <= high:
        settings.add_error(KEYS.iops, f"{volume.iops} IOPS is out of range", f"{kind.name} allows {low} to {high}")
    elif kind.iops_per_gib and settings.is_valid(KEYS.size_gib) and volume.iops > most:
        remedy = f"{kind.name} allows {kind.iops_per_gib} a GiB, {most} for {volume.size_gib} GiB"
        settings.add_error(KEYS.iops, f"{volume.iops} IOPS is too many", remedy)


def check_iops_of_host(settings: Settings, volume: VolumeSpec, instance_type: InstanceType) -> None:
    """Checks that the instance type reaches the provisioned IOPS."""
    if volume.iops is None or instance_type.nitro or not settings.is_valid(KEYS.iops):
        return
    if volume.iops > MAX_IOPS_WITHOUT_NITRO:
        fault = f"{instance_type.name} reaches {MAX_IOPS_WITHOUT_NITRO} IOPS a volume at most"
        settings.add_error(KEYS.iops, fault, "choose fewer, or a type that is built on Nitro, such as c5n.9xlarge")
