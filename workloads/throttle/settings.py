"""The command line and the settings that it gives, with the rates in them; an error is one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, NoReturn

from workloads.errors import WorkloadError

# k, M and G are thousands (SI), Ki, Mi and Gi are 1024s (IEC 80000-13). "Mb/s" and "Mbps" are left out: people mean
# bits by them as often as bytes.
UNITS = {
    "B/s": Fraction(1),
    "kB/s": Fraction(10**3),
    "MB/s": Fraction(10**6),
    "GB/s": Fraction(10**9),
    "KiB/s": Fraction(2**10),
    "MiB/s": Fraction(2**20),
    "GiB/s": Fraction(2**30),
    "bit/s": Fraction(1, 8),
    "kbit/s": Fraction(10**3, 8),
    "Mbit/s": Fraction(10**6, 8),
    "Gbit/s": Fraction(10**9, 8),
}
# People write the k of a thousand as K, too; these spellings have no other meaning.
SPELLINGS = {"KB/s": "kB/s", "kiB/s": "KiB/s", "Kbit/s": "kbit/s"}
ALLOWED = "a number and one of " + ", ".join(UNITS)

# A full socket buffer at the beginning cuts one pause short; several mean that the rate can't be held.
CUT_SHORT_WARNING = 3
LEAST_BYTES_PER_S = 1024
MOST_BYTES_PER_S = 2**40
_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) *([^0-9. ]\S*)?")


@dataclass(frozen=True)
class Rate:
    """A rate: its `words` as written (2 MiB/s), their `unit` (a key of UNITS), and the same in bytes per second."""

    words: str
    unit: str
    bytes_per_s: float

    @property
    def explained(self) -> str:
        """What is done to a process; the rate is also in bytes, which shows how an M was understood."""
        return f"held to {self.words}, which is {self.bytes_per_s:,.0f} bytes a second"


def parse_rate(text: str) -> Rate:
    """Returns the rate that `text` means; a blank before the unit is optional.

    Raises WorkloadError for a plain number, another unit, or a rate outside 1 KiB/s to 1 TiB/s.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise WorkloadError(f"rate {text!r}", f"a rate is {ALLOWED}, as in 2 MiB/s")
    amount, unit = found.groups()
    if unit is None:
        raise WorkloadError(f"rate {text!r} has no unit", f"a rate is {ALLOWED}, as in 2 MiB/s")
    unit = SPELLINGS.get(unit, unit)
    if unit not in UNITS:
        raise WorkloadError(f"rate {text!r}: {unit!r} is no unit here", f"a rate is {ALLOWED}")
    bytes_per_s = Fraction(amount) * UNITS[unit]
    if not LEAST_BYTES_PER_S <= bytes_per_s <= MOST_BYTES_PER_S:
        raise WorkloadError(
            f"rate {text!r} is {float(bytes_per_s):,.0f} bytes a second", "a rate is from 1 KiB/s to 1024 GiB/s"
        )
    return Rate(f"{amount} {unit}", unit, float(bytes_per_s))


def in_unit(bytes_per_s: float, unit: str) -> str:
    """Returns a rate in a unit of UNITS, for a person: 1.98 MiB/s."""
    amount = bytes_per_s / float(UNITS[unit])
    return f"{amount:,.0f} {unit}" if amount >= 1000 else f"{amount:.3g} {unit}"


@dataclass(frozen=True)
class Cycle:
    """The original's stop and run, repeated; it begins at once, or once the process has moved something."""

    stop_s: float
    run_s: float
    from_first_byte: bool = False
    unit: ClassVar[str] = "MB/s"

    @property
    def explained(self) -> str:
        """What is done to a process."""
        return f"stopped for {self.stop_s:g} s, then running for {self.run_s:g} s"


@dataclass(frozen=True)
class Settings:
    """The options of a call. `pace` is a rate to hold or a cycle to repeat; one of `command` and `pid` is None."""

    pace: Rate | Cycle
    max_pause_s: float
    command: tuple[str, ...] | None
    pid: int | None
    report: Path | None

    @property
    def needs_counts(self) -> bool:
        """Whether the pace depends on what the connections have moved."""
        return isinstance(self.pace, Rate) or self.pace.from_first_byte


# S3 closes a connection that was idle for about 20 s (aws-cli issue #1090); others are no more patient.
LONGEST_PAUSE_S = 10.0
SHORTEST_PAUSE_S = 0.01
LONGEST_RUN_S = 3600.0
SHORTEST_RUN_S = 0.001
DEFAULT_MAX_PAUSE_S = 5.0
USAGE = """\
%(prog)s --rate RATE [--max-pause S] (--pid PID | -- COMMAND ...)
       %(prog)s --stop S --run S [--from-first-byte] (--pid PID | -- COMMAND ...)"""
EPILOG = """\
Exit code of a command: its own, or 128 and the number of the signal that ended it; 126 or 127 if it cannot be run.
Exit code with --pid: 0, or 128 and the number of the signal that ended the throttle.
In both cases: 2 for wrong arguments, 1 if the cap failed. Ctrl-C with --pid ends the cap, and the process goes on."""


A_FILE = "give a file in a directory that can be written"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WorkloadError(message, "--help says what is allowed")


def parse_command_line(arguments: Sequence[str]) -> Settings:
    """Raises WorkloadError for anything that is not allowed. `--help` prints and raises SystemExit."""
    words = list(arguments)
    command: tuple[str, ...] | None = None
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], tuple(words[at + 1 :])
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        raise WorkloadError(f"{unknown[0]!r} is no option", "a command comes after --, as in: -- aws s3 sync FROM TO")
    if (command is None) == (options.pid is None):
        raise WorkloadError("no process to hold back, or two", "give either --pid PID, or a command after --")
    if command is not None and not command:
        raise WorkloadError("nothing after --", "the command comes there, as in: -- aws s3 sync FROM TO")
    if options.rate is None:
        if options.stop is None or options.run is None:
            raise WorkloadError("no rate", "either --rate RATE, or both --stop and --run")
        if options.max_pause is not None:
            raise WorkloadError("--max-pause without --rate", "--stop is the pause")
    elif options.stop is not None or options.run is not None:
        raise WorkloadError("--rate with --stop or --run", "--rate sets both times itself: give one or the other")
    elif options.from_first_byte:
        raise WorkloadError("--from-first-byte with --rate", "a rate never stops a process that moves nothing")
    return Settings(
        pace=parse_rate(options.rate) if options.rate is not None else _cycle(options),
        max_pause_s=DEFAULT_MAX_PAUSE_S
        if options.max_pause is None
        else _seconds("--max-pause", options.max_pause, 0.1, LONGEST_PAUSE_S),
        command=command,
        pid=None if options.pid is None else _pid(options.pid),
        report=None if options.report is None else _file(options.report),
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m workloads.throttle",
        usage=USAGE,
        description="Holds a process with all its children to a rate, by stopping and continuing it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rate", help="what its TCP connections may move, in and out together: 2MiB/s, 16 Mbit/s")
    parser.add_argument("--stop", metavar="S", help="a fixed cycle: stop for S seconds, such as 0.4 ...")
    parser.add_argument("--run", metavar="S", help="... then run for S seconds, such as 0.6, and repeat")
    parser.add_argument(
        "--from-first-byte",
        action="store_true",
        help="with --stop and --run: begin when the process has moved something, so that its start is not slowed",
    )
    parser.add_argument(
        "--max-pause",
        metavar="S",
        help=f"longest pause in seconds (default: {DEFAULT_MAX_PAUSE_S:.0f}); S3 closes an idle connection after 20",
    )
    parser.add_argument("--pid", help="a running process, with its children")
    parser.add_argument(
        "--report", metavar="FILE", help="write how well the cap held, as JSON; samples of 100 ms are written beside it"
    )
    return parser


def _cycle(options: argparse.Namespace) -> Cycle:
    stop_s = _seconds("--stop", options.stop, SHORTEST_PAUSE_S, LONGEST_PAUSE_S)
    return Cycle(stop_s, _seconds("--run", options.run, SHORTEST_RUN_S, LONGEST_RUN_S), options.from_first_byte)


def _seconds(option: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise WorkloadError(f"{option} {text}", f"seconds, from {least:g} to {most:g}")
    return value


def _file(text: str) -> Path:
    if text.rpartition("/")[2] in ("", ".", ".."):
        raise WorkloadError(f"--report {text!r} names no file", A_FILE)
    return Path(text)


def _pid(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,9}", text):
        raise WorkloadError(f"--pid {text}", "a process id is a number from 1 on; `ps` shows them")
    return int(text)
