"""The plan of measurements of md-raid, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from documents import Items, Model, Number, renamed
from workloads.errors import WorkloadError
from workloads.md_raid.topology import Topology
from workloads.plan_file import PlanFile, Seconds

PatternName = Literal["sequential", "random"]
Layout = Literal["stripe", "mirror", "raw"]
MIB = 1 << 20
RequestBytes = Annotated[int, Number(4096, 64 * MIB, "bytes", multiple_of=4096)]
Depth = Annotated[int, Number(1, 1024)]


@dataclass(frozen=True)
class Pattern(Model):
    """How a cell reads."""

    name: PatternName
    request_bytes: RequestBytes
    depth: Depth
    """Requests in flight, over all the cell's devices together"""


@dataclass(frozen=True)
class Raw(Model):
    """Disks read in parallel, `disks` from each of the first `servers` servers."""

    servers: Annotated[int, Number(1, 3)]
    disks: Annotated[int, Number(1, 90)]
    """Disks of each server"""


@dataclass(frozen=True)
class Drill(Model):
    """The failure drill: servers are killed while the stripe is read."""

    data_bytes: Annotated[int, Number(MIB, 1 << 36, "bytes", multiple_of=MIB)]
    """Bytes that are written before, and once more while servers are away"""
    steady_seconds: Seconds
    """Seconds of reads before the first server is killed"""
    kill_seconds: Seconds
    """Longest wait, in seconds, for a killed server to be missed"""
    after_seconds: Seconds
    """Seconds of reads after the mirrors went on without it"""
    pattern: PatternName
    request_bytes: RequestBytes
    depth: Depth
    """Requests in flight"""
    check_bytes: Annotated[int, Number(MIB, 1 << 40, "bytes", multiple_of=MIB)]
    """Bytes of each mirror, from its start, that are compared leg by leg after the rebuild"""


@dataclass(frozen=True)
class Plan(PlanFile):
    """What is to be measured."""

    measured_seconds: Seconds
    """Seconds of each cell that count"""
    warmup_seconds: Annotated[float, Number(0, 86400, "seconds")]
    """Seconds of each cell before those"""
    stripes: Annotated[
        tuple[Annotated[int, Number(1, 90)], ...], Items("a list of whole numbers, each once", unique=True)
    ]
    """Mirrors under each stripe that is measured"""
    mirrors: Annotated[int, Number(0, 90)]
    """Mirrors measured alone"""
    patterns: Annotated[
        tuple[Pattern, ...], Items("a list of at least one table [[pattern]]", least=1, unique=["name"])
    ]
    drill: Drill
    raw: Annotated[tuple[Raw, ...], Items("a list of tables [[raw]]")] = ()
    """Disks read raw and in parallel"""

    __pydantic_config__ = renamed(patterns="pattern")


@dataclass(frozen=True)
class Cell:
    """One measurement. `mirrors` names the arrays under the stripe; `volumes` the (server, volume) read
    raw.
    """

    name: str
    layout: Layout
    pattern: Pattern
    servers: int
    disks: int
    mirrors: tuple[str, ...]
    iqns: tuple[str, ...]

    @property
    def device_set(self) -> tuple[Layout, tuple[str, ...], tuple[str, ...]]:
        """What the devices are; cells that agree in it read the same ones."""
        return self.layout, self.mirrors, self.iqns

    @property
    def devices(self) -> int:
        """How many devices the worker reads."""
        return len(self.iqns) if self.layout == "raw" else 1

    @property
    def threads_per_device(self) -> int:
        """The worker's threads on each device: the pattern's depth shared out, at least one each."""
        return max(1, round(self.pattern.depth / self.devices))

    @property
    def depth(self) -> int:
        """Requests in flight, all devices together."""
        return self.threads_per_device * self.devices


def cells(plan: Plan, topology: Topology) -> list[Cell]:
    """The cells of `plan` in the order in which they are measured: every pattern of one set of devices, then the next.

    So each stripe is put together once. The whole one comes first, because smaller ones need it stopped.
    """
    legs = len(topology.servers)
    sets: list[tuple[str, Layout, int, int, tuple[str, ...], tuple[str, ...]]] = []
    names = [mirror.name for mirror in topology.mirrors]
    for count in sorted(plan.stripes, reverse=True):
        sets += [(f"stripe-{count}", "stripe", legs, legs * count, tuple(names[:count]), ())]
    for name in names[: plan.mirrors]:
        sets += [(f"mirror-{name.removeprefix('md')}", "mirror", legs, legs, (name,), ())]
    for raw in plan.raw:
        iqns = tuple(
            mirror.legs[server].iqn for mirror in topology.mirrors[: raw.disks] for server in range(raw.servers)
        )
        sets += [(f"raw-{raw.servers}x{raw.disks}", "raw", raw.servers, raw.servers * raw.disks, (), iqns)]
    return [
        Cell(f"{name}-{pattern.name}", layout, pattern, servers, disks, mirrors, iqns)
        for name, layout, servers, disks, mirrors, iqns in sets
        for pattern in plan.patterns
    ]


def check(plan: Plan, topology: Topology) -> None:
    """Refuses a plan that asks for more than there is."""
    available = len(topology.mirrors)
    wanted = {
        "stripes": max(plan.stripes, default=0),
        "mirrors": plan.mirrors,
        "raw.disks": max((raw.disks for raw in plan.raw), default=0),
    }
    for field, count in wanted.items():
        if count > available:
            raise WorkloadError(
                f"plan {plan.name}: {field} asks for {count}, there are {available} mirrors",
                f"give at most {available}, or deploy more volumes (tidemark:volumesPerServer)",
            )


load, read = Plan.load, Plan.read
