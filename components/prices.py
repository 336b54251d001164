"""What a stack costs an hour, from a dated table.

US dollars, without tax, on demand, Linux, shared tenancy, as AWS listed them in 2025-06 at
https://aws.amazon.com/ec2/pricing/on-demand/, https://aws.amazon.com/ebs/pricing/,
https://aws.amazon.com/ebs/previous-generation/, https://aws.amazon.com/efs/pricing/ and
https://aws.amazon.com/vpc/pricing/ (public IPv4 addresses). Written down from knowledge of those pages, not
copied by a program: c4.8xlarge in us-east-1 and eu-west-1 agree with price tables that others published; the
rest has not been compared a second time. It is good enough for a limit that keeps one from an expensive mistake;
the bill is AWS's word. Traffic is not in it: inside one availability zone, by private addresses, it is free, and
SSH's is small. Nor is what depends on how much a run stores and moves in a file system: nobody knows that
before, and the line for the person gives its price instead.

A price that the table lacks is unknown, never zero: an estimate with a part missing would pass any limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.efs_offers import ELASTIC, ONE_ZONE, REGIONAL, FileSystemDemand

AS_OF = "2025-06"

_REGIONS = ("us-east-1", "eu-west-1", "eu-central-1")

# AWS bills storage by the month, and divides by 730 hours.
_HOURS_PER_MONTH = 730

PUBLIC_IPV4_USD_PER_HOUR = 0.005


def _by_region(table: Mapping[str, tuple[float, float, float]]) -> dict[tuple[str, str], float]:
    return {(name, region): price for name, row in table.items() for region, price in zip(_REGIONS, row, strict=True)}


_INSTANCE_USD_PER_HOUR = _by_region(
    {
        "c4.4xlarge": (0.796, 0.905, 0.909),
        "c4.8xlarge": (1.591, 1.811, 1.817),
        "c5.9xlarge": (1.53, 1.728, 1.746),
        "c5n.9xlarge": (1.944, 2.196, 2.214),
        "m4.xlarge": (0.20, 0.222, 0.24),
        "m4.10xlarge": (2.00, 2.22, 2.40),
        "m4.16xlarge": (3.20, 3.552, 3.84),
        "m5.xlarge": (0.192, 0.214, 0.23),
        "t3.micro": (0.0104, 0.0114, 0.012),
    }
)

_VOLUME_USD_PER_GIB_MONTH = _by_region(
    {
        "gp2": (0.10, 0.11, 0.119),
        "gp3": (0.08, 0.088, 0.0952),
        "io1": (0.125, 0.138, 0.149),
        "io2": (0.125, 0.138, 0.149),
        "st1": (0.045, 0.05, 0.054),
        "sc1": (0.015, 0.0168, 0.018),
    }
)

_IOPS_USD_PER_MONTH = _by_region(
    {
        "gp3": (0.005, 0.0055, 0.006),
        "io1": (0.065, 0.072, 0.078),
        "io2": (0.065, 0.072, 0.078),  # of the first 32,000; the rest is cheaper, so this is an upper bound
    }
)

_FREE_IOPS = {"gp3": 3_000}

_PROVISIONED_USD_PER_MIB_PER_S_MONTH = _by_region({"EFS": (6.00, 6.60, 7.20)})
_ELASTIC_USD_PER_GB = _by_region({"read": (0.03, 0.03, 0.04), "written": (0.06, 0.07, 0.07)})
_STORED_USD_PER_GIB_MONTH = _by_region({REGIONAL: (0.30, 0.33, 0.36), ONE_ZONE: (0.16, 0.176, 0.192)})

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
            what = f"unknown: the price table of {AS_OF} has no {', '.join(self.unknown)} in {self.region}"
        else:
            what = (
                f"${self.usd_per_hour:.2f} an hour in {self.region}, "
                f"${self.usd_per_hour * lifetime_hours:.2f} until its hosts end themselves after "
                f"{lifetime_hours} h (prices of {AS_OF}, without traffic and tax)"
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

    def price(table: Mapping[tuple[str, str], float], name: str, what: str) -> float:
        found = table.get((name, region))
        if found is None:
            unknown.append(what)
            return 0.0
        return found

    total = (sum(instances.values()) + elastic_ips) * PUBLIC_IPV4_USD_PER_HOUR
    for name, count in instances.items():
        total += count * price(_INSTANCE_USD_PER_HOUR, name, name)
    for volume in volumes:
        month = volume.size_gib * price(_VOLUME_USD_PER_GIB_MONTH, volume.type, f"{volume.type} volumes")
        billed_iops = (volume.iops or 0) - _FREE_IOPS.get(volume.type, 0)
        if billed_iops > 0:
            month += billed_iops * price(_IOPS_USD_PER_MONTH, volume.type, f"{volume.type} IOPS")
        total += volume.count * month / _HOURS_PER_MONTH
    besides: list[str] = []
    if file_system is not None:
        # Billed is what exceeds that which comes with the data stored, so this is an upper bound.
        if file_system.provisioned_mib_per_s is not None:
            month = price(_PROVISIONED_USD_PER_MIB_PER_S_MONTH, "EFS", "provisioned throughput")
            total += file_system.provisioned_mib_per_s * month / _HOURS_PER_MONTH
        if file_system.throughput_mode == ELASTIC:
            read = price(_ELASTIC_USD_PER_GB, "read", "elastic throughput")
            written = price(_ELASTIC_USD_PER_GB, "written", "elastic throughput")
            besides.append(
                f"${read:.2f} a GB read, ${written:.2f} a GB written ({_ELASTIC_LEAST_KIB} KiB an operation at least)"
            )
        stored = price(_STORED_USD_PER_GIB_MONTH, file_system.availability, "EFS storage")
        besides.append(f"${stored:.2f} a GiB stored for a month")
    missing = tuple(dict.fromkeys(unknown))
    return Cost(region, None if missing else total, missing, () if missing else tuple(besides))
