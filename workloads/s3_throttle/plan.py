"""The plan of measurements of s3-throttle, and the cells that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from documents import Fault, Items, Model, Number, renamed
from workloads.plan_file import PlanFile
from workloads.s3_throttle.uploader.steady import LEAST_CYCLES, START_CYCLES, START_S

FREE = "free"
DUTY_CYCLE = "duty-cycle"
CLOSED_LOOP = "closed-loop"
MAX_BANDWIDTH = "max-bandwidth"
TC = "tc"
METHODS = (FREE, DUTY_CYCLE, CLOSED_LOOP, MAX_BANDWIDTH, TC)

# Of a target to the free rate. Below 0.01 one burst would move all of a cell; above 0.99 nothing is held back.
Ratio = Annotated[float, Number(0.01, 0.99)]
Ratios = Annotated[tuple[Ratio, ...], Items("a list of numbers from 0.01 to 0.99, each once", unique=True)]
# The throttle takes pauses of 10 s at most: S3 hangs up after 20 (workloads/throttle/settings.py).
STOP = Number(0.01, 10, "seconds")
# Below 4096 a socket could not hold one segment of a large MTU.
SendBuffer = Annotated[int | None, Number(4096, 1 << 30, "bytes")]


@dataclass(frozen=True)
class Cycle(Model):
    """The original's two times, which repeat."""

    stop_s: Annotated[float, STOP]
    """Seconds for which the process is stopped; S3 hangs up after 20"""
    run_s: Annotated[float, Number(0.01, 86400, "seconds")]
    """Seconds for which it runs"""
    send_buffer_bytes: SendBuffer = None
    """Limit of a socket's send buffer, in bytes; absent: the system's own"""

    @property
    def ratio(self) -> float:
        """Returns the part of the time in which the process runs."""
        return self.run_s / (self.run_s + self.stop_s)


@dataclass(frozen=True)
class Plan(PlanFile):
    """What is to be measured. Each cell lasts until the mean of its steady part is known to `precision`. The first sync
    is free; the other cells' ratios are of their targets to the rate that it shows.
    """

    seconds: Annotated[float, Number(2, 86400, "seconds")]
    """Shortest steady part of a cell, in seconds; it has twenty cycles at least, too"""
    most_seconds: Annotated[float, Number(2, 86400, "seconds")]
    """Seconds after its first byte at which a cell ends at the latest"""
    precision: Annotated[float, Number(0.001, 0.5)]
    """How well the mean must be known, as a ratio to it"""
    # From 8 MiB on the AWS CLI uploads an object in parts (multipart_threshold).
    object_bytes: Annotated[int, Number(65_536, 8 << 20, "bytes")]
    probe_bytes: Annotated[int, Number(1 << 20, 1 << 40, "bytes")]
    """Bytes that the first sync moves, when no rate is known yet"""
    closed_loop: Ratios
    max_bandwidth: Ratios
    tc: Ratios
    closed_loop_send_buffer_bytes: SendBuffer = None
    """Limit of a socket's send buffer in the closed loop's cells, in bytes; absent: the system's own"""
    duty_cycles: Annotated[tuple[Cycle, ...], Items("a list of tables [[duty_cycle]]")] = ()

    __pydantic_config__ = renamed(duty_cycles="duty_cycle")

    def faults(self) -> Iterator[Fault]:
        """Checks that the amounts fit, that every cell has time, and that no two cells are alike."""
        if self.probe_bytes % self.object_bytes:
            yield Fault(("probe_bytes",), self.probe_bytes, "a multiple of object_bytes")
        planned = cells(self)
        longest = max(planned, key=lambda cell: least_seconds(self, cell))
        if (least := least_seconds(self, longest)) > self.most_seconds:
            yield Fault(("most_seconds",), self.most_seconds, f"{least:g} at least, as {longest.name} takes them")
        twice = [name for name, count in Counter(cell.name for cell in planned).items() if count > 1]
        if twice:
            yield Fault(("duty_cycle",), twice, "cells that differ")


@dataclass(frozen=True)
class Cell:
    """One sync. `ratio` is of its target to the free rate, `cycle` the two times of a duty cycle, `send_buffer_bytes`
    the limit of a socket's send buffer.
    """

    name: str
    method: str
    ratio: float
    cycle: Cycle | None = None
    send_buffer_bytes: int | None = None


def cells(plan: Plan) -> list[Cell]:
    """Returns the cells of `plan`: free first, since it tells the free rate, and again at the end, for what drifted."""
    found = [Cell("free", FREE, 1.0)]
    for cycle in plan.duty_cycles:
        name = f"{DUTY_CYCLE}-{cycle.stop_s:g}-{cycle.run_s:g}{_buffer_in_name(cycle.send_buffer_bytes)}"
        found.append(Cell(name, DUTY_CYCLE, cycle.ratio, cycle, cycle.send_buffer_bytes))
    buffer = plan.closed_loop_send_buffer_bytes
    for ratio in plan.closed_loop:
        name = f"{CLOSED_LOOP}-{ratio:g}{_buffer_in_name(buffer)}"
        found.append(Cell(name, CLOSED_LOOP, ratio, send_buffer_bytes=buffer))
    for method, ratios in ((MAX_BANDWIDTH, plan.max_bandwidth), (TC, plan.tc)):
        found += [Cell(f"{method}-{ratio:g}", method, ratio) for ratio in ratios]
    return [*found, Cell("free-again", FREE, 1.0)]


def _buffer_in_name(send_buffer_bytes: int | None) -> str:
    return "" if send_buffer_bytes is None else f"-wmem-{send_buffer_bytes}"


def least_seconds(plan: Plan, cell: Cell) -> float:
    """Returns how long a cell transfers at least, its start included."""
    cycle_s = 0.0 if cell.cycle is None else cell.cycle.stop_s + cell.cycle.run_s
    return max(plan.seconds, LEAST_CYCLES * cycle_s) + max(START_S, START_CYCLES * cycle_s)


load, read = Plan.load, Plan.read
