"""Measures the plan's cells, one after the other, on the client."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from workloads.cells import CellOutcome, CellRun
from workloads.errors import WorkloadError
from workloads.md_raid.arrays import assemble_mirrors
from workloads.md_raid.configure import list_boot_arrays
from workloads.md_raid.context import Context, sampling, script
from workloads.md_raid.plan import Cell, Plan, cells
from workloads.md_raid.settings import SAMPLE_SECONDS, SAMPLE_SECONDS_SHORT, SHORT_CELL_SECONDS, STRIPE
from workloads.md_raid.stripe import build_mirrors, build_stripe, make_stripe, stop_leftovers
from workloads.md_raid.writes import clear_stripe, fault_of_writes, seed_of
from workloads.worker import Outcome, arguments, bring_worker, rate_words, run_worker

FIRST_SAMPLE_S = 30.0
# Reads of a new mirror that are not recorded: enough for some of each leg at 100 operations a second.
PRIMING_SECONDS, PRIMING_THREADS, PRIMING_BYTES = 0.3, 16, 4096


@dataclass(frozen=True)
class Devices:
    """The devices of a cell; and what the kernel says of the legs, if it is a single temporary mirror."""

    paths: list[str]
    legs_rotational: bool | None = None
    legs_optimal_io_bytes: int | None = None


def run(context: Context, plan: Plan) -> None:
    """Measures every cell of `plan`. Raises IncompleteError when some are not valid."""
    bring_worker(context, [context.client_name])
    planned = cells(plan, context.topology)
    measuring = CellRun(context, len(planned), name_width=28)
    make_stripe(context)
    seconds = SAMPLE_SECONDS_SHORT if plan.measured_seconds < SHORT_CELL_SECONDS else SAMPLE_SECONDS
    try:
        with sampling(context, seconds) as samples:
            prime_stripe(context, plan)
            if missing := samples.missing_hosts(FIRST_SAMPLE_S):
                words = f"no sample of {', '.join(missing)} in {FIRST_SAMPLE_S:g} s"
                context.console.say("run", f"{words}: what limits the first cells may stay unknown")
            previous: Cell | None = None
            devices = Devices([])
            for cell in planned:
                if cell.writes and (previous is None or not previous.writes):
                    restore_arrays(context)
                    clear_stripe(context)
                if previous is None or previous.writes != cell.writes or previous.device_set != cell.device_set:
                    devices = devices_of(context, cell)
                previous = cell
                label = measuring.label(cell.name)
                measure_one = partial(measure, context, plan, cell, devices, label)
                measuring.measure_cell(record_of(context, cell, devices), measure_one)
    finally:
        restore(context, plan.writes is not None)
    measuring.finish()
    measuring.raise_incomplete("run configure, then run again", context.client_name)


def record_of(context: Context, cell: Cell, devices: Devices) -> dict[str, Any]:
    """Returns what is recorded of a cell, before it is measured."""
    assembled = tuple(mirror.legs for mirror in context.topology.mirrors if mirror.name in cell.mirrors)
    volumes = [leg.volume for legs in cell.legs or assembled for leg in legs]
    return {
        "cell": cell.name,
        "layout": cell.layout,
        "pattern": cell.pattern.name,
        "operation": cell.operation,
        "servers": cell.servers,
        "disks": cell.disks,
        "mirrors": None if cell.layout == "raw" else cell.volumes,
        "copies": cell.copies,
        "readers": "one" if cell.one_reader else "many",
        "buffered": cell.buffered,
        "request_bytes": cell.pattern.request_bytes,
        "depth": cell.depth,
        "threads_per_device": cell.threads_per_device,
        "devices": devices.paths,
        "legs_rotational": devices.legs_rotational,
        "legs_optimal_io_bytes": devices.legs_optimal_io_bytes,
        "volumes": volumes,
        "started_unix_s": time.time(),
    }


def prime_stripe(context: Context, plan: Plan) -> None:
    """Reads the whole stripe once without recording it.

    The first reads find idle TCP windows; without this, the first cell would pay for that.
    """
    pattern = plan.patterns[0]
    threads = pattern.depth * len(context.topology.mirrors)
    seconds = max(0.5, plan.measured_seconds / 2)
    _prime(context, f"/dev/{STRIPE}", "sequential", pattern.request_bytes, threads, seconds)


def prime_mirror(context: Context, path: str) -> None:
    """Reads a new mirror here and there without recording it, as any mirror in use has been read.

    md's RAID-1 does not move a sequential reader from a leg that has only been read in sequence since the array was
    built (seq_start in drivers/md/raid1.c). A reader that begins at the start of a new array thus stays on one leg, and
    on the next run reads from all.
    """
    _prime(context, path, "random", PRIMING_BYTES, PRIMING_THREADS, PRIMING_SECONDS)


def _prime(context: Context, path: str, pattern: str, request_bytes: int, threads: int, seconds: float) -> None:
    words = arguments([path], pattern=pattern, request_bytes=request_bytes, threads=threads, seconds=seconds)
    with context.console.under_way("run", "priming"):
        run_worker(context, context.client_name, script("client_worker"), words)


def restore_arrays(context: Context) -> None:
    """Stops temporary arrays, and assembles the mirrors and the whole stripe again."""
    stop_leftovers(context)
    assemble_mirrors(context)
    make_stripe(context)


def restore(context: Context, writes: bool) -> None:
    """Brings back the arrays, as configure left them. After an interrupt the connections are gone, and configure has to
    do it.
    """
    try:
        restore_arrays(context)
        if writes:
            list_boot_arrays(context)
    except WorkloadError as error:
        context.console.say("run", f"{STRIPE} is not assembled again ({error.what}): run configure")


def devices_of(context: Context, cell: Cell) -> Devices:
    """Returns the devices that the cell reads or writes; puts together what it needs."""
    if cell.layout == "raw":
        return Devices(context.devices_of([leg for legs in cell.legs for leg in legs]))
    if cell.copies is not None:
        mirrors, facts = build_mirrors(context, cell)
        if cell.layout == "stripe":
            return Devices([build_stripe(context, mirrors)])
        prime_mirror(context, mirrors[0])
        return Devices(mirrors, facts[0]["legs_rotational"], facts[0]["legs_optimal_io_bytes"])
    if len(cell.mirrors) == len(context.topology.mirrors) and not cell.writes:
        make_stripe(context)
        return Devices([f"/dev/{STRIPE}"])
    return Devices([build_stripe(context, [f"/dev/{name}" for name in cell.mirrors])])


def measure(context: Context, plan: Plan, cell: Cell, devices: Devices, label: str) -> CellOutcome:
    """Reads or writes the devices with the worker, as the cell defines; what was written is read back."""
    writes = plan.writes if cell.writes else None
    words = arguments(
        devices.paths,
        operation=cell.operation,
        pattern=cell.pattern.name,
        request_bytes=cell.pattern.request_bytes,
        threads=cell.threads_per_device,
        seconds=cell.seconds,
        warmup_seconds=plan.warmup_seconds,
        buffered=cell.buffered,
        overwrite=cell.writes,
        span_bytes=writes.check_bytes if writes else None,
        seed=seed_of(cell) if writes else 1,
    )
    takes = f"planned: {plan.warmup_seconds + cell.seconds:g} s"
    with context.console.under_way("run", label, takes) as progress:
        outcome = run_worker(
            context,
            context.client_name,
            script("client_worker"),
            words,
            cell=cell.name,
            on_record=lambda record: progress.update(f"{label} {rate_words(record)}"),
        )
    fault = outcome.fault(cell.operation)
    if fault is None and writes is not None and outcome.final is not None:
        fault = fault_of_writes(context, writes, cell, int(outcome.final["ops"]))
    return CellOutcome(outcome.words, fault, {"leg_read_bytes": leg_read_bytes(context, outcome)})


def leg_read_bytes(context: Context, outcome: Outcome) -> dict[str, int]:
    """Returns what the client read from each volume while the worker ran, its warm-up included."""
    volumes = {leg.iqn: leg.volume for leg in context.topology.legs}
    return {volumes[iqn]: count for iqn, count in outcome.read_bytes.items() if iqn in volumes and count}
