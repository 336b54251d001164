"""The plan of measurements: a TOML file, read strictly, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.plan_file import Fields, fields_of, read_file

PLANS = Path(__file__).parent / "plans"
OPERATIONS = ("write", "read")
MAX_WRITERS = 1024  # threads of one worker
MAX_REQUEST_BYTES = 64 << 20
MAX_CLIENTS = 8


@dataclass(frozen=True)
class Group:
    """Cells alike but for operation, size, writers and number of clients: one for each combination.

    `span_bytes` is the length of each writer's file in sequential cells, None where every operation is at offset 0;
    `seconds` is of each cell, None where that is the plan's.
    """

    operations: tuple[str, ...]
    request_bytes: tuple[int, ...]
    writers: tuple[int, ...]
    clients: tuple[int, ...]
    span_bytes: int | None
    seconds: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be measured. `seconds` is of each cell of a group that says nothing else."""

    name: str
    seconds: int
    groups: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)

    @property
    def clients(self) -> int:
        """The most clients that a cell has."""
        return max(count for group in self.groups for count in group.clients)


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
    """The cells of `plan`, in the order of the file; one that two groups name is measured once."""
    found: dict[str, Cell] = {}
    for group in plan.groups:
        for clients, size, operation, writers in product(
            group.clients, group.request_bytes, group.operations, group.writers
        ):
            kind = operation if group.span_bytes is None else f"{operation}-sequential"
            name = f"{kind}-{size}-w{writers}-i{clients}"
            seconds = group.seconds or plan.seconds
            found.setdefault(name, Cell(name, operation, size, writers, clients, group.span_bytes, seconds))
    return list(found.values())


def load(which: str | None) -> Plan:
    """The plan called `which` (short when None), or the one in the file of that path."""
    return read(*read_file(which, PLANS))


def read(text: str, source: str) -> Plan:
    """The plan in `text`; a missing, unknown or malformed field is named."""
    fields = fields_of(text, source)
    plan = Plan(
        name=fields.text("name"),
        seconds=_seconds(fields),
        groups=(
            *(_group(each, sequential=False) for each in fields.tables("fixed", empty=True)),
            *(_group(each, sequential=True) for each in fields.tables("sequential", empty=True)),
        ),
    )
    fields.refuse_unknown()
    if not plan.groups:
        raise WorkloadError(f"{source}: no cell is planned", "give a table [[fixed]] or [[sequential]]")
    return plan


def check(plan: Plan, clients: int) -> None:
    """Refuses a plan that asks for more clients than there are."""
    if plan.clients > clients:
        raise WorkloadError(
            f"plan {plan.name}: clients asks for {plan.clients}, the inventory has {clients}",
            f"give at most {clients}, or deploy more (tidemark:clients)",
        )


def _seconds(fields: Fields) -> int:
    """Whole, so that every second of a cell is a whole one."""
    return fields.integer("seconds", 2, 86_400)


def _group(fields: Fields, *, sequential: bool) -> Group:
    group = Group(
        operations=tuple(fields.words("operations", OPERATIONS)),
        request_bytes=tuple(fields.integers("request_bytes", 1, MAX_REQUEST_BYTES)),
        writers=tuple(fields.integers("writers", 1, MAX_WRITERS)),
        clients=tuple(fields.integers("clients", 1, MAX_CLIENTS)),
        span_bytes=fields.integer("span_bytes", 1, 1 << 40) if sequential else None,
        seconds=_seconds(fields) if fields.has("seconds") else None,
    )
    for name in ("request_bytes", "writers", "clients"):
        if not getattr(group, name):
            fields.refuse(name, [], "a list of at least one number")
    if group.span_bytes is not None and group.span_bytes % max(group.request_bytes):
        fields.refuse("span_bytes", group.span_bytes, "a multiple of every size in request_bytes")
    return group
