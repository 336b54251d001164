"""The processor's time of `fab --list` and `fab claims`, over that of an interpreter that does nothing.

    python -m bench.commands [--rounds 9]

The programs take turns. Printed: each one's median and range. The aims: 0.3 s for the list, 0.5 s for the claims.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from bench.measure import ROOT, argument_parser, in_turns, median_and_range, processor_seconds

FAB = (sys.executable, "-m", "fabric")
CONTESTANTS = {
    "python": (sys.executable, "-c", "pass"),
    "fab --list": (*FAB, "--list"),
    "fab claims": (*FAB, "claims"),
}


def seconds_of(command: tuple[str, ...]) -> float:
    """Runs a command; returns what it and its processes needed."""
    # Where it is set, all that is imported is compiled anew each time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = processor_seconds()
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return processor_seconds() - before


def main() -> None:
    rounds = argument_parser(__doc__, rounds=9).parse_args().rounds
    contestants = [partial(seconds_of, command) for command in CONTESTANTS.values()]
    in_turns(contestants, 1)  # what is kept of a first run is there
    for name, seconds in zip(CONTESTANTS, in_turns(contestants, rounds), strict=True):
        print(f"{name:16} {median_and_range(seconds, '.2f', ' s CPU')}")


if __name__ == "__main__":
    main()
