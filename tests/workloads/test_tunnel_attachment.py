"""What attaching does about a server that listens to nobody for a moment, since its sshd was told to read anew."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workloads.connectors.script import Script, ScriptResult
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel import attachment
from workloads.iscsi_tunnel.configure import TunnelConfig, choose_pair, prepare_ssh
from workloads.iscsi_tunnel.endpoints import TunnelEndpoints
from workloads.resource_watch import ResourceGone


class Server:
    """Refuses so many log-ins after its configuration was changed."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.ran: list[str] = []

    def run(self, script: Script, arguments: list[str] | None = None) -> ScriptResult:
        if script.name == "server_ssh_keep" and self.refusals > 0:
            self.refusals -= 1
            raise WorkloadError("SSH at 203.0.113.7 port 22 does not answer", "is it up?", "server")
        self.ran.append(script.name)
        return ScriptResult("server", "", "", ({"to_be_kept": True}, {"changed": 3}))


def ends(server: Server, dropped: list[str]) -> TunnelEndpoints:
    hosts = SimpleNamespace(drop=dropped.append)
    host = SimpleNamespace(name="server")
    return cast(TunnelEndpoints, SimpleNamespace(server=server, server_host=host, hosts=hosts))


CONFIG = TunnelConfig(
    *choose_pair([], None), 0, 0, "ssh-ed25519 AAAA", "iqn.2026-11.io.tidemark:initiator.client", False, 0
)


pytestmark = pytest.mark.usefixtures("clock")


def test_a_log_in_that_is_refused_while_sshd_starts_anew_is_tried_again() -> None:
    server, dropped = Server(refusals=3), list[str]()
    assert prepare_ssh(ends(server, dropped), CONFIG) == 3
    assert server.ran == ["server_ssh", "server_ssh_keep"]
    assert dropped == ["server"] * 4, "each log-in is a fresh one"


def test_a_server_that_lets_nobody_in_is_said_to_take_the_change_back() -> None:
    server = Server(refusals=10_000)
    with pytest.raises(WorkloadError, match=r"nobody gets in .*it takes the change back by itself"):
        prepare_ssh(ends(server, []), CONFIG)
    assert server.ran == ["server_ssh"]


class Client:
    """Has a tunnel, or none, and a disk that does not come."""

    def __init__(self, tun: str, fault: BaseException) -> None:
        self.tun = tun
        self.fault = fault
        self.ran: list[str] = []

    def run(self, script: Script, arguments: list[str] | None = None) -> ScriptResult:
        self.ran.append(script.name)
        if script.name == "server_volume":
            assert arguments is not None
            assert arguments[-3:] == ["vol-1", "/dev/sdf", "1"]
            return ScriptResult("server", "", "", ({"size_bytes": 1_000_000_512}, {"changed": 1}))
        if script.name == "client_disk":
            assert arguments is not None
            assert arguments[4] == "1000000512", "what the disk has at the server, not what the inventory rounds it to"
            raise self.fault
        facts = {"tun": self.tun, "local": "", "remote": "", "devices": "", "routes": [], "name": "here"}
        return ScriptResult("client", "", "", (facts | {"public_key": "ssh-ed25519 AAAA", "changed": 1},))


@pytest.mark.parametrize("fault", [WorkloadError("discovery failed", "see the server"), KeyboardInterrupt()])
@pytest.mark.parametrize(("tun", "left"), [("", ["client_detach"]), ("3", [])])
def test_a_tunnel_whose_disk_does_not_come_goes_again_unless_it_was_there(
    tun: str, left: list[str], fault: BaseException
) -> None:
    client = Client(tun, fault)
    with pytest.raises(type(fault)):
        attachment.attach(both_ends(client, lambda _: None))
    assert client.ran == ["client_look", "client_tunnel", "client_disk", *left]


def test_a_disk_that_does_not_come_from_a_server_that_has_ended_is_said_to_be_that() -> None:
    def gone(name: str) -> None:
        raise ResourceGone("its instance i-1 is terminated", "rehearse again", name)

    client = Client("", WorkloadError("discovery failed", "see the server"))
    with pytest.raises(ResourceGone, match="server: its instance i-1 is terminated"):
        attachment.attach(both_ends(client, gone))
    assert client.ran[-1] == "client_detach"


def both_ends(client: Client, check: Callable[[str], None]) -> Any:
    server = Client("", AssertionError("the server has no disk to wait for"))
    volume = SimpleNamespace(id="vol-1", device="/dev/sdf", size_gib=1)
    return SimpleNamespace(
        client=client,
        server=server,
        volume=volume,
        iqn="iqn.2026-11.io.tidemark:server.vol-1",
        initiator=lambda name: f"iqn.2026-11.io.tidemark:initiator.{name}",
        ssh_route=dict,
        server_host=SimpleNamespace(name="server", id="i-1"),
        hosts=SimpleNamespace(keys_of=lambda _: ["ssh-ed25519 AAAA"], check=check, close=lambda: None),
    )
