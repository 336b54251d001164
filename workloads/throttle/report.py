"""The report of a run: as a document, in words, and its files.

`--report FILE` writes one JSON object, schema 1, to FILE, and the samples of 100 ms to FILE with `.samples.ndjson` in
place of `.json`, a line each: {"t_unix_s", "bytes", "running_ratio"}. `t_unix_s` is where the sample begins; a last,
shorter one has what was left. `bytes` is what peers acknowledged and sent. What was not measured is null. A third
file, `.stops.ndjson`, has a line for each stop, written as soon as it has ended: {"t_unix_s", "stopped_s",
"unacked_bytes", "notsent_bytes", "acked_bytes"}: when it began and how long it was, what lay in the sockets' send
buffers when it began and how much of that was not sent yet, and what peers acknowledged until its end. Where FILE is a
device or a pipe there are no others, and their names are null.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from workloads.errors import WorkloadError
from workloads.throttle.record import Figures, Sample, Stop
from workloads.throttle.settings import A_FILE, CUT_SHORT_WARNING, Rate, Settings, in_unit

SCHEMA = 1
# How close the mean comes to the target in a transfer that is long enough; docs/how-to/cap-bandwidth.md promises it.
PROMISED_ERROR = 0.01
MANY_TIMES = 10  # from here on a multiple is easier to read than percent


@dataclass(frozen=True, kw_only=True)
class Outcome(Figures):
    """A run that has ended. `pauses_cut_short` ended at the longest allowed, before the rate was reached. `sent_bytes`
    and `received_bytes` are None when nothing was measured. `cpu_s` is the throttle's own processor time.
    """

    started_unix_s: float
    sent_bytes: int | None
    received_bytes: int | None
    stops: int
    longest_pause_s: float | None
    pauses_cut_short: int
    exit_code: int
    cpu_s: float


def document(settings: Settings, outcome: Outcome, samples: Path | None, stops: Path | None) -> dict[str, Any]:
    """Returns the report. It has the command's name without its arguments, which may be confidential."""
    pace, mean = settings.pace, outcome.mean_bytes_per_s
    target = pace.bytes_per_s if isinstance(pace, Rate) else None
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
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in vars(outcome).items()},
        "mean_to_target_ratio": round(mean / target, 6) if mean is not None and target is not None else None,
        "samples": None if samples is None else samples.name,
        "stop_records": None if stops is None else stops.name,
    }


def sentences(settings: Settings, outcome: Outcome) -> list[str]:
    """Returns the report in words."""
    pace = settings.pace
    lines = []
    if outcome.bytes is None:
        lines.append(f"{outcome.seconds:.1f} s; what was moved could not be measured")
    elif outcome.bytes == 0:
        lines.append(
            f"no TCP connection was seen to move anything in {outcome.seconds:.1f} s; "
            "one that lasts less than 20 ms may not be seen"
        )
    elif outcome.active_s is None or outcome.mean_bytes_per_s is None:
        lines.append(f"{outcome.bytes:,} bytes in {outcome.seconds:.1f} s: too little to say how well the cap held")
    else:
        mean = f"{outcome.bytes:,} bytes in {outcome.active_s:.3g} s: {in_unit(outcome.mean_bytes_per_s, pace.unit)}"
        if isinstance(pace, Rate):
            mean += f", {_of_target(outcome.mean_bytes_per_s, pace)}"
        if outcome.window_std_bytes_per_s is not None and outcome.windows > 1:
            mean += f"; standard deviation of one-second windows {in_unit(outcome.window_std_bytes_per_s, pace.unit)}"
        largest = outcome.largest_100_ms_bytes or 0
        lines.append(f"{mean}; largest 100 ms {largest:,} bytes")
        over = isinstance(pace, Rate) and outcome.mean_bytes_per_s > pace.bytes_per_s * (1 + PROMISED_ERROR)
        # With a warning before, the rate can't be held at all; else the end came before a pause for the last burst.
        if over and outcome.pauses_cut_short < CUT_SHORT_WARNING:
            lines.append(
                f"too short for this cap: its bursts are {largest / outcome.bytes:.0%} of it; the mean is within "
                f"{PROMISED_ERROR:.0%} from about {largest / PROMISED_ERROR / 1e6:,.0f} MB on"
            )
    longest = "" if outcome.longest_pause_s is None else f", the longest {outcome.longest_pause_s:.2f} s"
    running = "" if outcome.running_ratio is None else f"; running {outcome.running_ratio:.0%} of the time"
    lines.append(f"{outcome.stops} stops{longest}{running}")
    return lines


def _of_target(bytes_per_s: float, target: Rate) -> str:
    ratio = bytes_per_s / target.bytes_per_s
    return f"{ratio:.1%} of {target.words}" if ratio < MANY_TIMES else f"{ratio:,.0f} times {target.words}"


class Writer:
    """Writes report, samples and stops; nothing where there is no `path`. Opens the files at once, so that a fault is
    known before anything starts.

    Existing files keep their content until the first sample. A device, a pipe or the name of a descriptor (/dev/stdout)
    gets the report alone, appended; `samples` and `stops` are then None.
    """

    def __init__(self, path: Path | None) -> None:
        """Opens the files. Raises WorkloadError."""
        self.samples: Path | None = None
        self.stops: Path | None = None
        self._unix_minus_clock_s = time.time() - time.monotonic()  # the times of samples are of time.monotonic()
        self._fault: OSError | None = None
        self._begun = False
        self._path = path
        self._files: dict[Path, TextIO] = {}
        self._made: list[Path] = []
        try:
            if path is not None and _is_file_of_a_directory(path):
                self.samples, self.stops = (
                    path.with_name(f"{path.name.removesuffix('.json')}.{name}.ndjson") for name in ("samples", "stops")
                )
            for each in (path, self.samples, self.stops):
                if each is not None:
                    self._files[each] = self._open(each)
        except OSError as fault:
            self.close()
            raise WorkloadError(f"--report {path}: {fault.strerror}", A_FILE) from None

    def write_sample(self, sample: Sample) -> None:
        """Writes a sample. An error is kept until `write`: a full disk is no reason to end the cap."""
        self._add(self.samples, sample)

    def write_stop(self, stop: Stop) -> None:
        """Writes a stop; an error is kept until `write`."""
        self._add(self.stops, stop)

    def write(self, report: dict[str, Any]) -> None:
        """Writes the report. Raises OSError when the report, or a sample or stop before it, could not be written."""
        self._begin()
        if self._path is not None:
            self._files[self._path].write(f"{json.dumps(report, indent=1)}\n")
        for each in self._files.values():
            each.flush()
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Closes the files; removes those that it created if nothing was written."""
        for each in self._files.values():
            with contextlib.suppress(OSError):  # `write` has raised it
                each.close()
        if not self._begun:
            for path in self._made:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _add(self, path: Path | None, record: Sample | Stop) -> None:
        if path is None or self._fault is not None:
            return
        fields = dict(vars(record))
        line = {"t_unix_s": round(fields.pop("start_s") + self._unix_minus_clock_s, 3)}
        line |= {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
        try:
            self._begin()
            self._files[path].write(f"{json.dumps(line)}\n")
        except OSError as fault:
            self._fault = fault

    def _open(self, path: Path) -> TextIO:
        there_before = path.exists()
        # Without O_NONBLOCK, opening a FIFO without a reader would block for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
        os.set_blocking(descriptor, True)
        if not there_before:
            self._made.append(path)
        return os.fdopen(descriptor, "w", buffering=1 if path == self.stops else -1, encoding="ascii")

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self.samples is None:
            return
        for each in self._files.values():
            if stat.S_ISREG(os.fstat(each.fileno()).st_mode):
                os.ftruncate(each.fileno(), 0)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_file_of_a_directory(path: Path) -> bool:
    """Returns whether `path` is, or will be, a file under its own name: /dev/fd/1 may be a file under another."""
    folder = Path(os.path.realpath(path.parent))
    if folder == Path("/dev") or folder.is_relative_to("/proc"):
        return False
    return path.is_file() or not path.exists()
