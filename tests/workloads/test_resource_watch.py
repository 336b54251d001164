"""Waits end when what they wait for is gone: against moto, and with fakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason
from moto.efs.models import efs_backends

from inventory import FileSystem, Inventory, Volume
from tests.instances import launch
from tests.workloads.fake_clock import FakeClock
from tests.workloads.fakes import inventory_document, inventory_of
from tests.workloads.ssh_host import ssh_host
from workloads import host_keys as keys
from workloads.aws import ec2_client
from workloads.connectors import pool, ssh
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.connectors.ssh import Unreachable
from workloads.errors import WorkloadError
from workloads.host_keys import host_keys
from workloads.power import Power, start_stopped_hosts
from workloads.resource_watch import BACK_OFF_SECONDS, LOOK_SECONDS, ResourceGone, ResourceWatch

REGION = "eu-central-1"
PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
BOUND_SECONDS = 40  # what would be waited for otherwise is minutes


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def deploy(account: Any, **changes: Any) -> Inventory:
    """An inventory whose hosts are instances of the account, and whose keys are on their consoles."""
    document = inventory_document(**changes)
    for host, instance_id in zip(document["hosts"], launch(account, 4), strict=True):
        host["id"] = instance_id
        host["host_keys"] = []
        host["volumes"] = []
    return inventory_of(document)


@pytest.fixture
def deployed(account: Any) -> Inventory:
    return deploy(account)


def end(account: Any, inventory: Inventory, name: str) -> None:
    """As the region ends a host whose kernel has died."""
    account.terminate_instances(InstanceIds=[inventory.host(name).id])
    instance = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].get_instance(inventory.host(name).id)
    instance.state_reason = StateReason("Server.InternalError: the host's kernel ended", "Server.InternalError")


def show_consoles(monkeypatch: pytest.MonkeyPatch, console: str) -> None:
    monkeypatch.setattr("workloads.resource_watch.read_console", lambda *_: console)


def asked(watch: ResourceWatch) -> list[str]:
    """The calls that the watch makes from now on."""
    calls: list[str] = []
    watch._ec2.meta.events.register("before-call.ec2", lambda model, **_: calls.append(model.name))
    return calls


def test_a_host_that_runs_ends_no_wait(deployed: Inventory) -> None:
    watch = ResourceWatch(deployed)
    for host in deployed.hosts:
        watch.check(host.name)


@pytest.mark.parametrize("rehearsal", [True, False])
def test_an_instance_that_has_ended_is_one_line_with_its_reason_and_console(
    account: Any, monkeypatch: pytest.MonkeyPatch, rehearsal: bool
) -> None:
    deployed = deploy(account, rehearsal=rehearsal)
    show_consoles(monkeypatch, f"boot\r\n{PANIC}\r\nCPU: 0 PID: 1\r\n")
    end(account, deployed, "storage-2")
    watch = ResourceWatch(deployed)
    with pytest.raises(ResourceGone) as caught:
        watch.check("storage-2")
    line = str(caught.value)
    assert line.startswith(f"storage-2: its instance {deployed.host('storage-2').id} is terminated (Server.InternalErr")
    assert PANIC in line
    assert "\n" not in line
    assert ("EC2 console" in line) is not rehearsal
    assert ("fab lab.status" in line) is rehearsal
    assert caught.value.shown == f"{line}\n    boot\n    {PANIC}"


def test_one_call_serves_all_that_wait(deployed: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    show_consoles(monkeypatch, "")
    clock = Clock()
    watch = ResourceWatch(deployed, clock=clock)
    calls = asked(watch)
    for _ in range(3):
        for host in deployed.hosts:
            watch.check(host.name)
    assert calls == ["DescribeInstances"]
    clock.now += LOOK_SECONDS
    watch.check("client")
    assert calls == ["DescribeInstances"] * 2


def test_an_end_that_was_seen_before_the_host_was_started_again_ends_no_wait(
    account: Any, deployed: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_consoles(monkeypatch, "")
    clock = Clock()
    watch = ResourceWatch(deployed, clock=clock)
    host = deployed.host("client")
    account.stop_instances(InstanceIds=[host.id])
    with pytest.raises(ResourceGone, match="is stopped"):
        watch.check("client")
    account.start_instances(InstanceIds=[host.id])
    clock.now += LOOK_SECONDS / 10
    watch.check("client")


def test_a_panic_of_an_instance_that_is_said_to_run_ends_the_wait(
    deployed: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_consoles(monkeypatch, f"{PANIC}\n")
    with pytest.raises(ResourceGone, match=r"^client: its kernel has ended: Kernel panic - not syncing: Attempted"):
        ResourceWatch(deployed).check("client")


def test_machines_of_ones_own_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    document = inventory_document()
    for host in document["hosts"]:
        host["id"] = f"rack-{host['name']}"
    watch = ResourceWatch(inventory_of(document))
    monkeypatch.setattr(watch, "_client", lambda _: pytest.fail("nothing is to be asked"))
    watch.check("client")


def test_an_api_that_refuses_ends_no_wait_and_is_left_alone(deployed: Inventory, account: Any) -> None:
    """Nobody has credentials for it, or the instance is another account's: what is not known is not gone."""
    clock = Clock()
    strange = replace(deployed, hosts=tuple(replace(each, id="i-0123456789abcdef0") for each in deployed.hosts))
    watch = ResourceWatch(strange, clock=clock)
    watch.check("client")
    tries = []

    def refuse() -> dict[str, Any]:
        tries.append(clock.now)
        raise WorkloadError("EC2 answers UnauthorizedOperation", "")

    watch._instances_now = refuse  # type: ignore[method-assign]
    for _ in range(5):
        clock.now += LOOK_SECONDS
        watch.check("client")
    assert len(tries) == 1
    clock.now += BACK_OFF_SECONDS
    watch.check("client")
    assert len(tries) == 2


def test_a_region_that_has_ended_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens at the discard port
    watch = ResourceWatch(inventory_of(inventory_document(rehearsal=True)))
    with pytest.raises(ResourceGone, match=r"^the rehearsal region has ended: nothing answers at its API; "):
        watch.check("client")


def test_a_volume_that_is_deleted_ends_the_wait(deployed: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    show_consoles(monkeypatch, "")
    volume = Volume("vol-0123456789abcdef0", "/dev/sdf", 1, "gp3", None)
    hosts = tuple(replace(host, volumes=(volume,)) if host.name == "storage-1" else host for host in deployed.hosts)
    watch = ResourceWatch(replace(deployed, hosts=hosts))
    watch.check("storage-1")  # not known is not gone
    monkeypatch.setattr(watch, "_volumes_now", lambda: {volume.id: "deleting"})
    watch._looked = float("-inf")
    with pytest.raises(ResourceGone, match=r"^storage-1: its volume vol-0123456789abcdef0 is deleting; "):
        watch.check("client")


@pytest.mark.parametrize("state", ["error", "deleting"])
def test_a_file_system_that_has_failed_ends_the_wait(account: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    show_consoles(monkeypatch, "")
    system_id = boto3.client("efs", region_name=REGION).create_file_system(CreationToken="one")["FileSystemId"]
    system = FileSystem(system_id, "bursting", None, "generalPurpose", None, ())
    watch = ResourceWatch(replace(deploy(account), file_system=system))
    watch.check("client")
    efs_backends[DEFAULT_ACCOUNT_ID][REGION].file_systems_by_id[system_id].life_cycle_state = state
    watch._looked = float("-inf")
    with pytest.raises(ResourceGone, match=f"^file system {system_id} is {state}; "):
        watch.check("client")


# --- who waits -------------------------------------------------------------------------------------------


def test_who_waits_for_keys_is_told_at_once(account: Any, deployed: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    show_consoles(monkeypatch, f"{PANIC}\n")
    monkeypatch.setattr(keys, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(keys, "console_of", lambda _: lambda _: "")
    threading.Timer(0.5, end, (account, deployed, "storage-3")).start()
    began = time.monotonic()
    with pytest.raises(ResourceGone, match=r"storage-3: its instance i-\w+ is terminated \(Server.InternalError"):
        host_keys(deployed, watch=unpanicked(deployed, monkeypatch), tell=lambda _: None)
    assert time.monotonic() - began < BOUND_SECONDS


def unpanicked(deployed: Inventory, monkeypatch: pytest.MonkeyPatch) -> ResourceWatch:
    """A watch that sees a panic only where an instance has ended."""
    watch = ResourceWatch(deployed)
    monkeypatch.setattr(watch, "_check_console", lambda *_: None)
    return watch


def test_a_rehearsal_is_not_told_of_ec2s_delays(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = deploy(account, rehearsal=True)
    monkeypatch.setattr(keys, "console_of", lambda _: lambda _: "kernel says this\n")
    monkeypatch.setattr(keys, "CONSOLE_TIMEOUT_SECONDS", 0)
    with pytest.raises(WorkloadError, match="storage-1: its console shows no host key after 0 s") as caught:
        host_keys(deployed, watch=unpanicked(deployed, monkeypatch), tell=lambda _: None)
    assert "EC2" not in str(caught.value)
    assert caught.value.shown.endswith("\n    kernel says this")


def test_who_waits_for_ssh_is_told_at_once(deployed: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the attempt over, or still under way, which may take a minute."""

    def gone(name: str) -> None:
        if time.monotonic() - began > 0.3:
            raise ResourceGone("its instance is terminated", "", name)

    def refuse(_: str) -> None:
        raise Unreachable("SSH does not answer", "")

    monkeypatch.setattr(pool, "BOOT_POLL_SECONDS", 0.1)
    attempts: list[Callable[[str], None]] = [refuse, lambda _: time.sleep(60)]
    for attempt in attempts:
        began = time.monotonic()
        hosts = ConnectionPool(deployed, {}, gone)
        monkeypatch.setattr(hosts, "connector", attempt)
        with pytest.raises(ResourceGone, match="client: its instance is terminated"):
            hosts.wait_for("client", lambda _: None, timeout_seconds=60)
        assert time.monotonic() - began < BOUND_SECONDS


def test_who_waits_for_a_script_is_told_at_once(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CHECK_SECONDS", 0.2)
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise ResourceGone("its instance is terminated", "", "client")

    silent = Script("silent", f"sleep 60\n{END_OF_SCRIPT}\n")
    with ssh_host(inventory.host("client"), tmp_path) as connector:
        connector._check = check
        threading.Timer(0.5, gone.set).start()
        began = time.monotonic()
        with pytest.raises(ResourceGone, match="client: its instance is terminated"):
            connector.run(silent, locked=False)
        assert time.monotonic() - began < BOUND_SECONDS


def test_a_script_that_is_silent_for_a_while_is_waited_for(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CHECK_SECONDS", 0.2)
    script = Script(
        "slow", f'echo "{{\\"one\\": 1}}"\nsleep 0.5\necho "{{\\"two\\": 2}}"\nexec >&-\nsleep 0.5\n{END_OF_SCRIPT}\n'
    )
    with ssh_host(inventory.host("client"), tmp_path) as connector:
        assert connector.run(script, locked=False, idle_timeout_seconds=30).facts == ({"one": 1}, {"two": 2})


def test_who_waits_for_a_start_is_told_at_once(account: Any, deployed: Inventory) -> None:
    """A start that leads nowhere: pending, then stopped again, as without capacity; or terminated meanwhile."""
    host = deployed.host("storage-1")
    power = Power(ConnectionPool(deployed, {}), lambda _: None)
    account.terminate_instances(InstanceIds=[host.id])
    began = time.monotonic()
    with pytest.raises(ResourceGone, match=r"storage-1: its instance i-\w+ is terminated"):
        power.start(host)
    with pytest.raises(ResourceGone, match=r"storage-1: its instance i-\w+ is terminated"):
        power.await_return(host, lambda _: None)
    with pytest.raises(ResourceGone, match=r"storage-1: its instance i-\w+ is terminated"):
        start_stopped_hosts(deployed, lambda _: None)
    assert time.monotonic() - began < BOUND_SECONDS


def test_an_instance_that_stops_while_it_starts_is_not_waited_for(
    account: Any, deployed: Inventory, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = deployed.host("storage-1")
    instance = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].get_instance(host.id)
    states = iter(["stopped", "stopped", "pending", "stopped"])
    client = ec2_client(REGION)
    client.meta.events.register(
        "before-call.ec2.DescribeInstances", lambda **_: setattr(instance._state, "name", next(states))
    )
    monkeypatch.setattr("workloads.power.ec2_client", lambda _: client)
    with pytest.raises(ResourceGone, match=r"storage-1: its instance i-\w+ is stopped"):
        Power(ConnectionPool(deployed, {}), lambda _: None)._wait_for_state(host, {"running"})
    assert list(states) == []
    assert clock.slept == [1.0] * 3
