"""raw/stops.ndjson: what lay in the send buffers when the throttle stopped a sync, and what of it went on."""

from __future__ import annotations

from dataclasses import dataclass

from report.runs import RecordError, Run, number, text, whole
from report.s3_throttle.network import Part


@dataclass(frozen=True)
class Stop:
    t_s: float
    stopped_s: float
    unacked_bytes: int
    notsent_bytes: int
    acked_bytes: int  # until its end


@dataclass(frozen=True)
class Buffers:
    """The stops of a steady part: means of what they began with; and what peers acknowledged during them, a second of
    the whole part.
    """

    stops: int
    unacked_bytes: float
    notsent_bytes: float
    while_stopped_bytes_per_s: float


def read_stops(run: Run) -> dict[str, list[Stop]]:
    """By cell; none of a run before stops were recorded."""
    found: dict[str, list[Stop]] = {}
    if not run.stream_bytes("stops"):
        return found
    for record in run.stream("stops"):
        try:
            sizes = (whole(record, f"{name}_bytes") for name in ("unacked", "notsent", "acked"))
            stop = Stop(number(record, "t_unix_s"), number(record, "stopped_s"), *sizes)
            found.setdefault(text(record, "cell"), []).append(stop)
        except RecordError as error:
            run.problem(f"raw/stops.ndjson: a record left out: {error}")
    return found


def buffers(stops: list[Stop], part: Part) -> Buffers | None:
    """None where no stop was in the part as a whole."""
    inside = [each for each in stops if part.from_s <= each.t_s and each.t_s + each.stopped_s <= part.until_s]
    if not inside:
        return None
    # A part may begin and end within a stop: what was moved is of all the time stopped, not of the whole stops' alone.
    stopped_s = sum(
        max(0.0, min(each.t_s + each.stopped_s, part.until_s) - max(each.t_s, part.from_s)) for each in stops
    )
    moved = sum(each.acked_bytes for each in inside) / sum(each.stopped_s for each in inside) * stopped_s
    return Buffers(
        stops=len(inside),
        unacked_bytes=sum(each.unacked_bytes for each in inside) / len(inside),
        notsent_bytes=sum(each.notsent_bytes for each in inside) / len(inside),
        while_stopped_bytes_per_s=moved / part.seconds,
    )
