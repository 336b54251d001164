"""What a region has: the account's own answer where it can be had, else the dated tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.config
import botocore.exceptions
import botocore.parsers

import aws_offers
from aws_offers import InstanceType
from components.aws_settings import AwsSettings
from components.image import ARCHITECTURE

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.literals import InstanceTypeType

# Regions are described by one that every account has: a region that is misspelt has no endpoint to ask.
HOME_REGION = "us-east-1"

NOT_ALLOWED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})

NO_ANSWER = (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError)
"""What boto3 raises where no answer of AWS's came: the second, which is no BotoCoreError, where another server answers,
such as a proxy with a page of its own.
"""

TABLE_SOURCE = f"table of {aws_offers.TYPES_AS_OF}"
ACCOUNT_SOURCE = "the account's own answer"


class FactsError(Exception):
    """The API is there to be asked and the asking failed for a reason that the person must mend. One line."""

    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}; {remedy}")
        self.fault = fault
        self.remedy = remedy


@dataclass(frozen=True)
class RegionFacts:
    """One region, as far as the types that were asked for go.

    `enabled` is None when it cannot be known; `zones` has an entry for each type whose offer is known, empty
    when the region does not offer it.
    """

    source: str
    region: str
    exists: bool
    enabled: bool | None
    zones: Mapping[str, tuple[str, ...]]
    types: Mapping[str, InstanceType]
    note: str | None = None


def from_tables(region: str, types: Iterable[str], note: str | None = None) -> RegionFacts:
    """The tables' facts. A type that the table lacks has no entry: nothing is known of it."""
    known = [name for name in dict.fromkeys(types) if name in aws_offers.INSTANCE_TYPES]
    return RegionFacts(
        source=TABLE_SOURCE,
        region=region,
        exists=region in aws_offers.REGIONS,
        enabled=True if region in aws_offers.ENABLED_BY_DEFAULT else None,
        zones={name: aws_offers.ZONES_OFFERING[name].get(region, ()) for name in known},
        types={name: aws_offers.INSTANCE_TYPES[name] for name in known},
        note=note,
    )


def look_up(aws: AwsSettings, types: Iterable[str]) -> RegionFacts:
    """Ask the account; without credentials, without a network or without the permission, use the tables and
    say so.

    Read-only calls, at the endpoint that the AWS provider will use. Raises FactsError when the endpoint of a
    rehearsal does not answer, or the credentials are refused.
    """
    wanted = tuple(dict.fromkeys(types))
    try:
        return _from_account(aws, wanted)
    except botocore.exceptions.ProfileNotFound:
        raise FactsError(f"there is no AWS profile {aws.profile}", "see `aws configure list-profiles`") from None
    except botocore.exceptions.PartialCredentialsError:
        raise FactsError("there is an AWS access key without its secret key", "see `aws configure list`") from None
    except botocore.exceptions.NoCredentialsError:
        note = f"no AWS credentials: region and types are checked by the {TABLE_SOURCE}, not by your account"
        return from_tables(aws.region, wanted, note)
    except botocore.exceptions.ClientError as error:
        return _after_refusal(aws, wanted, error)
    except NO_ANSWER as error:
        if aws.rehearsal:
            raise FactsError(f"no rehearsal region answers at {aws.endpoints['ec2']}", "start it: fab lab.up") from None
        reason = no_answer_words(error)
        note = f"AWS cannot be asked ({reason}): region and types are checked by the {TABLE_SOURCE}"
        return from_tables(aws.region, wanted, note)


def _after_refusal(aws: AwsSettings, types: tuple[str, ...], error: botocore.exceptions.ClientError) -> RegionFacts:
    code = error_code(error)
    if code in NOT_ALLOWED:
        note = f"the credentials may not ask for this ({code}): the {TABLE_SOURCE} is used"
        return from_tables(aws.region, types, note)
    raise refusal(error, "aws ec2 describe-regions") from None


def no_answer_words(error: Exception) -> str:
    """What one of NO_ANSWER means, in one line."""
    if isinstance(error, botocore.parsers.ResponseParserError):  # its text is the whole page
        return "what answers is no endpoint of AWS"
    return " ".join(str(error).split())


def error_code(error: botocore.exceptions.ClientError) -> str:
    """The API's word for what is wrong."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def refusal(error: botocore.exceptions.ClientError, command: str) -> FactsError:
    """What an answer means to the person; `command` asks the same in a terminal."""
    code = error_code(error)
    if code in NOT_ALLOWED:
        return FactsError(f"the credentials may not ask for this ({code})", f"allow what `{command}` needs")
    if code in (
        "AuthFailure",
        "InvalidClientTokenId",
        "ExpiredToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
    ):
        return FactsError(f"AWS refuses the credentials ({code})", "see `aws sts get-caller-identity`")
    message = " ".join(error.response.get("Error", {}).get("Message", "").split())
    return FactsError(f"AWS answers {code}: {message}", f"try again, or ask with `{command}`")


def session_of(aws: AwsSettings) -> boto3.Session:
    """A session with the credentials that the AWS provider will have. Raises NoCredentialsError."""
    session = boto3.Session(
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        aws_session_token=aws.token,
        profile_name=aws.profile,
    )
    if session.get_credentials() is None:  # known at once; a client would find out after loading its model
        raise botocore.exceptions.NoCredentialsError
    return session


def _from_account(aws: AwsSettings, types: tuple[str, ...]) -> RegionFacts:
    session = session_of(aws)
    found = {
        region["RegionName"]: region.get("OptInStatus")
        for region in ec2_client(aws, session, HOME_REGION).describe_regions(AllRegions=True)["Regions"]
        if "RegionName" in region
    }
    enabled = found.get(aws.region) in ("opt-in-not-required", "opted-in")
    if not enabled:
        return RegionFacts(ACCOUNT_SOURCE, aws.region, aws.region in found, enabled, {}, {})
    ec2 = ec2_client(aws, session, aws.region)
    zones: dict[str, tuple[str, ...]] = {}
    described: dict[str, InstanceType] = {}
    for name in types:
        zones[name] = _zones_offering(ec2, name)
        if zones[name]:  # describing a type that the region lacks is an error
            # The stubs know the types of their day; a newer name is for the account to judge.
            answer = ec2.describe_instance_types(InstanceTypes=[cast("InstanceTypeType", name)])
            described[name] = InstanceType.from_api(answer["InstanceTypes"][0], ARCHITECTURE)
    return RegionFacts(ACCOUNT_SOURCE, aws.region, True, True, zones, described)


def client_of(aws: AwsSettings, session: boto3.Session, service: str, region: str) -> Any:
    """A client of a service in a region, at the stack's own endpoint where it names one."""
    config = botocore.config.Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
    named: Any = service  # the stubs know the services that they were made for
    return session.client(named, region_name=region, endpoint_url=aws.endpoints.get(service), config=config)


def ec2_client(aws: AwsSettings, session: boto3.Session, region: str) -> EC2Client:
    """A client of EC2 in a region, at the stack's own endpoint where it names one."""
    client: EC2Client = client_of(aws, session, "ec2", region)
    return client


def zones_named(aws: AwsSettings, ids: Collection[str]) -> frozenset[str]:
    """What the account calls these zones of the stack's region: a zone's letter is an account's own name for it.

    Raises botocore's errors.
    """
    zones = ec2_client(aws, session_of(aws), aws.region).describe_availability_zones()["AvailabilityZones"]
    return frozenset(zone["ZoneName"] for zone in zones if zone.get("ZoneId") in ids and "ZoneName" in zone)


def _zones_offering(ec2: EC2Client, name: str) -> tuple[str, ...]:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [name]}]
    )
    offerings = [offering for page in pages for offering in page["InstanceTypeOfferings"]]
    return tuple(sorted(offering["Location"] for offering in offerings if "Location" in offering))
