"""eip-region on real hosts: the address reaches the host that has it, and what goes wrong is one line and put right."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inventory import Inventory
from lab import control, proxy_command
from lab.clients import Clients
from lab.paths import PROJECT
from tests.machine import wait_for
from tests.workloads.fabric_task import fab
from workloads import deployment, load_inventory
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.ssh import connect
from workloads.console import Console

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

PLAN = """
name = "brief"
moves = 2
before_seconds = 0.5
confirmations = 1
answer_seconds = {answer_seconds}

[aws]
interval_ms = 50
at_once = 60
connection_seconds = 3
settle_seconds = 30

[rehearsal]
interval_ms = 250
at_once = 2
connection_seconds = 10
settle_seconds = 1
"""


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for each test's results."""
    monkeypatch.setenv("TIDEMARK_RESULTS_DIR", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture(scope="module", autouse=True)
def _booted(eip_region_region: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hosts that are up, and their keys pinned, once."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("TIDEMARK_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with deployment.connected(load_inventory.load(None, str(eip_region_region)), Console()):
            yield


@pytest.fixture
def inventory(eip_region_region: Path) -> Inventory:
    return load_inventory.load(None, str(eip_region_region))


@pytest.fixture
def clients() -> Clients:
    region = control.running()
    return Clients(region.url, region.region)


@pytest.fixture
def words(eip_region_region: Path, tmp_path: Path) -> list[str]:
    """What every task is told."""
    return ["--inventory", str(eip_region_region), "--plan", plan_of(tmp_path, 30)]


def plan_of(folder: Path, answer_seconds: int) -> str:
    """The path of a plan that waits so long for an answer."""
    plan = folder / f"plan-{answer_seconds}.toml"
    plan.write_text(PLAN.format(answer_seconds=answer_seconds))
    return str(plan)


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a task that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("tidemark: ")][-1]


def holder(clients: Clients, inventory: Inventory) -> str | None:
    (address,) = clients.ec2.describe_addresses()["Addresses"]
    return {host.id: host.name for host in inventory.hosts}.get(address.get("InstanceId", ""))


def shell(hosts: ConnectionPool, name: str, command: str) -> str:
    """What a command says on a host, as root."""
    lines: list[str] = []
    code, said = hosts.connector(name).execute(f"sudo -n bash -c '{command}'", lines.append, idle_timeout_seconds=60)
    assert code == 0, said
    return "\n".join(lines)


@contextlib.contextmanager
def logged_in(inventory: Inventory) -> Iterator[ConnectionPool]:
    """At the addresses that the hosts have now."""
    with deployment.connected(inventory, Console()) as found:
        yield found.hosts


def is_answered(connection: socket.socket) -> bool:
    """Whether anything comes back for what is said now, all that was sent before being read."""
    try:
        while not before_is_read(connection):
            pass
        connection.sendall(b"SSH-2.0-nobody\r\n")
        return bool(connection.recv(1))
    except OSError:
        return False


def before_is_read(connection: socket.socket) -> bool:
    """Reads some; whether that was all that there was."""
    try:
        return not connection.recv(65536)
    except TimeoutError:
        return True


def raw(results: Path, name: str) -> list[dict[str, Any]]:
    (run,) = results.glob("eip-region/*/*")
    return [json.loads(line) for line in (run / "raw" / f"{name}.ndjson").read_text().splitlines()]


def test_refused_outside_its_region_and_nothing_left(inventory: Inventory, words: list[str], results: Path) -> None:
    said = succeeded(fab("eip-region.prove", *words))
    assert "refused: eipalloc-" in said
    assert {each["code"] for each in raw(results, "associations")} == {None, "InvalidAllocationID.NotFound"}
    region = control.running()
    assert Clients(region.url, "us-east-1").ec2.describe_addresses()["Addresses"] == []


def test_the_address_reaches_the_host_that_has_it(
    inventory: Inventory, clients: Clients, words: list[str], results: Path
) -> None:
    succeeded(fab("eip-region.remap", "--to", "host-1", *words))
    (address,) = inventory.elastic_ips
    # Open when the address moves: its packets go to the other host then, which knows nothing of it.
    old = proxy_command.connect(address.address, 22)
    assert old.recv(4) == b"SSH-"
    old.settimeout(3)

    succeeded(fab("eip-region.remap", "--to", "host-2", *words))
    assert holder(clients, inventory) == "host-2"
    with deployment.connected(inventory, Console()) as found:
        keys = found.hosts.keys_of("host-2")
        at_address = replace(inventory.host("host-2"), address=address.address)
        connector = connect(at_address, inventory.ssh, keys)
        with contextlib.closing(connector):
            lines: list[str] = []
            assert connector.execute("hostname", lines.append)[0] == 0
    assert lines == ["host-2"]

    with contextlib.closing(old):
        assert not is_answered(old)

    again = succeeded(fab("eip-region.remap", "--to", "host-2", *words))
    assert "host-2 has" in again
    assert "nothing changed" in again
    made = raw(results, "moves")[-1]
    assert (made["source"], made["target"], made["rolled_back"]) == ("host-1", "host-2", False)
    hosts = [probe["host"] for probe in raw(results, "probes") if probe["move"] == made["move"]]
    assert {"host-1", "host-2"} <= set(hosts)


def test_a_run_that_is_killed_in_the_middle_is_put_right_by_the_next(
    inventory: Inventory, clients: Clients, words: list[str]
) -> None:
    succeeded(fab("eip-region.remap", "--to", "host-1", *words))
    task = subprocess.Popen(
        [sys.executable, "-m", "fabric", "eip-region.remap", "--to", "host-2", *words],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for("the address has moved", lambda: holder(clients, inventory) == "host-2", 60)
    os.killpg(task.pid, signal.SIGKILL)
    task.wait()
    said = succeeded(fab("eip-region.remap", "--to", "host-2", *words))
    assert "was cut short; host-2 has it" in said
    assert holder(clients, inventory) == "host-2"


def test_a_closed_port_is_one_line(inventory: Inventory, clients: Clients, words: list[str], tmp_path: Path) -> None:
    before = holder(clients, inventory)
    (group,) = [g for g in clients.ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"]
    ssh: Any = [each for each in group["IpPermissions"] if each.get("FromPort") == 22]
    clients.ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=ssh)
    try:
        target = "host-1" if before == "host-2" else "host-2"
        line = refused(fab("eip-region.remap", "--to", target, *words[:2], "--plan", plan_of(tmp_path, 5)))
    finally:
        clients.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=ssh)
    assert f"{before}: it has " in line
    assert "does not answer at port 22" in line
    assert "see `fab lab.status` and the region's log" in line
    assert holder(clients, inventory) == before


def test_a_silent_new_host_and_the_address_goes_back(
    inventory: Inventory, clients: Clients, words: list[str], tmp_path: Path
) -> None:
    succeeded(fab("eip-region.remap", "--to", "host-1", *words))
    with logged_in(inventory) as hosts:
        # This connection's own process lives on, new ones find nobody; until it is continued, since the way to the host
        # is lost when the address comes.
        stop = "pid=$(cat /run/sshd.pid); (sleep 300; kill -CONT $pid) > /dev/null 2>&1 < /dev/null & kill -STOP $pid"
        shell(hosts, "host-2", stop)
        line = refused(fab("eip-region.remap", "--to", "host-2", *words[:2], "--plan", plan_of(tmp_path, 15)))
    assert line.startswith("tidemark: host-2: it does not answer at ")
    assert "moved back to host-1; that answers again" in line
    assert holder(clients, inventory) == "host-1"
