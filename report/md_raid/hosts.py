"""What limited a cell, as far as the hosts' counters show it (raw/host.ndjson)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_offers import LINE_RATES, LineRates
from report.hosts import (
    BUSY_RATIO_MIN,
    LINE_RATE_RATIO_MIN,
    HostSamples,
    Role,
    inventory_roles,
    read_host_samples,
)
from report.md_raid.schema import Ceilings, Evidence
from report.runs import Run

MIB = 1 << 20


@dataclass(frozen=True)
class Limit:
    limited_by: str | None
    hosts: list[str]
    evidence: Evidence


class Hosts:
    """Samples of each host, by name, with what the inventory says of it."""

    def __init__(self, roles: Sequence[Role], samples: dict[str, HostSamples], rehearsal: bool) -> None:
        self.roles = roles
        self.samples = samples
        # A rehearsal's hosts have the names of AWS's types, but not their links.
        self.line_rates = {} if rehearsal else LINE_RATES

    def ceilings(self) -> Ceilings:
        def slowest(role: str, rate: Callable[[LineRates], float]) -> float | None:
            rates = [self.line_rates.get(host.instance_type or "") for host in self.roles if host.role == role]
            known = [rate(each) / MIB for each in rates if each is not None]
            return min(known) if known and len(known) == len(rates) else None

        return Ceilings(
            client_network_mib_per_s=slowest("client", lambda rates: rates.network_bytes_per_s),
            server_network_mib_per_s=slowest("storage", lambda rates: rates.network_bytes_per_s),
            server_ebs_mib_per_s=slowest("storage", lambda rates: rates.ebs_bytes_per_s),
        )

    def limit(self, start_unix_s: float | None, end_unix_s: float | None) -> Limit:
        if start_unix_s is None or end_unix_s is None:
            return Limit(None, [], Evidence(None, None, None, None, None))
        start, end = start_unix_s, end_unix_s
        found: dict[str, list[str]] = {}
        client_cpu: list[float] = []
        storage_cpu: list[float] = []
        client_rx: list[float] = []
        client_link: list[float] = []
        storage_tx: list[float] = []
        for host in self.roles:
            samples = self.samples.get(host.name)
            if samples is None or host.role not in ("client", "storage"):
                continue
            busy = samples.cpu_busy_mean(start, end)
            rx = samples.rate(samples.nic_rx_bytes, start, end)
            tx = samples.rate(samples.nic_tx_bytes, start, end)
            rates = self.line_rates.get(host.instance_type or "")
            (client_cpu if host.role == "client" else storage_cpu).extend([] if busy is None else [busy])
            if busy is not None and busy >= BUSY_RATIO_MIN:
                found.setdefault(f"{host.role} CPU", []).append(host.name)
            if host.role == "client" and rx is not None:
                client_rx.append(rx)
                if rates:
                    client_link.append(rx / rates.network_bytes_per_s)
                    if client_link[-1] >= LINE_RATE_RATIO_MIN:
                        found.setdefault("client network", []).append(host.name)
            if host.role == "storage" and tx is not None:
                storage_tx.append(tx)
                if rates and tx >= LINE_RATE_RATIO_MIN * rates.network_bytes_per_s:
                    found.setdefault("storage network", []).append(host.name)
                # A target has read from its volumes what it sends: its memory is too small for a cache.
                elif rates and tx >= LINE_RATE_RATIO_MIN * rates.ebs_bytes_per_s:
                    found.setdefault("storage EBS bandwidth", []).append(host.name)
        evidence = Evidence(
            client_cpu_busy_ratio=max(client_cpu, default=None),
            storage_cpu_busy_ratio_max=max(storage_cpu, default=None),
            client_rx_mib_per_s=sum(client_rx) / MIB if client_rx else None,
            client_link_used_ratio=max(client_link, default=None),
            storage_tx_mib_per_s_max=max(storage_tx) / MIB if storage_tx else None,
        )
        if not found:
            return Limit(None, [], evidence)
        names = sorted({name for of_limit in found.values() for name in of_limit})
        return Limit(" + ".join(found), names, evidence)


def read_hosts(run: Run) -> Hosts:
    return Hosts(inventory_roles(run.manifest.inventory), read_host_samples(run), run.manifest.rehearsal)
