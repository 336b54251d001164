"""What md-raid's cells and drill make of a worker's seconds: how steady they were, and what a cut-off worker did."""

from __future__ import annotations

import statistics

from report.histogram import merge
from report.worker import CLOCK_SLACK_S, Measured, Worker, sum_errors

# Shorter intervals are the ends of a run, not seconds: their rates say nothing of how steady it was.
INTERVAL_SECONDS_MIN = 0.5


def measure_from_intervals(worker: Worker) -> Measured | None:
    """For a worker that was cut off before its final document: what its seconds add up to."""
    if not worker.intervals:
        return None
    return Measured(
        t_start_unix_s=min(i.t_start_unix_s for i in worker.intervals),
        t_end_unix_s=max(i.t_end_unix_s for i in worker.intervals),
        ops=sum(i.ops for i in worker.intervals),
        bytes=sum(i.bytes for i in worker.intervals),
        errors=sum_errors(i.errors for i in worker.intervals),
        histogram=merge(i.histogram for i in worker.intervals if i.histogram is not None),
        requests_in_flight=None,
    )


def variation_coefficient(worker: Worker, measured: Measured) -> float | None:
    """Standard deviation / mean over the window's whole seconds; hosts are added second by second."""
    rates: dict[int, dict[str, float]] = {}
    for interval in worker.intervals:
        inside = (
            interval.t_start_unix_s >= measured.t_start_unix_s - CLOCK_SLACK_S
            and interval.t_end_unix_s <= measured.t_end_unix_s + CLOCK_SLACK_S
        )
        if inside and interval.seconds >= INTERVAL_SECONDS_MIN:
            second = round(interval.t_start_unix_s - measured.t_start_unix_s)
            rates.setdefault(second, {})[interval.host] = interval.bytes / interval.seconds
    hosts = {host for of_second in rates.values() for host in of_second}
    totals = [sum(of_second.values()) for of_second in rates.values() if len(of_second) == len(hosts)]
    if len(totals) < 2:
        return None
    mean = statistics.fmean(totals)
    return statistics.stdev(totals) / mean if mean > 0 else None
