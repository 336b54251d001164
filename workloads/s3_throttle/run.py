"""Measures the plan's cells, one sync after the other."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workloads.errors import WorkloadError
from workloads.s3_throttle.configure import AWS, POOL, check_reach, pool_of
from workloads.s3_throttle.context import Context
from workloads.s3_throttle.objects import check_bucket, differences, remove
from workloads.s3_throttle.plan import CLOSED_LOOP, DUTY_CYCLE, FREE, MAX_BANDWIDTH, TC, Cell, Plan, cells
from workloads.s3_throttle.rates import payload_rate
from workloads.s3_throttle.session import Session, uploading
from workloads.s3_throttle.settings import SOURCE
from workloads.s3_throttle.uploader.spec import Spec

# The CLI takes seconds to start on a slow host, and a cap may hold worse than it says.
PATIENCE = 4.0
START_SECONDS = 60.0
KIB = 1024
# What the AWS CLI takes until its first byte, and some more.
MEMORY_AHEAD_MIB = 48
# As botocore and S3 say it.
NO_CREDENTIALS = ("credentials", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "AccessDenied")


@dataclass
class Measured:
    """What became of a cell."""

    cell: Cell
    spec: Spec
    payload_bytes: int
    target_bytes_per_s: int | None
    samples: dict[str, list[Any]] = field(default_factory=dict)
    final: dict[str, Any] | None = None
    fault: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it is no measurement, or None."""
        if self.final is None:
            return self.fault or "it ended without a word"
        if self.final["exit_code"] != 0:
            return f"the sync ended with {self.final['exit_code']}: {self.final['said'] or 'no word of why'}"
        if self.rate is None:
            return "nothing was sent"
        return None

    @property
    def rate(self) -> float | None:
        """Bytes of objects a second."""
        return payload_rate(self.samples["t"], self.samples["tx"], self.payload_bytes) if self.samples else None


class IncompleteError(WorkloadError):
    """Some cells are no measurement, or what came to the bucket is not what was sent."""


def run(context: Context, plan: Plan, run_id: str) -> None:
    """Measures every cell, then reads back what came to the bucket and deletes it. Objects lie below `run_id`.

    Raises IncompleteError at the end when something is amiss; all that was measured is in the results by then.
    """
    with uploading(context.remote) as session:
        left = remove(context, f"{context.inventory.stack}/")
        if left:
            context.console.say("objects", f"{left} of a run that was cut short deleted")
        try:
            _measure_all(context, plan, session, f"{context.inventory.stack}/{run_id}/")
        except BaseException:
            session.end(in_order=False)  # nothing is uploaded after what follows
            with contextlib.suppress(WorkloadError):  # what came first is what is told; the next run deletes them
                remove(context, f"{context.inventory.stack}/")
            raise
        remove(context, f"{context.inventory.stack}/")


def _measure_all(context: Context, plan: Plan, session: Session, prefix: str) -> None:
    started = time.monotonic()
    planned = cells(plan)
    faults: list[str] = []
    done: list[Measured] = []
    free: Measured | None = None
    for number, cell in enumerate(planned, start=1):
        words = f"{number:>2}/{len(planned)}"
        count, target = amount(plan, cell, None if free is None else free.rate)
        sums, _ = pool_of(context, plan, count)
        measured = measure(context, plan, session, cell, count, target, f"{prefix}{cell.name}/", words, free)
        if measured.reason is not None:
            faults.append(f"{cell.name}: {measured.reason}")
            _check_way(context)
            if free is None or (done and done[-1].reason == measured.reason):
                raise IncompleteError(faults[-1], remedy_of(measured.reason))
        done.append(measured)
        free = free or measured
    faults += read_back(context, done, sums)
    if context.results is not None:
        context.results.step("run", time.monotonic() - started, None)
    context.console.say("run", f"{len(planned)} syncs in {time.monotonic() - started:.0f} s, {len(faults)} faults")
    if faults:
        raise IncompleteError(f"{len(faults)} faults, the first: {faults[0]}", remedy_of(faults[0]))


def _check_way(context: Context) -> None:
    """Raises WorkloadError when the bucket, or the way to it, is gone: then all other syncs would fail, too."""
    check_bucket(context)
    check_reach(context)


def remedy_of(reason: str) -> str:
    """What to do about a sync that failed."""
    if any(word in reason for word in NO_CREDENTIALS):
        return "see that the uploader's instance profile has its role, and the role its policy (`pulumi up` mends both)"
    if "No space left" in reason:
        return "see that the uploader's disk has room (df), or plan for less"
    return "see the results' cells and logs for more, mend that, then run again"


def amount(plan: Plan, cell: Cell, free_bytes_per_s: float | None) -> tuple[int, int | None]:
    """How many objects a cell syncs, and its target in bytes a second (None where nothing is to be held back).

    As many as take the plan's seconds at the target, but for the first, of which nothing is known, and for one that
    would be too few.
    """
    if free_bytes_per_s is None:
        return plan.probe_bytes // plan.object_bytes, None
    rate = cell.ratio * free_bytes_per_s
    count = max(plan.least_objects, math.ceil(rate * plan.seconds / plan.object_bytes))
    if cell.method == FREE:
        return count, None
    # The CLI's own limit is in whole KiB/s.
    return count, max(1, round(rate / KIB)) * KIB if cell.method == MAX_BANDWIDTH else round(rate)


def measure(
    context: Context,
    plan: Plan,
    session: Session,
    cell: Cell,
    count: int,
    target: int | None,
    prefix: str,
    progress_words: str,
    free: Measured | None,
) -> Measured:
    """Runs one sync on the uploader, and records what was seen of it."""
    seconds = plan.seconds if target is None else count * plan.object_bytes / target
    spec = Spec(
        aws=AWS,
        pool=POOL,
        folder=f"{SOURCE}/cell",
        objects=count,
        bucket=context.bucket.name,
        prefix=prefix,
        region=context.inventory.region,
        endpoint=context.bucket.endpoint,
        address=context.uploader.private_address,
        # What it does between its bytes takes longer, too, when it is held by the clock.
        limit_s=(START_SECONDS / cell.ratio if cell.cycle else START_SECONDS) + PATIENCE * seconds,
        memory_ahead_mib=MEMORY_AHEAD_MIB if context.inventory.rehearsal else 0,
        **cap(cell, target, free),
    )
    measured = Measured(cell, spec, count * plan.object_bytes, target)
    try:
        with context.console.under_way("run", f"{progress_words} {cell.name}"):
            seen = session.sync(spec)
        measured.samples, measured.final, measured.fault = seen.samples, seen.final, seen.fault
    except WorkloadError as error:
        measured.fault = error.what
        raise
    except BaseException:
        measured.fault = "interrupted"
        raise
    finally:
        record(context, plan, measured)
    context.console.say("run", f"{progress_words} {cell.name:<24} {words_of(measured)}")
    return measured


def cap(cell: Cell, target: int | None, free: Measured | None) -> dict[str, Any]:
    """The fields of the spec by which the cell is held back."""
    if cell.method == CLOSED_LOOP:
        return {"rate_bytes_per_s": target}
    if cell.method == DUTY_CYCLE and cell.cycle is not None:
        return {"stop_s": cell.cycle.stop_s, "run_s": cell.cycle.run_s}
    if cell.method == MAX_BANDWIDTH:
        return {"max_bandwidth_kib_per_s": None if target is None else target // KIB}
    if cell.method == TC and target is not None and free is not None:
        # tc counts headers, which the target does not: as many as the free sync had.
        wire_bytes = free.samples["tx"][-1] - free.samples["tx"][0]
        return {"tc_bytes_per_s": round(target * wire_bytes / free.payload_bytes)}
    return {}


def record(context: Context, plan: Plan, measured: Measured) -> None:
    """Adds the cell to the results, and what was seen of the interface."""
    if context.results is None:
        return
    cell, final, reason = measured.cell, measured.final or {}, measured.reason
    context.results.append(
        "cells",
        {
            "cell": cell.name,
            "method": cell.method,
            "ratio": None if cell.method == FREE else cell.ratio,
            "target_bytes_per_s": measured.target_bytes_per_s,
            "stop_s": None if cell.cycle is None else cell.cycle.stop_s,
            "run_s": None if cell.cycle is None else cell.cycle.run_s,
            "host": context.uploader.name,
            "objects": measured.spec.objects,
            "object_bytes": plan.object_bytes,
            "complete": reason is None,
            "reason": reason,
            **{name: final.get(name) for name in FINAL},
        },
    )
    samples = measured.samples
    for t, tx, rx in zip(*(samples.get(name, []) for name in ("t", "tx", "rx")), strict=True):
        line = {"cell": cell.name, "host": context.uploader.name, "t_unix_s": t, "nic_tx_bytes": tx, "nic_rx_bytes": rx}
        context.results.append("network", line)


FINAL = (
    "exit_code",
    "started_unix_s",
    "ended_unix_s",
    "cpu_s",
    "host_busy_ratio",
    "segments_sent_again",
    "cli",
    "throttle",
)
"""What uploader/__main__.py says at the end, as results hold it."""


def words_of(measured: Measured) -> str:
    """A cell's rate, for a person."""
    if measured.reason is not None:
        return f"not complete: {measured.reason}"
    rate, target = measured.rate, measured.target_bytes_per_s
    assert rate is not None  # it has no reason not to be
    words = f"{rate / 1e6:8.3f} MB/s"
    return words if target is None else f"{words}, {rate / target:7.1%} of its target"


def read_back(context: Context, done: Sequence[Measured], sums: Sequence[str]) -> list[str]:
    """Compares what came to the bucket, byte by byte, with what was sent, and notes it as a proof; the faults."""
    faults: list[str] = []
    with context.console.under_way("objects", "read back") as progress:
        for measured in done:
            if measured.reason is not None:
                continue
            progress.update(measured.cell.name)
            different = differences(context, measured.spec.prefix, sums[: measured.spec.objects])
            faults += [f"{measured.cell.name}: {each}" for each in different[:1]]
            detail = f"{measured.spec.objects} objects, {measured.payload_bytes} bytes read back"
            if context.results is not None:
                context.results.append(
                    "proofs",
                    {
                        "t_unix_s": time.time(),
                        "proof": "byte-identical",
                        "from": measured.cell.name,
                        "to": context.bucket.name,
                        "detail": detail if not different else f"{detail}: {'; '.join(different[:3])}",
                        "passed": not different,
                    },
                )
    context.console.say("objects", "read back, identical" if not faults else f"{len(faults)} syncs differ")
    return faults
