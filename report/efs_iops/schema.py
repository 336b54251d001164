"""summary.json of efs-iops, schema 1. Claims name these fields; None is "not known", never 0.

Rates of a cell are those of its joint window: the time in which all of its workers ran (report/efs_iops/window.py).
All times are of the runner's clock, all _mb_per_s are 10^6 bytes a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from report.known_answers import KnownAnswers
from report.proofs import Proofs
from report.summary import LatencyPercentiles, LatencyStretch, RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class HostRate:
    host: str
    ops_per_s: float | None
    mb_per_s: float | None


@dataclass(frozen=True)
class Mountstats:
    """The kernels' counters of a cell's operation over the joint window, as nfsiostat reads them."""

    ops_per_s: float | None
    kib_per_s: float | None  # of calls and replies with their headers; nfsiostat's kB is 1024 bytes
    retransmissions: int | None
    rtt_ms: float | None  # mean time on the wire and at the server
    execute_ms: float | None  # mean time with the queue before it
    to_worker_ratio: float | None  # its op/s over the workers'


@dataclass(frozen=True)
class Nic:
    """The clients' network interfaces over the joint window, added up."""

    rx_mb_per_s: float | None
    tx_mb_per_s: float | None
    rx_packets_per_s: float | None
    tx_packets_per_s: float | None


@dataclass(frozen=True)
class Evidence:
    """What `limited_by` rests on."""

    plateau_ratio: float | None  # op/s over the limit found for its operation
    latency_ratio: float | None  # median latency over that of one writer
    round_trip_ratio: float | None  # op/s over (writers x op/s of one writer)
    permitted_ratio: float | None  # bytes/s over CloudWatch's PermittedThroughput
    client_cpu_busy_ratio: float | None  # of the busiest client
    client_link_used_ratio: float | None  # of the busiest client; None where its line rate is not known


@dataclass(frozen=True)
class Cell(LatencyPercentiles):  # latencies are of all operations of the cell
    cell: str
    op: str  # read or write
    pattern: str  # fixed or sequential
    request_bytes: int
    writers: int  # on each host
    hosts: list[str]
    total_writers: int
    start_unix_s: float
    complete: bool
    reason: str | None  # why figures are missing
    lost_hosts: list[str]
    window_seconds: float | None
    whole_seconds: int | None  # of the joint window; 0: too short to be cut, all of it counts
    ops: int | None  # of the whole cell, not of the window alone
    ops_per_s: float | None
    mb_per_s: float | None
    per_host: list[HostRate]
    jain_index: float | None  # (sum x)^2 / (n sum x^2) of the hosts' op/s; 1: split equally
    first_done_s: float | None  # after start_unix_s: when the first host's last operation ended
    last_done_s: float | None
    start_skew_s: float | None  # between the hosts' first operations
    errors: int | None
    errors_by_errno: dict[str, int] | None
    variation_coefficient: float | None  # standard deviation / mean of the per-second totals
    mountstats: Mountstats
    nic: Nic
    limited_by: str | None  # None: not known
    limited_by_hosts: list[str]
    evidence: Evidence


@dataclass(frozen=True)
class HighestRates:
    """The rates that cells with one number of hosts reached, fixed pattern."""

    highest_ops_per_s: float | None
    lowest_busy_ops_per_s: float | None  # of the cells with 20 writers or more
    highest_busy_ops_per_s: float | None
    size_spread_ratio: float | None  # with the same writers, 20 or more, the best request size's op/s over the worst's


@dataclass(frozen=True)
class OperationLimits:
    """What the run found about one operation."""

    limit_ops_per_s: float | None  # the plateau: op/s that no further writers add to; None: none was seen
    limit_cells: list[str]
    one_writer_ops_per_s: float | None
    twenty_writers_ops_per_s: float | None  # on one host
    knee_writers: float | None  # where writers x one writer's op/s meets the plateau
    knee_measured_writers: int | None  # the fewest measured that reached 95 % of the plateau
    split_jain: float | None  # the lowest of the cells of several hosts on the plateau
    sequential_mb_per_s: float | None  # the highest
    one_host: HighestRates
    two_hosts: HighestRates


@dataclass(frozen=True)
class Limits:
    write: OperationLimits
    read: OperationLimits
    sequential_mb_per_s: float | None  # the higher of both
    sequential_to_permitted_ratio: float | None
    operation_limit_seen: bool | None
    throughput_limit_seen: bool | None


@dataclass(frozen=True)
class Counted:
    """One operation over a minute or several, counted in each place; ratios are None where one of the two is."""

    worker_operations: float | None
    worker_bytes: float | None
    mountstats_operations: float | None
    mountstats_bytes: float | None  # payload
    wire_sent_bytes: float | None  # calls and replies with their headers
    wire_received_bytes: float | None
    cloudwatch_operations: float | None  # SampleCount
    cloudwatch_bytes: float | None  # Sum
    metered_bytes: float | None  # the workers' requests, each counted as metering.minimum_bytes at least
    mountstats_to_worker_operations: float | None
    mountstats_to_worker_bytes: float | None
    cloudwatch_to_worker_operations: float | None
    cloudwatch_to_worker_bytes: float | None
    cloudwatch_to_mountstats_operations: float | None
    cloudwatch_to_metered_bytes: float | None
    protocol_share: float | None  # (bytes on the wire - payload) / bytes on the wire


@dataclass(frozen=True)
class NicCounted:
    """The clients' network interfaces over a minute or several."""

    rx_bytes: float | None
    tx_bytes: float | None
    rx_packets: float | None
    tx_packets: float | None
    wire_bytes: float | None  # all NFS calls and replies, by mountstats
    tcp_to_wire_ratio: float | None  # the interfaces' bytes less each packet's headers, over wire_bytes


@dataclass(frozen=True)
class Minute:
    start_unix_s: float
    read: Counted | None  # None: nobody counted one
    write: Counted | None
    nic: NicCounted
    missing: list[str]  # sources that lack it


@dataclass(frozen=True)
class Agreement:
    """Minutes of CloudWatch that lie wholly inside the run, and the sums of those that no source lacks."""

    minutes: list[Minute]
    minutes_added: int
    read: Counted | None
    write: Counted | None
    nic: NicCounted
    cells_mountstats_to_worker_lowest: float | None  # of the cells' own windows
    cells_mountstats_to_worker_highest: float | None


@dataclass(frozen=True)
class MeteredMinute:
    start_unix_s: float
    op: str
    requests_bytes: list[int]  # the sizes of the requests in it
    minimum_bytes: float | None  # such that each request, counted as this at least, makes CloudWatch's Sum
    reason: str | None  # why there is none
    least_bytes: float | None  # CloudWatch's Minimum and Maximum
    greatest_bytes: float | None
    as_expected: bool | None  # both are those of the workers' smallest and largest request, metered


@dataclass(frozen=True)
class Metering:
    minimum_bytes: int | None
    least_and_greatest_as_expected: bool | None
    minutes: list[MeteredMinute]


@dataclass(frozen=True)
class IoLimitMinute:
    start_unix_s: float
    read_ops_per_s: float
    write_ops_per_s: float
    metric_percent: float
    from_limits_percent: float | None  # what the limits found make of the minute's operations
    difference_points: float | None


@dataclass(frozen=True)
class IoLimit:
    minutes: list[IoLimitMinute]
    largest_difference_points: float | None
    percent_per_1000_reads_per_s: float | None  # what the metric shows for so many, fitted to the run's minutes
    percent_per_1000_writes_per_s: float | None


@dataclass(frozen=True)
class Service:
    """The other metrics."""

    permitted_throughput_mb_per_s: float | None  # the median of the minutes
    burst_credit_minutes: int
    burst_credit_first_bytes: float | None
    burst_credit_last_bytes: float | None
    burst_credit_least_bytes: float | None
    client_connections_greatest: float | None
    storage_first_bytes: float | None
    storage_last_bytes: float | None


@dataclass(frozen=True)
class StoragePoint:
    t_s: float
    df_used_bytes: int | None  # as the mounted file system says, less what was used before the run's files
    files_bytes: int | None
    caught_up: bool | None


@dataclass(frozen=True)
class Storage:
    points: list[StoragePoint]
    files_bytes: int | None  # the last
    df_used_bytes: int | None
    lag_seconds: float | None  # from the last change of the files' size until df showed it; None: it never did
    watched_seconds: float | None  # from that change to the last look
    lag_at_least_seconds: float | None  # lag_seconds, or watched_seconds where df never showed it


@dataclass(frozen=True)
class WriteOnly:
    """READ operations while the workers only wrote, requests below 4096 bytes; 0: nothing was read to be modified."""

    cells: list[str]
    mountstats_read_operations: int | None  # of those cells, readings inside them alone
    cloudwatch_read_operations: float | None  # of the minutes in which no worker read
    read_operations: float | None  # both, as far as known; None without mountstats


@dataclass(frozen=True)
class HostClock:
    host: str
    measurements: int
    offset_first_s: float | None  # the host's clock less the runner's
    offset_last_s: float | None
    uncertainty_s: float | None  # the largest


@dataclass(frozen=True)
class Clocks:
    hosts: list[HostClock]
    uncertainty_s: float | None  # the largest
    start_skew_max_s: float | None  # of all cells


@dataclass(frozen=True)
class Stretch:
    """The mean of `step_seconds`."""

    t_s: float  # its middle, after zero_unix_s
    worker_read_ops_per_s: float | None
    worker_write_ops_per_s: float | None
    mountstats_read_ops_per_s: float | None
    mountstats_write_ops_per_s: float | None
    worker_mb_per_s: float | None
    nic_mb_per_s: float | None  # received and sent
    # The least and the greatest of its whole seconds; None where it is one second itself.
    worker_read_ops_per_s_least: float | None
    worker_read_ops_per_s_greatest: float | None
    worker_write_ops_per_s_least: float | None
    worker_write_ops_per_s_greatest: float | None


@dataclass(frozen=True)
class Step:
    """A minute of CloudWatch as rates."""

    t_start_s: float
    t_end_s: float
    ops_per_s: float | None  # reads and writes
    mb_per_s: float | None


@dataclass(frozen=True)
class Timeline:
    zero_unix_s: float
    step_seconds: int  # 1, but for runs of more than 20 minutes
    stretches: list[Stretch]
    cloudwatch: list[Step]
    latencies: list[LatencyStretch]


@dataclass(frozen=True)
class Summary(RunSummary):
    cells: list[Cell]
    limits: Limits
    agreement: Agreement
    metering: Metering
    io_limit: IoLimit
    service: Service
    storage: Storage | None
    write_only: WriteOnly
    clocks: Clocks
    timeline: Timeline | None
    known_answers: KnownAnswers | None
    proofs: Proofs | None
    problems: list[str]  # what the raw records lacked
