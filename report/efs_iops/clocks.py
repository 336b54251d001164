"""raw/clocks.ndjson: the hosts' clocks against the runner's, and hosts' times converted to the runner's clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from report.efs_iops.schema import Clocks, HostClock
from report.hosts import HostSamples
from report.intervals import Floats, Intervals
from report.missing import known
from report.records import Record, number, number_or_none, text
from report.runs import Run
from report.worker import Final, Worker


class HostTime:
    """One host's clock. Between two measurements its offset is interpolated; before the first and after the last it is
    theirs. Without a measurement the offset is 0.
    """

    def __init__(self, measurements: Iterable[tuple[float, float, float | None]] = ()) -> None:
        """Takes measurements of (runner's time, offset in s, uncertainty in s)."""
        self.measurements = sorted(measurements, key=lambda each: each[0])
        self._offsets = np.array([offset for _, offset, _ in self.measurements])
        self._host_times = np.array([t + offset for t, offset, _ in self.measurements])

    def on_runner(self, host_unix_s: float) -> float:
        return float(self.all_on_runner(np.array([host_unix_s]))[0])

    def all_on_runner(self, host_unix_s: Floats) -> Floats:
        if not len(self._offsets):
            return host_unix_s
        after = np.searchsorted(self._host_times, host_unix_s, "right")
        later = np.minimum(after, len(self._offsets) - 1)
        earlier = np.maximum(after - 1, 0)
        began, ended = self._host_times[earlier], self._host_times[later]
        # Outside of the measurements both are the same; a clock that was set back meets the same time twice.
        between = ended > began
        share = np.where(between, host_unix_s - began, 0.0) / np.where(between, ended - began, 1.0)
        offset: Floats = self._offsets[earlier] + share * (self._offsets[later] - self._offsets[earlier])
        return host_unix_s - offset

    def final(self, final: Final) -> Final:
        """Returns `final` with its times on the runner's clock."""
        return dataclasses.replace(
            final,
            t_start_unix_s=self.on_runner(final.t_start_unix_s),
            t_end_unix_s=self.on_runner(final.t_end_unix_s),
            t_first_unix_s=None if final.t_first_unix_s is None else self.on_runner(final.t_first_unix_s),
            t_last_unix_s=None if final.t_last_unix_s is None else self.on_runner(final.t_last_unix_s),
        )


class RunnerClock:
    """The hosts' clocks of one run."""

    def __init__(self, hosts: Mapping[str, HostTime]) -> None:
        self.hosts = hosts
        self._unmeasured = HostTime()

    @property
    def offset_max_s(self) -> float:
        """Returns by how much a host's clock was off at most, either way."""
        return max((abs(offset) for host in self.hosts.values() for _, offset, _ in host.measurements), default=0.0)

    def of(self, host: str) -> HostTime:
        return self.hosts.get(host, self._unmeasured)

    def workers(self, workers: Mapping[str, Worker]) -> dict[str, Worker]:
        """Returns `workers`, by cell as they came, with their times on the runner's clock."""
        return {
            cell: Worker(self._intervals(worker.intervals), [self.of(f.host).final(f) for f in worker.finals])
            for cell, worker in workers.items()
        }

    def samples(self, samples: Mapping[str, HostSamples]) -> dict[str, HostSamples]:
        return {
            host: dataclasses.replace(each, t_unix_s=self.of(host).all_on_runner(each.t_unix_s))
            for host, each in samples.items()
        }

    def _intervals(self, intervals: Intervals) -> Intervals:
        starts, ends = intervals.t_start_unix_s.copy(), intervals.t_end_unix_s.copy()
        for code, host in enumerate(intervals.names):
            those = intervals.host == code
            starts[those] = self.of(host).all_on_runner(starts[those])
            ends[those] = self.of(host).all_on_runner(ends[those])
        return dataclasses.replace(intervals, t_start_unix_s=starts, t_end_unix_s=ends)


def read_clocks(run: Run) -> RunnerClock:
    if not run.has_stream("clocks", "the hosts' clocks are taken for the runner's"):
        return RunnerClock({})
    measured: dict[str, list[tuple[float, float, float | None]]] = {}
    for host, each in run.read("clocks", _measurement):
        measured.setdefault(host, []).append(each)
    return RunnerClock({host: HostTime(each) for host, each in measured.items()})


def _measurement(record: Record) -> tuple[str, tuple[float, float, float | None]]:
    times = (number(record, "t_unix_s"), number(record, "offset_s"), number_or_none(record, "uncertainty_s"))
    return text(record, "host"), times


def clock_figures(clock: RunnerClock, hosts: Iterable[str], start_skews_s: Iterable[float | None]) -> Clocks:
    """Returns the figures of the clocks of `hosts`, and of others that were measured."""
    figures = []
    for host in dict.fromkeys([*hosts, *clock.hosts]):
        measured = clock.of(host).measurements
        figures.append(
            HostClock(
                host=host,
                measurements=len(measured),
                offset_first_s=measured[0][1] if measured else None,
                offset_last_s=measured[-1][1] if measured else None,
                uncertainty_s=max(known(uncertainty for *_, uncertainty in measured), default=None),
            )
        )
    return Clocks(
        hosts=figures,
        uncertainty_s=max(known(each.uncertainty_s for each in figures), default=None),
        start_skew_max_s=max(known(start_skews_s), default=None),
    )
