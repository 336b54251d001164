"""summary.json of md-raid, schema 1. Claims name these fields; None is "not known", never 0."""

from __future__ import annotations

from dataclasses import dataclass

from report.known_answers import KnownAnswers
from report.proofs import Proofs
from report.summary import LatencyPercentiles, LatencyStretch, RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class Evidence:
    """The hosts' counters (raw/host.ndjson) over a cell's measured window."""

    client_cpu_busy_ratio: float | None
    storage_cpu_busy_ratio_max: float | None
    client_rx_mib_per_s: float | None
    client_link_used_ratio: float | None  # the busier direction / line rate of the type; None where that is not known
    storage_tx_mib_per_s_max: float | None
    storage_link_used_ratio_max: float | None  # likewise
    storage_ebs_used_ratio_max: float | None  # what the volumes of a server moved / rate of its link to them
    volume_used_ratio: float | None  # what the cell's volumes moved / their rate, on average; None where it's not known
    volume_busy_ratio: float | None  # of the time in which they had requests, by their servers, on average
    client_disk_busy_ratio: float | None  # likewise by the client, which includes the way there
    volume_mb_per_s: dict[str, float] | None  # what each volume of the cell moved, by its id, as the client counted it


@dataclass(frozen=True)
class Cell(LatencyPercentiles):
    cell: str
    layout: str  # stripe, mirror or raw
    copies: str | None  # how the mirrors keep their copies: raid1, raid1-rotational, n3, f3, o3; None: not recorded
    pattern: str  # sequential or random
    operation: str  # read or write
    readers: str  # one or many requests in flight
    buffered: bool  # through the page cache, as a file system reads
    servers: int
    disks: int
    mirrors: int | None
    request_bytes: int
    depth: int
    requests_in_flight: int | None
    started_unix_s: float | None
    complete: bool
    reason: str | None  # why figures are missing
    seconds: float | None
    ops: int | None
    mib_per_s: float | None
    iops: float | None
    errors: int | None
    errors_by_errno: dict[str, int] | None
    variation_coefficient: float | None  # standard deviation / mean of the per-second rates
    limited_by: str | None  # None: not known
    limited_by_hosts: list[str]
    evidence: Evidence
    leg_read_bytes: dict[str, int] | None  # what the client read of each volume, by its id, with the warm-up
    legs_rotational: bool | None  # whether md took the legs of a single mirror for rotating disks; None: not recorded


@dataclass(frozen=True)
class Volume:
    """One volume alone, or the closest to it: rate / disks of the raw cell with fewest disks."""

    sequential_mb_per_s: float | None
    random_iops: float | None


@dataclass(frozen=True)
class Point:
    cell: str
    servers: int
    disks: int
    mirrors: int | None
    mib_per_s: float | None
    iops: float | None
    efficiency: float | None  # rate / (first point's rate x growth in what the series grows with)
    limited_by: str | None


@dataclass(frozen=True)
class Series:
    layout: str
    pattern: str
    request_bytes: int
    grows_with: str  # servers, mirrors or disks (of each server)
    points: list[Point]
    growth: float | None  # the largest point's rate / the smallest's
    efficiency: float | None  # at the largest point
    network_limited: bool | None  # at the largest point; None: not known


@dataclass(frozen=True)
class LayoutReads:
    cell: str
    copies: str  # raid1, raid1-rotational, n3, f3, o3
    pattern: str
    readers: str  # one or many requests in flight
    legs: int
    mib_per_s: float | None
    iops: float | None
    legs_read: int | None  # legs from which the client read more than a label
    leg_shares: list[float] | None  # of what was read, by leg, the greatest first
    to_raid1_ratio: float | None  # rate / that of RAID-1 under the same load


@dataclass(frozen=True)
class Layouts:
    """One mirror, read in several layouts of its copies. The numbers of legs read are of one sequential reader."""

    legs: int
    legs_rotational: bool | None
    raid1_legs_read: int | None
    raid1_rotational_legs_read: int | None  # of a RAID-1 that was told that its legs rotate
    offset_legs_read: int | None
    offset_to_raid1_ratio: float | None
    rows: list[LayoutReads]


@dataclass(frozen=True)
class WrittenCell:
    """A write cell, and what was read back from each server's legs alone."""

    cell: str
    pattern: str
    request_bytes: int
    servers: int
    mirrors: int | None
    mib_per_s: float | None
    iops: float | None
    limited_by: str | None
    servers_checked: int
    checked_bytes: int | None  # of each server
    matched: bool | None  # every server's legs hold what was written, and the same; None: not checked


@dataclass(frozen=True)
class MdCost:
    """What md costs: the stripe's rate over that of the same disks read raw, in parallel."""

    pattern: str
    request_bytes: int
    servers: int
    disks: int
    stripe_mib_per_s: float | None
    raw_mib_per_s: float | None
    stripe_requests_in_flight: int | None
    raw_requests_in_flight: int | None
    stripe_to_raw_ratio: float | None


@dataclass(frozen=True)
class Scaling:
    stripe_sequential: Series | None
    stripe_random: Series | None
    raw_sequential: Series | None  # over servers, with as many disks of each
    raw_random: Series | None
    raw_disks_sequential: Series | None  # over the disks of each server, with as many servers
    raw_disks_random: Series | None
    stripe_servers_sequential: Series | None  # over servers, with as many mirrors
    stripe_servers_random: Series | None
    md_cost: list[MdCost]


@dataclass(frozen=True)
class Phase:
    cell: str  # drill-steady, drill-kill-1, drill-kill-2
    started_s: float | None  # seconds since the drill's zero
    seconds: float | None
    read_ops: int | None
    iops: float | None
    errors: int | None
    errors_by_errno: dict[str, int] | None
    latency_p50_us: float | None
    latency_p99_us: float | None
    longest_stall_s: float | None
    stall_ended_s: float | None  # end of the second in which the longest read ended
    reason: str | None


@dataclass(frozen=True)
class Rebuild:
    array: str
    started_s: float | None
    finished_s: float | None
    seconds: float | None


@dataclass(frozen=True)
class DrillEvent:
    t_s: float
    event: str
    subject: str | None  # the host or array


@dataclass(frozen=True)
class Second:
    t_s: float  # middle of the interval
    cell: str
    iops: float
    errors: int


@dataclass(frozen=True)
class Drill:
    zero_unix_s: float | None
    hosts_killed: int | None
    read_ops: int | None
    read_errors: int | None
    longest_stall_s: float | None  # with a server or two gone
    arrays: int | None
    fewest_working_legs: int | None  # of any mirror after the second kill
    legs_per_array: int | None
    arrays_rebuilt: int | None
    rebuild_seconds_max: float | None
    written_bytes: int | None
    written_sha256: str | None
    verified_bytes: int | None
    legs_compared_bytes: int | None
    checksum_matched: bool | None
    phases: list[Phase]
    rebuilds: list[Rebuild]
    events: list[DrillEvent]
    latencies: list[LatencyStretch]  # of all phases' reads, second by second
    timeline: list[Second]


@dataclass(frozen=True)
class Leg:
    slot: int
    server: str | None
    volume: str | None


@dataclass(frozen=True)
class Array:
    array: str
    level: str
    layout: str | None
    raid_devices: int | None
    size_bytes: int | None
    legs: list[Leg]


@dataclass(frozen=True)
class Ceilings:
    """The limits that AWS documents for the hosts' types, in one direction, or a rehearsal's service model has; None if
    not known.
    """

    client_network_mib_per_s: float | None
    server_network_mib_per_s: float | None  # of one storage server, the slowest
    server_ebs_mib_per_s: float | None  # likewise
    volume_mib_per_s: float | None  # of one volume; AWS's are not known beforehand
    volume_ops_per_s: float | None  # likewise


@dataclass(frozen=True)
class Summary(RunSummary):
    cells: list[Cell]
    volume: Volume
    scaling: Scaling
    ceilings: Ceilings
    layouts: Layouts | None
    writes: list[WrittenCell]
    known_answers: KnownAnswers | None
    drill: Drill | None
    arrays: list[Array]
    proofs: Proofs | None
    problems: list[str]  # what the raw records lacked
