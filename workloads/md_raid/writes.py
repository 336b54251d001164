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


class WriteCheck:
    """The check of one write cell. Its `seed` makes data that no other cell writes."""

    def __init__(self, context: Context, writes: Writes, cell: Cell) -> None:
        self.span_bytes = writes.check_bytes
        self.seed = zlib.crc32(cell.name.encode())
        self._context = context
        self._cell = cell

    def fault_after(self, operations: int) -> str | None:
        """Reads each server's legs after the cell, compares them with what the worker wrote, and records the outcome.

        Returns what is wrong, or None.
        """
        cell, blocks = self._cell, self.span_bytes // self._cell.pattern.request_bytes
        faults = []
        found: dict[str, str] = {}
        for number, server in enumerate(self._context.topology.servers):
            facts = self._read(number)
            found[server.name] = str(facts["sha256"])
            written = int(str(facts["written_blocks"]))
            # A sequential cell has written the first blocks, as many as operations ended, or all of them.
            least = min(blocks, operations)
            if cell.pattern.name == "random":
                least = int(REACHED_RATIO_MIN * least)
            matched = written >= least
            self._context.results.append(
                "writes",
                {
                    "cell": cell.name,
                    "server": server.name,
                    "bytes": self.span_bytes,
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

    def _read(self, server: int) -> dict[str, object]:
        """Reads the stripe's beginning from the legs of one server alone."""
        mirrors = [mirror for mirror in self._context.topology.mirrors if mirror.name in self._cell.mirrors]
        disks = self._context.devices_of([mirror.legs[server] for mirror in mirrors])
        legs = [f"{mirror.name}={disk}" for mirror, disk in zip(mirrors, disks, strict=True)]
        cell = self._cell
        words = [CHUNK_KIB << 10, self.span_bytes, cell.pattern.request_bytes, cell.threads_per_device, self.seed]
        result = self._context.on_client("client_check_writes", [*map(str, words), *legs], CHECK_TIMEOUT_S)
        return result.facts[0]
