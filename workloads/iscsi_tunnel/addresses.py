"""Chooses the tunnel's two addresses and its devices' numbers: those that neither endpoint uses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workloads.errors import WorkloadError

Network = ipaddress.IPv4Network
Pair = tuple[str, str]
"""The server's address, and the client's."""

# The candidates: first the block for benchmarks (RFC 2544), which is rarely routed, then rarely used parts of the
# private networks (RFC 1918).
CANDIDATES = ("198.18.83.0/30", "198.19.83.0/30", "10.231.83.0/30", "172.30.83.0/30", "192.168.231.0/30")
_TUN = re.compile(r"tun(\d+)")


NARROWEST_DEFAULT = 7
"""A route with such a short prefix is a part of a default route: VPN clients split it into halves (0.0.0.0/1,
128.0.0.0/1), WireGuard's AllowedIPs into a dozen. The widest network of a site is a /8 (RFC 1918), the block for
benchmarks a /15.
"""


def networks_in(routes: Sequence[Mapping[str, Any]], without: str = "") -> list[Network]:
    """Returns the networks of `ip -json route show table all`, but for default routes, over which the tunnel's narrower
    route takes precedence, and those of the device `without`.
    """
    found = []
    for route in routes:
        if route.get("dst") in (None, "default") or (without and route.get("dev") == without):
            continue
        try:
            found.append(ipaddress.IPv4Network(str(route["dst"]), strict=False))
        except ValueError:
            continue  # of another family
    return [network for network in found if network.prefixlen > NARROWEST_DEFAULT]


def choose_pair(taken: Iterable[Network], now: Pair | None) -> Pair:
    """Returns the current pair, unless a network of `taken` has one of its addresses; else the first free candidate.

    Raises WorkloadError where none is free.
    """
    busy = list(taken)
    if now is not None and not any(ipaddress.IPv4Address(address) in network for address in now for network in busy):
        return now
    for candidate in map(ipaddress.IPv4Network, CANDIDATES):
        if not any(candidate.overlaps(network) for network in busy):
            return str(candidate[1]), str(candidate[2])
    raise WorkloadError(
        f"every network for the tunnel is routed elsewhere already ({', '.join(CANDIDATES)})",
        "take away one of those routes on client or server (ip route)",
    )


def choose_tun(devices: Iterable[str], now: str) -> int:
    """Returns the number of the current tun device, or the lowest free one."""
    if now:
        return int(now)
    taken = {int(match[1]) for name in devices if (match := _TUN.fullmatch(name))}
    return next(number for number in range(len(taken) + 1) if number not in taken)
