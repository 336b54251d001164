"""raw/clocks.ndjson: every time that a host told, on the runner's clock."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from report.efs_iops.schema import Clocks, HostClock
from report.hosts import HostSamples
from report.runs import RecordError, Run, number, number_or_none, text
from report.worker import Worker


class HostTime:
    """One host's clock. Between two measurements its offset runs straight from one to the other; outside of all of
    them it stays as it was. Without any, the host's clock is taken for the runner's.
    """

    def __init__(self, measurements: Iterable[tuple[float, float, float | None]] = ()) -> None:
        """Each is (runner's time, offset in s, uncertainty in s)."""
        self.measurements = sorted(measurements, key=lambda each: each[0])
        self._offsets = [offset for _, offset, _ in self.measurements]
        self._host_times = [t + offset for t, offset, _ in self.measurements]

    def on_runner(self, host_unix_s: float) -> float:
        if not self._offsets:
            return host_unix_s
        after = bisect_right(self._host_times, host_unix_s)
        if after == 0:
            return host_unix_s - self._offsets[0]
        if after == len(self._offsets):
            return host_unix_s - self._offsets[-1]
        began, ended = self._host_times[after - 1], self._host_times[after]
        # A clock that was set back meets the same time twice.
        share = (host_unix_s - began) / (ended - began) if ended > began else 0.0
        return host_unix_s - (self._offsets[after - 1] + share * (self._offsets[after] - self._offsets[after - 1]))

    def worker(self, worker: Worker) -> Worker:
        """All of its times on the runner's clock; the caller gives one host's lines."""
        return Worker(
            [
                dataclasses.replace(
                    i, t_start_unix_s=self.on_runner(i.t_start_unix_s), t_end_unix_s=self.on_runner(i.t_end_unix_s)
                )
                for i in worker.intervals
            ],
            [
                dataclasses.replace(
                    f,
                    t_start_unix_s=self.on_runner(f.t_start_unix_s),
                    t_end_unix_s=self.on_runner(f.t_end_unix_s),
                    t_first_unix_s=None if f.t_first_unix_s is None else self.on_runner(f.t_first_unix_s),
                    t_last_unix_s=None if f.t_last_unix_s is None else self.on_runner(f.t_last_unix_s),
                )
                for f in worker.finals
            ],
        )


class RunnerClock:
    """The hosts' clocks of one run."""

    def __init__(self, hosts: Mapping[str, HostTime]) -> None:
        self.hosts = hosts
        self._unmeasured = HostTime()

    def of(self, host: str) -> HostTime:
        return self.hosts.get(host, self._unmeasured)

    def workers(self, workers: Mapping[str, Worker]) -> dict[str, Worker]:
        """By cell, as they came."""
        shifted = {}
        for cell, worker in workers.items():
            whole = Worker()
            for host in dict.fromkeys([*(i.host for i in worker.intervals), *(f.host for f in worker.finals)]):
                of_host = self.of(host).worker(
                    Worker(
                        [i for i in worker.intervals if i.host == host], [f for f in worker.finals if f.host == host]
                    )
                )
                whole.intervals += of_host.intervals
                whole.finals += of_host.finals
            shifted[cell] = whole
        return shifted

    def samples(self, samples: Mapping[str, HostSamples]) -> dict[str, HostSamples]:
        return {
            host: dataclasses.replace(each, t_unix_s=[self.of(host).on_runner(t) for t in each.t_unix_s])
            for host, each in samples.items()
        }


def read_clocks(run: Run) -> RunnerClock:
    measured: dict[str, list[tuple[float, float, float | None]]] = {}
    if not run.has_stream("clocks"):
        run.problem("raw/clocks.ndjson is missing: the hosts' clocks are taken for the runner's")
        return RunnerClock({})
    for record in run.stream("clocks"):
        try:
            each = (
                number(record, "t_unix_s"),
                number(record, "offset_s"),
                number_or_none(record, "uncertainty_s"),
            )
            measured.setdefault(text(record, "host"), []).append(each)
        except RecordError as error:
            run.problem(f"raw/clocks.ndjson: a record left out: {error}")
    return RunnerClock({host: HostTime(each) for host, each in measured.items()})


def clock_figures(clock: RunnerClock, hosts: Iterable[str], start_skews_s: Iterable[float | None]) -> Clocks:
    """For `hosts`, and whatever else was measured."""
    figures = []
    for host in dict.fromkeys([*hosts, *clock.hosts]):
        measured = clock.of(host).measurements
        figures.append(
            HostClock(
                host=host,
                measurements=len(measured),
                offset_first_s=measured[0][1] if measured else None,
                offset_last_s=measured[-1][1] if measured else None,
                uncertainty_s=max((u for *_, u in measured if u is not None), default=None),
            )
        )
    return Clocks(
        hosts=figures,
        uncertainty_s=max((each.uncertainty_s for each in figures if each.uncertainty_s is not None), default=None),
        start_skew_max_s=max((skew for skew in start_skews_s if skew is not None), default=None),
    )
