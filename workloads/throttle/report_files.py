"""The files of `--report`: opened before anything is started, written at the end; what is in them is in report.py."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, TextIO

from workloads.errors import WorkloadError
from workloads.throttle.record import Sample, Stop

A_FILE = "give a file in a directory that can be written"


class Writer:
    """Report, samples and stops, open from the beginning: whether they can be written is known before anything starts.

    Files that are there already keep what they hold until the first sample. A device, a pipe or the name of a
    descriptor (/dev/stdout) gets the report alone, after whatever it holds; `samples` and `stops` are None then.
    """

    def __init__(self, path: Path, unix_minus_clock_s: float | None = None) -> None:
        """`unix_minus_clock_s` turns the samples' times into Unix time; None: they are of time.monotonic()."""
        self.samples: Path | None = None
        self.stops: Path | None = None
        self._offset_s = time.time() - time.monotonic() if unix_minus_clock_s is None else unix_minus_clock_s
        self._fault: OSError | None = None
        self._begun = False
        self._made: list[Path] = []
        self._report: TextIO | None = None
        self._sample_lines: TextIO | None = None
        self._stop_lines: TextIO | None = None
        try:
            if _is_file_of_a_directory(path):
                self.samples, self.stops = (
                    path.with_name(f"{path.name.removesuffix('.json')}.{name}.ndjson") for name in ("samples", "stops")
                )
            self._report = self._open(path)
            if self.samples is not None and self.stops is not None:
                self._sample_lines, self._stop_lines = self._open(self.samples), self._open(self.stops)
        except OSError as fault:
            self.close()
            raise WorkloadError(f"--report {path}: {fault.strerror}", A_FILE) from None

    def keep(self, sample: Sample) -> None:
        """Writes a sample. What goes wrong is told by `write`: a full disk is no reason to let go of a process."""
        record = {"bytes": sample.bytes, "running_ratio": round(sample.running_ratio, 4)}
        self._add(self._sample_lines, sample.start_s, record)

    def keep_stop(self, stop: Stop) -> None:
        """Writes a stop, likewise."""
        record = {
            "stopped_s": round(stop.stopped_s, 4),
            "unacked_bytes": stop.unacked_bytes,
            "notsent_bytes": stop.notsent_bytes,
            "acked_bytes": stop.acked_bytes,
        }
        self._add(self._stop_lines, stop.start_s, record)

    def write(self, report: dict[str, Any]) -> None:
        """Writes the report. Raises OSError when that, or a sample before, could not be written."""
        assert self._report is not None  # it was opened
        self._begin()
        json.dump(report, self._report, indent=1)
        self._report.write("\n")
        self._report.flush()
        for each in (self._sample_lines, self._stop_lines):
            if each is not None:
                each.flush()
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Closes all, and removes what was made here when nothing has come of it."""
        for each in (self._report, self._sample_lines, self._stop_lines):
            if each is not None:
                with contextlib.suppress(OSError):  # it has been told
                    each.close()
        if not self._begun:
            for path in self._made:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _add(self, lines: TextIO | None, start_s: float, record: dict[str, Any]) -> None:
        if lines is None or self._fault is not None:
            return
        try:
            self._begin()
            lines.write(f"{json.dumps({'t_unix_s': round(start_s + self._offset_s, 3), **record})}\n")
        except OSError as fault:
            self._fault = fault

    def _open(self, path: Path) -> TextIO:
        there_before = path.exists()
        # Without O_NONBLOCK a FIFO that nobody reads would have us wait for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
        os.set_blocking(descriptor, True)
        if not there_before:
            self._made.append(path)
        return os.fdopen(descriptor, "w", encoding="ascii")

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self.samples is None:
            return
        for each in (self._report, self._sample_lines, self._stop_lines):
            if each is not None and stat.S_ISREG(os.fstat(each.fileno()).st_mode):
                os.ftruncate(each.fileno(), 0)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_file_of_a_directory(path: Path) -> bool:
    """Whether it is a file, or will be one, and its name is its own: not that of a descriptor, which may be a file."""
    folder = Path(os.path.realpath(path.parent))
    if folder == Path("/dev") or folder.is_relative_to("/proc"):
        return False
    return path.is_file() or not path.exists()
