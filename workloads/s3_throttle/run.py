"""Measures the plan's cells, one sync after the other."""

from __future__ import annotations

import contextlib
import math
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from workloads.cells import CellOutcome, CellRun, IncompleteError
from workloads.errors import WorkloadError
from workloads.results import proof
from workloads.s3_throttle.configure import AWS, POOL, make_files, reach_bucket
from workloads.s3_throttle.context import SOURCE, Context
from workloads.s3_throttle.objects import differences, remove
from workloads.s3_throttle.plan import CLOSED_LOOP, DUTY_CYCLE, FREE, MAX_BANDWIDTH, TC, Cell, Plan, cells
from workloads.s3_throttle.session import Session, SyncResult, uploading
from workloads.s3_throttle.uploader.spec import Spec
from workloads.s3_throttle.uploader.sync import ITSELF

# The CLI takes seconds to start on a slow host. The first sync has no other bound than this: S3 at a tenth of 16
# Mbit/s.
START_SECONDS = 60.0
SLOWEST_BYTES_PER_S = 200_000
# A throttle may exceed its target, and the objects must last until the cell's time is over.
AMPLE = 1.25
# Objects that are sent at once (max_concurrent_requests of the AWS CLI).
AT_ONCE = 10
KIB = 1024
# Words in errors of botocore and S3.
NO_CREDENTIALS = ("credentials", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "AccessDenied")
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
"""The fields of uploader/__main__.py's final record that results hold."""


@dataclass
class Measured:
    """A cell, and the result of its sync."""

    cell: Cell
    spec: Spec
    payload_bytes: int
    target_bytes_per_s: int | None
    payload_to_wire_ratio: float | None = None  # of the first, free sync; None in that sync itself
    result: SyncResult = field(default_factory=SyncResult)

    @property
    def final(self) -> dict[str, Any] | None:
        """The final record; None: it was not begun."""
        return self.result.final

    @property
    def reason(self) -> str | None:
        """Why the cell is no measurement, or None."""
        if self.final is None:
            return self.result.fault or "it ended without a word"
        if self.final["ended_by"] is None or (self.whole and self.final["exit_code"] != 0):
            return f"the sync ended with {self.final['exit_code']}: {self.final['said'] or 'no word of why'}"
        if self.rate is None:
            return "nothing was sent for long enough to have a mean"
        return None

    @property
    def whole(self) -> bool:
        """Whether everything was sent; else the sync was ended once its mean was known."""
        return self.final is not None and self.final["ended_by"] == ITSELF

    @property
    def payload_ratio(self) -> float | None:
        """Bytes of objects for each byte that the interface has sent for the first time."""
        sent: int | None = None if self.final is None else self.final["sent_once_bytes"]
        return self.payload_bytes / sent if self.payload_to_wire_ratio is None and sent else self.payload_to_wire_ratio

    @property
    def rate(self) -> float | None:
        """Bytes of objects a second, in the steady part."""
        ratio = self.payload_ratio
        sent_per_s: float | None = None if self.final is None else self.final["steady_bytes_per_s"]
        return None if ratio is None or sent_per_s is None else ratio * sent_per_s


def run(context: Context, plan: Plan, run_id: str) -> None:
    """Measures every cell; reads back its objects, which lie below `run_id`, and deletes them.

    Raises IncompleteError at the end when a cell is no measurement, or its objects are not what was sent.
    """
    folder = f"{context.inventory.stack}/"
    with uploading(context.connector) as session:
        left = remove(context, folder)
        if left:
            context.console.say("objects", f"{left} of a run that was cut short deleted")
        try:
            _measure_all(context, plan, session, f"{folder}{run_id}/")
        except BaseException:
            session.end(in_order=False)  # nothing is uploaded after the deletion
            with contextlib.suppress(WorkloadError):  # the first fault is the one to show; the next run deletes them
                remove(context, folder)
            raise
        remove(context, folder)


def _measure_all(context: Context, plan: Plan, session: Session, prefix: str) -> None:
    planned = cells(plan)
    measuring = CellRun(context, len(planned))
    free: Measured | None = None
    previous: str | None = None
    make_files(context, plan)
    for cell in planned:
        measured = plan_sync(context, plan, cell, f"{prefix}{cell.name}/", free)
        sync = partial(measure, context, session, measured, measuring.label(cell.name))
        try:
            measuring.measure_cell(record_of(context, plan, measured), sync, raise_faults=True)
        finally:
            record_samples(context, measured)
        if measured.reason is not None:
            reach_bucket(context)  # if it can't be reached, all other syncs would fail, too
            if free is None or previous == measured.reason:
                raise IncompleteError(f"{cell.name}: {measured.reason}", remedy_of(measured.reason))
        else:
            measuring.failed += read_back(context, measured)
        previous = measured.reason
        free = free or measured
    measuring.finish()
    measuring.raise_incomplete(remedy_of("; ".join(measuring.failed[:1])))


def remedy_of(reason: str) -> str:
    """Returns what to do about a sync that failed."""
    if any(word in reason for word in NO_CREDENTIALS):
        return "see that the uploader's instance profile has its role, and the role its policy (`pulumi up` mends both)"
    if "No space left" in reason:
        return "see that the uploader's disk has room (df), or plan for less"
    return "see the results' cells and logs for more, mend that, then run again"


def amount(plan: Plan, cell: Cell, free_bytes_per_s: float | None) -> tuple[int, int | None]:
    """Returns how many objects a cell may send, and its target in bytes a second (None for a free sync).

    They last for the plan's longest cell; the first, of which nothing is known, sends the whole pool. A duty cycle may
    move as much as a free sync.
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


def plan_sync(context: Context, plan: Plan, cell: Cell, prefix: str, free: Measured | None) -> Measured:
    """Returns a cell with what the uploader is to do for it. `free` is the first, free sync, None for that itself."""
    rate, ratio = (None, None) if free is None else (free.rate, free.payload_ratio)
    count, target = amount(plan, cell, rate)
    longest_s = count * plan.object_bytes / SLOWEST_BYTES_PER_S if ratio is None else plan.most_seconds
    wire_target = None if target is None or ratio is None or cell.method == DUTY_CYCLE else target / ratio
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
        # A duty cycle stretches the time between bytes, too.
        limit_s=(START_SECONDS / cell.ratio if cell.cycle else START_SECONDS) + longest_s,
        precision_ratio=None if ratio is None else plan.precision,
        least_s=plan.seconds,
        most_s=plan.most_seconds,
        wire_target_bytes_per_s=wire_target,
        **cap(cell, target, ratio),
    )
    return Measured(cell, spec, count * plan.object_bytes, target, ratio)


def measure(context: Context, session: Session, measured: Measured, label: str) -> CellOutcome:
    """Runs one sync on the uploader."""
    with context.console.under_way("run", label, f"at most {measured.spec.limit_s:.0f} s"):
        measured.result = session.sync(measured.spec)
    final = measured.final or {}
    figures = {name: final.get(name) for name in FINAL} | {"payload_to_wire_ratio": measured.payload_ratio}
    rate, target = measured.rate, measured.target_bytes_per_s
    if measured.reason is not None or rate is None:
        return CellOutcome("", measured.reason, figures)
    words = f"{rate / 1e6:8.3f} MB/s, known to {final['known_to_ratio']:.1%}"
    if target is not None:
        words += f", {rate / target:7.1%} of its target"
    return CellOutcome(words, None, figures)


def cap(cell: Cell, target: int | None, payload_ratio: float | None) -> dict[str, Any]:
    """Returns the fields of the spec that throttle the cell."""
    if cell.method == CLOSED_LOOP:
        return {"rate_bytes_per_s": target, "send_buffer_bytes": cell.send_buffer_bytes}
    if cell.method == DUTY_CYCLE and cell.cycle is not None:
        return asdict(cell.cycle)
    if cell.method == MAX_BANDWIDTH:
        return {"max_bandwidth_kib_per_s": None if target is None else target // KIB}
    if cell.method == TC and target is not None and payload_ratio is not None:
        # tc counts headers, which the target does not.
        return {"tc_bytes_per_s": round(target / payload_ratio)}
    return {}


def record_of(context: Context, plan: Plan, measured: Measured) -> dict[str, Any]:
    """Returns the record of a cell before it is measured."""
    cell = measured.cell
    return {
        "cell": cell.name,
        "method": cell.method,
        "ratio": None if cell.method == FREE else cell.ratio,
        "target_bytes_per_s": measured.target_bytes_per_s,
        "stop_s": measured.spec.stop_s,
        "run_s": measured.spec.run_s,
        "host": context.uploader.name,
        "send_buffer_bytes": measured.spec.send_buffer_bytes,
        "objects": measured.spec.objects,
        "object_bytes": plan.object_bytes,
        "payload_to_wire_ratio": measured.payload_to_wire_ratio,
        **dict.fromkeys(FINAL),
    }


def record_samples(context: Context, measured: Measured) -> None:
    """Adds the samples of the interface, and the throttle's stops, to the results."""
    where = {"cell": measured.cell.name, "host": context.uploader.name}
    samples = measured.result.samples
    for sample in zip(*(samples.get(name, []) for name in ("t", "tx", "rx", "again")), strict=True):
        fields = zip(("t_unix_s", "nic_tx_bytes", "nic_rx_bytes", "segments_sent_again"), sample, strict=True)
        context.results.append("network", {**where, **dict(fields)})
    for stop in measured.result.stops:
        context.results.append("stops", {**where, **stop})


def read_back(context: Context, measured: Measured) -> list[str]:
    """Compares the objects, byte by byte, with what was sent, records that as a proof, and deletes them.

    Returns the first difference, if any.
    """
    name, prefix, objects = measured.cell.name, measured.spec.prefix, measured.spec.objects
    with context.console.under_way("objects", f"{name} read back"):
        found, different = differences(context, prefix, context.sums, objects, whole=measured.whole)
        remove(context, prefix)
    detail = f"{found} of {objects} objects read back" + ("" if measured.whole else ", the others were not sent")
    if different:
        detail += f": {'; '.join(different[:3])}"
    context.results.append("proofs", proof("byte-identical", name, context.bucket.name, detail, not different))
    return [f"{name} ({each})" for each in different[:1]]
