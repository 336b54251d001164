"""The tunnel's addresses collide with nothing that either end routes, and stay as long as they do not."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.configure import CANDIDATES, choose_pair, choose_tun, networks_in

# As `ip -4 -json route show table all` of Debian 12 says it, on a host in a VPC with a tunnel of its own.
ROUTES: list[dict[str, Any]] = [
    {"dst": "default", "gateway": "10.20.1.1", "dev": "vec0", "flags": []},
    {"dst": "10.20.1.0/24", "dev": "vec0", "protocol": "kernel", "scope": "link", "prefsrc": "10.20.1.5", "flags": []},
    {"dst": "198.18.83.1", "dev": "tun0", "protocol": "kernel", "scope": "link", "prefsrc": "198.18.83.2", "flags": []},
    {"type": "local", "dst": "10.20.1.5", "dev": "vec0", "table": "local", "flags": []},
    {"type": "local", "dst": "127.0.0.0/8", "dev": "lo", "table": "local", "flags": []},
    {"type": "local", "dst": "198.18.83.2", "dev": "tun0", "table": "local", "flags": []},
]


def networks(*texts: str) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(text) for text in texts]


def test_the_default_route_and_the_tunnels_own_are_no_obstacles() -> None:
    assert [str(network) for network in networks_in(ROUTES, "tun0")] == ["10.20.1.0/24", "10.20.1.5/32", "127.0.0.0/8"]
    assert len(networks_in(ROUTES)) == 5


@pytest.mark.parametrize(
    "parts",
    [
        ("0.0.0.0/1", "128.0.0.0/1"),  # OpenVPN's redirect-gateway def1, wg-quick
        ("0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"),
        ("0.0.0.0/5", "8.0.0.0/7", "160.0.0.0/5", "192.0.0.0/6", "196.0.0.0/7"),  # all but a site's own networks
    ],
)
def test_a_default_route_in_parts_is_no_obstacle(parts: tuple[str, ...]) -> None:
    """As VPN clients make it: the tunnel's own route is narrower, and so is taken before."""
    taken = networks_in([{"dst": "default", "dev": "eth0"}, *({"dst": part, "dev": "tun0"} for part in parts)])
    assert taken == []
    assert choose_pair(taken, None) == ("198.18.83.1", "198.18.83.2")
    assert choose_pair(taken, ("10.231.83.1", "10.231.83.2")) == ("10.231.83.1", "10.231.83.2")


def test_a_network_of_a_site_is_an_obstacle_however_wide() -> None:
    assert [str(network) for network in networks_in([{"dst": "10.0.0.0/8", "dev": "tun0"}])] == ["10.0.0.0/8"]


def test_the_first_candidate_that_is_free() -> None:
    assert choose_pair([], None) == ("198.18.83.1", "198.18.83.2")
    assert choose_pair(networks("198.18.0.0/15"), None) == ("10.231.83.1", "10.231.83.2")
    assert choose_pair(networks("198.18.0.0/15", "10.0.0.0/8"), None) == ("172.30.83.1", "172.30.83.2")


def test_what_is_in_use_stays_unless_it_collides() -> None:
    now = ("10.231.83.1", "10.231.83.2")
    assert choose_pair(networks("10.20.0.0/16"), now) == now
    assert choose_pair(networks("10.231.83.2/32"), now) == ("198.18.83.1", "198.18.83.2")


@given(
    st.lists(
        st.builds(
            lambda a, p: ipaddress.IPv4Network((a, p), strict=False), st.integers(0, 2**32 - 1), st.integers(1, 32)
        ),
        max_size=20,
    )
)
def test_a_chosen_pair_lies_in_no_network_of_either_end(taken: list[ipaddress.IPv4Network]) -> None:
    try:
        pair = choose_pair(taken, None)
    except WorkloadError:
        for candidate in networks(*CANDIDATES):
            assert any(candidate.overlaps(network) for network in taken)
        return
    assert not any(ipaddress.IPv4Address(address) in network for address in pair for network in taken)


@pytest.mark.parametrize(
    ("devices", "now", "number"),
    [
        ("", "", 0),
        ("tun0", "", 1),
        ("tun1 tun2", "", 0),
        ("tun0 tun1 tunl0", "", 2),
        ("tun*", "", 0),
        ("tun0 tun1", "1", 1),
    ],
)
def test_the_lowest_tun_device_that_is_free_or_ours(devices: str, now: str, number: int) -> None:
    assert choose_tun(devices.split(), now) == number
