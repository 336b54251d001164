"""Measures the plan's cells, one after the other, on one client or several that start together."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from inventory import Host
from workloads.connectors.parallel import in_threads
from workloads.efs_iops.clocks import Clocks
from workloads.efs_iops.configure import files_of
from workloads.efs_iops.context import Context, script
from workloads.efs_iops.plan import Cell, Plan, cells
from workloads.efs_iops.settings import FOLDER, MOUNT_POINT
from workloads.efs_iops.sources import sampling
from workloads.errors import WorkloadError
from workloads.results import NullResults
from workloads.worker import REMOTE_PATH, LineReader, Outcome, arguments, rate_words

# The worker prints each second, whether operations end or not. Before the first it waits for its time to come, after
# the last for operations in flight.
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


@dataclass
class Attempt:
    """What became of a cell, by host."""

    start_unix_s: float
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    faults: dict[str, WorkloadError] = field(default_factory=dict)

    @property
    def was_late(self) -> bool:
        """Whether a worker was not ready when its time came."""
        return any(STARTED_LATE in fault.what for fault in self.faults.values())

    @property
    def lost(self) -> list[str]:
        """The hosts whose workers never said how they ended."""
        return sorted(self.faults)

    def reason(self, operation: str) -> str | None:
        """Why the cell is no measurement, or None."""
        reasons = [f"{name}: {fault.what}" for name, fault in sorted(self.faults.items())]
        for name, outcome in sorted(self.outcomes.items()):
            if outcome.final is None:
                reasons.append(f"{name}: the worker ended without a final line")
            elif outcome.errors:
                kinds = ", ".join(sorted(outcome.final["errors"]))
                reasons.append(f"{name}: {outcome.errors} {operation}s failed ({kinds})")
            elif outcome.final["ops"] == 0:
                reasons.append(f"{name}: not one {operation} ended")
        return "; ".join(reasons) or None


@dataclass(frozen=True)
class Window:
    """A run until `until_unix_s`, by the runner's clock; `cells` tells when each of them ran."""

    cells: tuple[tuple[float, float], ...]
    until_unix_s: float

    @property
    def from_unix_s(self) -> float:
        """When the first cell began; the end, where none did."""
        return min((start for start, _ in self.cells), default=self.until_unix_s)

    def was_busy(self, from_unix_s: float, until_unix_s: float) -> bool:
        """Whether a cell ran then, if only for a moment."""
        return any(start < until_unix_s and end > from_unix_s for start, end in self.cells)


def run(context: Context, plan: Plan) -> Window:
    """Measures every cell of `plan`.

    Raises IncompleteError at the end when some are no measurement; all that was measured is in the results by then.
    """
    planned = cells(plan)
    started = time.monotonic()
    clocks = Clocks(context)
    clocks.measure()
    failed: list[str] = []
    gone: set[str] = set()
    lead = Lead()
    ran: list[tuple[float, float]] = []
    asked_storage = 0.0
    with sampling(context, clocks):
        for number, cell in enumerate(planned, start=1):
            if time.monotonic() - asked_storage > STORAGE_SECONDS:
                record_storage(context, gone)
                asked_storage = time.monotonic()
            attempt = measure(context, cell, clocks, gone, lead, f"{number}/{len(planned)}")
            if attempt.outcomes:
                ran.append((attempt.start_unix_s, attempt.start_unix_s + cell.seconds))
            reason = attempt.reason(cell.operation)
            if reason is not None:
                failed.append(f"{cell.name} ({reason})")
        last = time.time()
        record_storage(context, gone)
    if not gone:
        clocks.measure()
    context.results.step("run", time.monotonic() - started, None)
    complete = len(planned) - len(failed)
    context.console.say("run", f"{complete} of {len(planned)} cells in {time.monotonic() - started:.0f} s")
    window = Window(tuple(ran), last)
    if failed:
        raise IncompleteError(f"{len(failed)} of {len(planned)} cells are not complete, the first: {failed[0]}", window)
    return window


@dataclass
class Lead:
    """How long before the start of a cell its workers are sent for."""

    factor: float = 1.0

    def seconds(self, writers: int) -> float:
        """For so many writers on a client."""
        return self.factor * (LEAD_SECONDS + LEAD_SECONDS_PER_WRITER * writers)


class IncompleteError(WorkloadError):
    """Some cells are no measurement; what the others measured stays, and `window` is when that was."""

    def __init__(self, what: str, window: Window) -> None:
        super().__init__(what, "mend that, then run configure and run again")
        self.window = window


def measure(context: Context, cell: Cell, clocks: Clocks, gone: set[str], lead: Lead, progress_words: str) -> Attempt:
    """Measures one cell and records it; a host that does not answer is added to `gone`."""
    hosts = context.clients[: cell.clients]
    attempt = Attempt(time.time())
    try:
        missing = [host.name for host in hosts if host.name in gone]
        if missing:
            attempt.faults = {name: WorkloadError("it is gone since an earlier cell", "", name) for name in missing}
        else:
            attempt = try_in_time(context, cell, hosts, clocks, lead, progress_words)
            gone |= {name for name, fault in attempt.faults.items() if not answers(context, name)}
    except BaseException as error:
        ended = WorkloadError("interrupted" if _is_end(error) else str(error), "")
        attempt.faults = {host.name: ended for host in hosts}
        raise
    finally:
        record(context, cell, hosts, attempt)
    words = total_words([outcome.final for outcome in attempt.outcomes.values() if outcome.final is not None])
    reason = attempt.reason(cell.operation)
    words = words if reason is None else f"{words}  not complete: {reason}"
    context.console.say("run", f"{progress_words:>6} {cell.name:<30} {words}")
    return attempt


def _is_end(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, SystemExit))


def answers(context: Context, host: str) -> bool:
    """Whether a script still runs on the host."""
    try:
        context.hosts.drop(host)
        context.hosts.connector(host)
    except WorkloadError:
        return False
    return True


def try_in_time(
    context: Context,
    cell: Cell,
    hosts: Sequence[Host],
    clocks: Clocks,
    lead: Lead,
    progress_words: str,
    on_record: Callable[[dict[str, Any]], None] | None = None,
) -> Attempt:
    """As try_once, and again with a longer lead, which is kept, when a worker was not ready for its start."""
    for _ in range(LEAD_TRIES):
        attempt = try_once(context, cell, hosts, clocks, lead.seconds(cell.writers), progress_words, on_record)
        if not attempt.was_late:
            break
        lead.factor *= LEAD_GROWTH
    return attempt


def try_once(
    context: Context,
    cell: Cell,
    hosts: Sequence[Host],
    clocks: Clocks,
    lead_seconds: float,
    progress_words: str,
    on_record: Callable[[dict[str, Any]], None] | None = None,
) -> Attempt:
    """Lets the workers of a cell start together, at a whole second of the runner's clock, and reads what they say.

    `on_record` takes each line of theirs too, in a thread of its host.
    """
    attempt = Attempt(float(math.ceil(time.time() + lead_seconds)))
    with context.console.under_way("run", f"{progress_words:>6} {cell.name}") as progress:
        latest: dict[str, Mapping[str, Any]] = {}

        def work(name: str) -> None:
            def take(document: dict[str, Any]) -> None:
                context.results.append("worker", {**document, "cell": cell.name, "host": name})
                if on_record is not None:
                    on_record(document)
                latest[name] = document
                progress.update(f"{progress_words:>6} {cell.name:<30} {total_words(list(latest.values()))}")

            words = arguments(
                files_of(cell, name),
                operation=cell.operation,
                pattern=cell.pattern,
                request_bytes=cell.request_bytes,
                threads=1,
                seconds=cell.seconds,
                sync=True,
                start_at_unix_s=attempt.start_unix_s + clocks.offset_s(name),
                span_bytes=cell.span_bytes,
            )
            reader = LineReader(take)
            try:
                context.hosts.connector(name).run(
                    script("client_worker"),
                    [REMOTE_PATH, *words],
                    locked=False,
                    idle_timeout_seconds=WORKER_SILENCE_S,
                    on_line=reader,
                )
            except WorkloadError as fault:
                attempt.faults[name] = fault
                if attempt.was_late:
                    # The others begin for nothing: without a connection a worker ends at its next line.
                    for other in hosts:
                        context.hosts.drop(other.name)
            attempt.outcomes[name] = reader.outcome

        in_threads({host.name: partial(work, host.name) for host in hosts}, on_interrupt=context.hosts.close)
    return attempt


def record(context: Context, cell: Cell, hosts: Sequence[Host], attempt: Attempt) -> None:
    """Adds the cell to the results."""
    reason = attempt.reason(cell.operation)
    context.results.append(
        "cells",
        {
            "cell": cell.name,
            "op": cell.operation,
            "pattern": cell.pattern,
            "request_bytes": cell.request_bytes,
            "writers": cell.writers,
            "hosts": [host.name for host in hosts],
            "span_bytes": cell.span_bytes,
            "seconds": cell.seconds,
            "start_unix_s": attempt.start_unix_s,
            "complete": reason is None,
            "reason": reason,
            "lost_hosts": attempt.lost,
        },
    )


def record_storage(context: Context, gone: set[str]) -> None:
    """Notes what `df` says, as the first client that is there sees it."""
    host = next((host.name for host in context.clients if host.name not in gone), None)
    if host is None:
        return
    try:
        result = context.hosts.connector(host).run(
            script("client_storage"), [MOUNT_POINT, FOLDER], idle_timeout_seconds=60
        )
    except WorkloadError as fault:
        context.console.say("run", f"df is not known now ({fault})")
        return
    seen = {key: value for key, value in result.facts[0].items() if key != "changed"}
    context.results.append("storage", {"t_unix_s": time.time(), "host": host, **seen})


def total_words(documents: Sequence[Mapping[str, Any]]) -> str:
    """The rate of several workers together, for a person."""
    if not documents:
        return ""
    total = {
        "t_start_unix_s": 0.0,
        "t_end_unix_s": max(each["t_end_unix_s"] - each["t_start_unix_s"] for each in documents),
        "ops": sum(each["ops"] for each in documents),
        "bytes": sum(each["bytes"] for each in documents),
    }
    return rate_words(total)


def one_writer(context: Context, seconds: int, operation: str, clocks: Clocks) -> float:
    """How long one operation of one byte by one writer takes on the first client, with nothing recorded.

    In seconds: the median of the means of each second, since one operation that is held up for a second, as others who
    use the machine may bring about, doubles the mean of two.
    """
    cell = Cell(f"{operation}-1", operation, 1, 1, 1, None, seconds)
    quiet = replace(context, results=NullResults())
    means: list[float] = []

    def take(record: dict[str, Any]) -> None:
        latency = record["latency_ns"]
        if record["kind"] == "interval" and latency["count"]:
            means.append(latency["sum"] / latency["count"] / 1e9)

    attempt = try_in_time(quiet, cell, context.clients[:1], clocks, Lead(), "", take)
    reason = attempt.reason(operation)
    if reason is not None or not means:
        raise WorkloadError(reason or "the worker said nothing", "run configure, then again", context.clients[0].name)
    return statistics.median(means)
