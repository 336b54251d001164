"""What an account's own settings forbid, asked before anything is created: the quota of vCPUs, VPC Block Public Access
and Allowed AMIs. Each of them otherwise ends `pulumi up` in the middle, or leaves hosts that nobody can reach.

Only asks (Get…, Describe…). What the credentials may not ask, or what does not answer, is a note for the person and no
fault: AWS itself will tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import botocore.exceptions

from aws_offers import InstanceType
from components.aws_settings import REGION
from components.config import CommonConfig
from components.facts import NO_ANSWER, client_of, ec2_client, error_code, session_of
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
    """Whether hosts (type -> how many) may be launched, and reached from the internet. Faults are noted in `settings`;
    gives notes for the person.
    """
    return [
        *_noted("the quota of vCPUs", lambda: _check_vcpus(settings, common, types, instances, cpu_limit)),
        *_noted("VPC Block Public Access", lambda: _check_public_access(settings, common)),
    ]


def check_image_allowed(settings: Settings, common: CommonConfig, image_id: str) -> list[str]:
    """Whether Allowed AMIs lets the image be launched. A fault is noted in `settings`; gives notes for the person."""
    return _noted("Allowed AMIs", lambda: _check_image(settings, common, image_id))


def _noted(what: str, check: Callable[[], str | None]) -> list[str]:
    try:
        note = check()
    except botocore.exceptions.ClientError as error:
        note = f"{what} could not be looked up ({error_code(error)})"
    except NO_ANSWER as error:
        note = f"{what} could not be looked up ({type(error).__name__})"
    return [] if note is None else [note]


def _check_vcpus(
    settings: Settings,
    common: CommonConfig,
    types: Mapping[str, InstanceType],
    instances: Mapping[str, int],
    cpu_limit: int | None,
) -> str | None:
    """The quota counts vCPUs, and no page of AWS's says whether an instance with CPU options counts by its type or by
    its options: md-raid has 144 or 16. So what fits neither way is refused, and what fits one way alone is said.
    """
    standard = {name: count for name, count in instances.items() if name in types and _is_standard(name)}
    by_type = sum(count * types[name].cpus for name, count in standard.items())
    by_options = sum(count * min(cpu_limit or types[name].cpus, types[name].cpus) for name, count in standard.items())
    if not by_type:
        return None
    region = common.aws.region
    session = session_of(common.aws)
    answer = client_of(common.aws, session, "service-quotas", region).get_service_quota(
        ServiceCode="ec2", QuotaCode=QUOTA_CODE
    )
    quota = int(answer["Quota"]["Value"])
    if by_type <= quota - (used := _used_vcpus(common, ec2_client(common.aws, session, region))):
        return None
    left = f"{region} has {max(quota - used, 0)} left of its quota of {quota} (Service Quotas, {QUOTA_CODE})"
    if by_options > quota - used:
        needed = used + by_options
        settings.refuse(
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
    """vCPUs of instances that count towards the quota and are not this stack's, by their CPU options: the least."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    )
    used = 0
    for instance in (each for page in pages for group in page["Reservations"] for each in group["Instances"]):
        tags = {tag.get("Key"): tag.get("Value") for tag in instance.get("Tags", [])}
        own = (tags.get("project"), tags.get("stack")) == (common.project, common.stack)
        on_demand = "InstanceLifecycle" not in instance  # spot, scheduled, capacity-block
        if on_demand and not own and _is_standard(instance["InstanceType"]):
            cpu = instance.get("CpuOptions", {})
            used += cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 1)
    return used


def _is_standard(instance_type: str) -> bool:
    family = _FAMILY.match(instance_type)
    return family is not None and family.group(1) in _STANDARD


def _check_public_access(settings: Settings, common: CommonConfig) -> str | None:
    """A VPC that does not exist yet has no exclusion, so what holds in the region holds in it."""
    region = common.aws.region
    ec2 = ec2_client(common.aws, session_of(common.aws), region)
    mode = str(
        ec2.describe_vpc_block_public_access_options()["VpcBlockPublicAccessOptions"].get("InternetGatewayBlockMode")
    )
    if mode in _BLOCKS:
        settings.refuse(
            REGION,
            f"VPC Block Public Access is on in {region} ({mode}): nobody could reach the hosts",
            "choose another region, or switch it off: aws ec2 modify-vpc-block-public-access-options "
            f"--internet-gateway-block-mode off --region {region}",
        )
    elif mode != _NO_BLOCK:
        return f"VPC Block Public Access is {mode} in {region}, which is not known here: hosts may be out of reach"
    return None


def _check_image(settings: Settings, common: CommonConfig, image_id: str) -> str | None:
    region = common.aws.region
    ec2 = cast(Any, ec2_client(common.aws, session_of(common.aws), region))
    if ec2.get_allowed_images_settings().get("State") != "enabled":
        return None  # disabled, or audit-mode, which forbids nothing
    try:
        images = ec2.describe_images(ImageIds=[image_id])["Images"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in _HIDDEN:
            raise
        images = []  # an image that is not allowed is not shown
    if not images or images[0].get("ImageAllowed") is False:
        settings.refuse(
            REGION,
            f"Allowed AMIs is on in {region} and does not allow Debian's image {image_id}",
            f"allow its owner {DEBIAN_OWNER} beside what `aws ec2 get-allowed-images-settings --region {region}` shows",
        )
    return None
