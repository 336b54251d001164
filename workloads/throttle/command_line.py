"""Parses the command line; an error is one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from workloads.errors import WorkloadError
from workloads.throttle.report import A_FILE
from workloads.throttle.settings import Cycle, Settings, parse_rate

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
    parser = _parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        raise WorkloadError(f"{unknown[0]!r} is no option", "a command comes after --, as in: -- aws s3 sync FROM TO")
    if (command is None) == (options.pid is None):
        raise WorkloadError("no process to hold back, or two", "give either --pid PID, or a command after --")
    if command is not None and not command:
        raise WorkloadError("nothing after --", "the command comes there, as in: -- aws s3 sync FROM TO")
    if options.rate is not None and (options.stop is not None or options.run is not None):
        raise WorkloadError("--rate with --stop or --run", "--rate sets both times itself: give one or the other")
    if options.rate is None and (options.stop is None or options.run is None):
        raise WorkloadError("no rate", "either --rate RATE, or both --stop and --run")
    if options.rate is None and options.max_pause is not None:
        raise WorkloadError("--max-pause without --rate", "--stop is the pause")
    if options.rate is not None and options.from_first_byte:
        raise WorkloadError("--from-first-byte with --rate", "a rate never stops a process that moves nothing")
    return Settings(
        pace=_cycle(options) if options.rate is None else parse_rate(options.rate),
        max_pause_s=_seconds("--max-pause", options.max_pause, 0.1, LONGEST_PAUSE_S)
        if options.max_pause is not None
        else DEFAULT_MAX_PAUSE_S,
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
    return Cycle(
        stop_s=_seconds("--stop", options.stop, SHORTEST_PAUSE_S, LONGEST_PAUSE_S),
        run_s=_seconds("--run", options.run, SHORTEST_RUN_S, LONGEST_RUN_S),
        from_first_byte=options.from_first_byte,
    )


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
