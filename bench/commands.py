"""The processor's time of `fab --list` and `fab claims`, over that of an interpreter that does nothing.

    python -m bench.commands [--rounds 9]

The programs take turns. Printed: each one's median and range. The aims: 0.3 s for the list, 0.5 s for the claims.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAB = (sys.executable, "-m", "fabric")
CONTESTANTS = {
    "python": (sys.executable, "-c", "pass"),
    "fab --list": (*FAB, "--list"),
    "fab claims": (*FAB, "claims"),
}


def processor_seconds(command: tuple[str, ...]) -> float:
    """Runs a command; returns what it and its processes needed."""
    # Where it is set, all that is imported is compiled anew each time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for command in CONTESTANTS.values():  # what is kept of a first run is there
        processor_seconds(command)
    found: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, command in CONTESTANTS.items():
            found[name].append(processor_seconds(command))
    for name, seconds in found.items():
        print(f"{name:16} {statistics.median(seconds):.2f} s CPU  ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
