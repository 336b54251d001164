"""The end of a run as a document, and in words.

`--report FILE` writes one JSON object, schema 1, to FILE, and the samples of 100 ms to FILE with `.samples.ndjson` in
place of `.json`, a line each: {"t_unix_s", "bytes", "running_ratio"}. `t_unix_s` is where the sample begins; a last,
shorter one has what was left. `bytes` is what peers acknowledged and sent. What was not measured is null.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from workloads.errors import WorkloadError
from workloads.throttle.rates import Rate, in_unit
from workloads.throttle.record import Figures, Sample
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


def document(settings: Settings, outcome: Outcome, samples: Path) -> dict[str, Any]:
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
        "samples": samples.name,
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


class Writer:
    """The two files, open from the beginning: that they can't be written is found out before anything is started."""

    def __init__(self, path: Path, unix_minus_clock_s: float | None = None) -> None:
        """`unix_minus_clock_s` turns the samples' times into Unix time; None: they are of time.monotonic()."""
        self.samples = path.with_name(f"{path.name.removesuffix('.json')}.samples.ndjson")
        self._offset_s = time.time() - time.monotonic() if unix_minus_clock_s is None else unix_minus_clock_s
        self._path = path
        self._fault: OSError | None = None
        self._report: TextIO | None = None
        self._stream: TextIO | None = None
        try:
            self._report = path.open("w")
            self._stream = self.samples.open("w")
        except OSError as fault:
            self.close()
            raise WorkloadError(
                f"--report {path}: {fault.strerror}", "give a file in a directory that can be written"
            ) from None

    def keep(self, sample: Sample) -> None:
        """Writes a sample. What goes wrong is told by `write`: a full disk is no reason to let go of a process."""
        assert self._stream is not None  # it was opened
        if self._fault is not None:
            return
        record = {
            "t_unix_s": round(sample.start_s + self._offset_s, 3),
            "bytes": sample.bytes,
            "running_ratio": round(sample.running_ratio, 4),
        }
        try:
            self._stream.write(f"{json.dumps(record)}\n")
        except OSError as fault:
            self._fault = fault

    def write(self, report: dict[str, Any]) -> None:
        """Writes the report. Raises OSError when that, or a sample before, could not be written."""
        assert self._report is not None  # both were opened
        assert self._stream is not None
        json.dump(report, self._report, indent=1)
        self._report.write("\n")
        self._report.flush()
        self._stream.flush()
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Closes both."""
        for each in (self._report, self._stream):
            if each is not None:
                with contextlib.suppress(OSError):  # it has been told
                    each.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
