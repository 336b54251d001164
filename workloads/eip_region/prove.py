"""Proves that an allocation of another region cannot be associated here, by EC2's answer; the same call with an
allocation of this region is the control.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory import Host
from reaper.services import error_code
from workloads.aws import ec2_client, one_line
from workloads.eip_region.address import KNOWN_SECONDS, NOT_FOUND, ApiCall, until_known
from workloads.eip_region.context import Context
from workloads.eip_region.remap import settle
from workloads.errors import WorkloadError
from workloads.results import proof, utc_now

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

FOREIGN_REGIONS = ("us-east-1", "us-west-2")
"""Where the throw-away allocation is made: the first that is not the stack's own. Every account has both enabled."""
THROW_AWAY = "eip-region-throw-away"
"""The Name tag of the allocation, which is released in any case."""


def prove(context: Context) -> bool:
    """Asks for the association; records and returns whether it was refused as published."""
    began = time.monotonic()
    region = context.inventory.region
    foreign_region = next(each for each in FOREIGN_REGIONS if each != region)
    holder = settle(context, None)
    other = context.other_than(holder)
    elsewhere = ec2_client(foreign_region)
    here = ec2_client(region)
    # The control: associating this region's address with the host that has it changes nothing, and must succeed.
    _try_to_associate(context, here, context.address.elastic_ip.id, region, holder)
    with throw_away(context, elsewhere, foreign_region) as foreign:
        code = _try_to_associate(context, here, foreign, foreign_region, other)
        there = _is_there(elsewhere, foreign)
        if code is None:
            _undo(here, foreign)
    refused = code == NOT_FOUND and there
    detail = f"{foreign} of {foreign_region}, asked for in {region}: {code or 'associated'}"
    detail += f"; in {foreign_region} it was {'there' if there else 'not there either'}"
    context.results.append("proofs", proof("cross-region-refused", foreign_region, other.name, detail, refused))
    context.console.say("prove", f"{'refused' if refused else 'not refused as published'}: {detail}")
    context.results.step("prove", time.monotonic() - began, None)
    return refused


@contextmanager
def throw_away(context: Context, elsewhere: EC2Client, region: str) -> Iterator[str]:
    """Gives the id of a new allocation, and releases it at the end; first releases those that killed runs left."""
    for leftover in _leftovers(context, elsewhere, region):
        context.console.say("prove", f"{leftover} in {region} was left by another run: releasing it")
        _release(elsewhere, leftover)
    tags: Any = [{"ResourceType": "elastic-ip", "Tags": _tags(context)}]
    with one_line(f"an allocation in {region}"):
        try:
            found = elsewhere.allocate_address(Domain="vpc", TagSpecifications=tags)["AllocationId"]
        except ClientError as error:
            if error_code(error) == "AddressLimitExceeded":
                raise WorkloadError(
                    f"{region} has as many Elastic IPs as its quota allows, and the proof needs one for a minute",
                    "release one there, or ask for a higher quota (Service Quotas, EC2-VPC Elastic IPs)",
                ) from error
            raise WorkloadError(
                f"an allocation in {region} is refused ({error_code(error)})",
                "the proof needs ec2:AllocateAddress and ec2:ReleaseAddress there",
            ) from error
    context.console.say("prove", f"{found} allocated in {region} for this test")
    try:
        yield found
    finally:
        _release(elsewhere, found)
        context.console.say("prove", f"{found} released")


def _try_to_associate(context: Context, here: EC2Client, allocation_id: str, of: str, host: Host) -> str | None:
    """Asks for the association until EC2 decides; returns the last error's code, None where it was made."""
    since_unix_s = time.time()
    own = of == context.inventory.region

    def attempted(asked: ApiCall, code: str | None) -> None:
        context.results.append(
            "associations",
            {
                "t_unix_s": asked.asked_unix_s,
                "answered_unix_s": asked.answered_unix_s,
                "allocation_id": allocation_id,
                "allocation_region": of,
                "asked_region": context.inventory.region,
                "host": host.name,
                "age_s": asked.asked_unix_s - since_unix_s,
                "code": code,
            },
        )

    def call() -> None:
        # Without reassociation: were it possible, it would be the first association of that address.
        here.associate_address(AllocationId=allocation_id, InstanceId=host.id, AllowReassociation=False)

    with one_line(f"associating {allocation_id} with {host.name}"):
        try:
            until_known(call, 0 if own else context.pace.settle_seconds, attempted)
        except ClientError as error:
            if own:
                raise
            return error_code(error)
    return None


def _leftovers(context: Context, elsewhere: EC2Client, region: str) -> list[str]:
    wanted = {"Name": THROW_AWAY, "stack": context.inventory.stack, "project": context.inventory.project}
    filters: Any = [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]
    with one_line(f"addresses in {region}"):
        addresses = elsewhere.describe_addresses(Filters=filters)["Addresses"]
    return [address["AllocationId"] for address in addresses]


def _tags(context: Context) -> Any:
    found = context.inventory
    tags = {
        "project": found.project,
        "stack": found.stack,
        "experiment": found.experiment,
        "expires-at": found.expires_at or utc_now(),
        "Name": THROW_AWAY,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _release(elsewhere: EC2Client, allocation_id: str) -> None:
    with one_line(f"releasing {allocation_id}"):
        until_known(lambda: elsewhere.release_address(AllocationId=allocation_id), KNOWN_SECONDS)


def _is_there(elsewhere: EC2Client, allocation_id: str) -> bool:
    """Returns whether its own region knows it: else the refusal would prove nothing."""
    with one_line(f"{allocation_id} in {elsewhere.meta.region_name}"):
        try:
            return bool(elsewhere.describe_addresses(AllocationIds=[allocation_id])["Addresses"])
        except ClientError as error:
            if error_code(error) != NOT_FOUND:
                raise
            return False


def _undo(here: EC2Client, allocation_id: str) -> None:
    """Undoes an association that should have been impossible: the host gets its own address back."""
    with one_line(f"freeing {allocation_id}"):
        for address in here.describe_addresses(AllocationIds=[allocation_id])["Addresses"]:
            here.disassociate_address(AssociationId=address["AssociationId"])
