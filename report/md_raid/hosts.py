"""What limited a cell, as far as the hosts' own counters show it (raw/host.ndjson)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from report.instance_types import LINE_RATES
from report.md_raid.schema import Evidence
from report.runs import Record, RecordError, Run, number, number_or_none, text

BUSY_RATIO_MIN = 0.95
# Counters are of Ethernet frames: a full link shows its rate less preamble, gaps and the window's edges.
LINE_RATE_RATIO_MIN = 0.95
MIB = 1 << 20


@dataclass
class HostSamples:
    t_unix_s: list[float] = field(default_factory=list)
    cpu_busy_ratio: list[float | None] = field(default_factory=list)
    nic_rx_bytes: list[float | None] = field(default_factory=list)
    nic_tx_bytes: list[float | None] = field(default_factory=list)

    def window(self, start_unix_s: float, end_unix_s: float) -> slice:
        return slice(bisect_left(self.t_unix_s, start_unix_s), bisect_right(self.t_unix_s, end_unix_s))

    def cpu_busy_mean(self, start_unix_s: float, end_unix_s: float) -> float | None:
        """Of the samples whose second lies inside the window."""
        samples = self.cpu_busy_ratio[self.window(start_unix_s + 1, end_unix_s)]
        known = [ratio for ratio in samples if ratio is not None]
        return sum(known) / len(known) if known else None

    def rate(self, counter: Sequence[float | None], start_unix_s: float, end_unix_s: float) -> float | None:
        """Bytes a second over the window; None when the counter went back (a reboot) or was seen once."""
        window = self.window(start_unix_s, end_unix_s)
        seen = [(t, v) for t, v in zip(self.t_unix_s[window], counter[window], strict=True) if v is not None]
        if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return None
        if any(later[1] < earlier[1] for earlier, later in pairwise(seen)):
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


@dataclass(frozen=True)
class Role:
    name: str
    role: str
    instance_type: str | None


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
        # A rehearsal's hosts bear AWS's type names, without the links of those types.
        self.line_rates = {} if rehearsal else LINE_RATES

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
                # What a target sends it has read from its volumes: memory is too small to cache it.
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
    samples: dict[str, HostSamples] = {}
    rows: dict[str, list[tuple[float, float | None, float | None, float | None]]] = {}
    if run.has_stream("host"):
        for record in run.stream("host"):
            try:
                rows.setdefault(text(record, "host"), []).append(
                    (
                        number(record, "t_unix_s"),
                        number_or_none(record, "cpu_busy_ratio"),
                        number_or_none(record, "nic_rx_bytes"),
                        number_or_none(record, "nic_tx_bytes"),
                    )
                )
            except RecordError as error:
                run.problem(f"raw/host.ndjson: a record left out: {error}")
    else:
        run.problem("raw/host.ndjson is missing: what limited each cell is not known")
    for host, host_rows in rows.items():
        host_rows.sort(key=lambda row: row[0])
        columns = HostSamples()
        for t_unix_s, busy, rx, tx in host_rows:
            columns.t_unix_s.append(t_unix_s)
            columns.cpu_busy_ratio.append(busy)
            columns.nic_rx_bytes.append(rx)
            columns.nic_tx_bytes.append(tx)
        samples[host] = columns
    return Hosts(inventory_roles(run.manifest.inventory), samples, run.manifest.rehearsal)


def inventory_roles(inventory: Record) -> list[Role]:
    """The hosts that the manifest's inventory names; nothing is asked of it but names."""
    roles = []
    hosts = inventory.get("hosts")
    for host in hosts if isinstance(hosts, list) else []:
        if isinstance(host, dict) and isinstance(host.get("name"), str) and isinstance(host.get("role"), str):
            kind = host.get("type")
            roles.append(Role(host["name"], host["role"], kind if isinstance(kind, str) else None))
    return roles
