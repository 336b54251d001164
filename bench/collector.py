"""Whether the tasks lose a second of a long run, and whether their memory stays as it is.

    python -m bench.collector --inventory .lab/inventory.json [--seconds 3600] [--writers 40] [--clients 2]

Runs `fab efs-iops.run` with one cell of that length on a file system that is there already (`make rehearse
EXPERIMENT=efs-iops KEEP=1`, or a stack on AWS), and looks at the task's resident memory meanwhile. Printed: memory
after a tenth, half and all of the run; and for each source and host how many of the run's seconds have a record.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.measure import ROOT, argument_parser

LOOK_SECONDS = 5.0
PLAN = """
name = "long"
seconds = {seconds}
[[fixed]]
operations = ["write"]
request_bytes = [1024]
writers = [{writers}]
clients = [{clients}]
"""


@dataclass(frozen=True)
class Sample:
    """The task's resident memory at a moment."""

    seconds: float
    rss_mib: float


def rss_mib(pid: int) -> float | None:
    """Returns the resident memory of a process; None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    (kib,) = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")] or [0]
    return kib / 1024


def run(inventory: Path, plan: Path, results: Path) -> list[Sample]:
    """Runs the task from beginning to end, and samples it every few seconds."""
    began = time.monotonic()
    task = subprocess.Popen(
        [sys.executable, "-m", "fabric", "efs-iops.run", "--inventory", str(inventory), "--plan", str(plan)],
        cwd=ROOT,
        env={**os.environ, "TIDEMARK_RESULTS_DIR": str(results)},
    )
    samples = []
    while task.poll() is None:
        seen = rss_mib(task.pid)
        if seen:
            samples.append(Sample(time.monotonic() - began, seen))
        time.sleep(LOOK_SECONDS)
    if task.returncode != 0:
        raise SystemExit(f"bench/collector.py: the task ended with {task.returncode}")
    return samples


def seconds_recorded(path: Path, start_key: str, kind: str | None = None) -> Counter[str]:
    """Returns by host in how many different seconds a record began."""
    seen: dict[str, set[int]] = {}
    with path.open() as lines:
        for line in lines:
            record = json.loads(line)
            if kind is None or record.get("kind") == kind:
                seen.setdefault(record["host"], set()).add(int(record[start_key]))
    return Counter({host: len(seconds) for host, seconds in seen.items()})


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--writers", type=int, default=40, help="on each client (40)")
    parser.add_argument("--clients", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        plan, results = Path(folder) / "long.toml", Path(folder) / "results"
        plan.write_text(PLAN.format(seconds=options.seconds, writers=options.writers, clients=options.clients))
        samples = run(options.inventory.absolute(), plan, results)
        (raw,) = results.glob("efs-iops/*/*/raw")
        for share in (0.1, 0.5, 1.0):
            at = samples[max(0, round(share * len(samples)) - 1)]
            print(f"memory after {at.seconds:6.0f} s: {at.rss_mib:7.1f} MiB")
        # A sampler's second is when it looked, so a slow host may skip one; the worker's are cut by its own clock.
        for name, key, kind in (
            ("worker", "t_start_unix_s", "interval"),
            ("mountstats", "t_unix_s", None),
            ("host", "t_unix_s", None),
        ):
            for host, count in sorted(seconds_recorded(raw / f"{name}.ndjson", key, kind).items()):
                print(f"{name:<10} {host:<12} {count} seconds with a record, of {options.seconds}")


if __name__ == "__main__":
    main()
