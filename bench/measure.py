"""What several benchmarks do: arguments are read, contestants take turns, processor time is taken, medians and ranges
are printed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


def argument_parser(description: str | None, rounds: int | None = None) -> argparse.ArgumentParser:
    """Returns a benchmark's parser, whose help is the module's docstring; `rounds` is the default of --rounds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def in_turns(contestants: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """Returns what each contestant returned, round by round. They take turns within a round, in an order that rotates,
    so that whatever else the machine does falls on all of them.
    """
    found: list[list[T]] = [[] for _ in contestants]
    for turn in range(rounds):
        for number in range(turn, turn + len(contestants)):
            found[number % len(contestants)].append(contestants[number % len(contestants)]())
    return found


def processor_seconds() -> float:
    """Returns what the processes that have ended needed so far, with those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median_and_range(values: Sequence[float], form: str, unit: str = "") -> str:
    """Returns the median, and the least and the greatest value, each in this format."""
    return f"{statistics.median(values):{form}}{unit}  ({min(values):{form}} to {max(values):{form}})"
