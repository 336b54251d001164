"""Proves the preconditions of the measurements: the MTU, the hosts' limits, closed ports, zeroed legs."""

from __future__ import annotations

import time
from typing import Any

from workloads.iscsi import ISCSI_PORT
from workloads.md_raid import parsers
from workloads.md_raid.context import Context, script
from workloads.results import proof, raise_failed

# An ICMP echo of 8973 bytes makes an IPv4 packet of 9001 with its two headers (20 + 8).
IP_ICMP_HEADERS_BYTES = 28
# A port that no security group opens: NVMe/TCP's, which nothing here uses.
CLOSED_PORT = 4420
LISTENER_SECONDS = 60
REMEDIES = {
    "mtu": "see the MTU of every interface on the way (ip link); inside one VPC it is 9001",
    "memory-limit": "the limit is a kernel argument set at first boot: reboot the host, or deploy again",
    "cpu-limit": "the limit is the instance's CPU options: deploy again",
    "closed-port": "see the rules of the security groups in the console: only SSH and iSCSI are to be open",
    "zeroed": "give fresh volumes",
}


def prove(context: Context) -> None:
    """Makes and records every proof. Raises WorkloadError for the first that failed."""
    started = time.monotonic()
    with context.console.under_way("prove", "MTU, limits, closed port"):
        proofs = [*prove_hosts(context), *prove_closed_port(context)]
    for each in proofs:
        context.results.append("proofs", each)
    context.results.step("prove", time.monotonic() - started, None)
    for kind in dict.fromkeys(each["proof"] for each in proofs):
        those = [each for each in proofs if each["proof"] == kind]
        passed = sum(each["passed"] for each in those)
        context.console.say("prove", f"{kind:<20} {passed} of {len(those)} passed   {those[0]['detail']}")
    raise_failed(proofs, REMEDIES)


def prove_hosts(context: Context) -> list[dict[str, Any]]:
    """Proves the MTU between all hosts, their memory and CPU limits, and that their legs read as zero."""
    hosts = context.inventory.hosts
    payload = context.inventory.network.mtu - IP_ICMP_HEADERS_BYTES
    arguments = {
        host.name: [
            str(payload),
            *(f"{peer.name}={peer.private_address}" for peer in hosts if peer.name != host.name),
        ]
        for host in hosts
    }
    results = context.hosts.run(script("host_prove"), arguments)
    proofs = []
    for host in hosts:
        facts = results[host.name].facts
        pings = {(fact["ping"], fact["payload_bytes"]): fact["output"] for fact in facts if "ping" in fact}
        peers = dict.fromkeys(name for name, _ in pings)
        proofs += [
            mtu_proof(host.name, peer, payload, pings[peer, payload], pings[peer, payload + 1]) for peer in peers
        ]
        limits = next(fact for fact in facts if "memory_kib" in fact)
        if host.memory_limit_mib is not None:
            has_mib = limits["memory_kib"] // 1024
            detail = f"MemTotal {has_mib} MiB, limit {host.memory_limit_mib} MiB"
            proofs.append(proof("memory-limit", host.name, None, detail, has_mib <= host.memory_limit_mib))
        if host.cpu_limit is not None:
            detail = f"{limits['cpus']} CPUs, limit {host.cpu_limit}"
            proofs.append(proof("cpu-limit", host.name, None, detail, limits["cpus"] <= host.cpu_limit))
        for fact in facts:
            if "zeroed" in fact:
                seen = fact["zeroed"]
                detail = f"{seen['bytes_read']} bytes sampled of {seen['size_bytes']}, all zero, before first use"
                entry = proof("zeroed", host.name, seen["volume"], detail, bool(seen["zero"]))
                proofs.append(entry | {"t_unix_s": seen["t_unix_s"]})
    return proofs


def mtu_proof(source: str, to: str, payload: int, largest: str, one_more: str) -> dict[str, Any]:
    """Proves that the largest unfragmented packet passed, and that a larger one was refused."""
    try:
        outcomes = parsers.ping_outcome(largest), parsers.ping_outcome(one_more)
    except parsers.ParseError as error:
        return proof("mtu", source, to, str(error), False)
    detail = f"ping -M do -s {payload} {outcomes[0]}, -s {payload + 1} {outcomes[1]}"
    return proof("mtu", source, to, detail, outcomes == ("passed", "too-long"))


def prove_closed_port(context: Context) -> list[dict[str, Any]]:
    """Proves that a listening port which no security group opens cannot be reached."""
    if context.inventory.network.vpc_id is None:
        context.console.say("prove", "closed-port          left out: these hosts have no security groups")
        return []
    servers = context.topology.servers
    try:
        listening = context.hosts.run(
            script("storage_listen"),
            {server.name: [server.private_address, str(CLOSED_PORT), str(LISTENER_SECONDS)] for server in servers},
        )
        places = [
            f"{server.name}={server.private_address}:{port}" for server in servers for port in (CLOSED_PORT, ISCSI_PORT)
        ]
        reached = {
            (fact["to"], fact["port"]): fact["reached"]
            for fact in context.on_client("client_reach", places).facts
            if "to" in fact
        }
    finally:
        context.hosts.run(script("storage_unlisten"), {server.name: [] for server in servers})
    proofs = []
    for server in servers:
        locally = listening[server.name].facts[0]["answers_locally"]
        closed, iscsi = reached[server.name, CLOSED_PORT], reached[server.name, ISCSI_PORT]
        detail = (
            f"port {CLOSED_PORT} listens and {'answers' if locally else 'does not answer'} on the host itself, "
            f"{'is' if closed else 'is not'} reached from the client; "
            f"port {ISCSI_PORT} {'is' if iscsi else 'is not'}"
        )
        proofs.append(proof("closed-port", context.client_name, server.name, detail, locally and iscsi and not closed))
    return proofs
