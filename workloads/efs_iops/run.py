"""Measures the plan's cells, one after the other, on one client or several that start together.

`fab efs-iops.base` measures one writer by itself, without a service model; a rehearsal compares that with its runs.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from inventory import Host
from workloads.cells import CellOutcome, CellRun
from workloads.clocks import HostClocks
from workloads.connectors.pool import in_threads
from workloads.efs_iops.cloudwatch import read_metrics
from workloads.efs_iops.configure import configure, files_of
from workloads.efs_iops.context import FOLDER, MOUNT_POINT, Context, sampling, script
from workloads.efs_iops.plan import OPERATIONS, Cell, Plan, cells
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.paths import output_path
from workloads.run_stages import connected_context
from workloads.worker import Outcome, arguments, rate_words, run_worker

# Before the first line the worker waits for its start, after the last for operations in flight.
WORKER_SILENCE_S = 30.0
# From the command to the first operation: the worker opens its files before its time comes, two round trips over NFS
# each, several at a time. With EFS's latency, on two busy CPUs, 0.3 s were enough for 40 writers on each of two
# clients, and 1.0 s for 60.
LEAD_SECONDS = 0.4
LEAD_SECONDS_PER_WRITER = 0.01
LEAD_GROWTH = 2.0  # when that was not enough: for this cell, and for all that follow
LEAD_TRIES = 4
STARTED_LATE = "--start-at"  # how the worker's refusal begins when its start has passed
STORAGE_SECONDS = 15.0  # how often `df` is asked, between two cells
# A server may hold up who asks for the size of a file that a client had open when it died, for that client's lease of
# 90 s. The figure is not worth that.
STORAGE_TIMEOUT_SECONDS = 15.0
BASE_SECONDS = 5  # in some of them other processes may disturb the measurement


@dataclass
class Attempt:
    """The outcome of an attempt at a cell, by host."""

    start_unix_s: float
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    faults: dict[str, WorkloadError] = field(default_factory=dict)

    @property
    def was_late(self) -> bool:
        """Whether a worker was not ready at its start."""
        return any(STARTED_LATE in fault.what for fault in self.faults.values())

    def fault(self, operation: str) -> str | None:
        """Returns why the cell is no measurement, or None."""
        found = {name: fault.what for name, fault in self.faults.items()}
        for name, outcome in self.outcomes.items():
            if (fault := outcome.fault(operation)) is not None:
                found.setdefault(name, fault)
        return "; ".join(f"{name}: {fault}" for name, fault in sorted(found.items())) or None


def run(context: Context, plan: Plan) -> None:
    """Measures every cell of `plan`, then reads CloudWatch's metrics.

    Raises IncompleteError at the end when some cells are no measurement; the results hold all that was measured.
    """
    measuring = CellRun(context, len(cells(plan)), name_width=30)
    ran, ended_unix_s = measure_cells(context, plan, measuring)
    read_metrics(context, ran, ended_unix_s)
    measuring.raise_incomplete("correct that, then run configure and run again")


def measure_cells(context: Context, plan: Plan, measuring: CellRun) -> tuple[list[tuple[float, float]], float]:
    """Measures every cell of `plan`; returns when each began and ended, and when all had ended."""
    clocks = HostClocks(context, [host.name for host in context.clients])
    clocks.measure()
    workers = Workers(context, clocks)
    asked_storage = 0.0
    with sampling(context, clocks):
        for cell in cells(plan):
            if time.monotonic() - asked_storage > STORAGE_SECONDS:
                record_storage(context, workers.gone)
                asked_storage = time.monotonic()
            hosts = [host.name for host in context.clients[: cell.clients]]
            record = {
                "cell": cell.name,
                "op": cell.operation,
                "pattern": cell.pattern,
                "request_bytes": cell.request_bytes,
                "writers": cell.writers,
                "hosts": hosts,
                "span_bytes": cell.span_bytes,
                "seconds": cell.seconds,
                "start_unix_s": time.time(),
                "lost_hosts": hosts,
            }
            measuring.measure_cell(record, partial(workers.measure, cell, measuring.label(cell.name)))
        ended = time.time()
        record_storage(context, workers.gone)
    if not workers.gone:
        clocks.measure()
    measuring.finish()
    return workers.ran, ended


def measure_base(request: Request) -> None:
    """`fab efs-iops.base`: writes the seconds that an operation takes to --output as JSON, by operation.

    A rehearsal runs it before its service model is in force, and adds the model's delay to it. The clients are sampled
    as in a run, since that takes some of their time; nothing is recorded.
    """
    path = output_path(request.options["output"])
    plan = Plan.load(None)
    request.experiment.prepare()
    with connected_context(request) as context:
        configure(context, plan)
        clocks = HostClocks(context, [host.name for host in context.clients])
        clocks.measure()
        with sampling(context, clocks):
            seconds = {each: one_writer(context, BASE_SECONDS, each, clocks) for each in OPERATIONS}
        for operation, each in seconds.items():
            context.console.say("base", f"one {operation} of one byte by one writer takes {each * 1000:.2f} ms")
    path.write_text(json.dumps(seconds) + "\n", encoding="utf-8")


def one_writer(context: Context, seconds: int, operation: str, clocks: HostClocks) -> float:
    """Returns how many seconds one operation of one byte by one writer takes on the first client; records nothing.

    It is the median of each second's mean: one operation that other users of the machine hold up for a second would
    double the mean of two.
    """
    cell = Cell(f"{operation}-1", operation, 1, 1, 1, None, seconds)
    means: list[float] = []

    def take(record: dict[str, Any]) -> None:
        latency = record["latency_ns"]
        if record["kind"] == "interval" and latency["count"]:
            means.append(latency["sum"] / latency["count"] / 1e9)

    attempt = Workers(context, clocks).try_in_time(cell, context.clients[:1], cell.name, take)
    fault = attempt.fault(operation)
    if fault is not None or not means:
        raise WorkloadError(fault or "the worker printed nothing", "run configure, then again", context.clients[0].name)
    return statistics.median(means)


class Workers:
    """The workers on the clients. `gone` are hosts that no longer answer, `ran` the times of the cells so far."""

    def __init__(self, context: Context, clocks: HostClocks) -> None:
        self.gone: set[str] = set()
        self.ran: list[tuple[float, float]] = []
        self._context = context
        self._clocks = clocks
        self._lead_factor = 1.0

    def measure(self, cell: Cell, label: str) -> CellOutcome:
        """Measures one cell; a host that does not answer is added to `gone`."""
        hosts = self._context.clients[: cell.clients]
        if gone := sorted(self.gone & {host.name for host in hosts}):
            reason = "; ".join(f"{name}: it is gone since an earlier cell" for name in gone)
            return CellOutcome(reason=reason, figures={"start_unix_s": time.time(), "lost_hosts": gone})
        attempt = self.try_in_time(cell, hosts, label)
        self.ran.append((attempt.start_unix_s, attempt.start_unix_s + cell.seconds))
        self.gone |= {name for name in attempt.faults if not answers(self._context, name)}
        words = total_words([outcome.final for outcome in attempt.outcomes.values() if outcome.final is not None])
        figures = {"start_unix_s": attempt.start_unix_s, "lost_hosts": sorted(attempt.faults)}
        return CellOutcome(words, attempt.fault(cell.operation), figures)

    def try_in_time(
        self, cell: Cell, hosts: Sequence[Host], label: str, on_record: Callable[[dict[str, Any]], None] | None = None
    ) -> Attempt:
        """Tries once; when a worker was not ready for its start, tries again with a longer lead, which is kept."""
        for _ in range(LEAD_TRIES):
            attempt = self._try_once(cell, hosts, label, on_record)
            if not attempt.was_late:
                break
            self._lead_factor *= LEAD_GROWTH
        return attempt

    def _try_once(
        self, cell: Cell, hosts: Sequence[Host], label: str, on_record: Callable[[dict[str, Any]], None] | None
    ) -> Attempt:
        """Starts the workers of a cell together, at a whole second of the runner's clock, and reads their lines.

        `on_record` gets each line, too, in a thread of its host; then the lines are not recorded.
        """
        context = self._context
        lead_seconds = self._lead_factor * (LEAD_SECONDS + LEAD_SECONDS_PER_WRITER * cell.writers)
        attempt = Attempt(float(math.ceil(time.time() + lead_seconds)))
        latest: dict[str, Mapping[str, Any]] = {}

        def work(name: str) -> None:
            def take(record: dict[str, Any]) -> None:
                if on_record is not None:
                    on_record(record)
                latest[name] = record
                progress.update(f"{label} {total_words(list(latest.values()))}")

            words = arguments(
                files_of(cell, name),
                operation=cell.operation,
                pattern=cell.pattern,
                request_bytes=cell.request_bytes,
                threads=1,
                seconds=cell.seconds,
                sync=True,
                start_at_unix_s=attempt.start_unix_s + self._clocks.offset_s(name),
                span_bytes=cell.span_bytes,
            )
            try:
                attempt.outcomes[name] = run_worker(
                    context,
                    name,
                    script("client_worker"),
                    words,
                    cell=cell.name if on_record is None else None,
                    on_record=take,
                    silence_s=WORKER_SILENCE_S,
                )
            except WorkloadError as fault:
                attempt.faults[name] = fault
                if attempt.was_late:
                    # Ends the others' workers: one without a connection ends at its next line.
                    for other in hosts:
                        context.hosts.drop(other.name)

        with context.console.under_way("run", label, f"planned: {cell.seconds} s") as progress:
            in_threads({host.name: partial(work, host.name) for host in hosts}, on_interrupt=context.hosts.close)
        return attempt


def answers(context: Context, host: str) -> bool:
    """Returns whether a host still accepts a connection."""
    try:
        context.hosts.drop(host)
        context.hosts.connector(host)
    except WorkloadError:
        return False
    return True


def record_storage(context: Context, gone: set[str]) -> None:
    """Records the output of `df` on the first client that is not gone."""
    host = next((host.name for host in context.clients if host.name not in gone), None)
    if host is None:
        return
    try:
        result = context.hosts.connector(host).run(
            script("client_storage"), [MOUNT_POINT, FOLDER], idle_timeout_seconds=STORAGE_TIMEOUT_SECONDS
        )
    except WorkloadError as fault:
        context.console.say("run", f"df is not known now ({fault})")
        return
    seen = {key: value for key, value in result.facts[0].items() if key != "changed"}
    context.results.append("storage", {"t_unix_s": time.time(), "host": host, **seen})


def total_words(documents: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rate of several workers together, for a person."""
    if not documents:
        return ""
    total = {
        "t_start_unix_s": 0.0,
        "t_end_unix_s": max(each["t_end_unix_s"] - each["t_start_unix_s"] for each in documents),
        "ops": sum(each["ops"] for each in documents),
        "bytes": sum(each["bytes"] for each in documents),
    }
    return rate_words(total)
