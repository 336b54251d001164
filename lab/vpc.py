"""The network between the hosts, inside the region's own namespace.

A VPC has no layer 2: its mapping service answers every ARP request, delivers by address and filters at each
instance. So each host has a veth pair of its own, the namespace answers ARP for all (proxy ARP) and routes between the
pairs. Security groups and public addresses are nftables rules; connection tracking makes the groups stateful. The pairs
carry 9001 bytes; the link to the internet carries 1500.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.account import ALL_PROTOCOLS, Group, Rule
from lab.errors import LabError
from lab.process import CommandFailedError, run

VPC_MTU_BYTES = 9001  # docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html
INTERNET_MTU_BYTES = 1500  # the same page: an internet gateway passes no more
INTERNET_ADDRESS = "198.51.100.1"  # TEST-NET-2 (RFC 5737) stands for the rest of the world
INTERNET_GATEWAY_ADDRESS = "198.51.100.254"
INTERNET_PREFIX_LENGTH = 24
GATEWAY_INTERFACE = "igw"
TRANSLATED = "0x1"  # the mark of a packet that came to a public address
# Of a link that has a rate: what may pass at once, a few packets, and how long one may wait before it is dropped. Half
# a second and more is usual for uplinks of homes (Kreibich, Weaver, Nechaev and Paxson, Netalyzr, IMC 2010). With 100
# ms ten connections lost 4 % of their segments, and s3-throttle's means took longer to converge.
LINK_BURST_BYTES = 16 * 1024
LINK_QUEUE_MS = 500
# Of a host that has a rate: what it may catch up on after a pause, since a busy machine makes some (with 2 ms of burst,
# 62.5 MB/s came out at 56); and how much may wait: more than all sessions of a host have in flight, so that none of it
# is lost. A packet is 64 KiB at most, which a real wire would have in pieces.
HOST_BURST_SECONDS = 0.05
HOST_BURST_BYTES_LEAST = 128 * 1024
HOST_QUEUE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Port:
    """The network interface of an instance, or of a mount target: `owner_id` is the id of either."""

    owner_id: str
    address: str
    gateway: str  # the subnet's first address: the VPC's router
    public_address: str | None
    groups: tuple[str, ...]

    @property
    def interface(self) -> str:
        """An interface name has 15 characters at most; the id's last eleven are enough to tell hosts apart."""
        return f"eni-{self.owner_id[-11:]}"

    @property
    def mac(self) -> str:
        """02 marks a locally administered address; the rest is the IPv4 address, which is unique here."""
        return "02:00:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(self.address).packed)


class Network:
    """Makes the interfaces, routes and rules of the region's namespace."""

    def plug(self, port: Port) -> None:
        """Creates the veth pair of a host and the route to it; leaves nothing if that fails."""
        try:
            ip(*veth_commands(port.interface, host_interface(port.interface)))
            _connect(port)
        except LabError:
            self.unplug(port)
            raise

    def unplug(self, port: Port) -> None:
        """Deletes an interface, and with it its route; succeeds if it is already gone."""
        try:
            ip(f"link delete {port.interface}")
        except LabError as fault:
            if "Cannot find device" not in str(fault):
                raise

    def apply_rules(self, rules: str) -> None:
        """Replaces all filtering and address translation at once."""
        run(["nft", "-f", "-"], stdin=rules)

    def limit_rate(self, port: Port, bytes_per_s: float | None) -> None:
        """Limits the rate of a host's interface, in each direction; None removes the limit."""
        burst_bytes = max(round((bytes_per_s or 0) * HOST_BURST_SECONDS), HOST_BURST_BYTES_LEAST)
        for end in (port.interface, host_interface(port.interface)):  # what it receives, and what it sends
            _limit(end, bytes_per_s, burst_bytes, ["limit", str(HOST_QUEUE_BYTES)])

    def limit_uplink(self, mbit_per_s: float | None) -> None:
        """Limits the rate at which all hosts together send to the internet; None removes the limit."""
        bytes_per_s = None if mbit_per_s is None else mbit_per_s * 1e6 / 8
        _limit(GATEWAY_INTERFACE, bytes_per_s, LINK_BURST_BYTES, ["latency", f"{LINK_QUEUE_MS}ms"])


def _limit(interface: str, bytes_per_s: float | None, burst_bytes: int, queue: Sequence[str]) -> None:
    """Holds what leaves by an interface to a rate (tc-tbf(8))."""
    if bytes_per_s is None:
        # What a link without a queueing discipline of its own has; deleting one that is not there is an error.
        discipline = ["noqueue"]
    else:
        discipline = ["tbf", "rate", f"{round(bytes_per_s * 8)}bit", "burst", str(burst_bytes), *queue]
    run(["tc", "qdisc", "replace", "dev", interface, "root", *discipline])


def gateway_of(subnet_cidr: str) -> str:
    """Returns the address of a subnet's router: its network's first host address."""
    return str(ipaddress.IPv4Network(subnet_cidr)[1])


def prepare_namespace() -> None:
    """Switches on loopback and forwarding in the region's namespace."""
    ip("link set lo up")
    run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])


def connect_internet(internet_pid: int) -> None:
    """Links this namespace, through the internet gateway, with the namespace of the process that is the internet."""
    ip(
        f"link add {GATEWAY_INTERFACE} mtu {INTERNET_MTU_BYTES} type veth peer name eth0 netns {internet_pid}",
        f"address add {INTERNET_GATEWAY_ADDRESS}/{INTERNET_PREFIX_LENGTH} dev {GATEWAY_INTERFACE}",
        f"link set {GATEWAY_INTERFACE} up",
    )
    ip(
        "link set lo up",
        f"link set eth0 mtu {INTERNET_MTU_BYTES} up",
        f"address add {INTERNET_ADDRESS}/{INTERNET_PREFIX_LENGTH} dev eth0",
        f"route add default via {INTERNET_GATEWAY_ADDRESS}",
        namespace_of=internet_pid,
    )


def host_interface(interface: str) -> str:
    """Returns the name of the other end of a host's veth pair, which is the host's network card."""
    return f"uml{interface.removeprefix('eni')}"


def veth_commands(interface: str, host_end: str) -> tuple[str, ...]:
    """Returns ip(8) commands that make a veth pair; `host_end` is a network card, without an address."""
    return (
        f"link add {interface} mtu {VPC_MTU_BYTES} type veth peer name {host_end} mtu {VPC_MTU_BYTES}",
        f"link set {host_end} addrgenmode none arp off",
        f"link set {host_end} up",
        f"link set {interface} up",
    )


def plug_namespace(port: Port, pid: int, number: int) -> None:
    """Gives the namespace of a process an interface with the port's address, besides others that it may have.

    Answers leave by the interface that was asked: each has a routing table of its own, `number` from 1.
    """
    inside, table = f"mt{number}", 100 + number
    ip(f"link add {port.interface} type veth peer name {inside} netns {pid}")
    ip(
        f"link set {inside} address {port.mac} mtu {VPC_MTU_BYTES} up",
        f"address add {port.address}/32 dev {inside}",
        f"route add {port.gateway}/32 dev {inside} table {table}",
        f"route add default via {port.gateway} dev {inside} table {table}",
        f"rule add from {port.address} table {table}",
        namespace_of=pid,
    )
    _connect(port)


def _connect(port: Port) -> None:
    """Routes to the far end of the port's interface, and answers ARP there for all other addresses."""
    # The router's address answers on every interface; the delay is what the kernel adds before a proxied answer.
    ip(f"link set {port.interface} mtu {VPC_MTU_BYTES} up", f"address replace {port.gateway}/32 dev lo")
    settings = (
        f"net.ipv4.conf.{port.interface}.proxy_arp=1",
        f"net.ipv4.neigh.{port.interface}.proxy_delay=0",
        f"net.ipv4.conf.{port.interface}.send_redirects=0",
        f"net.ipv6.conf.{port.interface}.disable_ipv6=1",
    )
    run(["sysctl", "-qw", *settings])
    ip(
        f"route replace {port.address}/32 dev {port.interface}",
        f"neighbour replace {port.address} lladdr {port.mac} dev {port.interface} nud permanent",
    )


def ip(*commands: str, namespace_of: int | None = None) -> None:
    """Runs ip(8) commands in this namespace, or in that of a process. Raises LabError for the first that fails."""
    enter: Sequence[str] = () if namespace_of is None else ("nsenter", f"--net=/proc/{namespace_of}/ns/net")
    try:
        run([*enter, "ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
    except CommandFailedError as fault:
        # Two lines: why, and "Command failed -:NUMBER".
        number = re.search(r"^Command failed -:(\d+)$", fault.stderr, re.MULTILINE)
        if number is None:
            raise
        reason = fault.stderr[: number.start()].strip().splitlines()[-1:] or ["it gives no reason"]
        raise LabError(f"ip {commands[int(number[1]) - 1]}: {reason[0]}") from fault


def render_rules(ports: Sequence[Port], groups: Iterable[Group]) -> str:
    """Returns nftables rules for these hosts, which drop what no security group allows, in both directions.

    The sender's egress rules apply first, then the receiver's ingress rules, as in a VPC. Public addresses are
    translated one to one at the internet gateway, packet by packet and without state. So an address that moves to
    another host moves for open connections, too, and breaks them, as in a VPC. Traffic of one host to the public
    address of another is translated by connection tracking.
    """
    known = {group.group_id: group for group in groups}
    # A rule may name a group that is gone: its set is empty, but must be defined.
    named = {peer for group in known.values() for rule in group.ingress + group.egress for peer in rule.groups}
    members: dict[str, list[str]] = {group_id: [] for group_id in (*known, *named)}
    for port in ports:
        for group_id in port.groups:
            members.setdefault(group_id, []).append(port.address)
    public = [port for port in ports if port.public_address]
    lines = ["table inet vpc", "delete table inet vpc", "table ip eip", "delete table ip eip", "table inet vpc {"]
    for group_id, addresses in sorted(members.items()):
        lines += [f"  set {_set_name(group_id)} {{", "    type ipv4_addr"]
        if addresses:
            lines += [f"    elements = {{ {', '.join(sorted(addresses))} }}"]
        lines += ["  }"]
    for port in ports:
        lines += [f"  chain egress-{port.interface} {{"]
        lines += [f"    ip saddr != {port.address} drop"]  # the source check: no host sends with the address of another
        lines += _permissions([known[g].egress for g in port.groups if g in known], "daddr", "return")
        lines += ["    drop", "  }", f"  chain ingress-{port.interface} {{"]
        lines += _permissions([known[g].ingress for g in port.groups if g in known], "saddr", "accept")
        lines += ["    drop", "  }"]
    lines += ["  chain forward {", "    type filter hook forward priority filter; policy drop;"]
    lines += ["    ct state established,related accept"]
    # The internet reaches public addresses only: what the gateway did not translate is dropped.
    lines += [f"    iifname {GATEWAY_INTERFACE} meta mark != {TRANSLATED} drop"]
    lines += [f"    iifname {port.interface} jump egress-{port.interface}" for port in ports]
    lines += [f"    oifname {port.interface} jump ingress-{port.interface}" for port in ports]
    lines += [f"    oifname {GATEWAY_INTERFACE} ip saddr {port.address} accept" for port in public]
    lines += ["  }", "}", "table ip eip {"]
    # Before connection tracking, and after it: connection tracking and groups see private addresses only.
    lines += ["  chain from-internet {", "    type filter hook prerouting priority raw; policy accept;"]
    lines += [
        f"    iifname {GATEWAY_INTERFACE} ip daddr {port.public_address} ip daddr set {port.address} "
        f"meta mark set {TRANSLATED} accept"
        for port in public
    ]
    lines += ["  }", "  chain to-internet {", "    type filter hook postrouting priority srcnat + 1; policy accept;"]
    lines += [
        f"    oifname {GATEWAY_INTERFACE} ip saddr {port.address} ip saddr set {port.public_address} accept"
        for port in public
    ]
    lines += ["  }", "  chain between-hosts {", "    type nat hook prerouting priority dstnat; policy accept;"]
    lines += [f"    ip daddr {port.public_address} dnat to {port.address}" for port in public]
    lines += ["  }", "}"]
    return "\n".join(lines) + "\n"


def _set_name(group_id: str) -> str:
    return group_id.replace("-", "_")


def _permissions(rule_lists: Iterable[Sequence[Rule]], side: str, verdict: str) -> list[str]:
    lines = []
    for rules in rule_lists:
        for rule in rules:
            peers = [f"ip {side} {cidr}" for cidr in rule.cidrs]
            peers += [f"ip {side} @{_set_name(group_id)}" for group_id in rule.groups]
            lines += [f"    {peer} {_match(rule)}{verdict}" for peer in peers]
    return lines


def _match(rule: Rule) -> str:
    if rule.protocol == ALL_PROTOCOLS:
        return ""
    if rule.from_port is None or (rule.from_port, rule.to_port) == (0, 65535):
        return f"meta l4proto {rule.protocol} "
    return f"{rule.protocol} dport {rule.from_port}-{rule.to_port} "
