"""An EFS file system of the region: reached through its mount targets alone, and level-triggered as all else."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import control
from lab.clients import Clients
from tests.instances import closed_ingress
from tests.machine import processes_with, wait_for
from workloads import deployment, load_inventory
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

SERVER = "169.254.20.2"


@pytest.fixture
def clients(region: control.Running) -> Clients:
    return Clients(region.url, region.region)


@pytest.fixture
def hosts(efs_iops_region: Path) -> Iterator[ConnectionPool]:
    with deployment.connected(load_inventory.load(None, str(efs_iops_region)), Console()) as found:
        yield found.hosts


def reaches(hosts: ConnectionPool, host: str, address: str, port: int) -> bool:
    """Whether a host's connection to an address is accepted."""
    command = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'"
    code, _ = hosts.connector(host).execute(command, lambda _: None, idle_timeout_seconds=30)
    return code == 0


def test_clients_reach_the_mount_target_and_nothing_behind_it(hosts: ConnectionPool, efs_iops_region: Path) -> None:
    (target,) = json.loads(efs_iops_region.read_text())["file_system"]["mount_targets"]
    wait_for("the server is up", lambda: reaches(hosts, "client-1", target["address"], 2049), 30)
    assert reaches(hosts, "client-2", target["address"], 2049)
    assert not reaches(hosts, "client-1", target["address"], 22)
    assert not reaches(hosts, "client-1", SERVER, 2049), "the server stands behind the front end"


def test_a_rule_without_its_port_closes_the_mount_target_and_with_it_opens_it(
    hosts: ConnectionPool, clients: Clients, efs_iops_region: Path
) -> None:
    (target,) = json.loads(efs_iops_region.read_text())["file_system"]["mount_targets"]
    (group,) = clients.efs.describe_mount_target_security_groups(MountTargetId=target["id"])["SecurityGroups"]
    with closed_ingress(clients.ec2, group):
        wait_for("it is closed", lambda: not reaches(hosts, "client-1", target["address"], 2049), 30)
    wait_for("it is open", lambda: reaches(hosts, "client-1", target["address"], 2049), 30)


@contextmanager
def another(clients: Clients, inventory: Path) -> Iterator[tuple[str, str]]:
    """A file system beside the stack's, with the same groups: its id, and its mount target's address."""
    (target,) = json.loads(inventory.read_text())["file_system"]["mount_targets"]
    like = clients.efs.describe_mount_targets(MountTargetId=target["id"])["MountTargets"][0]
    groups = clients.efs.describe_mount_target_security_groups(MountTargetId=target["id"])["SecurityGroups"]
    system = clients.efs.create_file_system(CreationToken="another")["FileSystemId"]
    made = clients.efs.create_mount_target(FileSystemId=system, SubnetId=like["SubnetId"], SecurityGroups=groups)
    try:
        yield system, made["IpAddress"]
    finally:
        clients.efs.delete_mount_target(MountTargetId=made["MountTargetId"])
        clients.efs.delete_file_system(FileSystemId=system)


def test_a_second_file_system_comes_and_goes(hosts: ConnectionPool, clients: Clients, efs_iops_region: Path) -> None:
    (target,) = json.loads(efs_iops_region.read_text())["file_system"]["mount_targets"]
    with another(clients, efs_iops_region) as (system, address):
        wait_for("it answers", lambda: reaches(hosts, "client-1", address, 2049), 60)
        assert reaches(hosts, "client-1", target["address"], 2049), "the first answers, too"
    wait_for("its kernel has ended", lambda: not processes_with(f"umid={system}"), 30)
    assert not reaches(hosts, "client-1", address, 2049)


def test_a_server_that_dies_is_started_anew(hosts: ConnectionPool, clients: Clients, efs_iops_region: Path) -> None:
    """One beside the stack's: what died stays `error` in the API, since what was in it is lost."""
    with another(clients, efs_iops_region) as (system, address):
        wait_for("the server is up", lambda: reaches(hosts, "client-1", address, 2049), 60)
        kernels = _kernels(system)
        os.killpg(os.getpgid(min(kernels)), signal.SIGKILL)
        wait_for("another kernel", lambda: bool(kernels.isdisjoint(_kernels(system)) and _kernels(system)), 30)
        wait_for("it answers again", lambda: reaches(hosts, "client-1", address, 2049), 30)
        (described,) = clients.efs.describe_file_systems(FileSystemId=system)["FileSystems"]
        assert described["LifeCycleState"] == "error"
        # It was started a moment ago, and has no grace period (90 s): nobody can have held a file of it.
        mount = f"mount -t nfs4 -o vers=4.1 {address}:/ /mnt && touch /mnt/at-once; code=$?; umount /mnt; exit $code"
        began = time.monotonic()
        code, _ = hosts.connector("client-1").execute(f"sudo sh -c '{mount}'", lambda _: None, idle_timeout_seconds=120)
        assert (code, time.monotonic() - began < 45) == (0, True)


def _kernels(system_id: str) -> set[int]:
    return {int(path.name) for path in processes_with(f"umid={system_id}")}
