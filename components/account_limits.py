"""Checks an account's own limits before anything is created: vCPU quota, VPC Block Public Access, Allowed AMIs.

Each of them would otherwise end `pulumi up` in the middle, or leave hosts that nobody can reach. The calls only read
(Get…, Describe…). A call that is denied or gets no answer gives a note, not an error: AWS itself will enforce the
limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import botocore.exceptions

from aws_offers import InstanceType
from components.aws_api import CONNECTION_ERRORS, ec2_client, error_code, make_client, make_session, short_reason
from components.aws_settings import REGION
from components.config import CommonConfig
from components.image import DEBIAN_OWNER
from components.settings import Settings

QUOTA_CODE = "L-1216C47A"
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, in vCPUs (Service Quotas, Amazon EC2)."""
_FAMILY = re.compile(r"([a-z]+)[0-9]")
_STANDARD = frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"})
_HIDDEN = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable")
_NO_BLOCK = "off"
_BLOCKS = frozenset({"block-bidirectional", "block-ingress"})


def check_account(
    settings: Settings,
    common: CommonConfig,
    types: Mapping[str, InstanceType],
    instances: Mapping[str, int],
    cpu_limit: int | None,
) -> list[str]:
    """Checks that hosts (how many of each type) may be launched and reached from the internet. Returns notes."""
    return [
        *_notes_of("the quota of vCPUs", lambda: _check_vcpus(settings, common, types, instances, cpu_limit)),
        *_notes_of("VPC Block Public Access", lambda: _check_public_access(settings, common)),
    ]


def check_image_allowed(settings: Settings, common: CommonConfig, image_id: str) -> list[str]:
    """Checks that the account's Allowed AMIs include the image. Returns notes."""
    return _notes_of("Allowed AMIs", lambda: _check_image(settings, common, image_id))


def _notes_of(what: str, check: Callable[[], str | None]) -> list[str]:
    try:
        note = check()
    except (botocore.exceptions.ClientError, *CONNECTION_ERRORS) as error:
        note = f"{what} could not be looked up ({short_reason(error)})"
    return [] if note is None else [note]


def _check_vcpus(
    settings: Settings,
    common: CommonConfig,
    types: Mapping[str, InstanceType],
    instances: Mapping[str, int],
    cpu_limit: int | None,
) -> str | None:
    """Checks the quota of vCPUs. AWS does not document whether an instance with CPU options counts with its type's
    vCPUs or with its options': four c4.8xlarge with four CPUs each are 144 or 16. If neither fits it is an error; if
    only one fits it is a note.
    """
    standard = {name: count for name, count in instances.items() if name in types and _is_standard(name)}
    by_type = sum(count * types[name].cpus for name, count in standard.items())
    by_options = sum(count * min(cpu_limit or types[name].cpus, types[name].cpus) for name, count in standard.items())
    if not by_type:
        return None
    region = common.aws.region
    session = make_session(common.aws)
    answer = make_client(common.aws, session, "service-quotas", region).get_service_quota(
        ServiceCode="ec2", QuotaCode=QUOTA_CODE
    )
    quota = int(answer["Quota"]["Value"])
    if by_type <= quota - (used := _used_vcpus(common, ec2_client(common.aws, session, region))):
        return None
    left = f"{region} has {max(quota - used, 0)} left of its quota of {quota} (Service Quotas, {QUOTA_CODE})"
    if by_options > quota - used:
        needed = used + by_options
        settings.add_error(
            REGION,
            f"the hosts take {by_options} vCPUs and {left}",
            "end other instances, choose another region, or ask for more: aws service-quotas "
            f"request-service-quota-increase --service-code ec2 --quota-code {QUOTA_CODE} --desired-value {needed} "
            f"--region {region}",
        )
        return None
    return (
        f"vCPUs: the hosts have {by_type} by their types and {by_options} by their CPU options, and {left}; AWS does "
        "not say which counts, so it may refuse them (VcpuLimitExceeded)"
    )


def _used_vcpus(common: CommonConfig, ec2: Any) -> int:
    """Counts the vCPUs of other instances that the quota covers, by their CPU options: the lower of the two counts."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    )
    used = 0
    for instance in (each for page in pages for group in page["Reservations"] for each in group["Instances"]):
        on_demand = "InstanceLifecycle" not in instance  # spot, scheduled, capacity-block
        if on_demand and not common.owns(instance.get("Tags", [])) and _is_standard(instance["InstanceType"]):
            cpu = instance.get("CpuOptions", {})
            used += cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 1)
    return used


def _is_standard(instance_type: str) -> bool:
    family = _FAMILY.match(instance_type)
    return family is not None and family.group(1) in _STANDARD


def _check_public_access(settings: Settings, common: CommonConfig) -> str | None:
    """Checks the region's mode: a VPC that does not exist yet has no exclusion from it."""
    region = common.aws.region
    ec2 = ec2_client(common.aws, make_session(common.aws), region)
    mode = str(
        ec2.describe_vpc_block_public_access_options()["VpcBlockPublicAccessOptions"].get("InternetGatewayBlockMode")
    )
    if mode in _BLOCKS:
        settings.add_error(
            REGION,
            f"VPC Block Public Access is on in {region} ({mode}): nobody could reach the hosts",
            "choose another region, or switch it off: aws ec2 modify-vpc-block-public-access-options "
            f"--internet-gateway-block-mode off --region {region}",
        )
    elif mode != _NO_BLOCK:
        return f"VPC Block Public Access is {mode} in {region}, which is not known here: the hosts may be unreachable"
    return None


def _check_image(settings: Settings, common: CommonConfig, image_id: str) -> str | None:
    region = common.aws.region
    ec2 = cast(Any, ec2_client(common.aws, make_session(common.aws), region))
    if ec2.get_allowed_images_settings().get("State") != "enabled":
        return None  # disabled, or audit-mode, which forbids nothing
    try:
        images = ec2.describe_images(ImageIds=[image_id])["Images"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in _HIDDEN:
            raise
        images = []  # EC2 does not show an image that is not allowed
    if not images or images[0].get("ImageAllowed") is False:
        settings.add_error(
            REGION,
            f"Allowed AMIs is on in {region} and does not allow Debian's image {image_id}",
            f"allow its owner {DEBIAN_OWNER} beside what `aws ec2 get-allowed-images-settings --region {region}` shows",
        )
    return None
