"""The end of a run as a document, and in words.

`--report FILE` writes one JSON object, schema 1, to FILE, and the samples of 100 ms to FILE with `.samples.ndjson` in
place of `.json`, a line each: {"t_unix_s", "bytes", "running_ratio"}. `t_unix_s` is where the sample begins; a last,
shorter one has what was left. `bytes` is what peers acknowledged and sent. What was not measured is null. A third
file, `.stops.ndjson`, has a line for each stop: {"t_unix_s", "stopped_s", "unacked_bytes", "notsent_bytes",
"acked_bytes"}: when it began and how long it was, what lay in the sockets' send buffers when it began and how much of
that was not sent yet, and what peers acknowledged until its end. Where FILE is a device or a pipe there are no others,
and their names are null.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workloads.throttle.rates import Rate, in_unit
from workloads.throttle.record import Figures
from workloads.throttle.settings import Settings

SCHEMA = 1


@dataclass(frozen=True)
class Outcome:
    """A run that has ended. `cut_short` pauses would have had to be longer than the bound for the rate to hold;
    `sent_bytes` and `received_bytes` are None when nothing was measured; `cpu_s` is what the throttle itself used.
    """

    figures: Figures
    started_unix_s: float
    sent_bytes: int | None
    received_bytes: int | None
    stops: int
    longest_pause_s: float | None
    cut_short: int
    exit_code: int
    cpu_s: float


def document(settings: Settings, outcome: Outcome, samples: Path | None, stops: Path | None) -> dict[str, Any]:
    """The report. Of the command there is its name alone: its arguments may hold what is nobody's business."""
    pace, figures = settings.pace, outcome.figures
    target = pace.bytes_per_s if isinstance(pace, Rate) else None
    mean = figures.mean_bytes_per_s
    return {
        "schema": SCHEMA,
        "mode": "rate" if isinstance(pace, Rate) else "duty-cycle",
        "command": None if settings.command is None else settings.command[0],
        "pid": settings.pid,
        "target_bytes_per_s": target,
        "target_as_written": pace.words if isinstance(pace, Rate) else None,
        "stop_s": None if isinstance(pace, Rate) else pace.stop_s,
        "run_s": None if isinstance(pace, Rate) else pace.run_s,
        "max_pause_s": settings.max_pause_s if isinstance(pace, Rate) else None,
        "started_unix_s": round(outcome.started_unix_s, 6),
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(figures).items()},
        "sent_bytes": outcome.sent_bytes,
        "received_bytes": outcome.received_bytes,
        "mean_to_target_ratio": round(mean / target, 6) if mean is not None and target is not None else None,
        "stops": outcome.stops,
        "longest_pause_s": None if outcome.longest_pause_s is None else round(outcome.longest_pause_s, 6),
        "pauses_cut_short": outcome.cut_short,
        "exit_code": outcome.exit_code,
        "cpu_s": round(outcome.cpu_s, 3),
        "samples": None if samples is None else samples.name,
        "stop_records": None if stops is None else stops.name,
    }


def sentences(settings: Settings, outcome: Outcome) -> list[str]:
    """The same for a person."""
    pace, figures = settings.pace, outcome.figures
    unit = pace.unit if isinstance(pace, Rate) else "MB/s"
    lines = []
    if figures.bytes is None:
        lines.append(f"{figures.seconds:.1f} s; what was moved could not be measured")
    elif figures.bytes == 0:
        lines.append(f"nothing was seen to move over a TCP connection in {figures.seconds:.1f} s")
    elif figures.active_s is None:
        lines.append(f"{figures.bytes:,} bytes in {figures.seconds:.1f} s: too little to say how well the cap held")
    elif figures.mean_bytes_per_s is None or figures.window_std_bytes_per_s is None:
        lines.append(f"{figures.bytes:,} bytes in {figures.seconds:.1f} s: too short to say how well the cap held")
    else:
        mean = f"{figures.bytes:,} bytes in {figures.active_s:.1f} s: {in_unit(figures.mean_bytes_per_s, unit)}"
        if isinstance(pace, Rate):
            mean += f", {figures.mean_bytes_per_s / pace.bytes_per_s:.1%} of {pace.words}"
        deviation = in_unit(figures.window_std_bytes_per_s, unit)
        lines.append(
            f"{mean}; standard deviation of one-second windows {deviation}, "
            f"largest 100 ms {figures.largest_100_ms_bytes:,} bytes"
        )
    longest = "" if outcome.longest_pause_s is None else f", the longest {outcome.longest_pause_s:.2f} s"
    running = "" if figures.running_ratio is None else f"; running {figures.running_ratio:.0%} of the time"
    lines.append(f"{outcome.stops} stops{longest}{running}")
    return lines
