"""Ends a wait when a resource is gone: an instance that is stopped or terminated, a kernel that has panicked, a file
system or a volume that is deleted.

Only a clear answer of the API ends a wait; an unknown resource or a failed call does not. A person's own machines have
no instance, and are not watched. A panic is read off the host's serial console.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from inventory import Inventory
from workloads.aws import aws_client, is_instance_id, one_line
from workloads.errors import WorkloadError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_efs.client import EFSClient

LOOK_SECONDS = 1.0
# EC2 updates a console some minutes after it was written; a rehearsal's is current.
CONSOLE_SECONDS = 10.0
# The wait before a kind of resource is read again after an error (no credentials, no permission, no network).
BACK_OFF_SECONDS = 30.0
# Short timeouts: a call must not delay the waiting task's own next attempt, and is repeated soon.
SHORT_TIMEOUTS = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1, "mode": "standard"})
# Instance states of the EC2 User Guide, "Instance lifecycle": SSH answers in none of these.
GONE = frozenset({"stopping", "stopped", "shutting-down", "terminated"})
FINAL = frozenset({"shutting-down", "terminated"})
# LifeCycleState of EFS' DescribeFileSystems and State of EC2's DescribeVolumes from which none comes back.
STORAGE_GONE = frozenset({"deleting", "deleted", "error"})
LAST_LINES = 8
# Messages of a fatal kernel fault: kernel/panic.c, arch/x86/kernel/dumpstack.c ("Oops"),
# lib/bug.c; and arch/um/os-Linux/skas/process.c ("userspace - ptrace ..."), after which User Mode Linux panics.
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_CAUSE = re.compile(r"userspace - ptrace \S.* failed.*|(?:Oops|BUG|Unable to handle kernel)\b.*:.*")
# The first line of every boot (init/main.c), and a rehearsal's instead, whose kernels are quiet. Lines before it are of
# an earlier boot.
_BOOT = re.compile(r"Linux version \d|^tidemark: power on$")
_CAUSE_LINES = 60  # a panic's own traces and registers lie between a cause and the panic
# Colours, cursor movements and other control characters.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

Found = TypeVar("Found")


class ResourceGone(WorkloadError):
    """A resource is gone; waiting longer is of no use."""


class ResourceWatch:
    """Watches an inventory's resources: calls each API at most once a second, and only in `check`, which may be called
    from several threads.
    """

    def __init__(self, inventory: Inventory, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inventory = inventory
        self._ids = {host.name: host.id for host in inventory.hosts if is_instance_id(host.id)}
        self._clock = clock
        self._guard = threading.Lock()
        self._looked = float("-inf")
        self._instances: dict[str, InstanceTypeDef] = {}
        self._resource_fault: ResourceGone | None = None
        self._consoles: dict[str, float] = {}  # instance -> when its console was read
        self._client = cache(lambda service: aws_client(inventory.region, service, SHORT_TIMEOUTS))
        self._not_before: dict[str, float] = {}  # kind -> when it may be asked for again

    def check(self, host: str) -> None:
        """Raises ResourceGone when the host's instance has ended or its kernel has panicked, or when a file system or a
        volume of the inventory is gone.
        """
        instance_id = self._ids.get(host)
        if instance_id is None:
            return
        asked = self._clock()
        with self._guard:
            if asked - self._looked >= LOOK_SECONDS:
                self._look()
            if self._state(instance_id) in GONE and self._looked < asked:
                self._look()  # the cached state may be old: the instance may have been started since
            if self._state(instance_id) in GONE:
                instance = self._instances[instance_id]
                raise instance_gone(self._ec2, instance, host, rehearsal=self._inventory.rehearsal)
            self._check_console(host, instance_id)
            if self._resource_fault is not None:
                raise self._resource_fault

    def _state(self, instance_id: str) -> str | None:
        instance = self._instances.get(instance_id)
        return None if instance is None else instance["State"]["Name"]

    @property
    def _ec2(self) -> EC2Client:
        client: EC2Client = self._client("ec2")
        return client

    def _look(self) -> None:
        remedy = remedy_for(rehearsal=self._inventory.rehearsal)
        self._looked = self._clock()
        self._resource_fault = None
        self._instances = dict(self._ask("instances", self._instances_now))
        volumes = self._ask("volumes", self._volumes_now)
        for host in self._inventory.hosts:
            for volume in host.volumes:
                if volumes.get(volume.id) in STORAGE_GONE:
                    what = f"its volume {volume.id} is {volumes[volume.id]}"
                    self._resource_fault = ResourceGone(what, remedy, host.name)
        for system_id, state in self._ask("file systems", self._file_systems_now).items():
            if state in STORAGE_GONE:
                self._resource_fault = ResourceGone(f"file system {system_id} is {state}", remedy)

    def _ask(self, kind: str, look: Callable[[], Mapping[str, Found]]) -> Mapping[str, Found]:
        """Returns what `look` finds; nothing after an error."""
        if self._clock() < self._not_before.get(kind, float("-inf")):
            return {}
        try:
            with one_line(kind):
                return look()
        except WorkloadError as fault:
            if self._inventory.rehearsal and isinstance(fault.__cause__, EndpointConnectionError):
                raise ResourceGone(
                    "the rehearsal region has ended: nothing answers at its API", "rehearse again, or `fab lab.up`"
                ) from fault
            self._not_before[kind] = self._clock() + BACK_OFF_SECONDS
            return {}

    def _instances_now(self) -> dict[str, InstanceTypeDef]:
        # A filter, because an id that the API does not (yet) know is then no error.
        ids = sorted(set(self._ids.values()))
        answer = self._ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])
        return {
            instance["InstanceId"]: instance
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
        }

    def _volumes_now(self) -> dict[str, str]:
        ids = sorted({volume.id for host in self._inventory.hosts for volume in host.volumes})
        if not ids:
            return {}
        found = self._ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": ids}])["Volumes"]
        return {volume["VolumeId"]: str(volume["State"]) for volume in found}

    def _file_systems_now(self) -> dict[str, str]:
        wanted = self._inventory.file_system
        if wanted is None:
            return {}
        client: EFSClient = self._client("efs")
        found = client.describe_file_systems(FileSystemId=wanted.id)["FileSystems"]
        return {system["FileSystemId"]: str(system["LifeCycleState"]) for system in found}

    def _check_console(self, host: str, instance_id: str) -> None:
        """Raises ResourceGone for a panicked kernel, which may be in an instance that EC2 calls running."""
        if self._clock() - self._consoles.get(instance_id, float("-inf")) < CONSOLE_SECONDS:
            return
        self._consoles[instance_id] = self._clock()
        console = read_console(self._ec2, instance_id)
        panic = kernel_panic(console)
        if panic is not None:
            remedy = remedy_for(rehearsal=self._inventory.rehearsal)
            raise ResourceGone(f"its kernel has ended: {panic}", remedy, host, last_lines(console))


def remedy_for(*, rehearsal: bool) -> str:
    """Returns the advice for a resource that is gone."""
    if rehearsal:
        return "see `fab lab.status` and the region's log, then rehearse again"
    return "see the EC2 console for the cause, then replace it (pulumi up --refresh)"


def instance_gone(client: EC2Client, instance: InstanceTypeDef, host: str, *, rehearsal: bool) -> ResourceGone:
    """Returns the error for an instance that has ended: EC2's reason, the kernel's, and its console's last lines."""
    console = read_console(client, instance["InstanceId"])
    reason = instance.get("StateReason", {}).get("Message") or instance.get("StateTransitionReason") or ""
    panic = kernel_panic(console)
    if panic is not None and panic not in reason:
        reason = f"{reason}; {panic}" if reason else panic
    return ResourceGone(
        f"its instance {instance['InstanceId']} is {instance['State']['Name']}{f' ({reason})' if reason else ''}",
        remedy_for(rehearsal=rehearsal),
        host,
        last_lines(console),
    )


def read_console(client: EC2Client, instance_id: str) -> str:
    """Returns an instance's console; empty where EC2 shows none, or the call fails."""
    try:
        with one_line(f"console of {instance_id}"):
            return client.get_console_output(InstanceId=instance_id).get("Output", "")
    except WorkloadError:
        return ""


def last_lines(console: str) -> list[str]:
    """Returns a console's last lines, to be shown; after a panic those up to it, without registers and trace."""
    lines, at = _find_panic(console)
    return lines[-LAST_LINES:] if at is None else lines[max(0, at + 1 - LAST_LINES) : at + 1]


def kernel_panic(console: str) -> str | None:
    """Returns the panic of the newest boot's kernel, after the fault that caused it if that is shown; None when it has
    not panicked, or has booted again since.
    """
    lines, at = _find_panic(console)
    if at is None:
        return None
    panic = _PANIC.search(lines[at])
    assert panic is not None  # found just there
    before = lines[max(0, at - _CAUSE_LINES) : at]
    begin = max((n for n, line in enumerate(before) if _BOOT.search(line) or _PANIC.search(line)), default=-1)
    cause = next((found[0] for line in before[begin + 1 :] if (found := _CAUSE.search(line))), None)
    return panic[0] if cause is None else f"{cause}; {panic[0]}"


def _find_panic(console: str) -> tuple[list[str], int | None]:
    """Returns the console's lines that are not empty, without control characters, and the index of the newest boot's
    panic among them.
    """
    lines = [line for each in console.splitlines() if (line := _CONTROL.sub("", each).rstrip())]
    for at in reversed(range(len(lines))):
        if _BOOT.search(lines[at]):
            break
        if _PANIC.search(lines[at]):
            return lines, at
    return lines, None
