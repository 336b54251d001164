"""Brings server and client to the state that a tunnel needs: packages, its addresses, sshd, the volume, the target.

A second run changes nothing. The tunnel's two addresses and its devices' numbers are those that neither endpoint uses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workloads.connectors.pool import in_threads
from workloads.connectors.script import ScriptResult
from workloads.deployment import PACKAGES_TIMEOUT_S, Step, run_steps, versions_on
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.endpoints import MTU_MAX, TUNNEL_USER, TunnelEndpoints, merged_facts, script
from workloads.waiting import wait_until

PACKAGES = {"server": ("openssh-server", "targetcli-fb"), "client": ("openssh-client", "open-iscsi")}
MODULES = {
    "server": ("tun", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
    "client": ("tun", "iscsi_tcp", "sd_mod"),
}
TARGET_PARAMETERS = "InitialR2T=No FirstBurstLength=262144"
"""A write sends its data with the command, up to FirstBurstLength bytes (the most that open-iscsi takes by default),
instead of waiting for a round trip of the tunnel until the target asks for it (RFC 7143, 13.10 and 13.14).
"""
# An sshd that rereads its configuration restarts, and accepts no connection for a moment; the timer takes the change
# back after 60 s (server_ssh.sh).
RELOADED_SECONDS = 20.0
BOOT_UNIT = "tidemark-tunnel-server.service"

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


@dataclass(frozen=True)
class TunnelConfig:
    """The configuration that both endpoints share. `known`: the client has an attachment, or a part of one."""

    server_address: str
    client_address: str
    server_tun: int
    client_tun: int
    public_key: str
    initiator: str
    known: bool
    changed: int


def configure(tunnel: TunnelEndpoints) -> int:
    """Brings packages, sshd's configuration, the volume and the target; returns the number of changes."""
    configs: list[TunnelConfig] = []

    def choose() -> int:
        configs.append(choose_config(tunnel))
        return configs[0].changed

    steps = [
        Step("packages", lambda: bring_packages(tunnel)),
        Step("key and addresses", choose),
        Step("sshd", lambda: prepare_ssh(tunnel, configs[0])),
        Step("volume", lambda: prepare_volume(tunnel, configs[0]).changed),
        Step("target", lambda: export(tunnel, configs[0])),
    ]
    return run_steps(tunnel, steps)


def bring_packages(tunnel: TunnelEndpoints) -> int:
    """Installs packages and loads kernel modules on both endpoints, of which one may be this machine."""
    changed = 0
    for role, connector in (("server", tunnel.server), ("client", tunnel.client)):
        words = [*PACKAGES[role], "--", *MODULES[role]]
        result = connector.run(script("host_packages"), words, idle_timeout_seconds=PACKAGES_TIMEOUT_S)
        tunnel.versions |= versions_on(connector.name, result)
        changed += result.changed
    return changed


def choose_config(tunnel: TunnelEndpoints, tun: int | None = None) -> TunnelConfig:
    """Chooses addresses and devices by the state of both endpoints. Raises WorkloadError when another client has the
    volume attached.
    """
    looks = {
        "client": lambda: tunnel.client.run(script("client_look")),
        "server": lambda: tunnel.server.run(script("server_look")),
    }
    looked = in_threads(looks, on_interrupt=tunnel.hosts.close)
    client, server = looked["client"], looked["server"]
    here, there = merged_facts(client), merged_facts(server)
    initiator = tunnel.initiator(str(here["name"]))
    other = there.get("attached_by")
    if other not in (None, initiator):
        name = str(other).rpartition("initiator.")[2] or other
        raise WorkloadError(
            f"volume {tunnel.volume.id} is attached by {name}",
            "detach it there first (if that machine is gone, its session ends within a minute): two machines that use "
            "one disk destroy what is on it",
            tunnel.server_host.name,
        )
    server_tun = choose_tun(str(there["devices"]).split(), str(there["tun"]))
    own = str(here["tun"]) if tun is None or str(tun) == str(here["tun"]) else ""
    client_tun = choose_tun(str(here["devices"]).split(), own) if tun is None else tun
    now = (str(there["local"]), str(there["remote"])) if there["local"] else None
    taken = networks_in(here["routes"], f"tun{here['tun']}" if here["tun"] else "")
    taken += networks_in(there["routes"], f"tun{there['tun']}" if there["tun"] else "")
    pair = choose_pair(taken, now)
    changed = client.changed + server.changed
    return TunnelConfig(*pair, server_tun, client_tun, str(here["public_key"]), initiator, bool(here["tun"]), changed)


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


def prepare_ssh(tunnel: TunnelEndpoints, config: TunnelConfig) -> int:
    """Lets the client's key open the tunnel; returns the number of changes.

    sshd's new configuration stays only if a log-in succeeds after it.
    """
    arguments = [TUNNEL_USER, str(config.server_tun), config.public_key]
    result = tunnel.server.run(script("server_ssh"), arguments)
    if any(fact.get("to_be_kept") for fact in result.facts):
        try:
            _log_in_anew(tunnel)
        except WorkloadError as error:
            raise WorkloadError(
                f"after the change of sshd's configuration nobody gets in ({error.what})",
                "it takes the change back by itself within a minute; see journalctl -u ssh there",
                tunnel.server_host.name,
            ) from error
    return result.changed


def _log_in_anew(tunnel: TunnelEndpoints) -> None:
    """Logs in with sshd's new configuration, and stops the timer that takes it back. Raises WorkloadError."""

    def log_in() -> ScriptResult:
        tunnel.hosts.drop(tunnel.server_host.name)
        return tunnel.server.run(script("server_ssh_keep"))

    wait_until(log_in, timeout_seconds=RELOADED_SECONDS, interval_seconds=0.5, retry_on=WorkloadError)


def prepare_volume(tunnel: TunnelEndpoints, config: TunnelConfig) -> ScriptResult:
    """Makes the server's tun device and the volume, whose size is the fact `size_bytes`."""
    volume = tunnel.volume
    arguments = [TUNNEL_USER, str(config.server_tun), config.server_address, config.client_address, str(MTU_MAX)]
    return tunnel.server.run(script("server_volume"), [*arguments, volume.id, volume.device, str(volume.size_gib)])


def export(tunnel: TunnelEndpoints, config: TunnelConfig) -> int:
    """Exports the target on the tunnel's address to this client alone; returns the number of changes."""
    pairs = [f"{tunnel.iqn}={tunnel.volume.id}=/dev/tidemark/{tunnel.volume.id}"]
    arguments = [config.server_address, config.initiator, TARGET_PARAMETERS, BOOT_UNIT, *pairs]
    return tunnel.server.run(script("iscsi_targets"), arguments).changed
