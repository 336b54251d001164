"""The plan of measurements of iscsi-tunnel, and the cells that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from documents import Fault, Items, Model, Number, renamed
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS
from workloads.plan_file import PlanFile

PATHS = ("tunnel", "direct")
OPERATIONS = ("read", "write")
MIB = 1 << 20


@dataclass(frozen=True)
class Pattern(Model):
    """How requests follow each other: a stream, many at once anywhere, or one by one anywhere (the latency of a single
    reader).
    """

    name: Literal["sequential", "random", "single"]
    request_bytes: Annotated[int, Number(4096, 64 * MIB, "bytes", multiple_of=4096)]
    depth: Annotated[int, Number(1, 1024)]
    """Requests in flight"""

    def faults(self) -> Iterator[Fault]:
        """Checks that a single request is one."""
        if self.name == "single" and self.depth != 1:
            yield Fault(("depth",), self.depth, "1 where the pattern is single")

    @property
    def order(self) -> str:
        """Returns the worker's word for it."""
        return "sequential" if self.name == "sequential" else "random"


@dataclass(frozen=True)
class Plan(PlanFile):
    """What is to be measured."""

    warmup_seconds: Annotated[float, Number(0, 86400, "seconds")]
    """Seconds of each cell before those that count"""
    measured_seconds: Annotated[float, Number(1, 86400, "seconds")]
    """Seconds of each cell that count"""
    ssh_seconds: Annotated[int, Number(1, 3600, "seconds")]
    """Seconds for which ssh alone is measured, each way"""
    written_bytes: Annotated[int, Number(MIB, 1 << 40, "bytes", multiple_of=MIB)]
    """Bytes at the disk's beginning that cells write to"""
    # Beyond the limit the disk fails, as it should: another question.
    cut_seconds: Annotated[int, Number(1, LIMIT_SECONDS // 2, "seconds")]
    """Seconds for which the path to the server is cut while the disk is read"""
    patterns: Annotated[tuple[Pattern, ...], Items("a list of at least one table [[pattern]]", least=1)]

    __pydantic_config__ = renamed(patterns="pattern")

    def faults(self) -> Iterator[Fault]:
        """Checks that whole requests fill the written part."""
        if any(self.written_bytes % pattern.request_bytes for pattern in self.patterns):
            yield Fault(("written_bytes",), self.written_bytes, "a multiple of every request_bytes")


@dataclass(frozen=True)
class Cell:
    """One measurement of the disk: by which path, doing what."""

    path: str
    operation: str
    pattern: Pattern

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"{self.path}-{self.operation}-{self.pattern.name}"


def cells_of(plan: Plan, path: str, *, writes: bool) -> list[Cell]:
    """Returns the cells of one path, without those that write if the disk must not be written to."""
    operations = OPERATIONS if writes else OPERATIONS[:1]
    return [Cell(path, operation, pattern) for operation in operations for pattern in plan.patterns]
