"""What the native worker costs: its rate against a bare loop of the same system call, and against fio.

    python -m bench.worker [--parts memory disk queue] [--rounds 7] [--seconds 2]
                           [--disk DIRECTORY] [--memory DIRECTORY] [--device DEVICE]

The programs take turns within a round, in an order that rotates, so that whatever else the machine does falls on all
of them; a ratio is taken within its round. Printed: medians, and of ratios the quartiles too.

memory: files on tmpfs, where only the processor limits. The rate is of a second of CPU time, which other load on the
machine changes far less than a second of the clock. CPU time includes the start of the worker and of the bare loop,
not that of fio. "fixed" is two system calls in the worker and in the bare loop, and one in fio's psync, which has no
such pattern. There are two bare loops: one makes its system calls through the C library, as most programs do, and one
without, as the worker does.

disk: a file on a disk, past the page cache; rates are of a second of the clock. The latencies' median and 99th
percentile are compared with fio's.

queue: 32 requests in flight on a block device, by 32 threads and by one with io_uring. DEVICE is written to! Without
one, it is a loop device on a file in --memory, which needs root; the CPU time of the kernel's threads for it is in no
figure.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.measure import ROOT, argument_parser, in_turns, processor_seconds
from report.histogram import Histogram

FILE_BYTES = 256 * 1024 * 1024
DEPTH = 32


@dataclass(frozen=True)
class Case:
    operation: str
    pattern: str
    size_bytes: int
    threads: int
    direct: bool
    depth: int = 1  # of each thread; more than one: by io_uring

    @property
    def name(self) -> str:
        how = "direct" if self.direct else "buffered"
        engine = " io_uring" if self.depth > 1 else ""
        return f"{self.pattern} {self.operation} {self.size_bytes} B x{self.threads * self.depth} {how}{engine}"


@dataclass(frozen=True)
class Figures:
    per_second: float
    per_cpu_second: float
    p50_ns: float = 0
    p99_ns: float = 0


Program = Callable[[Case, Path], Figures]

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
    Case("read", "random", 4096, 1, True, 8),
    Case("read", "sequential", 1024 * 1024, 2, True),
)


@dataclass(frozen=True)
class Bench:
    worker_path: Path
    bare_loop_path: Path
    library_loop_path: Path
    seconds: int

    def worker(self, case: Case, path: Path) -> Figures:
        command = [str(self.worker_path), "--file", str(path), "--op", case.operation, "--pattern", case.pattern]
        command += ["--size", str(case.size_bytes), "--threads", str(case.threads), "--duration", str(self.seconds)]
        command += ["--direct"] if case.direct else []
        command += ["--engine", "io_uring", "--depth", str(case.depth)] if case.depth > 1 else []
        command += ["--overwrite"] if case.operation == "write" and path.is_block_device() else []
        output, cpu_s = run_timed(command)
        final = json.loads(output.splitlines()[-1])
        elapsed_s = float(final["t_end_unix_s"] - final["t_start_unix_s"])
        latencies = Histogram.from_json(final["latency_ns"])
        p50, p99 = (latencies.percentile_ns(percent) or 0 for percent in (50, 99))
        return Figures(final["ops"] / elapsed_s, final["ops"] / cpu_s, p50, p99)

    def bare_loop(self, case: Case, path: Path) -> Figures:
        return self._loop(self.bare_loop_path, case, path)

    def library_loop(self, case: Case, path: Path) -> Figures:
        return self._loop(self.library_loop_path, case, path)

    def _loop(self, program: Path, case: Case, path: Path) -> Figures:
        command = [str(program), str(path), case.operation, case.pattern, str(case.size_bytes)]
        command += [str(FILE_BYTES), str(case.threads * case.depth), str(self.seconds)]
        command += ["direct" if case.direct else "buffered"]
        output, cpu_s = run_timed(command)
        operations, elapsed_s = output.split()
        return Figures(int(operations) / float(elapsed_s), int(operations) / cpu_s)

    def fio(self, case: Case, path: Path) -> Figures:
        # fio has no "stay at offset 0": random offsets in a file of one request come to that.
        span_bytes = case.size_bytes if case.pattern == "fixed" else FILE_BYTES
        access = case.operation if case.pattern == "sequential" else f"rand{case.operation}"
        engine = ["--ioengine=psync"]
        if case.depth > 1:
            engine = ["--ioengine=io_uring", f"--iodepth={case.depth}", "--fixedbufs", "--registerfiles"]
        command = ["fio", "--name=bench", *engine, f"--filename={path}", f"--rw={access}", "--thread"]
        command += [f"--bs={case.size_bytes}", f"--size={span_bytes}", f"--numjobs={case.threads}"]
        command += ["--time_based", f"--runtime={self.seconds}", "--norandommap", "--invalidate=0"]
        command += [f"--direct={int(case.direct)}", "--group_reporting", "--output-format=json"]
        command += ["--lat_percentiles=1", "--clat_percentiles=0"]
        job = json.loads(run(command))["jobs"][0]
        done = job[case.operation]
        # Its own figures, without its start, which takes long enough to count. job_runtime is of all threads.
        cpu_s = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000
        percentiles = done["lat_ns"]["percentile"]
        return Figures(done["iops"], done["total_ios"] / cpu_s, percentiles["50.000000"], percentiles["99.000000"])


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench/worker.py: {command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def run_timed(command: list[str]) -> tuple[str, float]:
    """Returns the output, and the CPU seconds of the process and its children."""
    before = processor_seconds()
    output = run(command)
    return output, processor_seconds() - before


def measure(rivals: Sequence[tuple[Program, Case]], path: Path, rounds: int) -> list[list[Figures]]:
    """Returns the figures of each rival, round by round."""
    return in_turns([partial(program, case, path) for program, case in rivals], rounds)


def ratio(ours: list[Figures], theirs: list[Figures], figure: str) -> str:
    """Returns the median and the quartiles of a figure's ratio."""
    ratios = sorted(getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, theirs, strict=True))
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return f"{median:.3f} ({low:.3f}-{high:.3f})"


def median(figures: list[Figures], figure: str) -> float:
    return float(statistics.median(getattr(each, figure) for each in figures))


def row(name: str, *columns: str) -> None:
    print(f"{name:<42}", *(f"{column:>21}" for column in columns), flush=True)


def memory(bench: Bench, path: Path, rounds: int) -> None:
    row("op per CPU second", "worker", "worker/bare loop", "by the C library", "worker/fio psync")
    for case in MEMORY_CASES:
        programs = (bench.worker, bench.bare_loop, bench.library_loop, bench.fio)
        ours, *others = measure([(program, case) for program in programs], path, rounds)
        ratios = [ratio(ours, each, "per_cpu_second") for each in others]
        row(case.name, f"{median(ours, 'per_cpu_second'):.0f}", *ratios)


def disk(bench: Bench, path: Path, rounds: int) -> None:
    row("op per second", "worker", "worker/bare loop", "worker/fio", "p50 worker/fio", "p99 worker/fio")
    for case in DISK_CASES:
        rivals = [(bench.worker, case), (bench.bare_loop, case), (bench.fio, case)]
        ours, bare, fio = measure(rivals, path, rounds)
        ratios = [ratio(ours, bare, "per_second")]
        ratios += [ratio(ours, fio, figure) for figure in ("per_second", "p50_ns", "p99_ns")]
        row(case.name, f"{median(ours, 'per_second'):.0f}", *ratios)


def queue(bench: Bench, device: Path, rounds: int) -> None:
    columns = ("threads", "io_uring", "io_uring/threads", "io_uring/fio's", "the same by op/s", "the same by op/s")
    row("op per CPU second", *columns)
    for operation in ("read", "write"):
        deep = Case(operation, "random", 4096, 1, True, DEPTH)
        many = Case(operation, "random", 4096, DEPTH, True)
        threads, ring, fio = measure([(bench.worker, many), (bench.worker, deep), (bench.fio, deep)], device, rounds)
        rates = [f"{median(each, 'per_cpu_second'):.0f}" for each in (threads, ring)]
        ratios = [ratio(ring, each, figure) for figure in ("per_cpu_second", "per_second") for each in (threads, fio)]
        row(deep.name, *rates, *ratios)


@contextmanager
def data_file(directory: Path) -> Iterator[Path]:
    """Makes a file that is written, not sparse: a hole is read without the disk."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix="tidemark-bench-") as file:
        block = os.urandom(1024 * 1024)
        for _ in range(FILE_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        yield Path(file.name)


@contextmanager
def loop_device(directory: Path) -> Iterator[Path]:
    with data_file(directory) as path:
        device = run(["losetup", "--find", "--show", str(path)]).strip()
        try:
            yield Path(device)
        finally:
            run(["losetup", "--detach", device])


def build(directory: Path) -> tuple[Path, Path, Path]:
    native = ROOT / "workloads/native"
    run(["make", "-s", "-C", str(native), f"BUILD={directory}"])
    loops = (directory / "bare_loop", directory / "library_loop")
    command = ["gcc", "-std=c11", "-O2", "-static", f"-I{native}", str(ROOT / "bench/bare_loop.c"), "-o"]
    run([*command, str(loops[0])])
    run([*command, str(loops[1]), "-DTHROUGH_C_LIBRARY"])
    return directory / "tidemark-worker", *loops


def main() -> None:
    parser = argument_parser(__doc__, rounds=7)
    parser.add_argument("--parts", nargs="+", choices=("memory", "disk", "queue"), default=["memory", "disk", "queue"])
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="a directory on a disk (/var/tmp)")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a directory on tmpfs (/dev/shm)")
    parser.add_argument("--device", type=Path, help="a block device whose data may be destroyed (a loop device)")
    options = parser.parse_args()
    if shutil.which("fio") is None:
        parser.error("fio is not installed; `make setup` installs it")
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as directory:
        bench = Bench(*build(Path(directory)), options.seconds)
        if "memory" in options.parts:
            print(f"\n{options.memory}")
            with data_file(options.memory) as path:
                memory(bench, path, options.rounds)
        if "disk" in options.parts:
            print(f"\n{options.disk}")
            with data_file(options.disk) as path:
                disk(bench, path, options.rounds)
        if "queue" in options.parts and options.device is not None:
            print(f"\n{options.device}")
            queue(bench, options.device, options.rounds)
        elif "queue" in options.parts:
            with loop_device(options.memory) as device:
                print(f"\n{device}, a loop device on a file in {options.memory}")
                queue(bench, device, options.rounds)


if __name__ == "__main__":
    main()
