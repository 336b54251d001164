"""The Elastic IP in EC2's API: finds the host that has it, and gives it to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from inventory import ElasticIp, Host, Inventory
from reaper.services import error_code
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.errors import WorkloadError
from workloads.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

NOT_FOUND = "InvalidAllocationID.NotFound"
"""EC2's error for an allocation of another region, and for one that it does not know yet."""
API_POLL_SECONDS = 0.2
"""Between two DescribeAddresses: five a second is far below EC2's limits on describing calls."""
KNOWN_SECONDS = 30
"""EC2's API is eventually consistent ("Ensure idempotency and eventual consistency", EC2 API Reference): for this long
a new allocation may be unknown.
"""


def elastic_ip_of(inventory: Inventory) -> ElasticIp:
    """Returns the address that is moved. Raises WorkloadError where there is none, or none that could be moved."""
    if not inventory.elastic_ips:
        raise WorkloadError(f"{inventory.stack}: no elastic_ips in the inventory", "eip-region needs one")
    for host in inventory.hosts:
        if not is_instance_id(host.id):
            raise WorkloadError(
                f"id {host.id} is no instance of EC2", "an Elastic IP moves between instances alone", host.name
            )
    return inventory.elastic_ips[0]


@dataclass(frozen=True)
class ApiCall:
    """When a call to the API was made and answered, by the clock of this machine."""

    asked_unix_s: float
    answered_unix_s: float


def until_known(
    call: Callable[[], object],
    unknown_seconds: float,
    attempted: Callable[[ApiCall, str | None], None] = lambda *_: None,
    *,
    poll_seconds: float = 1.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> ApiCall:
    """Repeats `call` until it succeeds; while EC2 does not know the allocation, until it was asked `unknown_seconds`
    after the first time, since a new one may not be known everywhere yet. Raises ClientError after that, and for any
    other error.

    `attempted` gets each attempt, with the error's code.
    """
    began = clock()
    while True:
        asked = clock()
        try:
            call()
        except ClientError as error:
            answered = clock()
            attempted(ApiCall(asked, answered), error_code(error))
            if error_code(error) != NOT_FOUND or asked - began >= unknown_seconds:
                raise
            sleep(poll_seconds)
        else:
            made = ApiCall(asked, clock())
            attempted(made, None)
            return made


class Address:
    """The address and its holder. Errors of the API are raised as WorkloadError."""

    def __init__(self, inventory: Inventory) -> None:
        self.elastic_ip = elastic_ip_of(inventory)
        self._inventory = inventory
        self._ec2: EC2Client = ec2_client(inventory.region)

    @property
    def name(self) -> str:
        """The address and its allocation, for messages."""
        return f"{self.elastic_ip.address} ({self.elastic_ip.id})"

    def holder(self) -> Host | None:
        """Returns the host that has the address now, or None. Raises WorkloadError when something else has it, and the
        inventory does not allow to take it from there.
        """
        instance_id, interface_id = self._association()
        if instance_id is None and interface_id is None:
            return None
        for host in self._inventory.hosts:
            if host.id == instance_id:
                return host
        if self.elastic_ip.reassociate:
            return None
        raise WorkloadError(
            f"{self.name} is associated with {instance_id or interface_id}, "
            f"which is no host of {self._inventory.stack}",
            "give the stack another address, or set tidemark:reassociate true to take it from there",
        )

    def give_to(self, host: Host) -> ApiCall:
        """Associates the address with a host; returns when that was asked for and answered."""
        with one_line(f"giving {self.name} to {host.name}"):
            return until_known(
                lambda: self._ec2.associate_address(
                    AllocationId=self.elastic_ip.id, InstanceId=host.id, AllowReassociation=True
                ),
                KNOWN_SECONDS,
                poll_seconds=API_POLL_SECONDS,
            )

    def await_shown(self, host: Host, limit_seconds: float) -> float | None:
        """Returns when DescribeAddresses first showed the host as the holder; None: not within the limit."""
        return wait_until(
            lambda: time.time() if self._association()[0] == host.id else None,
            timeout_seconds=limit_seconds,
            interval_seconds=API_POLL_SECONDS,
        )

    def _association(self) -> tuple[str | None, str | None]:
        """Returns the instance and the network interface that have it."""
        with one_line(f"the holder of {self.name}"):
            found = self._ec2.describe_addresses(AllocationIds=[self.elastic_ip.id])["Addresses"][0]
        return found.get("InstanceId") or None, found.get("NetworkInterfaceId") or None
