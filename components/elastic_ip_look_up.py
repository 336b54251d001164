"""Whether the account has the Elastic IP that a stack asks for, here and free, before anything is created.

Only asks (Describe…): read-only credentials suffice. It is asked when the program runs, hence during a preview as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions
import pulumi

from aws_offers import ENABLED_BY_DEFAULT
from components.aws_settings import AwsSettings
from components.config import CommonConfig
from components.elastic_ip_settings import ELASTIC_IP, REASSOCIATE, ElasticIpDemand
from components.facts import (
    HOME_REGION,
    NO_ANSWER,
    FactsError,
    ec2_client,
    error_code,
    no_answer_words,
    refusal,
    session_of,
)
from components.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.type_defs import AddressTypeDef

_COMMAND = "aws ec2 describe-addresses"
_QUOTA = "vpc-max-elastic-ips"  # DescribeAccountAttributes
_REGIONS_AT_ONCE = 16
_AMAZON_POOL = "amazon"  # DescribeAddresses, PublicIpv4Pool: the quota is of Amazon's addresses, not of brought ones
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True)
class ElasticIpPlan:
    """An address that may be had. `existing_address` is that of an existing allocation, None where one is to be
    allocated; `line` is for the person, before anything is created. `look_again` raises pulumi.RunError, one line, when
    an existing address may not be had any more.
    """

    demand: ElasticIpDemand
    existing_address: str | None
    line: str
    look_again: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True)
class _Holder:
    """What an address is associated with, in words. `service` is the service of AWS that keeps it for itself and lets
    nobody take it; None where it is the account's own to take.
    """

    words: str
    service: str | None = None


@dataclass(frozen=True)
class _Elsewhere:
    """Where the other regions have it (None: nowhere), and those that could not be asked, each with the reason."""

    region: str | None
    asked: int
    not_asked: Sequence[str]


def check_elastic_ip(settings: Settings, common: CommonConfig, demand: ElasticIpDemand) -> ElasticIpPlan | None:
    """Whether the address can be had in the stack's region, which has been found good. Each fault is noted as one line;
    None where there is one.
    """
    if not settings.good(ELASTIC_IP, REASSOCIATE):
        return None
    try:
        if demand.allocation_id is None:
            return _new(settings, common, demand)
        return _existing(settings, common, demand, demand.allocation_id)
    except FactsError as error:
        settings.refuse(ELASTIC_IP, error.fault, error.remedy)
    except botocore.exceptions.ClientError as error:
        wrong = refusal(error, _COMMAND)
        settings.refuse(ELASTIC_IP, wrong.fault, wrong.remedy)
    except NO_ANSWER as error:
        reason = no_answer_words(error)
        settings.refuse(ELASTIC_IP, f"cannot be looked up ({reason})", f"see whether `{_COMMAND}` answers")
    return None


def _new(settings: Settings, common: CommonConfig, demand: ElasticIpDemand) -> ElasticIpPlan | None:
    """A quota that cannot be asked for is no fault: the allocation itself will tell."""
    plan = ElasticIpPlan(demand, None, "Elastic IP: a new one, released by `pulumi destroy`")
    try:
        ec2 = ec2_client(common.aws, session_of(common.aws), common.aws.region)
        quota = _quota(ec2)
        addresses = [each for each in ec2.describe_addresses()["Addresses"] if _counts(common.aws.region, each)]
    except (botocore.exceptions.ClientError, *NO_ANSWER):
        return plan
    has_one = any(_belongs_to(common, address.get("Tags", [])) for address in addresses)
    if quota is not None and len(addresses) >= quota and not has_one:
        settings.refuse(
            ELASTIC_IP,
            f"{common.aws.region} has {len(addresses)} Elastic IPs and its quota is {quota}",
            "release one, give the id of one that is free, or ask for a higher quota "
            "(Service Quotas, EC2-VPC Elastic IPs)",
        )
        return None
    return plan


def _quota(ec2: EC2Client) -> int | None:
    """How many Elastic IPs the region may have; None when the account does not say, or not by a number."""
    for attribute in ec2.describe_account_attributes()["AccountAttributes"]:
        values = [value.get("AttributeValue", "") for value in attribute.get("AttributeValues", [])]
        if attribute.get("AttributeName") == _QUOTA and values and re.fullmatch(r"[0-9]{1,9}", values[0]):
            return int(values[0])
    return None


def _counts(region: str, address: AddressTypeDef) -> bool:
    """Whether it takes one of the region's quota. Where that is not known it does not: the allocation itself tells."""
    pool, group = address.get("PublicIpv4Pool", _AMAZON_POOL), address.get("NetworkBorderGroup", region)
    return pool == _AMAZON_POOL and group == region and not address.get("ServiceManaged")


def _existing(
    settings: Settings, common: CommonConfig, demand: ElasticIpDemand, allocation_id: str
) -> ElasticIpPlan | None:
    try:
        session = session_of(common.aws)
    except botocore.exceptions.NoCredentialsError:
        raise FactsError(
            f"{allocation_id} cannot be looked up without AWS credentials", "see `aws configure list`"
        ) from None
    region = common.aws.region
    ec2 = ec2_client(common.aws, session, region)
    address = _address_in(ec2, allocation_id)
    if address is None:
        _refuse_elsewhere(settings, region, allocation_id, _search(common.aws, session, allocation_id))
        return None
    group = address.get("NetworkBorderGroup", region)
    if group != region:
        settings.refuse(
            ELASTIC_IP,
            f"{allocation_id} is of the network border group {group}, and the hosts are in {region}'s own zones",
            f"allocate one in the group {region}",
        )
        return None
    public_address = address.get("PublicIp")
    if public_address is None:
        settings.refuse(
            ELASTIC_IP,
            f"{allocation_id} has no public address, as carrier addresses of Wavelength Zones have none",
            f"give the id of an Elastic IP, or allocate one in the group {region}",
        )
        return None
    holder = _holder(ec2, common, address)
    if holder is not None and holder.service is not None:
        settings.refuse(
            ELASTIC_IP,
            f"{allocation_id} is associated with {holder.words}, which {holder.service} manages: AWS lets nobody take "
            "it from there",
            "give one that is free",
        )
        return None
    if holder is not None and not demand.reassociate:
        settings.refuse(
            ELASTIC_IP,
            f"{allocation_id} is associated with {holder.words}",
            f"give one that is free, or set {REASSOCIATE} true to take it from there",
        )
        return None
    taken = f", taken from {holder.words}" if holder is not None else ""
    line = f"Elastic IP: {allocation_id} ({public_address}){taken}; `pulumi destroy` does not release it"
    return ElasticIpPlan(demand, public_address, line, lambda: _look_again(common, demand))


def _look_again(common: CommonConfig, demand: ElasticIpDemand) -> None:
    settings = Settings({}, common.stack)
    check_elastic_ip(settings, common, demand)
    if settings.problems:
        raise pulumi.RunError("\n".join(settings.problems))


def _address_in(ec2: EC2Client, allocation_id: str) -> AddressTypeDef | None:
    """A filter, since asking for an id that is not there is an error, and an id of another region is not there."""
    filters = [{"Name": "allocation-id", "Values": [allocation_id]}]
    found = ec2.describe_addresses(Filters=filters)["Addresses"]  # type: ignore[arg-type]  # the stubs have it as Sequence
    return found[0] if found else None


def _holder(ec2: EC2Client, common: CommonConfig, address: AddressTypeDef) -> _Holder | None:
    """What the address is associated with; None where that is nothing, or a host of this very stack."""
    instance_id = address.get("InstanceId")
    if not instance_id:
        return _holder_by_card(ec2, address)
    try:
        reservations = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        tags = reservations[0]["Instances"][0].get("Tags", [])
    except (botocore.exceptions.ClientError, IndexError):
        tags = []  # whose it is cannot be known, so it is taken for somebody else's
    if _belongs_to(common, tags):
        return None
    name = {tag.get("Key"): tag.get("Value") for tag in tags}.get("Name")
    return _Holder(f"the instance {instance_id}" + (f" ({name})" if name else ""))


def _holder_by_card(ec2: EC2Client, address: AddressTypeDef) -> _Holder | None:
    """Whose network interface has it, of an address that no instance has.

    Load balancers, NAT gateways and their like have interfaces that AWS manages; an address is associated with such a
    one, and taken from it, by the service alone (EC2 User Guide, "Requester-managed network interfaces").
    """
    card = address.get("NetworkInterfaceId")
    service: str | None = address.get("ServiceManaged")
    owner = address.get("NetworkInterfaceOwnerId", "")
    if service is None and owner and not _ACCOUNT.fullmatch(owner):
        service = owner  # such as amazon-elb
    if service is None and card:
        try:
            found = ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"][0]
        except (botocore.exceptions.ClientError, IndexError):
            found = {}  # who manages it cannot be known: AWS itself will tell
        if found.get("RequesterManaged"):
            service = found.get("InterfaceType") or "AWS"
    if not card:
        return None if service is None else _Holder("a resource of AWS", service)
    return _Holder(f"the network interface {card}", service)


def _belongs_to(common: CommonConfig, tags: Sequence[object]) -> bool:
    found = {tag.get("Key"): tag.get("Value") for tag in tags if isinstance(tag, dict)}
    return (found.get("project"), found.get("stack")) == (common.project, common.stack)


def _search(aws: AwsSettings, session: boto3.Session, allocation_id: str) -> _Elsewhere:
    """Ask every other region that is enabled, side by side."""
    regions, not_asked = _enabled_regions(aws, session)
    others = [region for region in regions if region != aws.region]
    clients = {region: ec2_client(aws, session, region) for region in others}  # a session makes one at a time

    def ask(region: str) -> bool | str:
        try:
            return _address_in(clients[region], allocation_id) is not None
        except botocore.exceptions.ClientError as error:
            return f"{region} ({error_code(error)})"
        except NO_ANSWER as error:
            return f"{region} ({type(error).__name__})"

    with ThreadPoolExecutor(max_workers=_REGIONS_AT_ONCE) as pool:
        answers = dict(zip(others, pool.map(ask, others), strict=True))
    not_asked += [answer for answer in answers.values() if isinstance(answer, str)]
    asked = sum(isinstance(answer, bool) for answer in answers.values())
    return _Elsewhere(next((region for region in others if answers[region] is True), None), asked, not_asked)


def _enabled_regions(aws: AwsSettings, session: boto3.Session) -> tuple[list[str], list[str]]:
    """The account's enabled regions; where it does not say, those that every account has, and that others are left
    out.
    """
    try:
        regions = ec2_client(aws, session, HOME_REGION).describe_regions()["Regions"]
    except botocore.exceptions.ClientError as error:
        return sorted(ENABLED_BY_DEFAULT), [f"regions that you opted in to (DescribeRegions: {error_code(error)})"]
    return sorted(region["RegionName"] for region in regions if "RegionName" in region), []


def _refuse_elsewhere(settings: Settings, region: str, allocation_id: str, elsewhere: _Elsewhere) -> None:
    if elsewhere.region is not None:
        settings.refuse(
            ELASTIC_IP,
            f"{allocation_id} is in {elsewhere.region}",
            f"an Elastic IP cannot leave its region: run the stack there or allocate one in {region}",
        )
        return
    where = f"neither in {region} nor in any of {elsewhere.asked} other regions"
    if elsewhere.not_asked:
        where += f"; could not be asked: {', '.join(elsewhere.not_asked)}"
    settings.refuse(
        ELASTIC_IP,
        f"{allocation_id} is {where}",
        f"see whether it was released, or is another account's: {_COMMAND} --region REGION",
    )
