"""From a stack file to a stack that was validated whole, alike for every experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import botocore.exceptions

from aws_offers import InstanceType
from components import prices
from components.account_limits import check_account, check_image_allowed
from components.aws_settings import REGION
from components.config import EXPERIMENT, CommonConfig, read_common
from components.elastic_ip_look_up import ElasticIpPlan, check_elastic_ip
from components.elastic_ip_settings import ElasticIpDemand
from components.facts import ACCOUNT_SOURCE, NO_ANSWER, RegionFacts, error_code, zones_named
from components.image import debian_12_image
from components.settings import Settings
from components.validation import (
    Demand,
    check_cost,
    check_instance_type,
    check_limits,
    check_region,
    choose_zone,
    choose_zones,
)

CPU_LIMIT = "tidemark:cpuLimit"
MEMORY_LIMIT = "tidemark:memoryLimitMib"

Config = TypeVar("Config")


@dataclass(frozen=True)
class Zones:
    """How many zones are wanted: the setting and its value; `besides` is what they must offer too, for messages, and
    `lacking` are the ids of zones that don't.
    """

    key: str
    count: int
    besides: str | None = None
    lacking: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an experiment wants of a region.

    `types` has instance types by the setting that names them, `instances` how many there are of each type; all hosts
    have the same limits, None for no limit.
    `zones` is None where all hosts are in one. `cost_keys` are the settings, beside those of the types, without which
    `cost` means nothing.
    """

    types: Mapping[str, str]
    instances: Mapping[str, int]
    cost: prices.Cost
    cost_keys: Iterable[str]
    cpu_limit: int | None = None
    memory_limit_mib: int | None = None
    in_cluster: bool = False
    zones: Zones | None = None
    elastic_ip: ElasticIpDemand | None = None


@dataclass(frozen=True)
class Checked(Generic[Config]):
    """A stack that was validated whole: all that its experiment's component needs. `types` has the instance types by
    name; `elastic_ip` is None where none was wanted; `lines` are for the person before anything is created.
    """

    common: CommonConfig
    config: Config
    types: Mapping[str, InstanceType]
    zones: tuple[str, ...]
    elastic_ip: ElasticIpPlan | None
    image_id: str
    cost: prices.Cost
    lines: tuple[str, ...]

    def saying(self, *lines: str) -> Checked[Config]:
        """The same with more to say."""
        return replace(self, lines=(*self.lines, *lines))


def read_stack(
    settings: Settings, project: str, directory: Path, experiment: str, read_config: Callable[[Settings], Config]
) -> tuple[CommonConfig, Config]:
    """Read the settings that every experiment has, and its own, each by itself. Faults are noted in `settings`."""
    settings.text(EXPERIMENT, experiment)
    common = read_common(settings, project=project, experiment=experiment, directory=directory)
    config = read_config(settings)
    settings.refuse_unknown("tidemark")
    return common, config


def check_stack(
    settings: Settings,
    common: CommonConfig,
    config: Config,
    wanted: Wanted,
    check_more: Callable[[Mapping[str, InstanceType]], None] = lambda _: None,
) -> Checked[Config]:
    """Check what was read against the region and the limit of cost; `check_more` gets the types that were found good.

    Raises ValidationError with every fault; creates nothing.
    """
    demand = Demand(wanted.types)
    facts = check_region(settings, common, demand)
    types: dict[str, InstanceType] = {}
    zones: tuple[str, ...] = ()
    elastic_ip: ElasticIpPlan | None = None
    if facts is not None:
        for key, name in wanted.types.items():
            instance_type = check_instance_type(settings, facts, key, name, in_cluster=wanted.in_cluster)
            if instance_type is not None and name not in types:
                types[name] = instance_type
                limits = ((CPU_LIMIT, wanted.cpu_limit), (MEMORY_LIMIT, wanted.memory_limit_mib))
                check_limits(settings, instance_type, *limits)
    check_more(types)
    notes: list[str] = []
    # A rehearsal's account forbids nothing; without an answer of the account there is nobody to ask.
    ask_more = facts is not None and facts.source == ACCOUNT_SOURCE and not common.aws.rehearsal
    if facts is not None:
        if ask_more:
            notes += check_account(settings, common, types, wanted.instances, wanted.cpu_limit)
        if wanted.zones is not None and wanted.zones.lacking and facts.source == ACCOUNT_SOURCE:
            facts = _without_zones(common, facts, wanted.zones, notes)
        if wanted.zones is None:
            zones = (choose_zone(settings, common, facts, demand),)
        else:
            count = (wanted.zones.key, wanted.zones.count)
            zones = choose_zones(settings, common, facts, demand, count, besides=wanted.zones.besides)
        if wanted.elastic_ip is not None:
            elastic_ip = check_elastic_ip(settings, common, wanted.elastic_ip)
    # What was not offered or is malformed has no price either: one fault is told once.
    if settings.good(*wanted.types, *wanted.cost_keys, REGION):
        check_cost(settings, common, wanted.cost)
    settings.finish()
    image_id = debian_12_image(settings, common.aws.region)
    settings.finish()
    if ask_more:
        notes += check_image_allowed(settings, common, image_id)
        settings.finish()
    if facts is not None and facts.note:
        notes.insert(0, facts.note)
    lines = (*notes, wanted.cost.line(common.lifetime_hours, rehearsal=common.aws.rehearsal))
    return Checked(common, config, types, zones, elastic_ip, image_id, wanted.cost, lines)


def _without_zones(common: CommonConfig, facts: RegionFacts, zones: Zones, notes: list[str]) -> RegionFacts:
    """The facts without the zones that lack what is wanted besides. Where those cannot be asked for, AWS will tell."""
    try:
        lacking = zones_named(common.aws, zones.lacking)
    except botocore.exceptions.ClientError as error:
        notes.append(f"which zones have {zones.besides} could not be looked up ({error_code(error)})")
        return facts
    except NO_ANSWER as error:
        notes.append(f"which zones have {zones.besides} could not be looked up ({type(error).__name__})")
        return facts
    kept = {name: tuple(zone for zone in offered if zone not in lacking) for name, offered in facts.zones.items()}
    return replace(facts, zones=kept)
