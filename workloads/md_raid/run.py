"""Measures the plan's cells, one after the other, on the client, and reads back what they write from each server."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from functools import partial
from itertools import groupby
from typing import Any

from workloads.cells import CellOutcome, CellRun
from workloads.errors import WorkloadError
from workloads.md_raid.arrays import (
    CHUNK_KIB,
    assemble_mirrors,
    build_mirrors,
    build_stripe,
    make_stripe,
    stop_leftovers,
)
from workloads.md_raid.configure import list_boot_arrays
from workloads.md_raid.context import SAMPLE_SECONDS, Context, sampling, script
from workloads.md_raid.plan import Cell, Plan, Writes, cells
from workloads.md_raid.topology import STRIPE
from workloads.worker import arguments, bring_worker, rate_words, run_worker

# Cells shorter than this are sampled more often, since each end of a cell is known to a sample.
SHORT_CELL_SECONDS = 10.0
SAMPLE_SECONDS_SHORT = 0.25
FIRST_SAMPLE_S = 30.0
# Reads of a new mirror that are not recorded: enough for some of each leg at 100 operations a second.
PRIMING_SECONDS, PRIMING_THREADS, PRIMING_BYTES = 0.3, 16, 4096
CHECK_TIMEOUT_S = 3600
# n random writes to n blocks reach 63 % of them (1 - 1/e), fewer writes a greater part; the margin is chance's.
REACHED_RATIO_MIN = 0.6


Legs = Mapping[str, Any]
"""What the kernel says of the legs of a single temporary mirror; empty for other devices."""


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
            cleared = False
            for (writes, _), same in groupby(planned, key=lambda cell: (cell.writes, cell.device_set)):
                if writes and not cleared:
                    restore_arrays(context)
                    clear_stripe(context)
                    cleared = True
                first, *others = same
                devices, legs = devices_of(context, first)
                for cell in (first, *others):
                    measure_one = partial(measure, context, plan, cell, devices, measuring.label(cell.name))
                    measuring.measure_cell(record_of(cell, devices, legs), measure_one)
    finally:
        restore(context, plan.writes is not None)
    measuring.finish()
    measuring.raise_incomplete("run configure, then run again", context.client_name)


def record_of(cell: Cell, devices: list[str], legs: Legs) -> dict[str, Any]:
    """Returns what is recorded of a cell, before it is measured."""
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
        "devices": devices,
        "legs_rotational": legs.get("legs_rotational"),
        "legs_optimal_io_bytes": legs.get("legs_optimal_io_bytes"),
        "volumes": [leg.volume for mirror in cell.legs for leg in mirror],
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


def devices_of(context: Context, cell: Cell) -> tuple[list[str], Legs]:
    """Returns the devices that the cell reads or writes; puts together what it needs."""
    if cell.layout == "raw":
        return context.devices_of([leg for legs in cell.legs for leg in legs]), {}
    if cell.copies is not None:
        mirrors, facts = build_mirrors(context, cell)
        if cell.layout == "stripe":
            return [build_stripe(context, mirrors)], {}
        prime_mirror(context, mirrors[0])
        return mirrors, facts[0]
    assembled = context.topology.mirrors
    if cell.volumes == len(assembled) and not cell.writes:
        make_stripe(context)
        return [f"/dev/{STRIPE}"], {}
    return [build_stripe(context, [f"/dev/{mirror.name}" for mirror in assembled[: cell.volumes]])], {}


def measure(context: Context, plan: Plan, cell: Cell, devices: list[str], label: str) -> CellOutcome:
    """Reads or writes the devices with the worker, as the cell defines; what was written is read back."""
    writes = plan.writes if cell.writes else None
    words = arguments(
        devices,
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
    volumes = {leg.iqn: leg.volume for leg in context.topology.legs}
    # What the client read from each volume while the worker ran, its warm-up included.
    read = {volumes[iqn]: count for iqn, count in outcome.read_bytes.items() if iqn in volumes and count}
    return CellOutcome(outcome.words, fault, {"leg_read_bytes": read})


def clear_stripe(context: Context) -> None:
    """Stops the whole stripe and clears its label from the mirrors, whose data are to be overwritten.

    `make_stripe` then creates it anew, also after an interrupt.
    """
    context.on_client("client_stop", [STRIPE])
    context.on_client("client_unlabel", [f"/dev/{mirror.name}" for mirror in context.topology.mirrors])


def seed_of(cell: Cell) -> int:
    """Returns a seed that makes data which no other cell writes."""
    return zlib.crc32(cell.name.encode())


def fault_of_writes(context: Context, writes: Writes, cell: Cell, operations: int) -> str | None:
    """Reads each server's legs after a write cell, compares them with what the worker wrote, and records the outcome.

    Returns what is wrong, or None.
    """
    blocks = writes.check_bytes // cell.pattern.request_bytes
    # A sequential cell has written the first blocks, as many as operations ended, or all of them.
    least = min(blocks, operations)
    if cell.pattern.name == "random":
        least = int(REACHED_RATIO_MIN * least)
    faults = []
    found: dict[str, object] = {}
    for number, server in enumerate(context.topology.servers):
        facts = _read_back(context, writes, cell, number)
        found[server.name] = facts["sha256"]
        written = int(facts["written_blocks"])
        context.results.append(
            "writes",
            {
                "cell": cell.name,
                "server": server.name,
                "bytes": writes.check_bytes,
                "sha256": facts["sha256"],
                "blocks": blocks,
                "written_blocks": written,
                "expected_blocks_min": least,
                "matched": written >= least,
            },
        )
        if written < least:
            faults.append(f"{server.name} holds {written} of at least {least} blocks that were written")
    if len(set(found.values())) > 1:
        faults.append(f"the legs of {', '.join(found)} differ")
    return "; ".join(faults) or None


def _read_back(context: Context, writes: Writes, cell: Cell, server: int) -> dict[str, Any]:
    """Reads the stripe's beginning from the legs of one server alone."""
    mirrors = context.topology.mirrors[: cell.volumes]
    disks = context.devices_of([mirror.legs[server] for mirror in mirrors])
    legs = [f"{mirror.name}={disk}" for mirror, disk in zip(mirrors, disks, strict=True)]
    words = [CHUNK_KIB << 10, writes.check_bytes, cell.pattern.request_bytes, cell.threads_per_device, seed_of(cell)]
    return context.on_client("client_check_writes", [*map(str, words), *legs], CHECK_TIMEOUT_S).facts[0]
