"""Validates a whole stack, in the same order for every experiment, before anything is created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aws_offers import InstanceType
from components.account_limits import check_account, check_image_allowed
from components.aws_settings import REGION
from components.config import CommonConfig
from components.cost import Cost, check_cost, estimate_cost
from components.elastic_ip_validation import ElasticIpPlan, ElasticIpSpec, check_elastic_ip
from components.file_system_validation import COST_KEYS, FileSystemSpec, check_file_system, durability_message
from components.image import debian_12_image
from components.limits import HostLimits, check_limits
from components.region_validation import (
    ACCOUNT_SOURCE,
    RegionInfo,
    ZoneRequirement,
    check_instance_type,
    check_region,
    choose_zone,
    choose_zones,
    without_unsuitable_zones,
)
from components.settings import Settings
from components.volumes import IOPS, SIZE_GIB, TYPE, VolumeSpec, check_iops_of_host, check_volume

Config = TypeVar("Config")


@dataclass(frozen=True)
class HostRequirement:
    """Hosts of one instance type, which the setting `type_key` names. `count_key` is the setting of their number."""

    type_key: str
    type: str
    count: int = 1
    count_key: str | None = None


@dataclass(frozen=True)
class VolumeRequirement:
    """Volumes of one kind, attached to hosts of `host_type`. `reason` explains `min_gib`."""

    volume: VolumeSpec
    count: int
    host_type: str
    min_gib: int
    reason: str
    count_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What an experiment requires of an account and a region.

    `zones` is None if all hosts are in one zone, which a cluster placement group (`in_cluster`) needs. `notes` are for
    the user.
    """

    hosts: Sequence[HostRequirement]
    limits: HostLimits
    volumes: VolumeRequirement | None = None
    file_system: FileSystemSpec | None = None
    elastic_ip: ElasticIpSpec | None = None
    unassociated_elastic_ips: int = 0
    zones: ZoneRequirement | None = None
    in_cluster: bool = False
    notes: Sequence[str] = ()

    @property
    def types(self) -> dict[str, str]:
        """Instance types, by the settings that name them."""
        return {host.type_key: host.type for host in self.hosts}

    @property
    def instances(self) -> Counter[str]:
        """How many instances of each type."""
        count: Counter[str] = Counter()
        for host in self.hosts:
            count[host.type] += host.count
        return count

    @property
    def cost_keys(self) -> list[str]:
        """The settings that the cost depends on."""
        keys = [REGION, *self.types, *(host.count_key for host in self.hosts if host.count_key)]
        if self.volumes is not None:
            keys += [TYPE, SIZE_GIB, IOPS, *([self.volumes.count_key] if self.volumes.count_key else [])]
        return keys if self.file_system is None else [*keys, *COST_KEYS]


@dataclass(frozen=True)
class ValidatedStack(Generic[Config]):
    """A valid stack: what its experiment's component needs. `types` has the instance types by name; `elastic_ip` is
    None if the stack has none; `messages` are for the user before anything is created.
    """

    common: CommonConfig
    config: Config
    types: dict[str, InstanceType]
    zones: tuple[str, ...]
    limits: HostLimits
    elastic_ip: ElasticIpPlan | None
    image_id: str
    cost: Cost
    messages: tuple[str, ...]


def validate_stack(
    settings: Settings, common: CommonConfig, config: Config, required: Requirements
) -> ValidatedStack[Config]:
    """Checks settings that were read against each other, the region, the account and the limit of cost.

    Raises ValidationError with every error; creates nothing.
    """
    settings.reject_unknown("tidemark")
    region, types = common.aws.region, required.types
    if required.volumes is not None:
        volumes = required.volumes
        check_volume(settings, volumes.volume, min_gib=volumes.min_gib, reason=volumes.reason)
    info = check_region(settings, common, types)
    found = {} if info is None else _check_types(settings, info, required)
    if required.volumes is not None and required.volumes.host_type in found:
        check_iops_of_host(settings, required.volumes.volume, found[required.volumes.host_type])
    if required.file_system is not None:
        check_file_system(settings, required.file_system, region)

    notes: list[str] = []
    zones: tuple[str, ...] = ()
    elastic_ip: ElasticIpPlan | None = None
    # A rehearsal's account forbids nothing, and an account that did not answer before is not asked again.
    ask_account = info is not None and info.source == ACCOUNT_SOURCE and not common.aws.rehearsal
    if info is not None:
        if ask_account:
            notes += check_account(settings, common, found, required.instances, required.limits.cpus)
        if required.zones is None:
            zones = (choose_zone(settings, common, info, types),)
        else:
            suitable = without_unsuitable_zones(common, info, required.zones, notes)
            zones = choose_zones(settings, common, suitable, types, required.zones)
        if required.elastic_ip is not None:
            elastic_ip = check_elastic_ip(settings, common, required.elastic_ip)
    cost = estimate_cost(
        region,
        required.instances,
        [] if required.volumes is None else [(required.volumes.count, required.volumes.volume)],
        required.file_system,
        unassociated_elastic_ips=required.unassociated_elastic_ips,
    )
    # What is not offered or malformed has no price either, and has its error already.
    if settings.is_valid(*required.cost_keys):
        check_cost(settings, common, cost)
    settings.raise_errors()
    image_id = debian_12_image(settings, region)
    settings.raise_errors()
    if ask_account:
        notes += check_image_allowed(settings, common, image_id)
        settings.raise_errors()

    messages = [*notes, cost.message(common.lifetime_hours, rehearsal=common.aws.rehearsal), *required.notes]
    if info is not None and info.note:
        messages.insert(0, info.note)
    if required.file_system is not None:
        messages.append(durability_message(required.file_system, region, zones[0]))
    if elastic_ip is not None:
        messages.append(elastic_ip.message)
    return ValidatedStack(common, config, found, zones, required.limits, elastic_ip, image_id, cost, tuple(messages))


def _check_types(settings: Settings, info: RegionInfo, required: Requirements) -> dict[str, InstanceType]:
    """Returns the valid instance types by name."""
    found: dict[str, InstanceType] = {}
    for key, name in required.types.items():
        instance_type = check_instance_type(settings, info, key, name, in_cluster=required.in_cluster)
        if instance_type is not None and name not in found:
            found[name] = instance_type
            check_limits(settings, instance_type, required.limits)
    return found
