"""raw/host.ndjson: each host's own counters, second by second; and the hosts' roles from the inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Annotated, Protocol, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from report.intervals import Floats
from report.records import Record, known_as, objects, or_none, text
from report.runs import Run, decode_lines

BUSY_RATIO_MIN = 0.95
# Counters are of Ethernet frames: a full link shows its rate less preamble, gaps and the window's edges.
LINE_RATE_RATIO_MIN = 0.95


class _Sample(Struct, gc=False):
    host: Annotated[str, Meta(min_length=1)]
    t_unix_s: float
    cpu_busy_ratio: float | None = None
    nic_rx_bytes: float | None = None
    nic_tx_bytes: float | None = None
    nic_rx_packets: float | None = None
    nic_tx_packets: float | None = None


_columns_of = attrgetter(*_Sample.__struct_fields__[1:])
_SAMPLES = msgspec.json.Decoder(_Sample)


@dataclass
class HostSamples:
    """In order of time, by the host's clock; NaN where a record lacks a value."""

    t_unix_s: Floats
    cpu_busy_ratio: Floats
    nic_rx_bytes: Floats
    nic_tx_bytes: Floats
    nic_rx_packets: Floats
    nic_tx_packets: Floats

    def window(self, start_unix_s: float, end_unix_s: float) -> slice:
        first = np.searchsorted(self.t_unix_s, start_unix_s, "left")
        return slice(int(first), int(np.searchsorted(self.t_unix_s, end_unix_s, "right")))

    @property
    def period_s(self) -> float:
        """The usual time between two samples."""
        return float(np.median(np.diff(self.t_unix_s))) if len(self.t_unix_s) > 1 else 1.0

    def cpu_busy_mean(self, start_unix_s: float, end_unix_s: float) -> float | None:
        """Returns the mean of the samples inside the window; each is of the time since the one before."""
        samples = self.cpu_busy_ratio[self.window(start_unix_s + self.period_s, end_unix_s)]
        known = samples[~np.isnan(samples)]
        return float(known.mean()) if len(known) else None

    def rate(self, counter: Floats, start_unix_s: float, end_unix_s: float) -> float | None:
        """Bytes a second over the window; None where the counter went back (a reboot) or was read only once."""
        window = self.window(start_unix_s, end_unix_s)
        known = ~np.isnan(counter[window])
        times, values = self.t_unix_s[window][known], counter[window][known]
        if len(times) < 2 or times[-1] <= times[0] or bool((np.diff(values) < 0).any()):
            return None
        return float((values[-1] - values[0]) / (times[-1] - times[0]))


@dataclass(frozen=True)
class Role:
    name: str
    role: str
    instance_type: str | None


def read_host_samples(run: Run) -> dict[str, HostSamples]:
    """Reads the samples of each host."""
    if not run.has_stream("host", "what limited each cell is not known"):
        return {}

    def table(_: str, samples: Sequence[_Sample]) -> Floats:
        # numpy makes NaN of a None.
        return np.array(list(map(_columns_of, samples)), np.float64).T

    tables = tables_of_hosts(run.batches("host", partial(decode_lines, _SAMPLES)), table)
    return {host: HostSamples(*each) for host, each in tables.items()}


class OfHost(Protocol):
    """A record that names its host."""

    host: str


R = TypeVar("R", bound=OfHost)


def tables_of_hosts(batches: Iterable[Sequence[R]], table: Callable[[str, Sequence[R]], Floats]) -> dict[str, Floats]:
    """Returns a table for each host, in order of time. `table` makes it of records: a row for each of their fields,
    the times first.
    """
    parts: dict[str, list[Floats]] = {}
    for batch in batches:
        of_hosts: dict[str, list[R]] = {}
        for record in batch:
            of_hosts.setdefault(record.host, []).append(record)
        for host, records in of_hosts.items():
            parts.setdefault(host, []).append(table(host, records))
    joined = {host: np.concatenate(of_host, axis=1) for host, of_host in parts.items()}
    return {host: each[:, np.argsort(each[0], kind="stable")] for host, each in joined.items()}


def inventory_roles(inventory: Record) -> list[Role]:
    """Returns the hosts of the manifest's inventory that have a name and a role."""
    return [
        known_as(Role, host, instance_type=or_none(text, host, "type"))
        for host in objects(inventory, "hosts")
        if isinstance(host.get("name"), str) and isinstance(host.get("role"), str)
    ]
