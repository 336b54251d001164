"""The plan of measurements of eip-region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from documents import Model, Number
from workloads.plan_file import PlanFile, Seconds


@dataclass(frozen=True)
class Pace(Model):
    """How fast connections are made and the API is asked, which depends on what answers."""

    interval_ms: Annotated[int, Number(10, 10_000, "milliseconds")]
    """Milliseconds between two new connections"""
    at_once: Annotated[int, Number(1, 200)]
    """Connections under way at most"""
    connection_seconds: Seconds
    """Seconds after which a connection is given up"""
    settle_seconds: Seconds
    """Age in seconds up to which an allocation of another region is asked for"""

    @property
    def interval_seconds(self) -> float:
        """Returns the time between two new connections."""
        return self.interval_ms / 1000


@dataclass(frozen=True)
class Plan(PlanFile):
    """What is to be measured."""

    moves: Annotated[int, Number(1, 1000)]
    """Moves that the task `all` makes"""
    before_seconds: Seconds
    """Seconds of connections before each move"""
    confirmations: Annotated[int, Number(1, 100)]
    """Answers of the new host that end a move"""
    answer_seconds: Annotated[float, Number(2, 86400, "seconds")]
    """Seconds for which the new host may be silent; then the move is taken back"""
    aws: Pace
    """The pace on AWS"""
    rehearsal: Pace
    """The pace in a rehearsal"""

    def pace(self, *, rehearsal: bool) -> Pace:
        """Returns the pace on AWS, or in a rehearsal."""
        return self.rehearsal if rehearsal else self.aws
