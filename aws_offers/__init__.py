"""What AWS offers: instance types, zones, volume types and prices, from data.json, for when AWS cannot be asked.

Each section of data.json has its date (`as_of`) and its source. `make offers` renews what AWS's API can tell
(aws_offers/renew.py). The account's own answer goes before the table wherever it can be had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA_FILE = Path(__file__).with_name("data.json")


@dataclass(frozen=True)
class CpuOptions:
    """Given at launch; cannot be changed afterwards."""

    cores: int
    threads_per_core: int


@dataclass(frozen=True)
class InstanceType:
    """What DescribeInstanceTypes says of a type. `valid_cores` and `valid_threads` are the CPU options at launch, empty
    when the type has none. The rates are baselines, in the API's units.
    """

    name: str
    cores: int
    threads_per_core: int
    valid_cores: tuple[int, ...]
    valid_threads: tuple[int, ...]
    memory_mib: int
    cluster_placement: bool
    architecture: str = "x86_64"
    nitro: bool = True
    network_performance: str | None = None
    network_gbit_per_s: float | None = None
    ebs_mbit_per_s: int | None = None

    @classmethod
    def from_api(cls, info: Mapping[str, Any], architecture: str = "x86_64") -> InstanceType:
        """Reads one entry of the API's answer. `architecture` is taken if it is among those that the type supports."""
        cpu = info["VCpuInfo"]
        architectures = info["ProcessorInfo"]["SupportedArchitectures"]
        network = info.get("NetworkInfo", {})
        cards = network.get("NetworkCards", [])
        baselines = [card["BaselineBandwidthInGbps"] for card in cards if "BaselineBandwidthInGbps" in card]
        return cls(
            name=info["InstanceType"],
            # Types without CPU options may leave these out.
            cores=cpu.get("DefaultCores", cpu["DefaultVCpus"]),
            threads_per_core=cpu.get("DefaultThreadsPerCore", 1),
            valid_cores=tuple(cpu.get("ValidCores", ())),
            valid_threads=tuple(cpu.get("ValidThreadsPerCore", ())),
            memory_mib=info["MemoryInfo"]["SizeInMiB"],
            cluster_placement="cluster" in info.get("PlacementGroupInfo", {}).get("SupportedStrategies", ()),
            architecture=architecture if architecture in architectures else architectures[0],
            nitro=info.get("Hypervisor") != "xen",
            network_performance=network.get("NetworkPerformance"),
            network_gbit_per_s=sum(baselines) if baselines else None,
            ebs_mbit_per_s=info.get("EbsInfo", {}).get("EbsOptimizedInfo", {}).get("BaselineBandwidthInMbps"),
        )

    @property
    def cpus(self) -> int:
        """vCPUs as launched without options."""
        return self.cores * self.threads_per_core

    def possible_cpu_limits(self) -> tuple[int, ...]:
        """Numbers of vCPUs that an instance can be launched with, ascending."""
        options = {cores * threads for cores in self.valid_cores for threads in self.valid_threads}
        return tuple(sorted(options | {self.cpus}))

    def cpu_options(self, limit: int | None) -> CpuOptions | None:
        """Returns the options that leave `limit` vCPUs; None if nothing is to be limited.

        One thread a core is preferred: the original's kernels were started with the first four CPUs, which are cores of
        their own, since hyper-threads are numbered after all cores. Raises ValueError for a limit that is not among
        possible_cpu_limits.
        """
        if limit is None or limit == self.cpus:
            return None
        for threads in sorted(self.valid_threads):
            if limit % threads == 0 and limit // threads in self.valid_cores:
                return CpuOptions(limit // threads, threads)
        raise ValueError(f"{self.name} cannot be launched with {limit} CPUs")


@dataclass(frozen=True)
class VolumeType:
    """Limits of one volume. `iops` is the range that can be asked for, None when the type takes no number."""

    name: str
    min_gib: int
    max_gib: int
    iops: tuple[int, int] | None = None
    iops_per_gib: int | None = None
    iops_required: bool = False


@dataclass(frozen=True)
class LineRates:
    """What the links of an instance type carry all the time."""

    network_bytes_per_s: float
    ebs_bytes_per_s: float


def _instance_type(name: str, fields: dict[str, Any]) -> InstanceType:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return InstanceType(name, **values)


def _volume_type(name: str, fields: dict[str, Any]) -> VolumeType:
    low_high = fields.pop("iops", None)
    return VolumeType(name, iops=None if low_high is None else (low_high[0], low_high[1]), **fields)


def _line_rates(types: Mapping[str, InstanceType]) -> dict[str, LineRates]:
    """Returns the rates of types that hold theirs: AWS calls others' "Up to" a rate, which they reach for a while."""
    return {
        name: LineRates(kind.network_gbit_per_s * 1e9 / 8, kind.ebs_mbit_per_s * 1e6 / 8)
        for name, kind in types.items()
        if kind.network_gbit_per_s is not None
        and kind.ebs_mbit_per_s is not None
        and not (kind.network_performance or "").startswith("Up to")
    }


_DATA: dict[str, Any] = json.loads(DATA_FILE.read_text(encoding="utf-8"))
_USD: Mapping[str, Mapping[str, Mapping[str, float]]] = _DATA["prices"]["usd"]

TYPES_AS_OF: str = _DATA["instance_types"]["as_of"][:7]
"""The month of instance types, zones and regions, for messages."""
PRICES_AS_OF: str = _DATA["prices"]["as_of"][:7]
"""The month of the prices, for messages and the inventory."""

ENABLED_BY_DEFAULT = frozenset(_DATA["regions"]["enabled_by_default"])
REGIONS = ENABLED_BY_DEFAULT | frozenset(_DATA["regions"]["opt_in"])
"""All regions. Those that are not ENABLED_BY_DEFAULT an account has only after it opted in."""

INSTANCE_TYPES = {name: _instance_type(name, fields) for name, fields in _DATA["instance_types"]["types"].items()}
ZONES_OFFERING: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    name: {region: tuple(region + letter for letter in letters) for region, letters in by_region.items()}
    for name, by_region in _DATA["zones"]["offering"].items()
}
"""Instance type -> region -> availability zones. A zone's letter is an account's own name for it, so these are a guess
at another account's.
"""
LINE_RATES = _line_rates(INSTANCE_TYPES)

VOLUME_TYPES = {name: _volume_type(name, dict(fields)) for name, fields in _DATA["volume_types"]["types"].items()}
MAX_IOPS_WITHOUT_NITRO: int = _DATA["volume_types"]["max_iops_without_nitro"]
"""IOPS that an io1 or io2 volume reaches on an instance that is not built on Nitro."""

EFS_AS_OF: str = _DATA["efs"]["as_of"][:7]
EFS_ONE_ZONE_REGIONS = frozenset(_DATA["efs"]["one_zone_regions"])
EFS_PROVISIONED_MIB_PER_S: tuple[int, int] = tuple(_DATA["efs"]["provisioned_mib_per_s"])
ZONE_IDS_WITHOUT_EFS = frozenset(_DATA["efs"]["zone_ids_without_efs"])
"""Zones where EFS has neither One Zone file systems nor mount targets."""

PUBLIC_IPV4_USD_PER_HOUR: float = _DATA["prices"]["public_ipv4_usd_per_hour"]
HOURS_PER_MONTH = 730
"""AWS bills storage by the month, and divides by 730 hours."""
FREE_IOPS: Mapping[str, int] = {"gp3": 3_000}
"""IOPS of a volume type that come with the volume. Those of gp2 are not billed by their number at all."""


def regions_offering(instance_type: str) -> tuple[str, ...]:
    """Regions of the table that offer the type, sorted; empty when the table lacks the type."""
    return tuple(sorted(ZONES_OFFERING.get(instance_type, {})))


def price_usd(region: str, kind: str, item: str) -> float | None:
    """Returns a price in US dollars, such as ("us-east-1", "instance_hour", "m4.xlarge"); None if not known: unknown
    is never zero.
    """
    return _USD.get(region, {}).get(kind, {}).get(item)
