"""Measures the plan's cells, one after the other, on the client."""

from __future__ import annotations

import time
from functools import partial

from workloads.cells import CellOutcome, CellRun
from workloads.errors import WorkloadError
from workloads.md_raid.arrays import make_stripe
from workloads.md_raid.context import Context, sampling, script
from workloads.md_raid.plan import Cell, Plan, cells, check
from workloads.md_raid.settings import BENCH_STRIPE, CHUNK_KIB, STRIPE
from workloads.worker import arguments, bring_worker, rate_words, run_worker


def run(context: Context, plan: Plan) -> int:
    """Measures every cell of `plan`; returns their number. Raises IncompleteError when some are not valid."""
    check(plan, context.topology)
    bring_worker(context, [context.client_name])
    planned = cells(plan, context.topology)
    measuring = CellRun(context, len(planned))
    make_stripe(context)
    try:
        with sampling(context):
            prime(context, plan)
            previous: Cell | None = None
            devices: list[str] = []
            for cell in planned:
                if previous is None or previous.device_set != cell.device_set:
                    devices, previous = devices_of(context, cell), cell
                record = {
                    "cell": cell.name,
                    "layout": cell.layout,
                    "pattern": cell.pattern.name,
                    "servers": cell.servers,
                    "disks": cell.disks,
                    "mirrors": len(cell.mirrors) or None,
                    "request_bytes": cell.pattern.request_bytes,
                    "depth": cell.depth,
                    "threads_per_device": cell.threads_per_device,
                    "devices": devices,
                    "started_unix_s": time.time(),
                }
                label = measuring.label(cell.name)
                measuring.measure_cell(record, partial(measure, context, plan, cell, devices, label))
    finally:
        restore_stripe(context)
    measuring.finish()
    measuring.raise_incomplete("run configure, then run again", context.client_name)
    return len(planned)


def prime(context: Context, plan: Plan) -> None:
    """Reads the whole stripe once without recording it.

    The first reads find idle TCP windows; without this, the first cell would pay for that.
    """
    pattern = plan.patterns[0]
    words = arguments(
        [f"/dev/{STRIPE}"],
        pattern="sequential",
        request_bytes=pattern.request_bytes,
        threads=pattern.depth,
        seconds=plan.warmup_seconds + plan.measured_seconds,
    )
    with context.console.under_way("run", "priming", _takes(plan)):
        run_worker(context, context.client_name, script("client_worker"), words)


def restore_stripe(context: Context) -> None:
    """Assembles the whole stripe again. After an interrupt the connections are gone, and configure has to do it."""
    try:
        context.client_state(fresh=True)
        make_stripe(context)
    except WorkloadError as error:
        context.console.say("run", f"{STRIPE} is not assembled again ({error.what}): run configure")


def devices_of(context: Context, cell: Cell) -> list[str]:
    """Returns the devices that the cell reads; assembles a stripe where it reads one."""
    if cell.layout == "raw":
        state = context.client_state()
        return [state.disks[iqn].device for iqn in cell.iqns]
    if cell.layout == "mirror":
        return [f"/dev/{cell.mirrors[0]}"]
    if len(cell.mirrors) == len(context.topology.mirrors):
        make_stripe(context)
        return [f"/dev/{STRIPE}"]
    mirrors = [f"/dev/{name}" for name in cell.mirrors]
    context.on_client("client_bench_stripe", [BENCH_STRIPE, STRIPE, str(CHUNK_KIB), *mirrors])
    return [f"/dev/{BENCH_STRIPE}"]


def measure(context: Context, plan: Plan, cell: Cell, devices: list[str], label: str) -> CellOutcome:
    """Reads the devices with the worker, as the cell defines."""
    words = arguments(
        devices,
        pattern=cell.pattern.name,
        request_bytes=cell.pattern.request_bytes,
        threads=cell.threads_per_device,
        seconds=plan.measured_seconds,
        warmup_seconds=plan.warmup_seconds,
    )
    with context.console.under_way("run", label, _takes(plan)) as progress:
        outcome = run_worker(
            context,
            context.client_name,
            script("client_worker"),
            words,
            cell=cell.name,
            on_record=lambda record: progress.update(f"{label} {rate_words(record)}"),
        )
    return CellOutcome(outcome.words, outcome.fault("read"))


def _takes(plan: Plan) -> str:
    return f"takes {plan.warmup_seconds + plan.measured_seconds:g} s"
