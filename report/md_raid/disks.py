"""What the volumes did, as the counters of block devices in raw/host.ndjson show it.

Each volume is counted twice: its logical volume on the server, and its iSCSI disk on the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from report.intervals import Floats
from report.runs import Run, decode_lines


class _Counters(Struct, gc=False):
    reads: float = 0
    read_bytes: float = 0
    writes: float = 0
    written_bytes: float = 0
    busy_ms: float = 0


class _Sample(Struct, gc=False):
    host: Annotated[str, Meta(min_length=1)]
    t_unix_s: float
    disks: dict[str, _Counters] = {}


_SAMPLES = msgspec.json.Decoder(_Sample)


@dataclass(frozen=True)
class Use:
    """Of one disk over some time."""

    read_bytes_per_s: float
    written_bytes_per_s: float
    ops_per_s: float
    busy_ratio: float

    @property
    def bytes_per_s(self) -> float:
        return self.read_bytes_per_s + self.written_bytes_per_s


@dataclass(frozen=True)
class _OfDisk:
    """In order of time; rows: time, bytes read, bytes written, operations, busy milliseconds."""

    table: Floats

    def use(self, start_unix_s: float, end_unix_s: float) -> Use | None:
        """Returns how it was used; None if it was sampled only once, or a counter went back (a reboot)."""
        times = self.table[0]
        first, last = np.searchsorted(times, start_unix_s, "left"), np.searchsorted(times, end_unix_s, "right")
        window = self.table[:, int(first) : int(last)]
        if window.shape[1] < 2 or window[0, -1] <= window[0, 0] or bool((np.diff(window[1:], axis=1) < 0).any()):
            return None
        read, written, ops, busy_ms = (float(each) for each in window[1:, -1] - window[1:, 0])
        seconds = float(window[0, -1] - window[0, 0])
        return Use(read / seconds, written / seconds, ops / seconds, min(1.0, busy_ms / 1000 / seconds))


class Disks:
    """The disks of all hosts."""

    def __init__(self, of_hosts: dict[str, dict[str, _OfDisk]]) -> None:
        self._of_hosts = of_hosts

    def use(self, host: str, volume: str, start_unix_s: float, end_unix_s: float) -> Use | None:
        """Returns how a host used a volume; None if it is not known."""
        disk = self._of_hosts.get(host, {}).get(volume)
        return None if disk is None else disk.use(start_unix_s, end_unix_s)

    def uses(self, host: str, start_unix_s: float, end_unix_s: float) -> dict[str, Use]:
        """Returns how a host used each of the volumes of which that is known."""
        found = {name: disk.use(start_unix_s, end_unix_s) for name, disk in self._of_hosts.get(host, {}).items()}
        return {name: use for name, use in found.items() if use is not None}


def read_disks(run: Run) -> Disks:
    """Reads the samples of the disks. Runs before 2026-12 have none."""
    if not run.has_stream("host"):
        return Disks({})
    samples: dict[str, list[_Sample]] = {}
    for batch in run.batches("host", partial(decode_lines, _SAMPLES)):
        for sample in batch:
            if sample.disks:
                samples.setdefault(sample.host, []).append(sample)
    return Disks({host: _disks(sorted(found, key=lambda sample: sample.t_unix_s)) for host, found in samples.items()})


def _disks(samples: Sequence[_Sample]) -> dict[str, _OfDisk]:
    rows: dict[str, list[tuple[float, ...]]] = {}
    for sample in samples:
        for name, of_disk in sample.disks.items():
            ops = of_disk.reads + of_disk.writes
            row = (sample.t_unix_s, of_disk.read_bytes, of_disk.written_bytes, ops, of_disk.busy_ms)
            rows.setdefault(name, []).append(row)
    return {name: _OfDisk(np.array(of_disk, np.float64).T) for name, of_disk in rows.items()}
