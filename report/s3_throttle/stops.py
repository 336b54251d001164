"""raw/stops.ndjson: what the send buffers held when the throttle stopped a sync, and what of it was sent meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from report.records import Record, number, text, whole
from report.runs import Run
from report.s3_throttle.network import Part


@dataclass(frozen=True)
class Stop:
    cell: str
    t_s: float
    stopped_s: float
    unacked_bytes: int
    notsent_bytes: int
    acked_bytes: int  # until its end


@dataclass(frozen=True)
class Buffers:
    """The stops of a steady part: means of what the buffers held, and what peers acknowledged during stops, divided by
    the seconds of the whole part.
    """

    stops: int
    unacked_at_stop_bytes: float
    notsent_at_stop_bytes: float
    while_stopped_mb_per_s: float


def read_stops(run: Run) -> dict[str, list[Stop]]:
    """By cell; empty for a run from before stops were recorded."""
    found: dict[str, list[Stop]] = {}
    if not run.stream_bytes("stops"):
        return found
    for stop in run.read("stops", _stop):
        found.setdefault(stop.cell, []).append(stop)
    return found


def _stop(record: Record) -> Stop:
    sizes = (whole(record, f"{name}_bytes") for name in ("unacked", "notsent", "acked"))
    return Stop(text(record, "cell"), number(record, "t_unix_s"), number(record, "stopped_s"), *sizes)


def buffers(stops: list[Stop], part: Part) -> Buffers | None:
    """None where no stop lies in the part whole."""
    inside = [each for each in stops if part.from_s <= each.t_s and each.t_s + each.stopped_s <= part.until_s]
    if not inside:
        return None
    # A part may begin and end within a stop: what was moved counts for all stopped time, not for whole stops only.
    stopped_s = sum(
        max(0.0, min(each.t_s + each.stopped_s, part.until_s) - max(each.t_s, part.from_s)) for each in stops
    )
    moved = sum(each.acked_bytes for each in inside) / sum(each.stopped_s for each in inside) * stopped_s
    return Buffers(
        stops=len(inside),
        unacked_at_stop_bytes=sum(each.unacked_bytes for each in inside) / len(inside),
        notsent_at_stop_bytes=sum(each.notsent_bytes for each in inside) / len(inside),
        while_stopped_mb_per_s=moved / part.seconds / 1e6,
    )
