"""The volume settings of a stack: which volumes EBS can create, and how fast they are."""

from __future__ import annotations

from dataclasses import dataclass

from aws_offers import MAX_IOPS_WITHOUT_NITRO, VOLUME_TYPES, InstanceType
from components.settings import Settings

TYPE = "tidemark:volumeType"
SIZE_GIB = "tidemark:volumeSizeGib"
IOPS = "tidemark:volumeIops"


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


def read_volume(settings: Settings, default: VolumeSpec, *, required: bool = False) -> VolumeSpec:
    """Reads the settings of a volume. With `required`, type and size must be given, and the default is an example."""
    return VolumeSpec(
        type=settings.choice(TYPE, VOLUME_TYPES, default.type, required=required),
        size_gib=settings.integer(SIZE_GIB, 1, 65_536, default.size_gib, required=required),
        iops=settings.integer_or_none(IOPS, 1, 256_000),
    )


def check_volume(settings: Settings, volume: VolumeSpec, *, min_gib: int, reason: str) -> None:
    """Checks that AWS offers this volume, and that it has at least `min_gib` GiB, which `reason` explains."""
    if not settings.is_valid(TYPE):
        return
    kind = VOLUME_TYPES[volume.type]
    if settings.is_valid(SIZE_GIB):
        low = max(kind.min_gib, min_gib)
        since = f" since {reason}" if low > kind.min_gib else ""
        if not low <= volume.size_gib <= kind.max_gib:
            remedy = f"{kind.name} allows {low} to {kind.max_gib} GiB here{since}"
            settings.add_error(SIZE_GIB, f"{volume.size_gib} GiB is not possible", remedy)
    if settings.is_valid(IOPS):
        _check_iops(settings, volume)


def _check_iops(settings: Settings, volume: VolumeSpec) -> None:
    kind = VOLUME_TYPES[volume.type]
    low, high = kind.iops or (0, 0)
    if volume.iops is None:
        if kind.iops_required:
            settings.add_error(IOPS, f"missing, and {kind.name} needs it", f"allowed are {low} to {high}")
        return
    if kind.iops is None:
        settings.add_error(IOPS, f"{kind.name} takes no number of IOPS", "remove it, or choose gp3, io1 or io2")
        return
    most = max(low, (kind.iops_per_gib or high) * volume.size_gib)
    if not low <= volume.iops <= high:
        settings.add_error(IOPS, f"{volume.iops} IOPS is out of range", f"{kind.name} allows {low} to {high}")
    elif kind.iops_per_gib and settings.is_valid(SIZE_GIB) and volume.iops > most:
        remedy = f"{kind.name} allows {kind.iops_per_gib} a GiB, {most} for {volume.size_gib} GiB"
        settings.add_error(IOPS, f"{volume.iops} IOPS is too many", remedy)


def check_iops_of_host(settings: Settings, volume: VolumeSpec, instance_type: InstanceType) -> None:
    """Checks that the instance type reaches the provisioned IOPS."""
    if volume.iops is None or instance_type.nitro or not settings.is_valid(IOPS):
        return
    if volume.iops > MAX_IOPS_WITHOUT_NITRO:
        fault = f"{instance_type.name} reaches {MAX_IOPS_WITHOUT_NITRO} IOPS a volume at most"
        settings.add_error(IOPS, fault, "choose fewer, or a type that is built on Nitro, such as c5n.9xlarge")
