"""Measures the plan's cells, one after the other, on the client."""

from __future__ import annotations

import time
from typing import Any

from workloads.connectors.script import Script
from workloads.errors import WorkloadError
from workloads.md_raid.configure import make_stripe
from workloads.md_raid.context import Context, sampling, script
from workloads.md_raid.plan import Cell, Plan, cells, check
from workloads.md_raid.settings import BENCH_STRIPE, CHUNK_KIB, STRIPE
from workloads.worker import Outcome, arguments, bring_worker, rate_words, run_worker


def run(context: Context, plan: Plan) -> int:
    """Measures every cell of `plan`; the number of cells that are complete."""
    check(plan, context.topology)
    bring_worker(context, [context.topology.client.name])
    planned = cells(plan, context.topology)
    complete = 0
    failed: list[str] = []
    started = time.monotonic()
    make_stripe(context)
    try:
        with sampling(context):
            prime(context, plan)
            there: Cell | None = None
            for number, cell in enumerate(planned, start=1):
                if there is None or there.device_set != cell.device_set:
                    devices = devices_of(context, cell)
                    there = cell
                reason = measure(context, plan, cell, devices, f"{number}/{len(planned)}")
                if reason is None:
                    complete += 1
                else:
                    failed.append(f"{cell.name} ({reason})")
    finally:
        restore_stripe(context)
    context.results.step("run", time.monotonic() - started, None)
    context.console.say("run", f"{complete} of {len(planned)} cells in {time.monotonic() - started:.0f} s")
    if failed:
        raise WorkloadError(
            f"{len(failed)} of {len(planned)} cells are not complete, the first: {failed[0]}",
            "run configure, then run again",
            context.topology.client.name,
        )
    return complete


def prime(context: Context, plan: Plan) -> None:
    """Reads the whole stripe once without recording it.

    The first reads find idle TCP windows, and whichever cell came first would pay for that.
    """
    pattern = plan.patterns[0]
    words = arguments(
        [f"/dev/{STRIPE}"],
        pattern="sequential",
        request_bytes=pattern.request_bytes,
        threads=pattern.depth,
        seconds=plan.warmup_seconds + plan.measured_seconds,
    )
    with context.console.under_way("run", "priming"):
        client = context.hosts.connector(context.topology.client.name)
        run_worker(client, script("client_worker"), words, lambda _: None)


def restore_stripe(context: Context) -> None:
    """Puts the whole stripe back. After an interrupt the connections are gone; then configure does it."""
    try:
        context.client_state(fresh=True)
        make_stripe(context)
    except WorkloadError as error:
        context.console.say("run", f"{STRIPE} is not assembled again ({error.what}): run configure")


def devices_of(context: Context, cell: Cell) -> list[str]:
    """The devices that the cell reads, brought about where they are temporary."""
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


def measure(context: Context, plan: Plan, cell: Cell, devices: list[str], progress_words: str) -> str | None:
    """Measures one cell on `devices`; why it is not complete, or None."""
    record: dict[str, Any] = {
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
    reason: str | None = None
    outcome = Outcome()
    try:
        outcome = read_with_worker(
            context,
            cell.name,
            arguments(
                devices,
                pattern=cell.pattern.name,
                request_bytes=cell.pattern.request_bytes,
                threads=cell.threads_per_device,
                seconds=plan.measured_seconds,
                warmup_seconds=plan.warmup_seconds,
            ),
            progress_words,
        )
        reason = incomplete_reason(outcome)
    except WorkloadError as error:
        reason = error.what
    except BaseException as error:
        reason = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else str(error)
        raise
    finally:
        context.results.append("cells", record | {"complete": reason is None, "reason": reason})
    words = rate_words(outcome.final) if outcome.final is not None else ""
    words = words if reason is None else f"{words} not complete: {reason}"
    context.console.say("run", f"{progress_words:>6} {cell.name:<24} {words}")
    return reason


def incomplete_reason(outcome: Outcome) -> str | None:
    """Why the worker's run is no measurement, or None."""
    if outcome.final is None:
        return "the worker ended without a final line"
    if outcome.errors:
        return f"{outcome.errors} reads failed"
    if outcome.final["ops"] == 0:
        return "not one read ended"
    degraded = sorted({*outcome.degraded_before, *outcome.degraded_after})
    if degraded:
        return f"{', '.join(degraded)} lacked a leg"
    return None


def read_with_worker(
    context: Context, cell: str, words: list[str], progress_words: str, worker_script: Script | None = None
) -> Outcome:
    """Runs the worker on the client, streaming what it says to the results and to the person."""
    client = context.topology.client.name
    with context.console.under_way("run", f"{progress_words:>6} {cell}") as progress:

        def take(record: dict[str, Any]) -> None:
            context.results.append("worker", {**record, "cell": cell, "host": client})
            progress.update(f"{progress_words:>6} {cell:<24} {rate_words(record)}")

        return run_worker(context.hosts.connector(client), worker_script or script("client_worker"), words, take)
