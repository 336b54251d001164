"""The Elastic IP: finds the host that has it by EC2's API, and gives it to another; what is kept on this machine about
its moves: a journal, and a lock, so that one task moves it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from inventory import ElasticIp, Host, Inventory
from reaper.services import error_code
from workloads.aws import ec2_client, is_instance_id, one_line
from workloads.errors import WorkloadError
from workloads.paths import state_dir
from workloads.results import utc_now
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
) -> ApiCall:
    """Repeats `call` until it succeeds; while EC2 does not know the allocation, until it was asked `unknown_seconds`
    after the first time, since a new one may not be known everywhere yet. Raises ClientError after that, and for any
    other error.

    `attempted` gets each attempt, with the error's code.
    """
    began = time.time()
    while True:
        asked = time.time()
        try:
            call()
        except ClientError as error:
            answered = time.time()
            attempted(ApiCall(asked, answered), error_code(error))
            if error_code(error) != NOT_FOUND or asked - began >= unknown_seconds:
                raise
            time.sleep(poll_seconds)
        else:
            made = ApiCall(asked, time.time())
            attempted(made, None)
            return made


class Address:
    """The address and its holder. Errors of the API are raised as WorkloadError."""

    def __init__(self, inventory: Inventory) -> None:
        self.elastic_ip = elastic_ip_of(inventory)
        self.journal = MoveJournal(self.elastic_ip.id)
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


@dataclass(frozen=True)
class PendingMove:
    """A move that was begun, and whose end is not known."""

    source: str
    target: str
    since: str


class MoveJournal:
    """The move of an address that is under way, in a file that outlives the task."""

    def __init__(self, allocation_id: str, folder: Path | None = None) -> None:
        self._path = (folder or state_dir()) / "moves" / f"{allocation_id}.json"

    def begin(self, source: str, target: str) -> None:
        """Records a move, before the API is called."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(asdict(PendingMove(source, target, utc_now()))) + "\n", encoding="utf-8")
        new.replace(self._path)

    def end(self) -> None:
        """Removes the record: the move has ended, or was taken back."""
        self._path.unlink(missing_ok=True)

    def pending(self) -> PendingMove | None:
        """Returns a move that another run did not finish, or None."""
        try:
            return PendingMove(**json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, RecursionError) as error:
            raise WorkloadError(f"{self._path} cannot be read ({error})", "remove it") from error


@contextmanager
def address_lock(allocation_id: str, task: str, folder: Path | None = None) -> Iterator[None]:
    """Lets no other task of this machine move the address. Raises WorkloadError with the holder's name when it is
    taken.
    """
    path = (folder or state_dir()) / "moves" / f"{allocation_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            # The kernel releases the lock when the process ends, in whatever way.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = " ".join(file.read().split()) or "another task"
            raise WorkloadError(
                f"{allocation_id} is being moved by {holder}", "wait for its end, or end it with Ctrl-C"
            ) from None
        file.truncate()
        file.write(f"{task} (process {os.getpid()} on {socket.gethostname()}, since {utc_now()})\n")
        file.flush()
        yield
