"""Which host is the server and which the client, and what does not fit, before any host is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inventory import Host, Inventory, InventoryError, Volume
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.iscsi import device_unit, initiator_name, target_name
from workloads.iscsi_tunnel.endpoints import TunnelEndpoints, client_of, server_of

VOLUME = Volume("vol-0ABC", "/dev/sdf", 80, "gp3", 3000)


def host(like: Host, name: str, role: str, number: int, *volumes: Volume) -> Host:
    return replace(like, name=name, role=role, private_address=f"10.20.1.{number}", volumes=volumes)


@pytest.fixture
def tunnel(inventory: Inventory) -> Inventory:
    """An inventory with a server, a client and a third host."""
    like = inventory.hosts[-1]
    hosts = (
        host(like, "server", "server", 4, VOLUME),
        host(like, "client", "client", 5),
        host(like, "third", "third", 6),
    )
    return replace(inventory, experiment="iscsi-tunnel", stack="iscsi-tunnel.test", hosts=hosts)


def test_roles_decide(tunnel: Inventory) -> None:
    assert server_of(tunnel).name == "server"
    client = client_of(tunnel, None)
    assert client is not None
    assert client.name == "client"


def test_without_a_client_it_is_this_machine(tunnel: Inventory) -> None:
    assert client_of(replace(tunnel, hosts=tunnel.hosts[:1]), None) is None
    assert client_of(tunnel, "this") is None


def test_a_named_client_may_have_any_role_but_the_servers(tunnel: Inventory) -> None:
    third = client_of(tunnel, "third")
    assert third is not None
    assert third.name == "third"
    with pytest.raises(WorkloadError, match="server is the server; name another host"):
        client_of(tunnel, "server")
    with pytest.raises(InventoryError, match="no host is named nobody"):
        client_of(tunnel, "nobody")


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ((), "server has 0 volumes"),
        ((VOLUME, replace(VOLUME, id="vol-2")), "server has 2 volumes"),
        ((replace(VOLUME, id="a b"),), "cannot stand in an IQN"),
    ],
)
def test_a_server_has_one_volume(tunnel: Inventory, volumes: tuple[Volume, ...], words: str) -> None:
    hosts = (replace(tunnel.hosts[0], volumes=volumes), *tunnel.hosts[1:])
    with pytest.raises(WorkloadError, match=words):
        server_of(replace(tunnel, hosts=hosts))


def test_an_inventory_without_a_server(inventory: Inventory) -> None:
    with pytest.raises(WorkloadError, match="no host has the role server"):
        server_of(inventory)


def test_names() -> None:
    assert target_name("server", "vol-0ABC") == "iqn.2026-11.io.tidemark:server.vol-0abc"
    assert initiator_name("Desk") == "iqn.2026-11.io.tidemark:initiator.desk"


def test_device_units_are_as_systemd_escapes_them() -> None:
    """`systemd-escape --path --suffix=device /dev/tidemark-vol-1/leg`, as it was seen."""
    assert device_unit("/dev/tidemark-vol-1/leg") == r"dev-tidemark\x2dvol\x2d1-leg.device"


def deployment(inventory: Inventory) -> Deployment:
    return Deployment(ConnectionPool(inventory, {}), Console())


def test_a_client_in_the_vpc_goes_by_the_private_address(tunnel: Inventory) -> None:
    ends = TunnelEndpoints.of(deployment(tunnel))
    assert ends.ssh_route() == {"server": "10.20.1.4", "port": "22", "proxy": "", "directory": ""}


def test_this_machine_goes_as_the_tasks_do(tunnel: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = replace(tunnel.ssh, proxy_command="python3 -m lab.proxy_command %h %p")
    found = deployment(replace(tunnel, ssh=ssh, rehearsal=False))
    way = TunnelEndpoints.of(found, "this").ssh_route()
    assert (way["server"], way["proxy"]) == (tunnel.hosts[0].address, "python3 -m lab.proxy_command %h %p")
    # A rehearsal's proxy command must find the region from a unit's empty environment.
    monkeypatch.setenv("TIDEMARK_LAB_DIR", "/some where/.lab")
    rehearsal = deployment(replace(tunnel, ssh=ssh, rehearsal=True))
    assert (
        TunnelEndpoints.of(rehearsal, "this")
        .ssh_route()["proxy"]
        .startswith("env TIDEMARK_LAB_DIR='/some where/.lab' python3 -m")
    )
