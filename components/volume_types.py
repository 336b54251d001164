"""EBS volume types and their limits.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html and
https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html, as of 2025-06. Newer limits may be
wider: a size refused here is one that was not possible then.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VolumeType:
    """Limits of one volume. `iops` is the range that can be asked for, None when the type takes no number."""

    name: str
    min_gib: int
    max_gib: int
    iops: tuple[int, int] | None = None
    iops_per_gib: int | None = None
    iops_required: bool = False


VOLUME_TYPES = {
    volume_type.name: volume_type
    for volume_type in (
        VolumeType("gp2", 1, 16_384),
        VolumeType("gp3", 1, 16_384, (3_000, 16_000), iops_per_gib=500),
        VolumeType("io1", 4, 16_384, (100, 64_000), iops_per_gib=50, iops_required=True),
        VolumeType("io2", 4, 65_536, (100, 256_000), iops_per_gib=1_000, iops_required=True),
        VolumeType("st1", 125, 16_384),
        VolumeType("sc1", 125, 16_384),
    )
}

PIOPS_WITHOUT_NITRO = 32_000
"""IOPS that an io1 or io2 volume reaches on an instance that is not built on Nitro (CreateVolume, Iops)."""


def baseline_iops(volume_type: str, size_gib: int, asked: int | None) -> int | None:
    """What the volume is promised without burst: gp2 has 3 IOPS a GiB, between 100 and 16,000. None: not in
    IOPS.
    """
    if volume_type == "gp2":
        return max(100, min(16_000, 3 * size_gib))
    if volume_type == "gp3":
        return asked or 3_000
    return asked
