"""summary.json of s3-throttle, schema 1. Claims name these fields; None is "not known", never 0.

Rates are of the objects' bytes: those of the host's network interface, less the proportion of headers. All _mb_per_s
are 10^6 bytes a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from report.proofs import Proofs
from report.summary import RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class Point:
    """How many megabytes a sync had sent."""

    t_s: float  # since its first byte
    mb: float


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the trace of a sync's interface tells; nothing where too little was sent."""

    seconds: float | None = None  # from the first byte to the last that was seen
    start_s: float | None = None  # until the steady part; None: the whole but its first 100 ms is taken for steady
    start_mb: float | None = None
    steady_s: float | None = None
    tail_s: float | None = None  # after it
    tail_mb: float | None = None
    mean_mb_per_s: float | None = None  # of the steady part
    mean_to_target_ratio: float | None = None
    mean_uncertainty_ratio: float | None = (
        None  # half of the mean's 95 % interval; None of start_s: one burst more or less
    )
    window_std_to_target_ratio: float | None = None
    windows: int | None = None
    largest_100_ms_bytes: float | None = None
    burst_ratio: float | None = None  # the largest 100 ms over what 100 ms of the target are
    wire_mbit_per_s: float | None = None  # with headers
    longest_gap_s: float | None = None  # between two looks at the interface: bursts shorter than this can't be told
    progress: list[Point] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Cell(Rates):
    cell: str
    method: str  # free, duty-cycle, closed-loop, max-bandwidth or tc
    stop_s: float | None
    run_s: float | None
    send_buffer_bytes: int | None  # what a socket may hold; None: the system's own limits
    objects: int | None  # offered
    bytes: int | None  # of objects, sent; of a sync that was ended, by the interface's counter
    complete: bool
    reason: str | None  # why figures are missing
    target_mb_per_s: float | None
    target_to_free_ratio: float | None = None
    mean_to_free_ratio: float | None = None
    ended_by: str | None  # itself, known (its mean was) or bound (the time was over); None: of a run before these
    attempts: int | None  # of requests to S3, by the CLI's own count
    retries: int | None
    failures: int | None
    segments_sent_again: int | None  # by TCP, of the whole host
    exit_code: int | None
    cpu_s: float | None  # of the sync with the throttle, whole
    throttle_cpu_ratio: float | None  # of one processor, while it ran; None where there was no throttle
    host_busy_ratio: float | None
    stops: int | None  # in the steady part; None: no throttle, or a run before stops were recorded
    unacked_at_stop_bytes: float | None  # in the send buffers when a stop began, the mean
    notsent_at_stop_bytes: float | None  # of these, those that had not been sent yet
    while_stopped_mb_per_s: float | None  # of the mean, what peers acknowledged during stops
    identical: bool | None  # every byte was read back


@dataclass(frozen=True)
class FreeRate:
    """The rate of the sync that was not held back: the first of a run, from which its targets follow. Another at the
    end shows whether the rate has drifted.
    """

    mean_mb_per_s: float | None
    again_mb_per_s: float | None  # of the last
    again_to_first_ratio: float | None
    largest_uncertainty_ratio: float | None  # of these means
    wire_mbit_per_s: float | None  # the fastest's of all, what TCP sent again included
    link_mbit_per_s: float | None  # the known answer; None where it is not known
    wire_to_link_ratio: float | None


@dataclass(frozen=True)
class DutyCycle:
    """Syncs that were stopped and continued by the clock, compared with run / (run + stop) of the free rate. Part of
    that ratio was sent from the send buffers while the process was stopped, the rest while it ran.
    """

    pairs: int
    lowest_to_promised_ratio: float | None
    highest_to_promised_ratio: float | None
    mean_to_promised_ratio: float | None
    while_stopped_to_promised_ratio: float | None  # the mean, of those whose stops were recorded
    largest_uncertainty_ratio: float | None
    # The same, with send buffers that are empty long before a stop ends.
    small_buffer_pairs: int
    small_buffer_to_promised_ratio: float | None
    small_buffer_while_running_to_promised_ratio: float | None


@dataclass(frozen=True)
class ClosedLoop:
    """Syncs that were held to a rate."""

    rates: int
    largest_error_ratio: float | None  # |mean / target - 1|, the worst
    largest_error_cell: str | None
    largest_error_uncertainty_ratio: float | None


@dataclass(frozen=True)
class Transfers:
    """All syncs together."""

    syncs: int
    failed: int
    retries: int | None  # None: of one at least it is not known
    failures: int | None
    identical: int
    different: int


@dataclass(frozen=True)
class Summary(RunSummary):
    cells: list[Cell]
    free: FreeRate
    duty_cycle: DutyCycle
    closed_loop: ClosedLoop
    transfers: Transfers
    proofs: Proofs | None
    problems: list[str]  # what the raw records lacked
