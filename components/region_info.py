"""What a region offers: the account's own answer if there is one, else the dated table (aws_offers)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
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
)
from components.aws_settings import AwsSettings
from components.image import ARCHITECTURE
from components.settings import SettingError

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


def zone_names(aws: AwsSettings, ids: Collection[str]) -> frozenset[str]:
    """Returns the account's names of these zones: a zone's letter differs from account to account, its id does not.

    Raises botocore's errors.
    """
    zones = ec2_client(aws, make_session(aws), aws.region).describe_availability_zones()["AvailabilityZones"]
    return frozenset(zone["ZoneName"] for zone in zones if zone.get("ZoneId") in ids and "ZoneName" in zone)
