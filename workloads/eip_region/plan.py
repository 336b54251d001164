"""The plan of measurements: a TOML file, read strictly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workloads.plan_file import Fields, fields_of, read_file

PLANS = Path(__file__).parent / "plans"


@dataclass(frozen=True)
class Pace:
    """How fast it is asked, which depends on whom.

    A new connection each `interval_seconds`, unless `at_once` are under way; one is given up after
    `connection_seconds`. An allocation of another region is asked for until it is `settle_seconds` old.
    """

    interval_seconds: float
    at_once: int
    connection_seconds: float
    settle_seconds: float


@dataclass(frozen=True)
class Plan:
    """What is to be measured: `moves` by `all`; connections for `before_seconds` before each call, and until the new
    host has answered `confirmations` times. The move is taken back when it has not answered for `answer_seconds`.
    """

    name: str
    moves: int
    before_seconds: float
    confirmations: int
    answer_seconds: float
    aws: Pace
    rehearsal: Pace

    def to_dict(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)

    def pace(self, *, rehearsal: bool) -> Pace:
        """That of AWS, or of a rehearsal."""
        return self.rehearsal if rehearsal else self.aws


def load(which: str | None) -> Plan:
    """The plan called `which` (short when None), or the one in the file of that path."""
    return read(*read_file(which, PLANS))


def read(text: str, source: str) -> Plan:
    """The plan in `text`; a missing, unknown or malformed field is named."""
    fields = fields_of(text, source)
    plan = Plan(
        name=fields.text("name"),
        moves=fields.integer("moves", 1, 1000),
        before_seconds=fields.seconds("before_seconds"),
        confirmations=fields.integer("confirmations", 1, 100),
        answer_seconds=fields.seconds("answer_seconds", least=2),
        aws=_pace(fields.table("aws")),
        rehearsal=_pace(fields.table("rehearsal")),
    )
    fields.refuse_unknown()
    return plan


def _pace(fields: Fields) -> Pace:
    return Pace(
        interval_seconds=fields.integer("interval_ms", 10, 10_000) / 1000,
        at_once=fields.integer("at_once", 1, 200),
        connection_seconds=fields.seconds("connection_seconds"),
        settle_seconds=fields.seconds("settle_seconds"),
    )
