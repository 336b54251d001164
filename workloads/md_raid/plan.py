"""The plan of measurements: a TOML file, read strictly, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from workloads.errors import WorkloadError
from workloads.md_raid.topology import Topology
from workloads.plan_file import Fields, fields_of, read_file

PLANS = Path(__file__).parent / "plans"

PatternName = Literal["sequential", "random"]
Layout = Literal["stripe", "mirror", "raw"]
BLOCK_BYTES = 4096
MAX_DEPTH = 1024


@dataclass(frozen=True)
class Pattern:
    """How a cell reads: `depth` requests of `request_bytes` in flight, over all its devices together."""

    name: PatternName
    request_bytes: int
    depth: int


@dataclass(frozen=True)
class Raw:
    """Disks read in parallel, `disks` from each of the first `servers` servers."""

    servers: int
    disks: int


@dataclass(frozen=True)
class Drill:
    """The failure drill."""

    data_bytes: int
    steady_seconds: float
    kill_seconds: float
    after_seconds: float
    pattern: PatternName
    request_bytes: int
    depth: int
    check_bytes: int


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    name: str
    measured_seconds: float
    warmup_seconds: float
    stripes: tuple[int, ...]
    mirrors: int
    raw: tuple[Raw, ...]
    patterns: tuple[Pattern, ...]
    drill: Drill

    def to_dict(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)


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


def load(which: str | None) -> Plan:
    """The plan called `which` (short when None), or the one in the file of that path."""
    return read(*read_file(which, PLANS))


def read(text: str, source: str) -> Plan:
    """The plan in `text`; a missing, unknown or malformed field is named."""
    fields = fields_of(text, source)
    patterns = tuple(_pattern(each) for each in fields.tables("pattern"))
    names = [pattern.name for pattern in patterns]
    if len(set(names)) != len(names):
        fields.refuse("pattern", names, "tables with different names")
    raws = tuple(
        Raw(each.integer("servers", 1, 3), each.integer("disks", 1, 90)) for each in fields.tables("raw", empty=True)
    )
    drill_fields = fields.table("drill")
    drill = Drill(
        data_bytes=drill_fields.multiple("data_bytes", 1 << 20, 1 << 20, 1 << 36),
        steady_seconds=drill_fields.seconds("steady_seconds"),
        kill_seconds=drill_fields.seconds("kill_seconds"),
        after_seconds=drill_fields.seconds("after_seconds"),
        pattern=_pattern_name(drill_fields, "pattern"),
        request_bytes=drill_fields.multiple("request_bytes", BLOCK_BYTES, BLOCK_BYTES, 64 << 20),
        depth=drill_fields.integer("depth", 1, MAX_DEPTH),
        check_bytes=drill_fields.multiple("check_bytes", 1 << 20, 1 << 20, 1 << 40),
    )
    plan = Plan(
        name=fields.text("name"),
        measured_seconds=fields.seconds("measured_seconds"),
        warmup_seconds=fields.seconds("warmup_seconds", least=0.0),
        stripes=tuple(fields.integers("stripes", 1, 90)),
        mirrors=fields.integer("mirrors", 0, 90),
        raw=raws,
        patterns=patterns,
        drill=drill,
    )
    fields.refuse_unknown()
    return plan


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


def _pattern_name(fields: Fields, name: str) -> PatternName:
    word = fields.word(name, get_args(PatternName))
    return "sequential" if word == "sequential" else "random"


def _pattern(fields: Fields) -> Pattern:
    return Pattern(
        name=_pattern_name(fields, "name"),
        request_bytes=fields.multiple("request_bytes", BLOCK_BYTES, BLOCK_BYTES, 64 << 20),
        depth=fields.integer("depth", 1, MAX_DEPTH),
    )
