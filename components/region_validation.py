"""What a region offers, by the account's own answer or else the dated table (aws_offers), and the checks of a stack's
region, instance types and zones against it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import botocore.exceptions

import aws_offers
from aws_offers import InstanceType
from components.aws_api import (
    ACCESS_DENIED_CODES,
    CONNECTION_ERRORS,
    HOME_REGION,
    describe_connection_error,
    ec2_client,
    error_code,
    explain_api_error,
    make_session,
    short_reason,
)
from components.aws_settings import ENDPOINTS, REGION, AwsSettings
from components.config import ZONE, CommonConfig
from components.image import ARCHITECTURE
from components.settings import SettingError, Settings

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.literals import InstanceTypeType

TABLE_SOURCE = f"table of {aws_offers.TYPES_AS_OF}"
ACCOUNT_SOURCE = "the account's own answer"


@dataclass(frozen=True)
class RegionInfo:
    """What is known of one region and of the instance types that were asked for.

    `enabled` is None if it is not known. `zones` has an entry for each type whose offers are known; the entry is empty
    if the region does not offer the type. `note` is for the user.
    """

    source: str
    region: str
    exists: bool
    enabled: bool | None
    zones: Mapping[str, tuple[str, ...]]
    types: Mapping[str, InstanceType]
    note: str | None = None


def region_from_table(region: str, types: Iterable[str], note: str | None = None) -> RegionInfo:
    """Returns what the table knows. A type that it lacks has no entry."""
    known = [name for name in dict.fromkeys(types) if name in aws_offers.INSTANCE_TYPES]
    return RegionInfo(
        source=TABLE_SOURCE,
        region=region,
        exists=region in aws_offers.REGIONS,
        enabled=True if region in aws_offers.ENABLED_BY_DEFAULT else None,
        zones={name: aws_offers.ZONES_OFFERING[name].get(region, ()) for name in known},
        types={name: aws_offers.INSTANCE_TYPES[name] for name in known},
        note=note,
    )


def describe_region(aws: AwsSettings, types: Iterable[str]) -> RegionInfo:
    """Asks the account with read-only calls. Without credentials, network or permission, returns what the table knows,
    with a note that says so.

    Raises SettingError if a rehearsal's endpoint does not answer, or AWS refuses the credentials.
    """
    names = tuple(dict.fromkeys(types))
    try:
        return _region_from_account(aws, names)
    except botocore.exceptions.ProfileNotFound:
        raise SettingError(f"there is no AWS profile {aws.profile}", "see `aws configure list-profiles`") from None
    except botocore.exceptions.PartialCredentialsError:
        raise SettingError("there is an AWS access key without its secret key", "see `aws configure list`") from None
    except botocore.exceptions.NoCredentialsError:
        note = f"no AWS credentials: region and types are checked by the {TABLE_SOURCE}, not by your account"
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in ACCESS_DENIED_CODES:
            raise explain_api_error(error, "aws ec2 describe-regions") from None
        note = f"the credentials may not ask for this ({error_code(error)}): the {TABLE_SOURCE} is used"
    except CONNECTION_ERRORS as error:
        if aws.rehearsal:
            where = aws.endpoints["ec2"]
            raise SettingError(f"no rehearsal region answers at {where}", "start it: fab lab.up") from None
        reason = describe_connection_error(error)
        note = f"AWS cannot be asked ({reason}): region and types are checked by the {TABLE_SOURCE}"
    return region_from_table(aws.region, names, note)


def _region_from_account(aws: AwsSettings, types: tuple[str, ...]) -> RegionInfo:
    session = make_session(aws)
    found = {
        region["RegionName"]: region.get("OptInStatus")
        for region in ec2_client(aws, session, HOME_REGION).describe_regions(AllRegions=True)["Regions"]
        if "RegionName" in region
    }
    if found.get(aws.region) not in ("opt-in-not-required", "opted-in"):
        return RegionInfo(ACCOUNT_SOURCE, aws.region, aws.region in found, False, {}, {})
    ec2 = ec2_client(aws, session, aws.region)
    zones = {name: _zones_offering(ec2, name) for name in types}
    described = {}
    for name in types:
        if zones[name]:  # describing a type that the region lacks is an error
            # The stubs know the types of their day; a newer name is for the account to judge.
            answer = ec2.describe_instance_types(InstanceTypes=[cast("InstanceTypeType", name)])
            described[name] = InstanceType.from_api(answer["InstanceTypes"][0], ARCHITECTURE)
    return RegionInfo(ACCOUNT_SOURCE, aws.region, True, True, zones, described)


def _zones_offering(ec2: EC2Client, name: str) -> tuple[str, ...]:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [name]}]
    )
    offerings = [offering for page in pages for offering in page["InstanceTypeOfferings"]]
    return tuple(sorted(offering["Location"] for offering in offerings if "Location" in offering))


@dataclass(frozen=True)
class ZoneRequirement:
    """How many zones are required: `count` is the value of the setting `key`. `service` is what the zones must offer
    beside the instance types, and `zone_ids_without_service` are zones that do not.
    """

    key: str
    count: int
    service: str | None = None
    zone_ids_without_service: frozenset[str] = frozenset()


def check_region(settings: Settings, common: CommonConfig, types: Mapping[str, str]) -> RegionInfo | None:
    """Checks the region, and that it offers the instance types, which are given by the settings that name them.

    Returns None if the region itself is invalid, so that nothing else can be checked.
    """
    if not settings.is_valid(REGION, ENDPOINTS, "aws:accessKey", "aws:secretKey"):
        return None
    region = common.aws.region
    try:
        info = describe_region(common.aws, types.values())
    except SettingError as error:
        settings.add_error(ENDPOINTS if common.aws.rehearsal else REGION, error.fault, error.remedy)
        return None
    if not info.exists:
        near = difflib.get_close_matches(region, aws_offers.REGIONS, n=1)
        remedy = f"did you mean {near[0]}?" if near else "see `aws ec2 describe-regions --all-regions`"
        settings.add_error(REGION, f"there is no region {region} ({info.source})", remedy)
        return None
    if info.enabled is False:
        remedy = f"enable it: aws account enable-region --region-name {region}"
        settings.add_error(REGION, f"{region} is not enabled in this account", remedy)
        return None
    checked: set[str] = set()
    for key, name in types.items():
        if settings.is_valid(key) and name not in checked:
            checked.add(name)
            _check_offer(settings, info, key, name)
    return info


def _check_offer(settings: Settings, info: RegionInfo, key: str, name: str) -> None:
    if name not in info.zones:
        known = ", ".join(sorted(aws_offers.INSTANCE_TYPES))
        remedy = f"give AWS credentials, or choose one of {known}"
        settings.add_error(key, f"{name} is not in the {info.source}", remedy)
        return
    if info.zones[name]:
        return
    elsewhere = aws_offers.regions_offering(name)
    if elsewhere:
        remedy = f"regions that have it (table of {aws_offers.TYPES_AS_OF}): {', '.join(elsewhere)}"
    else:
        near = difflib.get_close_matches(name, aws_offers.INSTANCE_TYPES, n=1, cutoff=0.8)
        remedy = f"did you mean {near[0]}?" if near else "see `aws ec2 describe-instance-type-offerings`"
    settings.add_error(key, f"{name} is not offered in {info.region} ({info.source})", remedy)


def check_instance_type(
    settings: Settings, info: RegionInfo, key: str, name: str, *, in_cluster: bool
) -> InstanceType | None:
    """Returns the type if it runs the image and, with `in_cluster`, can be in a cluster placement group."""
    instance_type = info.types.get(name)
    if instance_type is None or not settings.is_valid(key):
        return None
    if instance_type.architecture != ARCHITECTURE:
        fault = f"{name} is {instance_type.architecture} and the image is {ARCHITECTURE}"
        settings.add_error(key, fault, "choose a type with an Intel or AMD processor")
        return None
    if in_cluster and not instance_type.cluster_placement:
        fault = f"{name} cannot be in a cluster placement group"
        settings.add_error(key, fault, "choose a type that is not burstable, such as c4.8xlarge or m5.xlarge")
        return None
    return instance_type


def choose_zone(settings: Settings, common: CommonConfig, info: RegionInfo, types: Mapping[str, str]) -> str:
    """Chooses one zone for all hosts: the one that the stack names, or the first that offers every type.

    A Local Zone is chosen only by name: it costs more, and offers less.
    """
    keys = tuple(types)
    if not settings.is_valid(*keys, ZONE):
        return common.zone or ""
    offers = {name: set(info.zones[name]) for name in types.values()}
    shared = sorted(set.intersection(*offers.values()))
    names = " and ".join(offers)
    if common.zone is not None:
        _check_named_zone(settings, info, common.zone, shared, names)
        return common.zone
    candidates = _without_local_zones(info, shared)
    if not candidates:
        where = ", ".join(f"{name} in {' '.join(sorted(zones))}" for name, zones in offers.items())
        fault = f"no zone of {info.region} offers {names}, and one placement group is in one zone"
        settings.add_error(keys[-1], fault, where)
        return ""
    return candidates[0]


def choose_zones(
    settings: Settings, common: CommonConfig, info: RegionInfo, types: Mapping[str, str], required: ZoneRequirement
) -> tuple[str, ...]:
    """Chooses as many zones as required, each of which offers every type. The zone that the stack names is first."""
    if not settings.is_valid(*types, required.key, ZONE):
        return ()
    # A Local Zone offers types too, but neither EFS nor the region's own addresses.
    shared = _without_local_zones(info, set.intersection(*(set(info.zones[name]) for name in types.values())))
    names = " and ".join(dict.fromkeys(types.values()))
    if common.zone is not None:
        offered = names if required.service is None else f"{required.service} and {names}"
        _check_named_zone(settings, info, common.zone, shared, offered)
    if len(shared) < required.count:
        settings.add_error(
            required.key,
            f"{required.count} asked for, and {len(shared)} zones of {info.region} offer {names} ({info.source})",
            f"choose {len(shared)} at most: {', '.join(shared)}" if shared else "choose another type",
        )
    first = [] if common.zone is None else [common.zone]
    return tuple([*first, *(zone for zone in shared if zone not in first)][: required.count])


def _without_local_zones(info: RegionInfo, zones: Iterable[str]) -> list[str]:
    """Returns the region's own zones, sorted; us-east-1-bos-1a, for example, is a Local Zone."""
    return sorted(zone for zone in zones if len(zone) == len(info.region) + 1)


def _check_named_zone(settings: Settings, info: RegionInfo, zone: str, shared: list[str], offered: str) -> None:
    if zone not in shared:
        remedy = f"choose one of {', '.join(shared)}" if shared else "choose another type"
        settings.add_error(ZONE, f"{zone} does not offer {offered} ({info.source})", remedy)


def without_unsuitable_zones(
    common: CommonConfig, info: RegionInfo, required: ZoneRequirement, notes: list[str]
) -> RegionInfo:
    """Returns `info` without the zones that lack the required service. Adds a note if AWS does not name those zones."""
    if not required.zone_ids_without_service or info.source != ACCOUNT_SOURCE:
        return info
    try:
        unsuitable = _zone_names(common.aws, required.zone_ids_without_service)
    except (botocore.exceptions.ClientError, *CONNECTION_ERRORS) as error:
        notes.append(f"which zones have {required.service} could not be looked up ({short_reason(error)})")
        return info
    zones = {name: tuple(zone for zone in offered if zone not in unsuitable) for name, offered in info.zones.items()}
    return replace(info, zones=zones)


def _zone_names(aws: AwsSettings, ids: Collection[str]) -> frozenset[str]:
    """Returns the account's names of these zones: a zone's letter differs from account to account, its id does not.

    Raises botocore's errors.
    """
    zones = ec2_client(aws, make_session(aws), aws.region).describe_availability_zones()["AvailabilityZones"]
    return frozenset(zone["ZoneName"] for zone in zones if zone.get("ZoneId") in ids and "ZoneName" in zone)
