"""Measures the plan's cells, one sync after the other."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from workloads.errors import WorkloadError
from workloads.results import proof
from workloads.s3_throttle.configure import AWS, POOL, check_reach, make_files
from workloads.s3_throttle.context import Context
from workloads.s3_throttle.objects import check_bucket, differences, remove
from workloads.s3_throttle.plan import CLOSED_LOOP, DUTY_CYCLE, FREE, MAX_BANDWIDTH, TC, Cell, Plan, cells
from workloads.s3_throttle.rates import payload_rate
from workloads.s3_throttle.session import Session, uploading
from workloads.s3_throttle.settings import SOURCE
from workloads.s3_throttle.uploader.kernel import without_repetitions
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import ITSELF

# The CLI takes seconds to start on a slow host. The first sync has no bound but this: S3 at a tenth of 16 Mbit/s.
START_SECONDS = 60.0
SLOWEST_BYTES_PER_S = 200_000
# A cap may hold worse than it says, and what is offered shall not be all sent before the cell's time is over.
AMPLE = 1.25
# Objects that are sent at once (max_concurrent_requests of the AWS CLI).
AT_ONCE = 10
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
    payload_to_wire_ratio: float | None = None  # of the first, free sync; None: this is it
    samples: dict[str, list[Any]] = field(default_factory=dict)
    stops: dict[str, list[Any]] = field(default_factory=dict)
    final: dict[str, Any] | None = None
    fault: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it is no measurement, or None."""
        if self.final is None:
            return self.fault or "it ended without a word"
        if self.final["ended_by"] is None or (self.whole and self.final["exit_code"] != 0):
            return f"the sync ended with {self.final['exit_code']}: {self.final['said'] or 'no word of why'}"
        if self.rate is None:
            return "nothing was sent for long enough to have a mean"
        return None

    @property
    def whole(self) -> bool:
        """Whether it went on until everything was sent, instead of being ended when its mean was known."""
        return self.final is not None and self.final["ended_by"] == ITSELF

    @property
    def payload_ratio(self) -> float | None:
        """Bytes of objects for one that the interface has sent for the first time."""
        if self.payload_to_wire_ratio is not None or not self.samples.get("t"):
            return self.payload_to_wire_ratio
        sent = self.sent_once[-1] - self.sent_once[0]
        return self.payload_bytes / sent if sent > 0 else None

    @property
    def sent_once(self) -> list[int]:
        """What the interface had sent at each look, without what TCP sent again."""
        tx, again = self.samples["tx"], self.samples["again"]
        return tx if self.spec.tc_bytes_per_s is not None else without_repetitions(tx, again)

    @property
    def rate(self) -> float | None:
        """Bytes of objects a second, in the steady part."""
        ratio, final = self.payload_ratio, self.final
        if ratio is None or final is None or final["steady_from_unix_s"] is None:
            return None
        t, sent = self.samples["t"], self.sent_once
        return payload_rate(t, sent, final["steady_from_unix_s"], final["steady_until_unix_s"], ratio)


class IncompleteError(WorkloadError):
    """Some cells are no measurement, or what came to the bucket is not what was sent."""


def run(context: Context, plan: Plan, run_id: str) -> None:
    """Measures every cell; reads back what came of it to the bucket and deletes that. Objects lie below `run_id`.

    Raises IncompleteError at the end when something is amiss; all that was measured is in the results by then.
    """
    with uploading(context.connector) as session:
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
    make_files(context, plan)
    for number, cell in enumerate(planned, start=1):
        words = f"{number:>2}/{len(planned)}"
        count, target = amount(plan, cell, None if free is None else free.rate)
        measured = measure(context, plan, session, cell, count, target, f"{prefix}{cell.name}/", words, free)
        if measured.reason is not None:
            faults.append(f"{cell.name}: {measured.reason}")
            _check_way(context)
            if free is None or (done and done[-1].reason == measured.reason):
                raise IncompleteError(faults[-1], remedy_of(measured.reason))
        else:
            faults += read_back(context, measured)
        done.append(measured)
        free = free or measured
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
    """How many objects a cell is offered, and its target in bytes a second (None where nothing is to be held back).

    As many as last for the plan's longest cell, but for the first, of which nothing is known. A duty cycle may move as
    much as nothing held back does.
    """
    if free_bytes_per_s is None:
        return plan.probe_bytes // plan.object_bytes, None
    rate = cell.ratio * free_bytes_per_s
    fastest = free_bytes_per_s if cell.method == DUTY_CYCLE else rate
    count = AT_ONCE + math.ceil(AMPLE * fastest * plan.most_seconds / plan.object_bytes)
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
    longest_s = count * plan.object_bytes / SLOWEST_BYTES_PER_S if free is None else plan.most_seconds
    wire_target = None if target is None or cell.method == DUTY_CYCLE or free is None else target / payload_ratio(free)
    spec = Spec(
        aws=AWS,
        pool=POOL,
        pool_objects=plan.probe_bytes // plan.object_bytes,
        folder=f"{SOURCE}/cell",
        objects=count,
        bucket=context.bucket.name,
        prefix=prefix,
        region=context.inventory.region,
        endpoint=context.bucket.endpoint,
        address=context.uploader.private_address,
        # What it does between its bytes takes longer, too, when it is held by the clock.
        limit_s=(START_SECONDS / cell.ratio if cell.cycle else START_SECONDS) + longest_s,
        memory_ahead_mib=MEMORY_AHEAD_MIB if context.inventory.rehearsal else 0,
        precision_ratio=None if free is None else plan.precision,
        least_s=plan.seconds,
        most_s=plan.most_seconds,
        wire_target_bytes_per_s=wire_target,
        **cap(cell, target, free),
    )
    measured = Measured(cell, spec, count * plan.object_bytes, target, None if free is None else payload_ratio(free))
    try:
        with context.console.under_way("run", f"{progress_words} {cell.name}"):
            seen = session.sync(spec)
        measured.samples, measured.stops = seen.samples, seen.stops
        measured.final, measured.fault = seen.final, seen.fault
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


def payload_ratio(free: Measured) -> float:
    """Bytes of objects for one that the interface sends for the first time.

    The headers are those of the first, free sync, which ran to its end.
    """
    ratio = free.payload_ratio
    assert ratio is not None  # a free sync without one has ended the run
    return ratio


def cap(cell: Cell, target: int | None, free: Measured | None) -> dict[str, Any]:
    """The fields of the spec by which the cell is held back."""
    if cell.method == CLOSED_LOOP:
        return {"rate_bytes_per_s": target}
    if cell.method == DUTY_CYCLE and cell.cycle is not None:
        return asdict(cell.cycle)
    if cell.method == MAX_BANDWIDTH:
        return {"max_bandwidth_kib_per_s": None if target is None else target // KIB}
    if cell.method == TC and target is not None and free is not None:
        # tc counts headers, which the target does not.
        return {"tc_bytes_per_s": round(target / payload_ratio(free))}
    return {}


def record(context: Context, plan: Plan, measured: Measured) -> None:
    """Adds the cell to the results, and what was seen of the interface."""
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
            "send_buffer_bytes": measured.spec.send_buffer_bytes,
            "objects": measured.spec.objects,
            "object_bytes": plan.object_bytes,
            "payload_to_wire_ratio": measured.payload_ratio,
            "complete": reason is None,
            "reason": reason,
            **{name: final.get(name) for name in FINAL},
        },
    )
    samples = measured.samples
    for look in zip(*(samples.get(name, []) for name in ("t", "tx", "rx", "again")), strict=True):
        fields = zip(("t_unix_s", "nic_tx_bytes", "nic_rx_bytes", "segments_sent_again"), look, strict=True)
        context.results.append("network", {"cell": cell.name, "host": context.uploader.name, **dict(fields)})
    for values in zip(*measured.stops.values(), strict=True):
        line = {"cell": cell.name, "host": context.uploader.name, **dict(zip(measured.stops, values, strict=True))}
        context.results.append("stops", line)


FINAL = (
    "exit_code",
    "ended_by",
    "steady_from_unix_s",
    "steady_until_unix_s",
    "known_to_ratio",
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
    assert measured.final is not None
    words = f"{rate / 1e6:8.3f} MB/s, known to {measured.final['known_to_ratio']:.1%}"
    return words if target is None else f"{words}, {rate / target:7.1%} of its target"


def read_back(context: Context, measured: Measured) -> list[str]:
    """Compares what came to the bucket, byte by byte, with what was sent, notes that as a proof, and deletes it.

    Returns the first fault.
    """
    name, prefix, objects = measured.cell.name, measured.spec.prefix, measured.spec.objects
    with context.console.under_way("objects", f"{name} read back"):
        found, different = differences(context, prefix, context.sums, objects, whole=measured.whole)
        remove(context, prefix)
    detail = f"{found} of {objects} objects read back" + ("" if measured.whole else ", the others were not sent")
    if different:
        detail += f": {'; '.join(different[:3])}"
    context.results.append("proofs", proof("byte-identical", name, context.bucket.name, detail, not different))
    return [f"{name}: {each}" for each in different[:1]]
