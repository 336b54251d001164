"""The hosts' network cards: no packet waits for the next one, and none is lost under load, at 9001 bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.test_region_on_kernels import Shell, ec2, hosts  # noqa: F401  # fixtures
from tests.machine import wait_for

pytestmark = pytest.mark.kernel

PORT = 3260  # iSCSI's: the group of md-raid opens it between hosts, and nothing listens there before `configure`
TRAFFIC = (Path(__file__).parent / "traffic.py").read_text()


def run(shell: Shell, *arguments: str) -> dict[str, Any]:
    said = shell.check(f"python3 - {' '.join(arguments)} <<'PROGRAM'\n{TRAFFIC}\nPROGRAM")
    told: dict[str, Any] = json.loads(said)
    return told


@pytest.fixture(scope="module")
def servers(hosts: dict[str, Shell]) -> Iterator[list[str]]:  # noqa: F811
    """The private addresses of two hosts that answer."""
    shells = [hosts["storage-1"], hosts["storage-2"]]
    for shell in shells:
        shell.check(f"cat >/run/traffic.py <<'PROGRAM'\n{TRAFFIC}\nPROGRAM")
        shell.check(f"systemd-run --quiet --unit traffic python3 /run/traffic.py serve {PORT}")
    listens = f"ss -Hltn | grep -q :{PORT}"
    for shell in shells:
        wait_for(f"{shell.host['name']} listens", lambda s=shell: s.run(listens)[0] == 0, 20)  # type: ignore[misc]
    yield [str(shell.host["private_address"]) for shell in shells]
    for shell in shells:
        shell.check("systemctl stop traffic; rm /run/traffic.py")


def test_a_packet_is_read_when_it_comes(hosts: dict[str, Shell], servers: list[str]) -> None:  # noqa: F811
    """With a tun device for a network card, seven in a second waited for a loss probe, 220 ms and more."""
    told = run(hosts["client"], "questions", str(PORT), servers[0])
    assert told["TCPLossProbes"] <= 1, told  # one: another process may have kept a host from its CPU for so long
    assert told["RetransSegs"] <= told["TCPLossProbes"], told


def test_bulk_loses_nothing(hosts: dict[str, Shell], servers: list[str]) -> None:  # noqa: F811
    """With a packet socket's default buffer one packet in 25 was. What is only late is probed for, and was not lost."""
    told = run(hosts["client"], "bulk", str(PORT), *servers)
    lost = {name: told[name] for name in ("TCPLostRetransmit", "TCPSackRecovery", "TCPTimeouts")}
    assert lost == dict.fromkeys(lost, 0), told
