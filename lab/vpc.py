"""The network between the hosts, inside the region's own namespace.

A VPC has no layer 2: its mapping service answers every ARP request, delivers by address and filters at each
instance. So here each host hangs on a veth pair of its own, the namespace answers ARP for all (proxy ARP), routes
between the pairs, and connection tracking makes security groups stateful. They carry 9001 bytes; the way out
through the internet gateway carries 1500.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.account import ALL_PROTOCOLS, Group, Rule
from lab.process import run

VPC_MTU_BYTES = 9001  # docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html
INTERNET_MTU_BYTES = 1500  # the same page: an internet gateway passes no more
INTERNET_ADDRESS = "198.51.100.1"  # TEST-NET-2 (RFC 5737) stands for the rest of the world
INTERNET_GATEWAY_ADDRESS = "198.51.100.254"
INTERNET_PREFIX_LENGTH = 24
GATEWAY_INTERFACE = "igw"
TRANSLATED = "0x1"  # the mark of a packet that came to a public address
# Of a link that has a rate: what may pass at once, a few packets, and how long one may wait before it is dropped, as in
# the buffer of a home's router.
LINK_BURST_BYTES = 16 * 1024
LINK_QUEUE_MS = 100


@dataclass(frozen=True)
class Port:
    """Where a host, or a mount target, is plugged in. `instance_id` is the id of either."""

    instance_id: str
    address: str
    gateway: str  # the subnet's first address: the VPC's router
    public_address: str | None
    groups: tuple[str, ...]

    @property
    def interface(self) -> str:
        """An interface name has 15 characters at most; the id's last eleven are enough to tell hosts apart."""
        return f"eni-{self.instance_id[-11:]}"

    @property
    def mac(self) -> str:
        """02 marks a locally administered address; the rest is the IPv4 address, which is unique here."""
        return "02:00:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(self.address).packed)


def gateway_of(subnet_cidr: str) -> str:
    """The address of a subnet's router: its network's first host address."""
    return str(ipaddress.IPv4Network(subnet_cidr)[1])


def create_namespace_interfaces() -> None:
    """Prepare the region's namespace: loopback and forwarding."""
    run(["ip", "link", "set", "lo", "up"])
    run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])


def connect_internet(internet_pid: int) -> None:
    """Join the namespace of a process, the internet, to this one through the internet gateway."""
    run(
        [
            "ip",
            "link",
            "add",
            GATEWAY_INTERFACE,
            "mtu",
            str(INTERNET_MTU_BYTES),
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
        ]
    )
    run(["ip", "link", "set", "eth0", "netns", str(internet_pid)])
    run(
        [
            "ip",
            "address",
            "add",
            f"{INTERNET_GATEWAY_ADDRESS}/{INTERNET_PREFIX_LENGTH}",
            "dev",
            GATEWAY_INTERFACE,
        ]
    )
    run(["ip", "link", "set", GATEWAY_INTERFACE, "up"])
    inside = ["nsenter", "--net", "--target", str(internet_pid), "ip"]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "link", "set", "eth0", "mtu", str(INTERNET_MTU_BYTES), "up"])
    run([*inside, "address", "add", f"{INTERNET_ADDRESS}/{INTERNET_PREFIX_LENGTH}", "dev", "eth0"])
    run([*inside, "route", "add", "default", "via", INTERNET_GATEWAY_ADDRESS])


def limit_uplink(mbit_per_s: float | None) -> None:
    """Hold what leaves through the internet gateway to this rate, all hosts together; None: to none."""
    if mbit_per_s is None:
        # What a link without a queueing discipline of its own has; taking one away that is not there is an error.
        run(["tc", "qdisc", "replace", "dev", GATEWAY_INTERFACE, "root", "noqueue"])
        return
    bucket = ["rate", f"{round(mbit_per_s * 1e6)}bit", "burst", str(LINK_BURST_BYTES), "latency", f"{LINK_QUEUE_MS}ms"]
    run(["tc", "qdisc", "replace", "dev", GATEWAY_INTERFACE, "root", "tbf", *bucket])


def plug(port: Port) -> None:
    """Create the veth pair of a host and the route to it."""
    run(["ip", "-batch", "-"], stdin=veth_commands(port.interface, host_interface(port.interface)))
    _connect(port)


def host_interface(interface: str) -> str:
    """The other end of a host's veth pair: that one is the host's network card."""
    return f"uml{interface.removeprefix('eni')}"


def veth_commands(interface: str, host_end: str) -> str:
    """Lines for `ip -batch` that make a veth pair; `host_end` is a network card, and has no address of its own."""
    return (
        f"link add {interface} mtu {VPC_MTU_BYTES} type veth peer name {host_end} mtu {VPC_MTU_BYTES}\n"
        f"link set {host_end} addrgenmode none arp off\n"
        f"link set {host_end} up\n"
        f"link set {interface} up\n"
    )


def plug_namespace(port: Port, pid: int, number: int) -> None:
    """Give the namespace of a process an interface with the port's address, beside others that it may have.

    Whatever answers from that address leaves by that interface: each has a routing table of its own, `number` from 1.
    """
    inside = f"mt{number}"
    run(["ip", "link", "add", port.interface, "type", "veth", "peer", "name", inside, "netns", str(pid)])
    lines = [
        f"link set {inside} address {port.mac} mtu {VPC_MTU_BYTES} up",
        f"address add {port.address}/32 dev {inside}",
        f"route add {port.gateway}/32 dev {inside} table {100 + number}",
        f"route add default via {port.gateway} dev {inside} table {100 + number}",
        f"rule add from {port.address} table {100 + number}",
    ]
    run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
    _connect(port)


def _connect(port: Port) -> None:
    """Route to what is at the other end of the port's interface, and answer ARP there for everybody else."""
    run(["ip", "link", "set", port.interface, "mtu", str(VPC_MTU_BYTES), "up"])
    # The router's address answers on every interface; the delay is what the kernel adds before a proxied answer.
    run(["ip", "address", "replace", f"{port.gateway}/32", "dev", "lo"])
    run(
        [
            "sysctl",
            "-qw",
            f"net.ipv4.conf.{port.interface}.proxy_arp=1",
            f"net.ipv4.neigh.{port.interface}.proxy_delay=0",
            f"net.ipv4.conf.{port.interface}.send_redirects=0",
            f"net.ipv6.conf.{port.interface}.disable_ipv6=1",
        ]
    )
    run(["ip", "route", "replace", f"{port.address}/32", "dev", port.interface])
    run(["ip", "neighbour", "replace", port.address, "lladdr", port.mac, "dev", port.interface, "nud", "permanent"])


def unplug(port: Port) -> None:
    """Take a host's interface away, and with it its route."""
    run(["ip", "link", "delete", port.interface])


def apply_rules(ports: Sequence[Port], groups: Iterable[Group]) -> None:
    """Replace all filtering and address translation at once, atomically."""
    run(["nft", "-f", "-"], stdin=render_rules(ports, groups))


def render_rules(ports: Sequence[Port], groups: Iterable[Group]) -> str:
    """nftables rules for these hosts: what a security group does not name is dropped, in both directions.

    An instance's egress rules are asked first, then the receiver's ingress rules, as in a VPC. Elastic and other
    public addresses are translated one to one at the internet gateway, packet by packet and without a state: so an
    address that moves to another host moves for connections that are open, too, which then break, as in a VPC. What a
    host sends to a public address of another is brought there by connection tracking.
    """
    known = {group.group_id: group for group in groups}
    # A rule may name a group that is gone: its set has no members, but the text must have the set.
    named = {peer for group in known.values() for rule in group.ingress + group.egress for peer in rule.groups}
    members: dict[str, list[str]] = {group_id: [] for group_id in (*known, *named)}
    for port in ports:
        for group_id in port.groups:
            members.setdefault(group_id, []).append(port.address)
    public = [port for port in ports if port.public_address]
    lines = [
        "table inet vpc",
        "delete table inet vpc",
        "table ip eip",
        "delete table ip eip",
        "table inet vpc {",
    ]
    for group_id, addresses in sorted(members.items()):
        lines += [f"  set {_set_name(group_id)} {{", "    type ipv4_addr"]
        if addresses:
            lines += [f"    elements = {{ {', '.join(sorted(addresses))} }}"]
        lines += ["  }"]
    for port in ports:
        lines += [f"  chain egress-{port.interface} {{"]
        lines += [f"    ip saddr != {port.address} drop"]  # the source check: no host speaks for another
        lines += _permissions([known[g].egress for g in port.groups if g in known], "daddr", "return")
        lines += ["    drop", "  }", f"  chain ingress-{port.interface} {{"]
        lines += _permissions([known[g].ingress for g in port.groups if g in known], "saddr", "accept")
        lines += ["    drop", "  }"]
    lines += ["  chain forward {", "    type filter hook forward priority filter; policy drop;"]
    lines += ["    ct state established,related accept"]
    # The internet knows public addresses alone: what the gateway did not translate has no way in.
    lines += [f"    iifname {GATEWAY_INTERFACE} meta mark != {TRANSLATED} drop"]
    lines += [f"    iifname {port.interface} jump egress-{port.interface}" for port in ports]
    lines += [f"    oifname {port.interface} jump ingress-{port.interface}" for port in ports]
    lines += [f"    oifname {GATEWAY_INTERFACE} ip saddr {port.address} accept" for port in public]
    lines += ["  }", "}", "table ip eip {"]
    # Before connection tracking, and after it: to that, and to the groups, hosts have their private addresses alone.
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
