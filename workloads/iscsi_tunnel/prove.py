"""Proves that the target is reached through the tunnel alone, and that nothing but SSH passes between the hosts."""

from __future__ import annotations

import time
from typing import Any

from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel.attachment import Attachment, detach
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.iscsi_tunnel.records import attach_recorded
from workloads.iscsi_tunnel.run import read_a_little
from workloads.results import proof

Proof = dict[str, Any]
SSH = "tcp-22"
# Beside the tunnel's SSH these may pass: they carry none of the disk.
HARMLESS = frozenset({"arp", "icmp", "ipv6-multicast"})
REMEDIES = {
    "ssh-only": "see the capture's counts in raw/proofs.ndjson, and what else runs between the two hosts",
    "closed-port": "see the rules of the security group in the console, and targetcli ls on the server",
    "listeners": "see ss -tln on the server: the target's portal belongs on the tunnel's address alone",
}


def prove(ends: Ends) -> Attachment:
    """Runs every proof; the volume is attached afterwards. The first that fails is raised once all are recorded."""
    started = time.monotonic()
    with ends.deployment.console.under_way("prove", "what passes on the path"):
        detach(ends)
        attached, proofs = prove_capture(ends)
    with ends.deployment.console.under_way("prove", "closed ports"):
        proofs += [prove_listeners(ends, attached), *prove_closed(ends, attached)]
    for each in proofs:
        ends.deployment.results.append("proofs", each)
    ends.deployment.results.step("prove", time.monotonic() - started, None)
    for each in proofs:
        words = "passed" if each["passed"] else "FAILED"
        ends.deployment.console.say("prove", f"{each['proof']:<12} {words:<8} {each['from']}: {each['detail']}")
    failed = [each for each in proofs if not each["passed"]]
    if failed:
        first = failed[0]
        raise WorkloadError(f"{first['proof']}: {first['detail']}", REMEDIES[first["proof"]], first["from"])
    return attached


def prove_capture(ends: Ends) -> tuple[Attachment, list[Proof]]:
    """What passes between the two hosts while the volume is attached and read, as each of them sees it."""
    if ends.client_host is None:
        ends.deployment.console.say(
            "prove", "ssh-only     left out: the client is this machine, whose address is not known"
        )
        return attach_recorded(ends), []
    hosts = {ends.server_host.name: ends.server_host, ends.client_host.name: ends.client_host}
    peers = dict(zip(hosts, reversed(list(hosts.values())), strict=True))
    starts = {name: ["start", host.private_address, peers[name].private_address] for name, host in hosts.items()}
    ends.deployment.hosts.run(script("host_capture"), starts)
    try:
        attached = attach_recorded(ends)
        moved_bytes = read_a_little(ends, attached)
    finally:
        seen = ends.deployment.hosts.run(script("host_capture"), {name: ["stop"] for name in hosts})
    return attached, [
        capture_proof(name, peers[name].name, result.facts[0], moved_bytes) for name, result in sorted(seen.items())
    ]


def capture_proof(host: str, peer: str, seen: dict[str, Any], moved_bytes: int) -> Proof:
    """Whether a host saw SSH alone, as much of it as the disk's bytes make, and nothing readable of iSCSI."""
    packets, sizes = seen["packets"], seen["bytes"]
    others = {name: count for name, count in packets.items() if name != SSH and name not in HARMLESS}
    enough = sizes.get(SSH, 0) >= moved_bytes > 0
    passed = enough and not others and seen["readable"] == 0 and seen["dropped"] == 0
    detail = (
        f"{packets.get(SSH, 0)} packets of SSH ({sizes.get(SSH, 0)} bytes, {moved_bytes} read from the disk), "
        f"{sum(others.values())} others{': ' + ', '.join(sorted(others)) if others else ''}, "
        f"{seen['readable']} with readable iSCSI, {seen['dropped']} not seen"
    )
    counts = {
        "ssh_packets": packets.get(SSH, 0),
        "ssh_bytes": sizes.get(SSH, 0),
        "other_packets": sum(others.values()),
        "readable_packets": seen["readable"],
        "unseen_packets": seen["dropped"],
        "moved_bytes": moved_bytes,
    }
    return proof("ssh-only", host, peer, detail, passed, **counts)


def prove_listeners(ends: Ends, attached: Attachment) -> Proof:
    """The target listens on the tunnel's address and on no other."""
    listens = [str(fact["listens"]) for fact in ends.server.run(script("server_listeners")).facts if "listens" in fact]
    targets = [place for place in listens if place.endswith(f":{ISCSI_PORT}")]
    expected = [f"{attached.server_address}:{ISCSI_PORT}"]
    detail = f"port {ISCSI_PORT} is listened on at {', '.join(targets) or 'no address'}"
    return proof("listeners", ends.server_host.name, None, detail, targets == expected)


def prove_closed(ends: Ends, attached: Attachment) -> list[Proof]:
    """The target's port is closed from the client beside the tunnel, and from every other host by whatever address."""
    server, port = ends.server_host, ISCSI_PORT
    direct = [f"private={server.private_address}:{port}", f"public={server.address}:{port}"]
    proofs = []
    if ends.client_host is not None:
        # The control: what is closed at one address answers at the other, by the same question.
        places = [*direct, f"tunnel={attached.server_address}:{port}"]
        proofs.append(_closed(ends, ends.client_name, places, open_at="tunnel"))
    for host in ends.deployment.inventory.hosts:
        if host.name in (server.name, ends.client_name):
            continue
        # The control here is SSH, which members may try.
        places = [*direct, f"tunnel={attached.server_address}:{port}", f"ssh={server.private_address}:22"]
        proofs.append(_closed(ends, host.name, places, open_at="ssh"))
        words = [server.private_address, attached.server_address, str(port)]
        reached = ends.deployment.hosts.connector(host.name).run(script("third_reach"), words).facts[0]["reached"]
        detail = f"the tunnel's address by a route through the server {'is' if reached else 'is not'} reached"
        proofs.append(proof("closed-port", host.name, server.name, detail, not reached, tried=1, reached=int(reached)))
    if len(proofs) < 2:
        ends.deployment.console.say("prove", "closed-port  left out from a third host: the inventory has none")
    return proofs


def _closed(ends: Ends, source: str, places: list[str], *, open_at: str) -> Proof:
    machine = ends.client if source == ends.client_name else ends.deployment.hosts.connector(source)
    facts = [fact for fact in machine.run(script("client_reach"), places).facts if "to" in fact]
    reached = {str(fact["to"]): bool(fact["reached"]) for fact in facts}
    wrong = [name for name, was in reached.items() if was and name != open_at]
    detail = (
        f"port {ISCSI_PORT} is {'reached by ' + ' and '.join(sorted(wrong)) if wrong else 'reached by no address'} "
        f"of {', '.join(sorted(name for name in reached if name != open_at))}; "
        f"{open_at} {'answers' if reached[open_at] else 'does not answer'}"
    )
    figures = {"tried": len(reached) - 1, "reached": len(wrong)}
    return proof("closed-port", source, ends.server_host.name, detail, not wrong and reached[open_at], **figures)
