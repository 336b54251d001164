"""How far a copy is: rsync's own running line, read.

With --info=progress2 and --no-inc-recursive rsync writes `  12,345,678  45%   1.20MB/s    0:00:12 (xfr#5,
to-chk=12/34)`, the time being what is left until the end, and elapsed in the last line (rsync(1), --progress).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workloads.console import duration_words, si_bytes

_LINE = re.compile(
    r"\s*(?P<bytes>[\d,.]+)\s+(?P<percent>\d+)%\s+\S+/s\s+(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)"
)


@dataclass(frozen=True)
class Copied:
    """So many bytes are copied, `percent` of all; `seconds_left` as rsync reckons."""

    done_bytes: int
    percent: int
    seconds_left: int

    @property
    def words(self) -> str:
        """For a person."""
        return f"{si_bytes(self.done_bytes)}, {self.percent} %, {duration_words(self.seconds_left)} left"


def copied(line: str) -> Copied | None:
    """What a line says; None when it is not one of those."""
    found = _LINE.match(line)
    if found is None:
        return None
    done = int(re.sub(r"[,.]", "", found["bytes"]))
    seconds = int(found["hours"]) * 3600 + int(found["minutes"]) * 60 + int(found["seconds"])
    return Copied(done, int(found["percent"]), seconds)
