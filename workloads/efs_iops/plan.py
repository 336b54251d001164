"""The plan of measurements of efs-iops, and the cells that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Literal

from documents import Fault, Items, Model, Number
from workloads.errors import WorkloadError
from workloads.plan_file import PlanFile

OPERATIONS = ("write", "read")
_Words = Items("a list of write or read, each once", least=1, unique=True)
_Numbers = Items("a list of at least one whole number, each once", least=1, unique=True)
# Whole, so that every second of a cell is a whole one.
CellSeconds = Annotated[int, Number(2, 86_400, "seconds")]


@dataclass(frozen=True)
class Group(Model):
    """Cells that differ in operation, size, writers and number of clients: one for each combination. Every operation is
    at offset 0.
    """

    operations: Annotated[tuple[Literal["write", "read"], ...], _Words]
    request_bytes: Annotated[tuple[Annotated[int, Number(1, 64 << 20, "bytes")], ...], _Numbers]
    writers: Annotated[tuple[Annotated[int, Number(1, 1024)], ...], _Numbers]
    """Writers on each client: threads of one worker"""
    clients: Annotated[tuple[Annotated[int, Number(1, 8)], ...], _Numbers]
    seconds: CellSeconds | None = None
    """Seconds of each cell; absent: the plan's"""


@dataclass(frozen=True)
class SequentialGroup(Group):
    """Cells whose operations follow each other through a file."""

    span_bytes: Annotated[int, Number(1, 1 << 40, "bytes")] = field(kw_only=True)
    """Bytes of each writer's file"""

    def faults(self) -> Iterator[Fault]:
        """Checks that whole requests fill a file."""
        if any(self.span_bytes % size for size in self.request_bytes):
            yield Fault(("span_bytes",), self.span_bytes, "a multiple of every size in request_bytes")


@dataclass(frozen=True)
class Plan(PlanFile):
    """What is to be measured."""

    seconds: CellSeconds
    """Seconds of each cell of a group that has no other"""
    fixed: Annotated[tuple[Group, ...], Items("a list of tables [[fixed]]")] = ()
    sequential: Annotated[tuple[SequentialGroup, ...], Items("a list of tables [[sequential]]")] = ()

    def faults(self) -> Iterator[Fault]:
        """Checks that there is something to measure."""
        if not self.fixed and not self.sequential:
            yield Fault(("fixed",), [], "a table [[fixed]] or [[sequential]]: no cell is planned")

    @property
    def clients(self) -> int:
        """Returns the most clients that a cell has."""
        return max(count for group in (*self.fixed, *self.sequential) for count in group.clients)


@dataclass(frozen=True)
class Cell:
    """One measurement of so many seconds: `writers` on each of the first `clients` clients, a file for each."""

    name: str
    operation: str
    request_bytes: int
    writers: int
    clients: int
    span_bytes: int | None
    seconds: int

    @property
    def pattern(self) -> str:
        """The worker's."""
        return "fixed" if self.span_bytes is None else "sequential"


def cells(plan: Plan) -> list[Cell]:
    """Returns the cells of `plan`, in the order of the file; one that two groups name is measured once."""
    found: dict[str, Cell] = {}
    spans = [*((group, None) for group in plan.fixed), *((group, group.span_bytes) for group in plan.sequential)]
    for group, span_bytes in spans:
        for clients, size, operation, writers in product(
            group.clients, group.request_bytes, group.operations, group.writers
        ):
            kind = operation if span_bytes is None else f"{operation}-sequential"
            name = f"{kind}-{size}-w{writers}-i{clients}"
            seconds = group.seconds or plan.seconds
            found.setdefault(name, Cell(name, operation, size, writers, clients, span_bytes, seconds))
    return list(found.values())


def check(plan: Plan, clients: int) -> None:
    """Refuses a plan that asks for more clients than there are."""
    if plan.clients > clients:
        raise WorkloadError(
            f"plan {plan.name}: clients asks for {plan.clients}, the inventory has {clients}",
            f"give at most {clients}, or deploy more (tidemark:clients)",
        )
