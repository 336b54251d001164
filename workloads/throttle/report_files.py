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
from workloads.throttle.record import Sample

A_FILE = "give a file in a directory that can be written"


class Writer:
    """Report and samples, open from the beginning: that they can't be written is found out before anything is started.

    Files that are there already keep what they hold until the first sample. A device, a pipe or the name of a
    descriptor (/dev/stdout) gets the report alone, after whatever it holds; `samples` is None then.
    """

    def __init__(self, path: Path, unix_minus_clock_s: float | None = None) -> None:
        """`unix_minus_clock_s` turns the samples' times into Unix time; None: they are of time.monotonic()."""
        self.samples: Path | None = None
        self._offset_s = time.time() - time.monotonic() if unix_minus_clock_s is None else unix_minus_clock_s
        self._fault: OSError | None = None
        self._begun = False
        self._made: list[Path] = []
        self._report: TextIO | None = None
        self._stream: TextIO | None = None
        try:
            if _is_file_of_a_directory(path):
                self.samples = path.with_name(f"{path.name.removesuffix('.json')}.samples.ndjson")
            self._report = self._open(path)
            if self.samples is not None:
                self._stream = self._open(self.samples)
        except OSError as fault:
            self.close()
            raise WorkloadError(f"--report {path}: {fault.strerror}", A_FILE) from None

    def keep(self, sample: Sample) -> None:
        """Writes a sample. What goes wrong is told by `write`: a full disk is no reason to let go of a process."""
        if self._stream is None or self._fault is not None:
            return
        record = {
            "t_unix_s": round(sample.start_s + self._offset_s, 3),
            "bytes": sample.bytes,
            "running_ratio": round(sample.running_ratio, 4),
        }
        try:
            self._begin()
            self._stream.write(f"{json.dumps(record)}\n")
        except OSError as fault:
            self._fault = fault

    def write(self, report: dict[str, Any]) -> None:
        """Writes the report. Raises OSError when that, or a sample before, could not be written."""
        assert self._report is not None  # it was opened
        self._begin()
        json.dump(report, self._report, indent=1)
        self._report.write("\n")
        self._report.flush()
        if self._stream is not None:
            self._stream.flush()
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Closes both, and removes one that was made here and has nothing in it."""
        for each in (self._report, self._stream):
            if each is not None:
                with contextlib.suppress(OSError):  # it has been told
                    each.close()
        for path in self._made:
            with contextlib.suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()

    def _open(self, path: Path) -> TextIO:
        there_before = path.exists()
        # Without O_NONBLOCK a FIFO that nobody reads would have us wait for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
        os.set_blocking(descriptor, True)
        if not there_before:
            self._made.append(path)
        return os.fdopen(descriptor, "w", encoding="ascii")

    def _begin(self) -> None:
        if self._begun or self.samples is None:
            return
        self._begun = True
        for each in (self._report, self._stream):
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
