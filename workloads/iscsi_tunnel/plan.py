"""The plan of measurements: a TOML file, read strictly, and the cells that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS
from workloads.plan_file import Fields, fields_of, read_file

PLANS = Path(__file__).parent / "plans"
PATHS = ("tunnel", "direct")
OPERATIONS = ("read", "write")
PATTERNS = ("sequential", "random", "single")
MAX_DEPTH = 1024
MAX_REQUEST_BYTES = 64 << 20
MIB = 1 << 20


@dataclass(frozen=True)
class Pattern:
    """How requests follow each other, and how many are under way: a stream, many at once anywhere, or one by one
    anywhere, which is the latency that who waits for each answer sees.
    """

    name: str
    request_bytes: int
    depth: int

    @property
    def order(self) -> str:
        """What the worker calls it."""
        return "sequential" if self.name == "sequential" else "random"


@dataclass(frozen=True)
class Plan:
    """What is to be measured. `written_bytes` is the stretch that write cells use; `cut_seconds` how long the path to
    the server is cut while the disk is read.
    """

    name: str
    warmup_seconds: float
    measured_seconds: float
    ssh_seconds: int
    written_bytes: int
    cut_seconds: int
    patterns: tuple[Pattern, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)


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
    """The cells of one path, without those that write where the disk must not be written to."""
    operations = OPERATIONS if writes else OPERATIONS[:1]
    return [Cell(path, operation, pattern) for operation in operations for pattern in plan.patterns]


def load(which: str | None) -> Plan:
    """The plan called `which` (short when None), or the one in the file of that path."""
    return read(*read_file(which, PLANS))


def read(text: str, source: str) -> Plan:
    """The plan in `text`; a missing, unknown or malformed field is named."""
    fields = fields_of(text, source)
    plan = Plan(
        name=fields.text("name"),
        warmup_seconds=fields.seconds("warmup_seconds", 0.0),
        measured_seconds=fields.seconds("measured_seconds", 1.0),
        ssh_seconds=fields.integer("ssh_seconds", 1, 3600),
        written_bytes=fields.multiple("written_bytes", MIB, MIB, 1 << 40),
        # Beyond the limit the disk fails, as it should: another question.
        cut_seconds=fields.integer("cut_seconds", 1, LIMIT_SECONDS // 2),
        patterns=tuple(_pattern(each) for each in fields.tables("pattern")),
    )
    fields.refuse_unknown()
    for pattern in plan.patterns:
        if plan.written_bytes % pattern.request_bytes:
            fields.refuse("written_bytes", plan.written_bytes, "a multiple of every request_bytes")
        if pattern.name == "single" and pattern.depth != 1:
            fields.refuse("depth", pattern.depth, "1 where the pattern is single")
    return plan


def _pattern(fields: Fields) -> Pattern:
    return Pattern(
        name=fields.word("name", PATTERNS),
        request_bytes=fields.multiple("request_bytes", 4096, 4096, MAX_REQUEST_BYTES),
        depth=fields.integer("depth", 1, MAX_DEPTH),
    )
