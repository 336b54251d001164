"""The plan of measurements: a TOML file, read strictly, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.plan_file import Fields, fields_of, read_file
from workloads.s3_throttle.uploader.steady import LEAST_CYCLES, START_CYCLES, START_S

PLANS = Path(__file__).parent / "plans"
PLANS = Path(__file__).parent / "plans"
FREE = "free"
DUTY_CYCLE = "duty-cycle"
CLOSED_LOOP = "closed-loop"
MAX_BANDWIDTH = "max-bandwidth"
TC = "tc"
METHODS = (FREE, DUTY_CYCLE, CLOSED_LOOP, MAX_BANDWIDTH, TC)

# Of a target to the free rate. Below, what one burst moves would be a cell; above, nothing is held back.
LEAST_RATIO, MOST_RATIO = 0.01, 0.99


@dataclass(frozen=True)
class Cycle:
    """The original's two times, in seconds. `send_buffer_bytes` is a socket's limit, None: the system's own."""

    stop_s: float
    run_s: float
    send_buffer_bytes: int | None = None

    @property
    def ratio(self) -> float:
        """The part of the time in which the process runs."""
        return self.run_s / (self.run_s + self.stop_s)


@dataclass(frozen=True)
class Plan:
    """What is to be measured. Each cell lasts until the mean of its steady part is known to `precision`, a ratio: that
    part is `seconds` and twenty cycles at least, and the cell ends `most_seconds` after its first byte at the latest.

    The first, free sync moves `probe_bytes` to their end, since nothing is known then; the pool has as many. Ratios are
    of targets to the free rate that it shows.
    """

    name: str
    seconds: float
    most_seconds: float
    precision: float
    object_bytes: int
    probe_bytes: int
    duty_cycles: tuple[Cycle, ...]
    closed_loop: tuple[float, ...]
    max_bandwidth: tuple[float, ...]
    tc: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)


@dataclass(frozen=True)
class Cell:
    """One sync. `ratio` is of its target to the free rate, `cycle` the two times of a duty cycle."""

    name: str
    method: str
    ratio: float
    cycle: Cycle | None = None


def cells(plan: Plan) -> list[Cell]:
    """The cells of `plan`: free first, since it tells the free rate, and free again at the end, for what drifted."""
    found = [Cell("free", FREE, 1.0)]
    found += [Cell(_name_of(cycle), DUTY_CYCLE, cycle.ratio, cycle) for cycle in plan.duty_cycles]
    for method, ratios in ((CLOSED_LOOP, plan.closed_loop), (MAX_BANDWIDTH, plan.max_bandwidth), (TC, plan.tc)):
        found += [Cell(f"{method}-{ratio:g}", method, ratio) for ratio in ratios]
    return [*found, Cell("free-again", FREE, 1.0)]


def _name_of(cycle: Cycle) -> str:
    name = f"{DUTY_CYCLE}-{cycle.stop_s:g}-{cycle.run_s:g}"
    return name if cycle.send_buffer_bytes is None else f"{name}-wmem-{cycle.send_buffer_bytes}"


def least_seconds(plan: Plan, cell: Cell) -> float:
    """How long a cell transfers at least, its start included."""
    cycle_s = 0.0 if cell.cycle is None else cell.cycle.stop_s + cell.cycle.run_s
    return max(plan.seconds, LEAST_CYCLES * cycle_s) + max(START_S, START_CYCLES * cycle_s)


def load(which: str | None) -> Plan:
    """The plan called `which` (short when None), or the one in the file of that path."""
    return read(*read_file(which, PLANS))


def read(text: str, source: str) -> Plan:
    """The plan in `text`; a missing, unknown or malformed field is named."""
    fields = fields_of(text, source)
    plan = Plan(
        name=fields.text("name"),
        seconds=fields.seconds("seconds", 2.0),
        most_seconds=fields.seconds("most_seconds", 2.0),
        precision=fields.number("precision", 0.001, 0.5),
        # Below 8 MiB the AWS CLI uploads an object in one piece (multipart_threshold).
        object_bytes=fields.integer("object_bytes", 65_536, 8 << 20),
        probe_bytes=fields.integer("probe_bytes", 1 << 20, 1 << 40),
        duty_cycles=tuple(_cycle(each) for each in fields.tables("duty_cycle", empty=True)),
        closed_loop=_ratios(fields, "closed_loop"),
        max_bandwidth=_ratios(fields, "max_bandwidth"),
        tc=_ratios(fields, "tc"),
    )
    fields.refuse_unknown()
    if plan.probe_bytes % plan.object_bytes:
        fields.refuse("probe_bytes", plan.probe_bytes, "a multiple of object_bytes")
    for cell in cells(plan):
        if least_seconds(plan, cell) > plan.most_seconds:
            least = f"{least_seconds(plan, cell):g} at least, as {cell.name} takes them"
            fields.refuse("most_seconds", plan.most_seconds, least)
    names = [cell.name for cell in cells(plan)]
    for name in names:
        if names.count(name) > 1:
            raise WorkloadError(f"{source}: two cells are {name}", "leave one")
    return plan


def _cycle(fields: Fields) -> Cycle:
    # The throttle takes pauses of 10 s at most: S3 hangs up after 20 (workloads/throttle/command_line.py).
    cycle = Cycle(
        stop_s=fields.seconds("stop_s", 0.01),
        run_s=fields.seconds("run_s", 0.01),
        # Below, a socket could not hold one segment of a large MTU.
        send_buffer_bytes=fields.integer("send_buffer_bytes", 4096, 1 << 30)
        if fields.has("send_buffer_bytes")
        else None,
    )
    if cycle.stop_s > 10:
        fields.refuse("stop_s", cycle.stop_s, "10 seconds at most, since S3 hangs up after 20")
    return cycle


def _ratios(fields: Fields, name: str) -> tuple[float, ...]:
    return tuple(fields.numbers(name, LEAST_RATIO, MOST_RATIO))
