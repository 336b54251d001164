"""Proves that the target is reachable only through the tunnel, and that only SSH passes between the hosts."""

from __future__ import annotations

import time
from typing import Any

from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel.attachment import attach_recorded, detach
from workloads.iscsi_tunnel.endpoints import Attachment, TunnelEndpoints, script
from workloads.iscsi_tunnel.run import read_briefly
from workloads.results import proof, raise_failed

Proof = dict[str, Any]

SSH = "tcp-22"
# These may pass beside the tunnel's SSH: they carry no data of the disk.
HARMLESS = frozenset({"arp", "icmp", "ipv6-multicast"})
REMEDIES = {
    "ssh-only": "see the capture's counts in raw/proofs.ndjson, and what else runs between the two hosts",
    "closed-port": "see the rules of the security group in the console, and targetcli ls on the server",
    "listeners": "see ss -tln on the server: the target's portal belongs on the tunnel's address alone",
}


def prove(tunnel: TunnelEndpoints) -> None:
    """Makes and records every proof; leaves the volume attached. Raises WorkloadError for the first that failed."""
    started = time.monotonic()
    with tunnel.console.under_way("prove", "what passes on the path"):
        detach(tunnel)
        attached, proofs = prove_capture(tunnel)
    with tunnel.console.under_way("prove", "closed ports"):
        proofs += [prove_listeners(tunnel, attached), *prove_closed(tunnel, attached)]
    for each in proofs:
        tunnel.results.append("proofs", each)
    tunnel.results.step("prove", time.monotonic() - started, None)
    for each in proofs:
        words = "passed" if each["passed"] else "FAILED"
        tunnel.console.say("prove", f"{each['proof']:<12} {words:<8} {each['from']}: {each['detail']}")
    raise_failed(proofs, REMEDIES)


def prove_capture(tunnel: TunnelEndpoints) -> tuple[Attachment, list[Proof]]:
    """Captures packets on both hosts while the volume is attached and read: nothing but SSH may pass."""
    if tunnel.client_host is None:
        tunnel.console.say("prove", "ssh-only     left out: the client is this machine, whose address is not known")
        return attach_recorded(tunnel), []
    hosts = {tunnel.server_host.name: tunnel.server_host, tunnel.client_host.name: tunnel.client_host}
    peers = dict(zip(hosts, reversed(list(hosts.values())), strict=True))
    starts = {name: ["start", host.private_address, peers[name].private_address] for name, host in hosts.items()}
    tunnel.hosts.run(script("host_capture"), starts)
    try:
        attached = attach_recorded(tunnel)
        moved_bytes = read_briefly(tunnel, attached)
    finally:
        seen = tunnel.hosts.run(script("host_capture"), {name: ["stop"] for name in hosts})
    return attached, [
        capture_proof(name, peers[name].name, result.facts[0], moved_bytes) for name, result in sorted(seen.items())
    ]


def capture_proof(host: str, peer: str, seen: dict[str, Any], moved_bytes: int) -> Proof:
    """Proves that a host saw only SSH, at least as many bytes as were read from the disk, and no readable iSCSI."""
    packets = seen["packets"]
    others = {name: count for name, count in packets.items() if name != SSH and name not in HARMLESS}
    counts = {
        "ssh_packets": packets.get(SSH, 0),
        "ssh_bytes": seen["bytes"].get(SSH, 0),
        "other_packets": sum(others.values()),
        "readable_packets": seen["readable"],
        "unseen_packets": seen["dropped"],
        "moved_bytes": moved_bytes,
    }
    enough = counts["ssh_bytes"] >= moved_bytes > 0
    passed = enough and not others and seen["readable"] == 0 and seen["dropped"] == 0
    detail = (
        f"{counts['ssh_packets']} packets of SSH ({counts['ssh_bytes']} bytes, {moved_bytes} read from the disk), "
        f"{counts['other_packets']} others{': ' + ', '.join(sorted(others)) if others else ''}, "
        f"{seen['readable']} with readable iSCSI, {seen['dropped']} not seen"
    )
    return proof("ssh-only", host, peer, detail, passed, **counts)


def prove_listeners(tunnel: TunnelEndpoints, attached: Attachment) -> Proof:
    """Proves that the target listens only on the tunnel's address."""
    listens = [
        str(fact["listens"]) for fact in tunnel.server.run(script("server_listeners")).facts if "listens" in fact
    ]
    targets = [place for place in listens if place.endswith(f":{ISCSI_PORT}")]
    expected = [f"{attached.server_address}:{ISCSI_PORT}"]
    detail = f"the target listens on {', '.join(targets) or 'no address'}"
    return proof("listeners", tunnel.server_host.name, None, detail, targets == expected)


def prove_closed(tunnel: TunnelEndpoints, attached: Attachment) -> list[Proof]:
    """Proves that the target's port is closed to the client outside of the tunnel, and to every other host."""
    server, port = tunnel.server_host, ISCSI_PORT
    direct = [f"private={server.private_address}:{port}", f"public={server.address}:{port}"]
    proofs = []
    if tunnel.client_host is not None:
        # The control: the same port answers through the tunnel.
        places = [*direct, f"tunnel={attached.server_address}:{port}"]
        proofs.append(_closed(tunnel, tunnel.client_name, places, open_at="tunnel"))
    for host in tunnel.inventory.hosts:
        if host.name in (server.name, tunnel.client_name):
            continue
        # The control is SSH, which every host may reach.
        places = [*direct, f"tunnel={attached.server_address}:{port}", f"ssh={server.private_address}:22"]
        proofs.append(_closed(tunnel, host.name, places, open_at="ssh"))
        words = [server.private_address, attached.server_address, str(port)]
        reached = tunnel.hosts.connector(host.name).run(script("third_reach"), words).facts[0]["reached"]
        detail = f"the tunnel's address by a route through the server {'is' if reached else 'is not'} reached"
        proofs.append(proof("closed-port", host.name, server.name, detail, not reached, tried=1, reached=int(reached)))
    if len(proofs) < 2:
        tunnel.console.say("prove", "closed-port  left out from a third host: the inventory has none")
    return proofs


def _closed(tunnel: TunnelEndpoints, source: str, places: list[str], *, open_at: str) -> Proof:
    connector = tunnel.client if source == tunnel.client_name else tunnel.hosts.connector(source)
    facts = [fact for fact in connector.run(script("client_reach"), places).facts if "to" in fact]
    reached = {str(fact["to"]): bool(fact["reached"]) for fact in facts}
    wrong = [name for name, was in reached.items() if was and name != open_at]
    detail = (
        f"port {ISCSI_PORT} is {'reached by ' + ' and '.join(sorted(wrong)) if wrong else 'reached by no address'} "
        f"of {', '.join(sorted(name for name in reached if name != open_at))}; "
        f"{open_at} {'answers' if reached[open_at] else 'does not answer'}"
    )
    figures = {"tried": len(reached) - 1, "reached": len(wrong)}
    return proof("closed-port", source, tunnel.server_host.name, detail, not wrong and reached[open_at], **figures)
