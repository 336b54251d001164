"""The plan of measurements of md-raid, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from documents import Items, Model, Number, renamed
from workloads.errors import WorkloadError
from workloads.md_raid.topology import SERVERS_MAX, Leg, Topology
from workloads.plan_file import PlanFile, Seconds

PatternName = Literal["sequential", "random"]
LayoutName = Literal["raid1", "raid1-rotational", "near", "far", "offset"]
Load = Literal["sequential-one", "sequential-many", "random-one", "random-many"]
Layout = Literal["stripe", "mirror", "raw"]
MIB = 1 << 20
RequestBytes = Annotated[int, Number(4096, 64 * MIB, "bytes", multiple_of=4096)]
Depth = Annotated[int, Number(1, 1024)]
LAYOUT_NAMES = {"near": "n", "far": "f", "offset": "o"}
"""md's own names of RAID-10's layouts, without the number of copies (md(4), mdadm(8) --layout)."""
VOLUMES_MAX = 90
THREADS_MAX = 1024
"""Of the worker, for each file."""

Numbers = Items("a list of whole numbers, each once", unique=True)
Volumes = Annotated[tuple[Annotated[int, Number(1, VOLUMES_MAX)], ...], Numbers]
Servers = Annotated[tuple[Annotated[int, Number(1, SERVERS_MAX)], ...], Numbers]


@dataclass(frozen=True)
class Pattern(Model):
    """How a cell reads, and what it reads. A single volume is always read raw, for comparison."""

    name: PatternName
    request_bytes: RequestBytes
    depth: Depth
    """Requests in flight for each volume that the cell reads"""
    raw_volumes: Volumes = ()
    """Volumes of each server that are read in parallel without md, of all servers"""
    raw_servers: Servers = ()
    """Numbers of servers whose volumes are read in parallel without md, the largest number of raw_volumes on each.
    Numbers above the stack's servers are left out"""
    stripe_mirrors: Volumes = ()
    """Mirrors under a stripe, each with a leg on every server"""
    stripe_servers: Servers = ()
    """Numbers of servers under a stripe, whose mirrors are the largest number of stripe_mirrors.
    Numbers above the stack's servers are left out"""


@dataclass(frozen=True)
class Layouts(Model):
    """One mirror with a leg on every server, read in different layouts of its copies."""

    names: Annotated[tuple[LayoutName, ...], Items("a list of layouts, each once", least=1, unique=True)]
    """In a raid1-rotational md takes the legs for rotating disks, whatever they are"""
    loads: Annotated[tuple[Load, ...], Items("a list of loads, each once", least=1, unique=True)]
    """A sequential one is a single reader through the page cache, as a file system reads; a random one has one read in
    flight. Many have the pattern's depth for each leg, past the page cache"""
    measured_seconds: Seconds
    """Seconds of each of these cells that count"""


@dataclass(frozen=True)
class Writes(Model):
    """Writes to stripes over mirrors, and what is read back from each server afterwards. It destroys what the stripe
    holds, and makes the stripe anew.
    """

    mirrors: Volumes
    """Mirrors under each stripe that is written to"""
    check_bytes: Annotated[int, Number(MIB, 1 << 36, "bytes", multiple_of=MIB)]
    """Bytes from each stripe's start that are written to, and read back from each server's legs alone"""


@dataclass(frozen=True)
class Drill(Model):
    """The failure drill: all servers but one are killed while the stripe is read."""

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
    patterns: Annotated[
        tuple[Pattern, ...], Items("a list of at least one table [[pattern]]", least=1, unique=["name"])
    ]
    drill: Drill
    layouts: Layouts | None = None
    writes: Writes | None = None

    __pydantic_config__ = renamed(patterns="pattern")


@dataclass(frozen=True)
class Cell:
    """One measurement of volumes, which are the `legs`, mirror by mirror.

    A raw cell reads them without md. Any other lies over the assembled mirrors of these legs, or, with `copies`, over
    temporary ones in that layout.
    """

    name: str
    layout: Layout
    pattern: Pattern
    legs: tuple[tuple[Leg, ...], ...]
    seconds: float
    copies: str | None = None
    buffered: bool = False
    one_reader: bool = False
    writes: bool = False

    @property
    def device_set(self) -> tuple[object, ...]:
        """What the devices are; cells that agree in it read the same ones."""
        return self.layout, self.legs, self.copies

    @property
    def servers(self) -> int:
        """Of how many servers it reads."""
        return len(self.legs[0])

    @property
    def volumes(self) -> int:
        """How many volumes of each server it reads."""
        return len(self.legs)

    @property
    def disks(self) -> int:
        """How many volumes it reads."""
        return self.servers * self.volumes

    @property
    def devices(self) -> int:
        """How many devices the worker reads."""
        return self.disks if self.layout == "raw" else 1

    @property
    def threads_per_device(self) -> int:
        """The worker's threads on each device."""
        if self.one_reader:
            return 1
        return min(THREADS_MAX, self.pattern.depth * self.disks // self.devices)

    @property
    def depth(self) -> int:
        """Requests in flight, all devices together."""
        return self.threads_per_device * self.devices

    @property
    def operation(self) -> str:
        """The worker's operation."""
        return "write" if self.writes else "read"


def cells(plan: Plan, topology: Topology) -> list[Cell]:
    """Returns the cells of `plan` as they are measured: every pattern of one set of devices, then the next.

    So each stripe is put together once. The whole one comes first, because smaller ones need it stopped; sets of
    temporary mirrors come after all that read the assembled ones, and writes at the end.
    """
    every = len(topology.servers)
    counts = {count for pattern in plan.patterns for count in pattern.stripe_mirrors}
    return [
        *(
            _stripe(plan, topology, pattern, every, count)
            for count in sorted(counts, reverse=True)
            for pattern in plan.patterns
            if count in pattern.stripe_mirrors
        ),
        *_raw(plan, topology),
        *(
            _stripe(plan, topology, pattern, servers, max(pattern.stripe_mirrors))
            for servers in range(every - 1, 0, -1)
            for pattern in plan.patterns
            if servers in pattern.stripe_servers and pattern.stripe_mirrors
        ),
        *_layouts(plan, topology),
        *(
            _stripe(plan, topology, pattern, every, count, writes=True)
            for count in sorted(plan.writes.mirrors if plan.writes else ())
            for pattern in plan.patterns
        ),
    ]


def _stripe(
    plan: Plan, topology: Topology, pattern: Pattern, servers: int, mirrors: int, *, writes: bool = False
) -> Cell:
    """Returns a cell of the stripe over the first mirrors: over the assembled ones if it has legs of every server."""
    copies = None
    if servers < len(topology.servers):
        # A mirror of one leg is a RAID-1: the offset layout takes two at least.
        copies = layout_name("offset" if servers > 1 else "raid1", servers)
    name = f"{'write' if writes else 'stripe'}-{servers}x{mirrors}-{pattern.name}"
    legs = topology.first_legs(servers, mirrors)
    return Cell(name, "stripe", pattern, legs, plan.measured_seconds, copies, writes=writes)


def _raw(plan: Plan, topology: Topology) -> list[Cell]:
    every = len(topology.servers)
    wanted: dict[str, set[tuple[int, int]]] = {}
    for pattern in plan.patterns:
        most = max(pattern.raw_volumes, default=1)
        wanted[pattern.name] = {(1, 1), *((every, volumes) for volumes in pattern.raw_volumes)}
        wanted[pattern.name] |= {(servers, most) for servers in pattern.raw_servers if servers <= every}
    return [
        Cell(
            f"raw-{servers}x{volumes}-{pattern.name}",
            "raw",
            pattern,
            topology.first_legs(servers, volumes),
            plan.measured_seconds,
        )
        for servers, volumes in sorted(set().union(*wanted.values()))
        for pattern in plan.patterns
        if (servers, volumes) in wanted[pattern.name]
    ]


def _layouts(plan: Plan, topology: Topology) -> list[Cell]:
    if plan.layouts is None:
        return []
    legs = topology.mirrors[0].legs
    patterns: dict[str, Pattern] = {pattern.name: pattern for pattern in plan.patterns}
    return [
        Cell(
            f"layout-{copies}-{load}",
            "mirror",
            patterns[name],
            (legs,),
            plan.layouts.measured_seconds,
            copies,
            buffered=load == "sequential-one",
            one_reader=load.endswith("-one"),
        )
        for copies in (layout_name(layout, len(legs)) for layout in plan.layouts.names)
        for load in plan.layouts.loads
        if (name := load.partition("-")[0]) in patterns
    ]


def layout_name(layout: LayoutName, copies: int) -> str:
    """Returns md's name of a layout with so many copies: o3, and raid1, which is a level of its own."""
    return f"{LAYOUT_NAMES[layout]}{copies}" if layout in LAYOUT_NAMES else layout


def check(plan: Plan, topology: Topology) -> None:
    """Refuses a plan that asks for more than there is."""
    available = len(topology.mirrors)
    wanted = {
        f"pattern.{field}": max((max(getattr(pattern, field), default=0) for pattern in plan.patterns), default=0)
        for field in ("raw_volumes", "stripe_mirrors")
    }
    wanted["writes.mirrors"] = max(plan.writes.mirrors, default=0) if plan.writes else 0
    for field, count in wanted.items():
        if count > available:
            raise WorkloadError(
                f"plan {plan.name}: {field} asks for {count}, there are {available} mirrors",
                f"give at most {available}, or deploy more volumes (tidemark:volumesPerServer)",
            )
