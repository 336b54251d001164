"""What a stack costs an hour, from the dated price table (aws_offers).

It is good enough for a limit that keeps one from an expensive mistake; the bill is AWS's word. Traffic is not in it:
inside one availability zone, by private addresses, it is free, and SSH's is small. Nor is what depends on how much a
run stores and moves in a file system: nobody knows that before, and the line for the person gives its price instead.

A price that the table lacks is unknown, never zero: an estimate with a part missing would pass any limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_offers import PRICES_AS_OF, PUBLIC_IPV4_USD_PER_HOUR, price_usd
from components.efs_offers import ELASTIC, FileSystemDemand

# AWS bills storage by the month, and divides by 730 hours.
_HOURS_PER_MONTH = 730

_FREE_IOPS = {"gp3": 3_000}

# What an operation on data is billed as at least (EFS User Guide, CloudWatch metrics, TotalIOBytes).
_ELASTIC_LEAST_KIB = 32


@dataclass(frozen=True)
class VolumeDemand:
    """Volumes of one kind. `iops` is what is asked for, None where the type takes no number."""

    count: int
    type: str
    size_gib: int
    iops: int | None = None


@dataclass(frozen=True)
class Cost:
    """`usd_per_hour` is None when `unknown` names anything. `besides` is what is billed by amounts that nobody
    knows before a run, each with its price.
    """

    region: str
    usd_per_hour: float | None
    unknown: tuple[str, ...]
    besides: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Dollars an hour as the stack puts them out."""
        return "unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.2f}"

    def line(self, lifetime_hours: int, *, rehearsal: bool) -> str:
        """One line for the person, before anything is created."""
        if self.usd_per_hour is None:
            what = f"unknown: the price table of {PRICES_AS_OF} has no {', '.join(self.unknown)} in {self.region}"
        else:
            what = (
                f"${self.usd_per_hour:.2f} an hour in {self.region}, "
                f"${self.usd_per_hour * lifetime_hours:.2f} until its hosts end themselves after "
                f"{lifetime_hours} h (prices of {PRICES_AS_OF}, without traffic and tax)"
            )
        if self.besides:
            what += f", plus {', '.join(self.besides)}"
        return f"cost: none, this is a rehearsal; on AWS: {what}" if rehearsal else f"cost: {what}"


def estimate(
    region: str,
    instances: Mapping[str, int],
    volumes: tuple[VolumeDemand, ...],
    file_system: FileSystemDemand | None = None,
    *,
    elastic_ips: int = 0,
) -> Cost:
    """Dollars an hour for instances (type -> how many, each with a public IPv4 address), volumes, Elastic IPs that no
    instance has in the place of its own address, and what a file system costs however it is used.
    """
    unknown: list[str] = []

    def price(kind: str, item: str, what: str) -> float:
        found = price_usd(region, kind, item)
        if found is None:
            unknown.append(what)
            return 0.0
        return found

    total = (sum(instances.values()) + elastic_ips) * PUBLIC_IPV4_USD_PER_HOUR
    for name, count in instances.items():
        total += count * price("instance_hour", name, name)
    for volume in volumes:
        month = volume.size_gib * price("volume_gib_month", volume.type, f"{volume.type} volumes")
        billed_iops = (volume.iops or 0) - _FREE_IOPS.get(volume.type, 0)
        if billed_iops > 0:
            month += billed_iops * price("volume_iops_month", volume.type, f"{volume.type} IOPS")
        total += volume.count * month / _HOURS_PER_MONTH
    besides: list[str] = []
    if file_system is not None:
        # Billed is what exceeds that which comes with the data stored, so this is an upper bound.
        if file_system.provisioned_mib_per_s is not None:
            month = price("efs_throughput", "provisioned_mib_per_s_month", "provisioned throughput")
            total += file_system.provisioned_mib_per_s * month / _HOURS_PER_MONTH
        if file_system.throughput_mode == ELASTIC:
            read = price("efs_throughput", "elastic_gb_read", "elastic throughput")
            written = price("efs_throughput", "elastic_gb_written", "elastic throughput")
            besides.append(
                f"${read:.2f} a GB read, ${written:.2f} a GB written ({_ELASTIC_LEAST_KIB} KiB an operation at least)"
            )
        stored = price("efs_gib_month", file_system.availability, "EFS storage")
        besides.append(f"${stored:.2f} a GiB stored for a month")
    missing = tuple(dict.fromkeys(unknown))
    return Cost(region, None if missing else total, missing, () if missing else tuple(besides))
