"""What each host's own counters showed, second by second (raw/host.ndjson), and what the inventory says of hosts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from report.runs import Record, RecordError, Run, number, number_or_none, text

BUSY_RATIO_MIN = 0.95
# Counters are of Ethernet frames: a full link shows its rate less preamble, gaps and the window's edges.
LINE_RATE_RATIO_MIN = 0.95

_COLUMNS = ("cpu_busy_ratio", "nic_rx_bytes", "nic_tx_bytes", "nic_rx_packets", "nic_tx_packets")


@dataclass
class HostSamples:
    """In order of time, by the host's clock. What a record lacked is None."""

    t_unix_s: list[float] = field(default_factory=list)
    cpu_busy_ratio: list[float | None] = field(default_factory=list)
    nic_rx_bytes: list[float | None] = field(default_factory=list)
    nic_tx_bytes: list[float | None] = field(default_factory=list)
    nic_rx_packets: list[float | None] = field(default_factory=list)
    nic_tx_packets: list[float | None] = field(default_factory=list)

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


def read_host_samples(run: Run) -> dict[str, HostSamples]:
    """By host."""
    rows: dict[str, list[tuple[float, list[float | None]]]] = {}
    if run.has_stream("host"):
        for record in run.stream("host"):
            try:
                host, t_unix_s = text(record, "host"), number(record, "t_unix_s")
                rows.setdefault(host, []).append((t_unix_s, [number_or_none(record, name) for name in _COLUMNS]))
            except RecordError as error:
                run.problem(f"raw/host.ndjson: a record left out: {error}")
    else:
        run.problem("raw/host.ndjson is missing: what limited each cell is not known")
    samples = {}
    for host, host_rows in rows.items():
        host_rows.sort(key=lambda row: row[0])
        columns = [list(column) for column in zip(*(values for _, values in host_rows), strict=True)]
        samples[host] = HostSamples([t for t, _ in host_rows], **dict(zip(_COLUMNS, columns, strict=True)))
    return samples


def inventory_roles(inventory: Record) -> list[Role]:
    """The hosts that the manifest's inventory names; nothing is asked of it but names."""
    roles = []
    hosts = inventory.get("hosts")
    for host in hosts if isinstance(hosts, list) else []:
        if isinstance(host, dict) and isinstance(host.get("name"), str) and isinstance(host.get("role"), str):
            kind = host.get("type")
            roles.append(Role(host["name"], host["role"], kind if isinstance(kind, str) else None))
    return roles
