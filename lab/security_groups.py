"""Security groups and public addresses as nftables rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.account import ALL_PROTOCOLS, Group, Rule
from lab.vpc import GATEWAY_INTERFACE, Port

TRANSLATED = "0x1"  # the mark of a packet that came to a public address


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
