"""Checks what write cells wrote: each server's legs alone must hold it."""

from __future__ import annotations

import zlib

from workloads.md_raid.context import Context
from workloads.md_raid.plan import Cell, Writes
from workloads.md_raid.settings import CHUNK_KIB, STRIPE

CHECK_TIMEOUT_S = 3600
# n random writes to n blocks reach 63 % of them (1 - 1/e), fewer writes a greater part; the margin is chance's.
REACHED_RATIO_MIN = 0.6


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
    faults = []
    found: dict[str, str] = {}
    for number, server in enumerate(context.topology.servers):
        facts = _read(context, writes, cell, number)
        found[server.name] = str(facts["sha256"])
        written = int(str(facts["written_blocks"]))
        # A sequential cell has written the first blocks, as many as operations ended, or all of them.
        least = min(blocks, operations)
        if cell.pattern.name == "random":
            least = int(REACHED_RATIO_MIN * least)
        matched = written >= least
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
                "matched": matched,
            },
        )
        if not matched:
            faults.append(f"{server.name} holds {written} of at least {least} blocks that were written")
    if len(set(found.values())) > 1:
        faults.append(f"the legs of {', '.join(found)} differ")
    return "; ".join(faults) or None


def _read(context: Context, writes: Writes, cell: Cell, server: int) -> dict[str, object]:
    """Reads the stripe's beginning from the legs of one server alone."""
    mirrors = [mirror for mirror in context.topology.mirrors if mirror.name in cell.mirrors]
    disks = context.devices_of([mirror.legs[server] for mirror in mirrors])
    legs = [f"{mirror.name}={disk}" for mirror, disk in zip(mirrors, disks, strict=True)]
    words = [CHUNK_KIB << 10, writes.check_bytes, cell.pattern.request_bytes, cell.threads_per_device, seed_of(cell)]
    result = context.on_client("client_check_writes", [*map(str, words), *legs], CHECK_TIMEOUT_S)
    return result.facts[0]
