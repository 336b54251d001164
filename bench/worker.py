"""What the native worker costs: its rate against a bare loop of the same system call, and fio's psync.

    python bench/worker.py [--rounds 7] [--seconds 2] [--disk DIRECTORY] [--memory DIRECTORY]

The three take turns within a round, in an order that rotates, so that whatever else the machine does
falls on all of them; a ratio is taken within its round. Printed: medians, and the least and the greatest
ratio.

On tmpfs, where only the processor limits, the rate is of a second of CPU time, which other load on the
machine changes far less than a second of the clock; on a disk it is of the clock. CPU time includes the
start of the worker and of the bare loop, not that of fio. "fixed" is two system calls in the worker and in
the bare loop, and one in fio, which has no such pattern.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Case:
    operation: str
    pattern: str
    size_bytes: int
    threads: int
    direct: bool

    @property
    def name(self) -> str:
        how = "direct" if self.direct else "buffered"
        return f"{self.pattern} {self.operation} {self.size_bytes} B x{self.threads} {how}"


MEMORY_CASES = (
    Case("read", "fixed", 1, 1, False),
    Case("write", "fixed", 1, 1, False),
    Case("read", "random", 4096, 1, False),
    Case("write", "random", 4096, 1, False),
    Case("read", "sequential", 4096, 1, False),
    Case("read", "random", 4096, 2, False),
    Case("read", "sequential", 1024 * 1024, 1, False),
)
DISK_CASES = (
    Case("read", "random", 4096, 1, True),
    Case("read", "random", 4096, 8, True),
    Case("write", "random", 4096, 4, True),
    Case("read", "sequential", 1024 * 1024, 2, True),
)


@dataclass(frozen=True)
class Bench:
    worker: Path
    bare_loop: Path
    seconds: float

    def worker_rate(self, case: Case, path: Path) -> float:
        command = [str(self.worker), "--file", str(path), "--op", case.operation, "--pattern", case.pattern]
        command += ["--size", str(case.size_bytes), "--threads", str(case.threads)]
        command += ["--duration", f"{self.seconds:.3f}", *(["--direct"] if case.direct else [])]
        output, cpu_s = run_timed(command)
        final = json.loads(output.splitlines()[-1])
        elapsed_s = float(final["t_end_unix_s"] - final["t_start_unix_s"])
        return float(final["ops"]) / (elapsed_s if case.direct else cpu_s)

    def bare_rate(self, case: Case, path: Path) -> float:
        command = [str(self.bare_loop), str(path), case.operation, case.pattern, str(case.size_bytes)]
        command += [str(FILE_BYTES), str(case.threads), f"{self.seconds:.3f}"]
        command += ["direct" if case.direct else "buffered"]
        output, cpu_s = run_timed(command)
        operations, elapsed_s = output.split()
        return int(operations) / (float(elapsed_s) if case.direct else cpu_s)

    def fio_rate(self, case: Case, path: Path) -> float:
        # fio has no "stay at offset 0": random offsets in a file of one request come to that.
        span_bytes = case.size_bytes if case.pattern == "fixed" else FILE_BYTES
        access = case.operation if case.pattern == "sequential" else f"rand{case.operation}"
        command = ["fio", "--name=bench", "--ioengine=psync", f"--filename={path}", f"--rw={access}"]
        command += [
            f"--bs={case.size_bytes}",
            f"--size={span_bytes}",
            f"--numjobs={case.threads}",
            "--thread",
        ]
        command += ["--time_based", f"--runtime={self.seconds:.0f}", "--norandommap", "--invalidate=0"]
        command += [f"--direct={int(case.direct)}", "--group_reporting", "--output-format=json"]
        job = json.loads(run(command))["jobs"][0]
        if case.direct:
            return float(job[case.operation]["iops"])
        # Its own figures, without its start, which takes long enough to count. job_runtime is of all threads.
        cpu_s = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000
        return float(job[case.operation]["total_ios"] / cpu_s)


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench/worker.py: {command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def run_timed(command: list[str]) -> tuple[str, float]:
    """The output, and the CPU seconds of the process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return output, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compare(bench: Bench, case: Case, path: Path, rounds: int) -> str:
    rivals: dict[str, Callable[[Case, Path], float]] = {"worker": bench.worker_rate, "bare": bench.bare_rate}
    if shutil.which("fio"):
        rivals["fio"] = bench.fio_rate
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    names = list(rivals)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            rates[name].append(rivals[name](case, path))
    columns = [f"{case.name:<40}", f"{statistics.median(rates['worker']):>10.0f}"]
    for name in ("bare", "fio"):
        if name not in rates:
            columns.append(f"{'-':>10} {'-':>20}")
            continue
        ratios = [ours / theirs for ours, theirs in zip(rates["worker"], rates[name], strict=True)]
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
        columns.append(f"{statistics.median(rates[name]):>10.0f} {spread:>20}")
    return " ".join(columns)


@contextmanager
def data_file(directory: Path) -> Iterator[Path]:
    """Written, not sparse: a hole is read without the disk."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix="tidemark-bench-") as file:
        block = os.urandom(1024 * 1024)
        for _ in range(FILE_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        yield Path(file.name)


def build(directory: Path) -> tuple[Path, Path]:
    run(["make", "-s", "-C", str(ROOT / "workloads/native"), f"BUILD={directory}"])
    bare_loop = directory / "bare_loop"
    run(["gcc", "-std=c11", "-O2", "-static", "-o", str(bare_loop), str(ROOT / "bench/bare_loop.c")])
    return directory / "tidemark-worker", bare_loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="a directory on a disk (/var/tmp)")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a directory on tmpfs (/dev/shm)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as directory:
        worker, bare_loop = build(Path(directory))
        bench = Bench(worker, bare_loop, float(options.seconds))
        heading = f"{'worker':>10} {'bare':>10} {'worker/bare':>20} {'fio':>10}"
        for place, cases in ((options.memory, MEMORY_CASES), (options.disk, DISK_CASES)):
            what = "op/s, median" if cases[0].direct else "op per CPU second, median"
            print(f"\n{place}\n{what:<40} {heading} {'worker/fio':>20}")
            with data_file(place) as path:
                for case in cases:
                    print(compare(bench, case, path, options.rounds))
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
