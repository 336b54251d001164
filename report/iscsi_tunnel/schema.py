"""summary.json of iscsi-tunnel, schema 1. Claims name these fields; None is "not known", never 0."""

from __future__ import annotations

from dataclasses import dataclass

from report.proofs import Proofs
from report.summary import RunSummary

SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    cell: str
    path: str  # tunnel, direct or ssh
    op: str  # read or write
    pattern: str  # sequential, random, or single: one at a time
    request_bytes: int | None  # None for ssh, which has no requests
    depth: int | None
    complete: bool
    reason: str | None  # why figures are missing
    seconds: float | None
    mib_per_s: float | None
    iops: float | None
    latency_p50_us: float | None
    latency_p99_us: float | None
    latency_max_us: float | None
    errors: int | None


@dataclass(frozen=True)
class TunnelCost:
    """The rate through the tunnel, over the rate without it and over that of one SSH connection."""

    op: str
    pattern: str
    request_bytes: int | None
    tunnel_mib_per_s: float | None
    direct_mib_per_s: float | None
    ssh_mib_per_s: float | None
    tunnel_to_direct_ratio: float | None
    tunnel_to_ssh_ratio: float | None


@dataclass(frozen=True)
class OnlySsh:
    """Whether the target was reached without the tunnel, and which packets passed between the two hosts.

    `control_answered`: each attempt that had to succeed did; without it a closed port proves nothing.
    """

    sources: int | None  # hosts that tried
    ports_tried: int | None
    ports_reached: int | None
    control_answered: bool | None
    listens_elsewhere: bool | None  # than at the tunnel's address
    captures: int | None
    ssh_packets: int | None
    other_packets: int | None
    readable_packets: int | None
    unseen_packets: int | None


@dataclass(frozen=True)
class Attaching:
    attached: int | None  # how often
    detached: int | None
    device: str | None
    expected_bytes: int | None
    seen_bytes: int | None
    block_bytes: int | None
    size_differences: int | None  # attachments whose size was another than the volume's
    mtu_bytes: int | None
    attach_seconds_max: float | None
    detach_seconds_max: float | None
    left_behind: int | None  # detachments after which something was still there


@dataclass(frozen=True)
class Loss:
    how: str  # ssh-killed or path-cut
    reads: int | None
    errors: int | None
    longest_stall_s: float | None
    tunnel: str | None  # afterwards
    session: str | None


@dataclass(frozen=True)
class Second:
    how: str
    t_s: float  # since the connection was lost
    iops: float
    errors: int


@dataclass(frozen=True)
class Summary(RunSummary):
    cells: list[Cell]
    prices: list[TunnelCost]
    only_ssh: OnlySsh
    attaching: Attaching
    losses: list[Loss]
    timeline: list[Second]
    proofs: Proofs | None
    problems: list[str]  # what the raw records lacked
