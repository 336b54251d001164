"""An allocation of another region cannot be associated here: EC2's own answer, beside the same call with an allocation
of this region.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory import Host
from workloads.aws import ec2_client, one_line
from workloads.eip_region.address import Asked, error_code, until_known
from workloads.eip_region.context import Context
from workloads.eip_region.remap import settle
from workloads.eip_region.settings import FOREIGN_REGIONS, KNOWN_SECONDS, NOT_FOUND, THROW_AWAY
from workloads.eip_region.unfinished import Unfinished
from workloads.errors import WorkloadError
from workloads.results import proof, utc_now

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

PROOF = "cross-region-refused"


@dataclass(frozen=True)
class Foreign:
    """The throw-away allocation."""

    id: str
    region: str
    allocated_unix_s: float


def prove(context: Context) -> bool:
    """Whether it was refused as published; recorded either way."""
    region = context.inventory.region
    foreign_region = next(each for each in FOREIGN_REGIONS if each != region)
    holder = settle(context, Unfinished(context.address.elastic_ip.id), None)
    other = context.other_than(holder)
    elsewhere = ec2_client(foreign_region)
    here = ec2_client(region)
    # The same call first, with the address of this region, where it is: it changes nothing, and must succeed.
    _attempts(context, here, context.address.elastic_ip.id, region, holder, time.time(), 0)
    with throw_away(context, elsewhere, foreign_region) as foreign:
        code = _attempts(
            context,
            here,
            foreign.id,
            foreign.region,
            other,
            foreign.allocated_unix_s,
            context.pace.settle_seconds,
        )
        there = _is_there(elsewhere, foreign.id)
        if code is None:
            _undo(here, foreign.id)
    refused = code == NOT_FOUND and there
    detail = f"{foreign.id} of {foreign.region}, asked for in {region}: {code or 'associated'}"
    detail += f"; in {foreign.region} it was {'there' if there else 'not there either'}"
    _note(context, foreign_region, other, detail, refused)
    context.console.say("prove", f"{'refused' if refused else 'not refused as published'}: {detail}")
    return refused


@contextmanager
def throw_away(context: Context, elsewhere: EC2Client, region: str) -> Iterator[Foreign]:
    """An allocation that is released at the end; one that a killed run left is released first."""
    for left in _left(context, elsewhere, region):
        context.console.say("prove", f"{left} in {region} was left by another run: releasing it")
        _release(elsewhere, left)
    try:
        allocated = elsewhere.allocate_address(
            Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": _tags(context)}]
        )
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
    found = Foreign(allocated["AllocationId"], region, time.time())
    context.console.say("prove", f"{found.id} allocated in {region}, to be thrown away")
    try:
        yield found
    finally:
        _release(elsewhere, found.id)
        context.console.say("prove", f"{found.id} released")


def _attempts(
    context: Context, here: EC2Client, allocation_id: str, of: str, host: Host, since_unix_s: float, settle_s: float
) -> str | None:
    """Asks for the association until it is decided; the code of the last answer, None where it was made."""

    def attempted(asked: Asked, code: str | None) -> None:
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
        # Not taken from anybody: were it possible, it would be the first association of that address.
        here.associate_address(AllocationId=allocation_id, InstanceId=host.id, AllowReassociation=False)

    with one_line(f"associating {allocation_id} with {host.name}"):
        try:
            until_known(call, settle_s, attempted)
        except ClientError as error:
            if of == context.inventory.region:
                raise
            return error_code(error)
    return None


def _left(context: Context, elsewhere: EC2Client, region: str) -> list[str]:
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
        until_known(lambda: _release_once(elsewhere, allocation_id), KNOWN_SECONDS)


def _release_once(elsewhere: EC2Client, allocation_id: str) -> None:
    elsewhere.release_address(AllocationId=allocation_id)


def _is_there(elsewhere: EC2Client, allocation_id: str) -> bool:
    """Whether its own region has it: then it is the other that refuses it, and not that it is unknown everywhere."""
    try:
        return bool(elsewhere.describe_addresses(AllocationIds=[allocation_id])["Addresses"])
    except ClientError as error:
        if error_code(error) == NOT_FOUND:
            return False
        raise


def _undo(here: EC2Client, allocation_id: str) -> None:
    """What was thought impossible has been done: the host gets its own address back."""
    with one_line(f"freeing {allocation_id}"):
        for address in here.describe_addresses(AllocationIds=[allocation_id])["Addresses"]:
            here.disassociate_address(AssociationId=address["AssociationId"])


def _note(context: Context, foreign_region: str, host: Host, detail: str, passed: bool) -> None:
    context.results.append("proofs", proof(PROOF, foreign_region, host.name, detail, passed))
