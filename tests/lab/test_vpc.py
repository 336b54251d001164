"""The rules between the hosts: their text, and what packets they let through."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.account import Group, Rule
from lab.vpc import GATEWAY_INTERFACE, Port, gateway_of, render_rules

STORAGE = Port("i-0aaaaaaaaaaaaaaa1", "10.20.1.10", "10.20.1.1", "54.1.2.3", ("sg-1",))
CLIENT = Port("i-0aaaaaaaaaaaaaaa2", "10.20.1.20", "10.20.1.1", None, ("sg-2",))
ANYWHERE = "0.0.0.0/0"

EXACT = """\
table inet vpc
delete table inet vpc
table ip eip
delete table ip eip
table inet vpc {
  set sg_1 {
    type ipv4_addr
    elements = { 10.20.1.10 }
  }
  set sg_2 {
    type ipv4_addr
    elements = { 10.20.1.20 }
  }
  chain egress-eni-aaaaaaaaaa1 {
    ip saddr != 10.20.1.10 drop
    ip daddr 0.0.0.0/0 return
    drop
  }
  chain ingress-eni-aaaaaaaaaa1 {
    ip saddr @sg_2 tcp dport 3260-3260 accept
    ip saddr 198.51.100.0/24 tcp dport 22-22 accept
    drop
  }
  chain egress-eni-aaaaaaaaaa2 {
    ip saddr != 10.20.1.20 drop
    ip daddr @sg_1 return
    drop
  }
  chain ingress-eni-aaaaaaaaaa2 {
    ip saddr 10.20.0.0/16 meta l4proto icmp accept
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname igw meta mark != 0x1 drop
    iifname eni-aaaaaaaaaa1 jump egress-eni-aaaaaaaaaa1
    iifname eni-aaaaaaaaaa2 jump egress-eni-aaaaaaaaaa2
    oifname eni-aaaaaaaaaa1 jump ingress-eni-aaaaaaaaaa1
    oifname eni-aaaaaaaaaa2 jump ingress-eni-aaaaaaaaaa2
    oifname igw ip saddr 10.20.1.10 accept
  }
}
table ip eip {
  chain from-internet {
    type filter hook prerouting priority raw; policy accept;
    iifname igw ip daddr 54.1.2.3 ip daddr set 10.20.1.10 meta mark set 0x1 accept
  }
  chain to-internet {
    type filter hook postrouting priority srcnat + 1; policy accept;
    oifname igw ip saddr 10.20.1.10 ip saddr set 54.1.2.3 accept
  }
  chain between-hosts {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 54.1.2.3 dnat to 10.20.1.10
  }
}
"""


def rule(
    protocol: str = "tcp",
    from_port: int | None = None,
    to_port: int | None = None,
    *,
    cidrs: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
) -> Rule:
    return Rule(protocol, from_port, to_port, cidrs, groups)


GROUPS = (
    Group(
        "sg-1",
        ingress=(rule("tcp", 3260, 3260, groups=("sg-2",)), rule("tcp", 22, 22, cidrs=("198.51.100.0/24",))),
        egress=(rule("-1", cidrs=(ANYWHERE,)),),
    ),
    Group("sg-2", ingress=(rule("icmp", cidrs=("10.20.0.0/16",)),), egress=(rule("-1", groups=("sg-1",)),)),
)


def test_two_hosts_exactly() -> None:
    assert render_rules([STORAGE, CLIENT], GROUPS) == EXACT


def test_no_hosts_and_no_groups_still_take_the_old_rules_away_and_drop() -> None:
    text = render_rules([], [])
    assert text.startswith("table inet vpc\ndelete table inet vpc\ntable ip eip\ndelete table ip eip\n")
    assert "policy drop" in text
    assert "nat to" not in text
    assert "addr set" not in text


def test_a_group_that_nobody_is_in_is_an_empty_set() -> None:
    assert "  set sg_9 {\n    type ipv4_addr\n  }\n" in render_rules([], [Group("sg-9", (), ())])


@pytest.mark.parametrize(
    ("given_rule", "line"),
    [
        (rule("-1", cidrs=(ANYWHERE,)), "ip saddr 0.0.0.0/0 accept"),
        (rule("tcp", 0, 65535, cidrs=(ANYWHERE,)), "ip saddr 0.0.0.0/0 meta l4proto tcp accept"),
        (rule("udp", 53, 53, cidrs=("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 udp dport 53-53 accept"),
        (rule("icmp", groups=("sg-1",)), "ip saddr @sg_1 meta l4proto icmp accept"),
    ],
)
def test_a_permission_is_one_line(given_rule: Rule, line: str) -> None:
    text = render_rules([STORAGE], [Group("sg-1", (given_rule,), ())])
    assert f"  chain ingress-eni-aaaaaaaaaa1 {{\n    {line}\n    drop\n  }}\n" in text


@pytest.mark.parametrize("protocol", ["udp", "sctp", "icmp"])
def test_a_permission_for_one_protocol_opens_no_other(protocol: str) -> None:
    text = render_rules([STORAGE], [Group("sg-1", (rule(protocol, cidrs=(ANYWHERE,)),), ())])
    assert re.findall(r"saddr .* accept", text)[0] == f"saddr 0.0.0.0/0 meta l4proto {protocol} accept"


def test_a_rule_for_members_of_a_group_that_is_gone_opens_nothing() -> None:
    text = render_rules([STORAGE], [Group("sg-1", (rule(groups=("sg-gone",)),), ())])
    assert "  set sg_gone {\n    type ipv4_addr\n  }\n" in text


def test_a_host_without_groups_or_with_unknown_ones_reaches_nobody_and_is_reached_by_nobody() -> None:
    for groups in ((), ("sg-gone",)):
        port = Port("i-0aaaaaaaaaaaaaaa3", "10.20.1.30", "10.20.1.1", None, groups)
        text = render_rules([port], [])
        assert (
            f"    ip saddr != 10.20.1.30 drop\n    drop\n  }}\n  chain ingress-{port.interface} {{\n    drop\n" in text
        )


def test_a_host_without_a_public_address_has_no_way_to_the_internet() -> None:
    assert f"oifname {GATEWAY_INTERFACE}" not in render_rules([CLIENT], GROUPS)


@pytest.mark.parametrize(
    ("cidr", "gateway"),
    [("10.20.1.0/24", "10.20.1.1"), ("10.20.0.0/16", "10.20.0.1"), ("172.31.16.0/20", "172.31.16.1")],
)
def test_the_gateway_is_the_subnets_first_host(cidr: str, gateway: str) -> None:
    assert gateway_of(cidr) == gateway


INSTANCE_IDS = st.text("0123456789abcdef", min_size=17, max_size=17).map(lambda digits: f"i-{digits}")
ADDRESSES = st.integers(1, 2**16 - 2).map(lambda number: str(ipaddress.IPv4Address("10.20.0.0") + number))


@given(INSTANCE_IDS, ADDRESSES)
def test_an_interface_has_a_name_that_the_kernel_takes_and_a_mac_that_is_local_and_for_one_host(
    instance_id: str, address: str
) -> None:
    port = Port(instance_id, address, "10.20.0.1", None, ())
    assert len(port.interface) <= 15
    assert re.fullmatch(r"02:00(:[0-9a-f]{2}){4}", port.mac)
    assert bytes.fromhex(port.mac.replace(":", ""))[2:] == ipaddress.IPv4Address(address).packed


@given(st.sets(ADDRESSES, max_size=20))
def test_macs_differ_as_addresses_do(addresses: set[str]) -> None:
    assert len({Port("i-0", address, "", None, ()).mac for address in addresses}) == len(addresses)


# --- any account -----------------------------------------------------------------------------------------

GROUP_IDS = ("sg-a", "sg-b", "sg-c")
CIDRS = ("0.0.0.0/0", "10.20.0.0/16", "10.20.1.2/32", "198.51.100.0/24")
PORT_NUMBERS = (0, 1, 22, 3260, 65535)


def _peers(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(sorted(draw(st.sets(st.sampled_from(CIDRS), max_size=2)))),
        tuple(sorted(draw(st.sets(st.sampled_from(GROUP_IDS), max_size=2)))),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    protocol = draw(st.sampled_from(("tcp", "udp", "icmp", "-1")))
    cidrs, groups = _peers(draw)
    if protocol in ("icmp", "-1"):
        return Rule(protocol, None, None, cidrs, groups)
    first, last = sorted(draw(st.tuples(st.sampled_from(PORT_NUMBERS), st.sampled_from(PORT_NUMBERS))))
    return Rule(protocol, first, last, cidrs, groups)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[list[Port], list[Group]]:
    count = draw(st.integers(0, 3))
    known = draw(st.sets(st.sampled_from(GROUP_IDS)))
    ports = [
        Port(
            f"i-0000000000000000{number}",
            f"10.20.1.{number + 1}",
            "10.20.1.254",
            f"54.0.0.{number + 1}" if draw(st.booleans()) else None,
            tuple(sorted(draw(st.sets(st.sampled_from(sorted(known)))))) if known else (),
        )
        for number in range(count)
    ]
    some = st.lists(rules(), max_size=3)
    # A rule may name a group that is gone: moto lets it be deleted.
    groups = [Group(group_id, tuple(draw(some)), tuple(draw(some))) for group_id in sorted(known)]
    return ports, groups


@dataclass(frozen=True)
class Packet:
    """The first packet of a flow from one host to another."""

    source: Port
    destination: Port
    protocol: str
    port: int | None


def allowed_by_the_groups(packet: Packet, ports: list[Port], groups: list[Group]) -> bool:
    """What EC2's documents say: one rule of the sender's groups and one of the receiver's must allow it."""

    def permits(which: tuple[Rule, ...], peer: Port) -> bool:
        return any(
            (r.protocol == "-1" or r.protocol == packet.protocol)
            and (r.from_port is None or r.from_port <= (packet.port or 0) <= (r.to_port or 0))
            and (
                any(ipaddress.IPv4Address(peer.address) in ipaddress.IPv4Network(cidr) for cidr in r.cidrs)
                or any(group_id in peer.groups for group_id in r.groups)
            )
            for r in which
        )

    out = any(permits(g.egress, packet.destination) for g in groups if g.group_id in packet.source.groups)
    into = any(permits(g.ingress, packet.source) for g in groups if g.group_id in packet.destination.groups)
    return out and into


def allowed_by_the_text(packet: Packet, text: str) -> bool:
    """What the rendered rules do with it, read as nftables reads them: line by line, chain by chain."""
    sets = {
        name: set(re.findall(r"[\d.]+", elements))
        for name, elements in re.findall(r"set (\S+) \{\n    type ipv4_addr\n(?:    elements = \{(.*)\}\n)?", text)
    }
    chains: dict[str, list[str]] = {
        name: body.splitlines() for name, body in re.findall(r"  chain (\S+) \{\n((?:    .*\n)*)", text)
    }

    def matches(words: list[str]) -> bool:
        while words:
            if words[:2] in (["ip", "saddr"], ["ip", "daddr"]):
                ours = packet.source.address if words[1] == "saddr" else packet.destination.address
                value = words[3] if words[2] == "!=" else words[2]
                within = (
                    ours in sets[value[1:]]
                    if value[0] == "@"
                    else ipaddress.IPv4Address(ours) in ipaddress.IPv4Network(value)
                )
                if within == (words[2] == "!="):
                    return False
                words = words[4 if words[2] == "!=" else 3 :]
            elif words[:2] == ["meta", "l4proto"]:
                if words[2] != packet.protocol:
                    return False
                words = words[3:]
            elif words[1] == "dport":
                first, last = words[2].split("-")
                if words[0] != packet.protocol or not int(first) <= (packet.port or 0) <= int(last):
                    return False
                words = words[3:]
            elif words[0] in ("iifname", "oifname"):
                if words[1] != (packet.source.interface if words[0] == "iifname" else packet.destination.interface):
                    return False
                words = words[2:]
            elif words[0] == "ct":  # a new flow is neither established nor related
                return False
            else:
                raise AssertionError(f"not a match this reader knows: {words}")
        return True

    def verdict(chain: str) -> str | None:
        for line in chains[chain]:
            words = line.split()
            if words[0] == "type":
                continue
            if "jump" in words:
                if matches(words[:-2]) and (said := verdict(words[-1])) not in (None, "return"):
                    return said
            elif matches(words[:-1]):
                return words[-1]
        return None

    return verdict("forward") == "accept"


@given(accounts(), st.data())
def test_the_text_lets_through_just_what_the_groups_allow(
    account: tuple[list[Port], list[Group]], data: st.DataObject
) -> None:
    ports, groups = account
    text = render_rules(ports, groups)
    for source in ports:
        for destination in ports:
            if source is destination:
                continue
            protocol = data.draw(st.sampled_from(("tcp", "udp", "icmp")))
            number = None if protocol == "icmp" else data.draw(st.sampled_from((*PORT_NUMBERS, 2, 3259, 4000)))
            packet = Packet(source, destination, protocol, number)
            assert allowed_by_the_text(packet, text) == allowed_by_the_groups(packet, ports, groups), text


@pytest.fixture(scope="module")
def nft_check() -> list[str]:
    """`nft --check` in a network namespace of its own, where this machine lets one be made."""
    command = ["unshare", "--user", "--map-root-user", "--net", "nft", "--check", "-f", "-"]
    if not shutil.which("nft"):
        pytest.skip("no nft on this machine")
    tried = subprocess.run(command, input="table inet t {}\n", text=True, capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"nft can't be asked in a namespace of its own: {tried.stderr.strip()}")
    return command


@settings(max_examples=25, deadline=None)
@given(account=accounts())
def test_nft_takes_the_text(nft_check: list[str], account: tuple[list[Port], list[Group]]) -> None:
    text = render_rules(*account)
    done = subprocess.run(nft_check, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
