"""summary.json of eip-region, schema 1. Claims name these fields; None is "not known", never 0."""

from __future__ import annotations

from dataclasses import dataclass

from report.proofs import Proofs
from report.summary import RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class Attempts:
    """The API's answers to AssociateAddress with one allocation, from the first attempt to the last."""

    allocation_id: str
    allocation_region: str
    attempts: int
    codes: list[str]  # each that was answered, once; "associated" for success
    oldest_age_s: float | None  # the allocation's age at the last attempt; None where it is not of this run


@dataclass(frozen=True)
class Refusal:
    """The same call with an allocation of another region (foreign) and with one of this region. `refused`: the API
    answered every attempt with the foreign one by InvalidAllocationID.NotFound. `associations` were made with it.
    """

    asked_region: str
    foreign: Attempts | None
    own: Attempts | None
    refused: bool | None
    associations: int | None
    own_associated: bool | None


@dataclass(frozen=True)
class MoveFigures:
    """One move, by the clock of the machine that called the API and connected. Moments are seconds after the call.

    `silence_s` is the time from the old host's last answer to the new one's first, `usual_silence_s` the median time
    between two answers before the call, and `interruption_s` the difference. A host answers SSH when it has proved its
    key. The figures of TCP are of its connections, which exist earlier; None where a proxy does not show them. No host
    answered `unanswered` connections.
    """

    move: int
    source: str
    target: str
    source_zone: str
    target_zone: str
    across_zones: bool
    rolled_back: bool
    reason: str | None
    interval_s: float
    api_answered_s: float
    api_shown_s: float | None
    last_old_answer_s: float | None
    first_new_answer_s: float | None
    silence_s: float | None
    usual_silence_s: float | None
    interruption_s: float | None
    first_new_connection_s: float | None
    tcp_silence_s: float | None
    tcp_usual_silence_s: float | None
    tcp_interruption_s: float | None
    connections: int
    unanswered: int


@dataclass(frozen=True)
class Distribution:
    """Over the completed moves, by nearest rank; None where there is none."""

    count: int
    min: float | None
    median: float | None
    p90: float | None
    max: float | None


@dataclass(frozen=True)
class Remap:
    """All moves. `zones` counts those in which a host answered at the address after a move to it."""

    moves: int
    completed: int
    rolled_back: int
    across_zones: int
    zones: int
    interval_s: float | None
    interruption_s: Distribution
    silence_s: Distribution
    usual_silence_s: Distribution
    first_new_answer_s: Distribution
    tcp_interruption_s: Distribution
    tcp_silence_s: Distribution
    tcp_usual_silence_s: Distribution
    first_new_connection_s: Distribution
    api_answered_s: Distribution
    api_shown_s: Distribution
    unanswered: int


@dataclass(frozen=True)
class Connection:
    """A connection of the figure: seconds from its move's call; `answered_by` is source, target, or None."""

    move: int
    ended_s: float
    answered_by: str | None


@dataclass(frozen=True)
class Summary(RunSummary):
    refusal: Refusal
    remap: Remap
    moves: list[MoveFigures]
    connections: list[Connection]
    proofs: Proofs | None
    problems: list[str]
