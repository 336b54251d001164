"""The Elastic IP settings of a stack: whether the account has the address, here and free, before anything is created.

The calls only read (Describe…). They are made when the program runs, hence during a preview too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions
import pulumi

from aws_offers import ENABLED_BY_DEFAULT
from components.aws_api import (
    CONNECTION_ERRORS,
    HOME_REGION,
    describe_connection_error,
    ec2_client,
    error_code,
    explain_api_error,
    make_session,
    short_reason,
)
from components.aws_settings import AwsSettings
from components.config import CommonConfig
from components.settings import NONE, SettingError, Settings
from reaper.tags import from_pairs

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.type_defs import AddressTypeDef

ELASTIC_IP = "tidemark:elasticIp"
REASSOCIATE = "tidemark:reassociate"
NEW = "new"

_ALLOCATION_ID = re.compile(r"eipalloc-([0-9a-f]{8}|[0-9a-f]{17})")
_COMMAND = "aws ec2 describe-addresses"
_QUOTA = "vpc-max-elastic-ips"  # DescribeAccountAttributes
_REGIONS_AT_ONCE = 16
_AMAZON_POOL = "amazon"  # DescribeAddresses, PublicIpv4Pool: the quota covers Amazon's addresses, not a customer's own
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True)
class ElasticIpSpec:
    """An existing address by its allocation id, or a new one (None). `reassociate` allows taking it from another
    resource.
    """

    allocation_id: str | None
    reassociate: bool


@dataclass(frozen=True)
class ElasticIpPlan:
    """An address that the stack can have. `existing_address` is None if one will be allocated; `message` is for the
    user. `recheck` raises pulumi.RunError, one line, if an existing address has been taken in the meantime.
    """

    spec: ElasticIpSpec
    existing_address: str | None
    message: str
    recheck: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True)
class _Holder:
    """The resource that an address is associated with. `service` is the AWS service that manages it, so that the
    address cannot be taken; None if the account can take it.
    """

    description: str
    service: str | None = None


def read_elastic_ip(settings: Settings, *, default: str, required: bool = False) -> ElasticIpSpec | None:
    """Reads both settings. Returns None for no Elastic IP, or after an error. With `required`, `none` is an error."""
    text = settings.text_or(ELASTIC_IP, default)
    reassociate = settings.flag(REASSOCIATE)
    if not settings.is_valid(ELASTIC_IP):
        return None
    existing = _ALLOCATION_ID.fullmatch(text) is not None
    if not existing and text != NEW and (required or text != NONE):
        allowed = "" if required else f"{NONE}, "
        settings.add_error(
            ELASTIC_IP,
            f"{text} is no Elastic IP that can be asked for",
            f"give {allowed}{NEW}, or the id of an allocation such as eipalloc-0123456789abcdef0",
        )
        return None
    if reassociate and not existing and settings.is_valid(REASSOCIATE):
        fault = f"there is nothing to take an address from ({ELASTIC_IP} is {text})"
        settings.add_error(REASSOCIATE, fault, "remove it")
    if text == NONE:
        return None
    return ElasticIpSpec(text if existing else None, reassociate)


def check_elastic_ip(settings: Settings, common: CommonConfig, spec: ElasticIpSpec) -> ElasticIpPlan | None:
    """Checks that the stack's valid region has the address or can allocate one. Returns None after an error."""
    if not settings.is_valid(ELASTIC_IP, REASSOCIATE):
        return None
    try:
        if spec.allocation_id is None:
            return _check_new(common, spec)
        return _check_existing(common, spec, spec.allocation_id)
    except SettingError as caught:
        error = caught
    except botocore.exceptions.ClientError as caught:
        error = explain_api_error(caught, _COMMAND)
    except CONNECTION_ERRORS as caught:
        reason = describe_connection_error(caught)
        error = SettingError(f"cannot be looked up ({reason})", f"see whether `{_COMMAND}` answers")
    settings.add_error(ELASTIC_IP, error.fault, error.remedy)
    return None


def _check_new(common: CommonConfig, spec: ElasticIpSpec) -> ElasticIpPlan:
    """Checks the quota. If it cannot be looked up, the allocation itself will enforce it."""
    plan = ElasticIpPlan(spec, None, "Elastic IP: a new one, released by `pulumi destroy`")
    try:
        ec2 = ec2_client(common.aws, make_session(common.aws), common.aws.region)
        quota = _quota(ec2)
        addresses = [
            each for each in ec2.describe_addresses()["Addresses"] if _counts_for_quota(common.aws.region, each)
        ]
    except (botocore.exceptions.ClientError, *CONNECTION_ERRORS):
        return plan
    has_one = any(common.owns(address.get("Tags", [])) for address in addresses)
    if quota is not None and len(addresses) >= quota and not has_one:
        raise SettingError(
            f"{common.aws.region} has {len(addresses)} Elastic IPs and its quota is {quota}",
            "release one, give the id of one that is free, or ask for a higher quota "
            "(Service Quotas, EC2-VPC Elastic IPs)",
        )
    return plan


def _quota(ec2: EC2Client) -> int | None:
    """Returns how many Elastic IPs the region may have; None if the account does not give a number."""
    for attribute in ec2.describe_account_attributes()["AccountAttributes"]:
        values = [value.get("AttributeValue", "") for value in attribute.get("AttributeValues", [])]
        if attribute.get("AttributeName") == _QUOTA and values and re.fullmatch(r"[0-9]{1,9}", values[0]):
            return int(values[0])
    return None


def _counts_for_quota(region: str, address: AddressTypeDef) -> bool:
    pool, group = address.get("PublicIpv4Pool", _AMAZON_POOL), address.get("NetworkBorderGroup", region)
    return pool == _AMAZON_POOL and group == region and not address.get("ServiceManaged")


def _check_existing(common: CommonConfig, spec: ElasticIpSpec, allocation_id: str) -> ElasticIpPlan:
    try:
        session = make_session(common.aws)
    except botocore.exceptions.NoCredentialsError:
        raise SettingError(
            f"{allocation_id} cannot be looked up without AWS credentials", "see `aws configure list`"
        ) from None
    region = common.aws.region
    ec2 = ec2_client(common.aws, session, region)
    address = _find_address(ec2, allocation_id)
    if address is None:
        raise _not_here(common.aws, session, allocation_id)
    group = address.get("NetworkBorderGroup", region)
    if group != region:
        raise SettingError(
            f"{allocation_id} is of the network border group {group}, and the hosts are in {region}'s own zones",
            f"allocate one in the group {region}",
        )
    public_address = address.get("PublicIp")
    if public_address is None:
        raise SettingError(
            f"{allocation_id} has no public address, as carrier addresses of Wavelength Zones have none",
            f"give the id of an Elastic IP, or allocate one in the group {region}",
        )
    holder = _holder(ec2, common, address)
    if holder is not None and holder.service is not None:
        raise SettingError(
            f"{allocation_id} is associated with {holder.description}, which {holder.service} manages: AWS lets nobody "
            "take it from there",
            "give one that is free",
        )
    if holder is not None and not spec.reassociate:
        raise SettingError(
            f"{allocation_id} is associated with {holder.description}",
            f"give one that is free, or set {REASSOCIATE} true to take it from there",
        )
    taken = f", taken from {holder.description}" if holder is not None else ""
    message = f"Elastic IP: {allocation_id} ({public_address}){taken}; `pulumi destroy` does not release it"
    return ElasticIpPlan(spec, public_address, message, lambda: _recheck(common, spec))


def _recheck(common: CommonConfig, spec: ElasticIpSpec) -> None:
    settings = Settings({}, common.stack)
    check_elastic_ip(settings, common, spec)
    if settings.errors:
        raise pulumi.RunError("\n".join(settings.errors))


def _find_address(ec2: EC2Client, allocation_id: str) -> AddressTypeDef | None:
    """Returns the address with this id. A filter, since a lookup by an id that is not in the region is an error."""
    filters = [{"Name": "allocation-id", "Values": [allocation_id]}]
    found = ec2.describe_addresses(Filters=filters)["Addresses"]  # type: ignore[arg-type]  # the stubs have it as Sequence
    return found[0] if found else None


def _holder(ec2: EC2Client, common: CommonConfig, address: AddressTypeDef) -> _Holder | None:
    """Returns what the address is associated with; None for nothing, or for a host of this stack."""
    instance_id = address.get("InstanceId")
    if not instance_id:
        return _holding_interface(ec2, address)
    try:
        reservations = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        tags = reservations[0]["Instances"][0].get("Tags", [])
    except (botocore.exceptions.ClientError, IndexError):
        tags = []  # its owner is unknown, so it counts as somebody else's
    if common.owns(tags):
        return None
    name = from_pairs(tags).get("Name")
    return _Holder(f"the instance {instance_id}" + (f" ({name})" if name else ""))


def _holding_interface(ec2: EC2Client, address: AddressTypeDef) -> _Holder | None:
    """Returns the network interface that has an address without an instance.

    AWS manages the interfaces of load balancers, NAT gateways and the like: only their service associates an address
    with them, or takes it away (EC2 User Guide, "Requester-managed network interfaces").
    """
    interface = address.get("NetworkInterfaceId")
    service: str | None = address.get("ServiceManaged")
    owner = address.get("NetworkInterfaceOwnerId", "")
    if service is None and owner and not _ACCOUNT.fullmatch(owner):
        service = owner  # such as amazon-elb
    if service is None and interface:
        try:
            found = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
        except (botocore.exceptions.ClientError, IndexError):
            found = {}  # its manager is unknown: AWS itself will refuse
        if found.get("RequesterManaged"):
            service = found.get("InterfaceType") or "AWS"
    if not interface:
        return None if service is None else _Holder("a resource of AWS", service)
    return _Holder(f"the network interface {interface}", service)


def _not_here(aws: AwsSettings, session: boto3.Session, allocation_id: str) -> SettingError:
    """Searches every other enabled region, in parallel, and returns the error that says where the address is."""
    regions, not_asked = _enabled_regions(aws, session)
    others = [region for region in regions if region != aws.region]
    clients = {region: ec2_client(aws, session, region) for region in others}  # a session makes one at a time

    def ask(region: str) -> bool | str:
        try:
            return _find_address(clients[region], allocation_id) is not None
        except (botocore.exceptions.ClientError, *CONNECTION_ERRORS) as error:
            return f"{region} ({short_reason(error)})"

    with ThreadPoolExecutor(max_workers=_REGIONS_AT_ONCE) as pool:
        answers = dict(zip(others, pool.map(ask, others), strict=True))
    for region in others:
        if answers[region] is True:
            return SettingError(
                f"{allocation_id} is in {region}",
                f"an Elastic IP cannot leave its region: run the stack there or allocate one in {aws.region}",
            )
    asked = sum(isinstance(answer, bool) for answer in answers.values())
    not_asked += [answer for answer in answers.values() if isinstance(answer, str)]
    where = f"neither in {aws.region} nor in any of {asked} other regions"
    if not_asked:
        where += f"; could not be asked: {', '.join(not_asked)}"
    return SettingError(
        f"{allocation_id} is {where}",
        f"see whether it was released, or is another account's: {_COMMAND} --region REGION",
    )


def _enabled_regions(aws: AwsSettings, session: boto3.Session) -> tuple[list[str], list[str]]:
    """Returns the account's enabled regions, and what is left out: without DescribeRegions, opt-in regions are."""
    try:
        regions = ec2_client(aws, session, HOME_REGION).describe_regions()["Regions"]
    except botocore.exceptions.ClientError as error:
        return sorted(ENABLED_BY_DEFAULT), [f"regions that you opted in to (DescribeRegions: {error_code(error)})"]
    return sorted(region["RegionName"] for region in regions if "RegionName" in region), []
