"""Rules that join settings with what a region has. Each fault is noted in the settings as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aws_offers import (
    INSTANCE_TYPES,
    MAX_IOPS_WITHOUT_NITRO,
    PRICES_AS_OF,
    REGIONS,
    TYPES_AS_OF,
    VOLUME_TYPES,
    InstanceType,
    regions_offering,
)
from components.aws_settings import ENDPOINTS, REGION
from components.config import MAX_USD, ZONE, CommonConfig
from components.facts import FactsError, RegionFacts, look_up
from components.image import ARCHITECTURE
from components.prices import Cost
from components.settings import NONE, Settings


@dataclass(frozen=True)
class Demand:
    """What an experiment wants of a region: instance types by the setting that names them."""

    types: Mapping[str, str]


def check_region(settings: Settings, common: CommonConfig, demand: Demand) -> RegionFacts | None:
    """Region and instance types; gives the facts, or None when there are none to check the rest with."""
    if not settings.good(REGION, ENDPOINTS, "aws:accessKey", "aws:secretKey"):
        return None
    region = common.aws.region
    try:
        facts = look_up(common.aws, demand.types.values())
    except FactsError as error:
        settings.refuse(ENDPOINTS if common.aws.rehearsal else REGION, error.fault, error.remedy)
        return None
    if not facts.exists:
        near = difflib.get_close_matches(region, REGIONS, n=1)
        remedy = f"did you mean {near[0]}?" if near else "see `aws ec2 describe-regions --all-regions`"
        settings.refuse(REGION, f"there is no region {region} ({facts.source})", remedy)
        return None
    if facts.enabled is False:
        remedy = f"enable it: aws account enable-region --region-name {region}"
        settings.refuse(REGION, f"{region} is not enabled in this account", remedy)
        return None
    told: set[str] = set()
    for key, name in demand.types.items():
        if settings.good(key) and name not in told:
            told.add(name)
            _check_offer(settings, facts, key, name)
    return facts


def _check_offer(settings: Settings, facts: RegionFacts, key: str, name: str) -> None:
    if name not in facts.zones:
        known = ", ".join(sorted(INSTANCE_TYPES))
        settings.refuse(key, f"{name} is not in the {facts.source}", f"give AWS credentials, or choose one of {known}")
        return
    if facts.zones[name]:
        return
    elsewhere = regions_offering(name)
    if elsewhere:
        remedy = f"regions that have it (table of {TYPES_AS_OF}): {', '.join(elsewhere)}"
    else:
        near = difflib.get_close_matches(name, INSTANCE_TYPES, n=1, cutoff=0.8)
        remedy = f"did you mean {near[0]}?" if near else "see `aws ec2 describe-instance-type-offerings`"
    settings.refuse(key, f"{name} is not offered in {facts.region} ({facts.source})", remedy)


def choose_zone(settings: Settings, common: CommonConfig, facts: RegionFacts, demand: Demand) -> str:
    """The zone for a cluster placement group, whose members share one: the one that was asked for, or the
    first that offers every type. Local Zones only by name: they cost more, and offer less.
    """
    keys = tuple(demand.types)
    if not settings.good(*keys, ZONE):
        return common.zone or ""
    offers = {name: set(facts.zones[name]) for name in demand.types.values()}
    shared = sorted(set.intersection(*offers.values()))
    types = " and ".join(offers)
    if common.zone is not None:
        _check_named_zone(settings, facts, common.zone, shared, types)
        return common.zone
    ordinary = _in_the_region(facts, shared)
    if not ordinary:
        where = ", ".join(f"{name} in {' '.join(sorted(zones))}" for name, zones in offers.items())
        settings.refuse(
            keys[-1],
            f"no zone of {facts.region} offers {types}, and one placement group is in one zone",
            where,
        )
        return ""
    return ordinary[0]


def _in_the_region(facts: RegionFacts, zones: Iterable[str]) -> list[str]:
    """Without Local Zones, such as us-east-1-bos-1a, in order."""
    return sorted(zone for zone in zones if len(zone) == len(facts.region) + 1)


def _check_named_zone(settings: Settings, facts: RegionFacts, zone: str, shared: list[str], types: str) -> None:
    if zone not in shared:
        remedy = f"choose one of {', '.join(shared)}" if shared else "choose another type"
        settings.refuse(ZONE, f"{zone} does not offer {types} ({facts.source})", remedy)


def choose_zones(
    settings: Settings,
    common: CommonConfig,
    facts: RegionFacts,
    demand: Demand,
    count: tuple[str, int],
    *,
    besides: str | None = None,
) -> tuple[str, ...]:
    """Zones that offer every type, as many as asked for: first the one that was asked for by name, if any.

    `count` is the setting's key and its value; `besides` is what the zones must offer too, for messages: a region's
    own zones do.
    """
    key, wanted = count
    if not settings.good(*demand.types, key, ZONE):
        return ()
    offers = [set(facts.zones[name]) for name in demand.types.values()]
    # A Local Zone offers types too, but no file systems of AWS, nor the region's own addresses.
    shared = _in_the_region(facts, set.intersection(*offers))
    types = " and ".join(dict.fromkeys(demand.types.values()))
    if common.zone is not None:
        offered = types if besides is None else f"{besides} and {types}"
        _check_named_zone(settings, facts, common.zone, shared, offered)
    if len(shared) < wanted:
        settings.refuse(
            key,
            f"{wanted} asked for, and {len(shared)} zones of {facts.region} offer {types} ({facts.source})",
            f"choose {len(shared)} at most: {', '.join(shared)}" if shared else "choose another type",
        )
    first = [] if common.zone is None else [common.zone]
    return tuple([*first, *(zone for zone in shared if zone not in first)][:wanted])


def check_instance_type(
    settings: Settings, facts: RegionFacts, key: str, name: str, *, in_cluster: bool
) -> InstanceType | None:
    """The type, if hosts of it run the image, and can be in a cluster placement group when they are to be."""
    instance_type = facts.types.get(name)
    if instance_type is None or not settings.good(key):
        return None
    if instance_type.architecture != ARCHITECTURE:
        fault = f"{name} is {instance_type.architecture} and the image is {ARCHITECTURE}"
        settings.refuse(key, fault, "choose a type with an Intel or AMD processor")
        return None
    if in_cluster and not instance_type.cluster_placement:
        fault = f"{name} cannot be in a cluster placement group"
        settings.refuse(key, fault, "choose a type that is not burstable, such as c4.8xlarge or m5.xlarge")
        return None
    return instance_type


def check_limits(
    settings: Settings,
    instance_type: InstanceType,
    cpu: tuple[str, int | None],
    memory: tuple[str, int | None],
) -> None:
    """Whether the type can be launched with the CPU limit, and has more memory than the memory limit.

    `cpu` and `memory` are each a setting's key and its value, None for no limit.
    """
    cpu_key, cpu_limit = cpu
    possible = instance_type.possible_cpu_limits()
    if settings.good(cpu_key) and cpu_limit is not None and cpu_limit not in possible:
        settings.refuse(
            cpu_key,
            f"{instance_type.name} cannot be launched with {cpu_limit} CPUs",
            f"possible are {', '.join(map(str, possible))}, or {NONE}",
        )
    memory_key, memory_limit = memory
    if settings.good(memory_key) and memory_limit is not None and memory_limit >= instance_type.memory_mib:
        settings.refuse(
            memory_key,
            f"{memory_limit} MiB does not limit the {instance_type.memory_mib} MiB of {instance_type.name}",
            f"choose less, or {NONE}",
        )


@dataclass(frozen=True)
class VolumeKeys:
    """The settings that describe a volume."""

    type: str
    size_gib: str
    iops: str


def check_volume(
    settings: Settings,
    keys: VolumeKeys,
    name: str,
    size_gib: int,
    iops: int | None,
    *,
    at_least_gib: int,
    why: str,
) -> None:
    """Whether such a volume can exist, and holds what goes on it (`at_least_gib`, for the reason `why`)."""
    if not settings.good(keys.type):
        return
    kind = VOLUME_TYPES[name]
    if settings.good(keys.size_gib):
        low = max(kind.min_gib, at_least_gib)
        reason = f" since {why}" if low > kind.min_gib else ""
        if not low <= size_gib <= kind.max_gib:
            remedy = f"{name} allows {low} to {kind.max_gib} GiB here{reason}"
            settings.refuse(keys.size_gib, f"{size_gib} GiB is not possible", remedy)
    if not settings.good(keys.iops):
        return
    if iops is None:
        if kind.iops_required:
            low, high = kind.iops or (0, 0)
            settings.refuse(keys.iops, f"missing, and {name} needs it", f"allowed are {low} to {high}")
        return
    if kind.iops is None:
        settings.refuse(keys.iops, f"{name} takes no number of IOPS", "remove it, or choose gp3, io1 or io2")
        return
    low, high = kind.iops
    if not low <= iops <= high:
        settings.refuse(keys.iops, f"{iops} IOPS is out of range", f"{name} allows {low} to {high}")
    elif kind.iops_per_gib and settings.good(keys.size_gib) and iops > max(low, kind.iops_per_gib * size_gib):
        most = max(low, kind.iops_per_gib * size_gib)
        remedy = f"{name} allows {kind.iops_per_gib} a GiB, {most} for {size_gib} GiB"
        settings.refuse(keys.iops, f"{iops} IOPS is too many", remedy)


def check_iops_of_host(settings: Settings, keys: VolumeKeys, iops: int | None, instance_type: InstanceType) -> None:
    """Whether the host's kind can reach what the volume is asked to do."""
    if iops is not None and settings.good(keys.iops) and not instance_type.nitro and iops > MAX_IOPS_WITHOUT_NITRO:
        fault = f"{instance_type.name} reaches {MAX_IOPS_WITHOUT_NITRO} IOPS a volume at most"
        settings.refuse(keys.iops, fault, "choose fewer, or a type that is built on Nitro, such as c5n.9xlarge")


def check_cost(settings: Settings, common: CommonConfig, cost: Cost) -> None:
    """Whether the stack keeps to its limit of dollars an hour.

    With a limit set, an unknown price is refused too: a limit that cannot be checked is not kept. Who accepts
    an unknown price says so by removing the limit.
    """
    limit = common.max_usd_per_hour
    if limit is None or not settings.good(MAX_USD):
        return
    if cost.usd_per_hour is None:
        settings.refuse(
            MAX_USD,
            f"the limit of ${limit:.2f} cannot be checked: the price table of {PRICES_AS_OF} has no "
            f"{', '.join(cost.unknown)} in {cost.region}",
            f"look the price up, and set {MAX_USD} to {NONE} if you accept it",
        )
    elif cost.usd_per_hour > limit:
        settings.refuse(
            MAX_USD,
            f"this stack costs ${cost.usd_per_hour:.2f} an hour, above the limit of ${limit:.2f}",
            "raise the limit or ask for less",
        )
