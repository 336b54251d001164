"""Estimates what a stack costs an hour, from the dated price table (aws_offers).

The estimate serves a limit that prevents an expensive mistake; AWS's bill may differ. It leaves out traffic: inside one
zone, by private addresses, traffic is free, and SSH's is small. It also leaves out what a run stores and moves in a
file system, which is not known before; the message gives the prices for that instead.

A price that the table lacks is unknown, never zero: an estimate with a part missing would pass any limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_offers import FREE_IOPS, HOURS_PER_MONTH, PRICES_AS_OF, PUBLIC_IPV4_USD_PER_HOUR, price_usd
from components.config import MAX_USD, CommonConfig
from components.file_system_validation import ELASTIC, FileSystemSpec
from components.host import ROOT_VOLUME
from components.settings import NONE, Settings
from components.volumes import VolumeSpec

# What an operation on data is billed as at least (EFS User Guide, CloudWatch metrics, TotalIOBytes).
_ELASTIC_LEAST_KIB = 32


@dataclass(frozen=True)
class Cost:
    """`usd_per_hour` is None if `unknown` names anything. `usage_prices` are prices of what is billed by usage."""

    region: str
    usd_per_hour: float | None
    unknown: tuple[str, ...]
    usage_prices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Dollars an hour, as a stack output."""
        return "unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.2f}"

    def message(self, lifetime_hours: int, *, rehearsal: bool) -> str:
        """Returns one line for the user."""
        if self.usd_per_hour is None:
            what = f"unknown: the price table of {PRICES_AS_OF} has no {', '.join(self.unknown)} in {self.region}"
        else:
            what = (
                f"${self.usd_per_hour:.2f} an hour in {self.region}, "
                f"${self.usd_per_hour * lifetime_hours:.2f} until its hosts end themselves after "
                f"{lifetime_hours} h (prices of {PRICES_AS_OF}, without traffic and tax)"
            )
        if self.usage_prices:
            what += f", plus {', '.join(self.usage_prices)}"
        return f"cost: none, this is a rehearsal; on AWS: {what}" if rehearsal else f"cost: {what}"


def estimate_cost(
    region: str,
    instances: Mapping[str, int],
    volumes: Sequence[tuple[int, VolumeSpec]] = (),
    file_system: FileSystemSpec | None = None,
    *,
    unassociated_elastic_ips: int = 0,
) -> Cost:
    """Estimates dollars an hour for instances (how many of each type, each with a root volume and a public IPv4
    address), further volumes (how many of each), a file system however it is used, and Elastic IPs that no instance has
    in place of its own address.
    """
    unknown: list[str] = []

    def price(kind: str, item: str, what: str) -> float:
        found = price_usd(region, kind, item)
        if found is None:
            unknown.append(what)
            return 0.0
        return found

    hosts = sum(instances.values())
    total = (hosts + unassociated_elastic_ips) * PUBLIC_IPV4_USD_PER_HOUR
    for name, count in instances.items():
        total += count * price("instance_hour", name, name)
    for count, volume in ((hosts, ROOT_VOLUME), *volumes):
        if not count:
            continue
        month = volume.size_gib * price("volume_gib_month", volume.type, f"{volume.type} volumes")
        billed_iops = (volume.iops or 0) - FREE_IOPS.get(volume.type, 0)
        if billed_iops > 0:
            month += billed_iops * price("volume_iops_month", volume.type, f"{volume.type} IOPS")
        total += count * month / HOURS_PER_MONTH
    usage_prices: list[str] = []
    if file_system is not None:
        # Billed is what exceeds the throughput that comes with the data stored, so this is an upper bound.
        if file_system.provisioned_mib_per_s is not None:
            month = price("efs_throughput", "provisioned_mib_per_s_month", "provisioned throughput")
            total += file_system.provisioned_mib_per_s * month / HOURS_PER_MONTH
        if file_system.throughput_mode == ELASTIC:
            read = price("efs_throughput", "elastic_gb_read", "elastic throughput")
            written = price("efs_throughput", "elastic_gb_written", "elastic throughput")
            usage_prices.append(
                f"${read:.2f} a GB read, ${written:.2f} a GB written ({_ELASTIC_LEAST_KIB} KiB an operation at least)"
            )
        stored = price("efs_gib_month", file_system.availability, "EFS storage")
        usage_prices.append(f"${stored:.2f} a GiB stored for a month")
    missing = tuple(dict.fromkeys(unknown))
    return Cost(region, None if missing else total, missing, () if missing else tuple(usage_prices))


def check_cost(settings: Settings, common: CommonConfig, cost: Cost) -> None:
    """Checks that the stack keeps to its limit of dollars an hour.

    With a limit, an unknown price is an error too: a limit that cannot be checked is not kept. To accept an unknown
    price, remove the limit.
    """
    limit = common.max_usd_per_hour
    if limit is None or not settings.is_valid(MAX_USD):
        return
    if cost.usd_per_hour is None:
        settings.add_error(
            MAX_USD,
            f"the limit of ${limit:.2f} cannot be checked: the price table of {PRICES_AS_OF} has no "
            f"{', '.join(cost.unknown)} in {cost.region}",
            f"look the price up, and set {MAX_USD} to {NONE} if you accept it",
        )
    elif cost.usd_per_hour > limit:
        settings.add_error(
            MAX_USD,
            f"this stack costs ${cost.usd_per_hour:.2f} an hour, above the limit of ${limit:.2f}",
            "raise the limit or ask for less",
        )
