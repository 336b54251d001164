"""How long a report takes, how much memory, how large its page is: a run of a million records, and many runs.

    python -m bench.page [--records 1000000] [--runs 200] [--keep DIRECTORY]

The run is one of efs-iops with four clients, each with a record a second of its worker (with its histogram), of its
mountstats and of its interface, a third of the records each, as long as those of a rehearsal are: 1.9 GB in all; and
with CloudWatch's minutes.
Printed: seconds by the clock and of the processor (on a machine that does other things, too, the latter is what
counts), the most memory that its processes had together, the page's size; then how long `python -m report.ledger` and
`python -m report.results` take over few and over many runs.
The aims: 5 s and 300 MB with the copy, 5 MB, 1 s for the ledger, and nothing slower than linear in the number of
records or of runs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.measure import ROOT, argument_parser, processor_seconds

HOSTS = tuple(f"client-{n}" for n in range(1, 5))
START = 1_795_429_800
CELLS = 60
PAUSE_S = 5
# Of a second's histogram in rehearsals, by writers of a host; the median is near bucket 2160 (8 ms).
BUCKETS = {1: 35, 20: 170, 40: 200}
FIRST_BUCKET = 2150
OPS_OF_WRITER = 60
SECONDS_DRAWN = 50
# Kinds of operations that a client of NFS 4.1 has sent by the time that it measures, beside READ and WRITE.
OTHER_OPERATIONS = 20
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Took:
    wall_s: float
    processor_s: float
    largest_mb: float


def run(*command: str) -> Took:
    """Runs `python -m` with this command; returns what its processes took together."""
    before = processor_seconds()
    began, largest = time.monotonic(), 0
    started = subprocess.Popen((sys.executable, "-m", *command), cwd=ROOT, stdout=subprocess.DEVNULL)
    while started.poll() is None:
        largest = max(largest, sum(_memory_kib(pid) for pid in _with_children(started.pid)))
        time.sleep(LOOK_EVERY_S)
    if started.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {started.returncode}")
    wall = time.monotonic() - began
    return Took(wall, processor_seconds() - before, largest / 1024)


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += [each for child in children.read_text().split() for each in _with_children(int(child))]
    return found


def _memory_kib(pid: int) -> int:
    """Its share of what is in memory: pages that processes have in common are counted once for all of them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def write_run(path: Path, records: int) -> None:
    """Writes a run with a third of the records of each source."""
    seconds = records // 3 // len(HOSTS)
    generator = random.Random(3)
    raw = path / "raw"
    raw.mkdir(parents=True)
    cell_s = max(4, seconds // CELLS - PAUSE_S)
    cells = [_cell(number, START + number * (cell_s + PAUSE_S), cell_s) for number in range(CELLS)]
    (path / "manifest.json").write_text(json.dumps(_manifest(seconds)))
    _write(raw / "cells.ndjson", cells)
    _write(raw / "clocks.ndjson", [_clock(host, t) for t in (START, START + seconds) for host in HOSTS])
    _write(raw / "worker.ndjson", _worker(cells, cell_s, generator))
    _write(raw / "mountstats.ndjson", _mountstats(seconds))
    _write(raw / "host.ndjson", _interfaces(seconds))
    _write(raw / "cloudwatch.ndjson", _minutes(seconds // 60))


def _write(path: Path, records: Any) -> None:
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(record) + b"\n" for record in records)


def _manifest(seconds: int) -> dict[str, Any]:
    hosts = [{"name": host, "role": "client", "type": "m4.xlarge", "zone": "eu-central-1a"} for host in HOSTS]
    return {
        "schema": 1,
        "experiment": "efs-iops",
        "stack": "efs-iops.lab",
        "region": "eu-central-1",
        "rehearsal": True,
        "started_at": "2026-11-23T10:30:00Z",
        "finished_at": "2026-11-24T10:30:00Z",
        "plan": {"seconds": seconds},
        "versions": {},
        "inventory": {"hosts": hosts},
        "steps": [],
        "status": "complete",
        "reason": None,
    }


def _cell(number: int, start: int, seconds: int) -> dict[str, Any]:
    op, writers, size = ("write", "read")[number % 2], (1, 20, 40)[number % 3], (1, 1024, 4096, 10000)[number % 4]
    return {
        "cell": f"{op}-{size}-w{writers}-n{number}",
        "op": op,
        "pattern": "fixed",
        "request_bytes": size,
        "writers": writers,
        "hosts": list(HOSTS),
        "span_bytes": None,
        "seconds": seconds,
        "start_unix_s": start,
        "complete": True,
        "reason": None,
        "lost_hosts": [],
    }


def _clock(host: str, t: int) -> dict[str, Any]:
    return {"t_unix_s": t, "host": host, "offset_s": 0.001, "uncertainty_s": 0.0005}


def _worker(cells: list[dict[str, Any]], seconds: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    """Yields a cell's seconds: in turns one of the few that were drawn for it."""
    for cell in cells:
        start, size = cell["start_unix_s"], cell["request_bytes"]
        drawn = [_drawn(cell["writers"], generator) for _ in range(SECONDS_DRAWN)]
        encoded = [_encoded(counts, size) for counts in drawn]
        turns = itertools.cycle(range(SECONDS_DRAWN))
        totals: dict[str, list[int]] = {host: [0] * SECONDS_DRAWN for host in HOSTS}
        for second in range(seconds):
            for host in HOSTS:
                turn = next(turns)
                totals[host][turn] += 1
                yield {
                    "schema": 1,
                    "kind": "interval",
                    "second": second,
                    "t_start_unix_s": start + second + 0.001,
                    "t_end_unix_s": start + second + 1.001,
                    **encoded[turn],
                    "cell": cell["cell"],
                    "host": host,
                }
        for host in HOSTS:
            added: Counter[int] = Counter()
            for counts, times in zip(drawn, totals[host], strict=True):
                added.update({index: count * times for index, count in counts.items() if times})
            yield {
                "schema": 1,
                "kind": "final",
                "t_start_unix_s": start + 0.001,
                "t_end_unix_s": start + seconds + 0.001,
                **_encoded(added, size),
                "op": cell["op"],
                "threads": 1,
                "files": ["f"] * cell["writers"],
                "t_first_unix_s": start + 0.002,
                "t_last_unix_s": start + seconds,
                "cell": cell["cell"],
                "host": host,
            }


def _drawn(writers: int, generator: random.Random) -> Counter[int]:
    """Draws what each bucket of one second counts."""
    buckets, ops = BUCKETS[writers], OPS_OF_WRITER * writers
    found = Counter(FIRST_BUCKET + int(generator.expovariate(5 / buckets)) for _ in range(ops))
    # Rare ones, each alone: the tail has most of the buckets.
    found.update(FIRST_BUCKET + generator.randrange(6 * buckets) for _ in range(max(0, buckets - len(found))))
    return found


def _encoded(counts: Counter[int], size: int) -> dict[str, Any]:
    ops = counts.total()
    latency = {
        "count": ops,
        "sum": ops * 8_000_000,
        "min": 7 << 20,
        "max": 1 << 31,
        "buckets": sorted(counts.items()),
    }
    return {"ops": ops, "bytes": ops * size, "errors": {}, "latency_ns": msgspec.Raw(msgspec.json.encode(latency))}


def _mountstats(seconds: int) -> Iterator[dict[str, Any]]:
    kinds = ("normal_read", "normal_write", "direct_read", "direct_write", "server_read", "server_write")
    others = {f"OTHER_{number:02}": _operation(4 + number) for number in range(OTHER_OPERATIONS)}
    for second in range(seconds):
        for host in HOSTS:
            done = 800 * second
            of_op = _operation(done)
            yield {
                "t_unix_s": START + second + 0.4,
                "host": host,
                "age_s": 20 + second,
                "bytes": {**dict.fromkeys(kinds, done * 1024), "pages_read": 0, "pages_written": 0},
                "transport": {"protocol": "tcp", "sends": done, "receives": done, "bad_xids": 0},
                "ops": {"READ": of_op, "WRITE": of_op, **others},
            }


def _operation(done: int) -> dict[str, int]:
    return {
        "operations": done,
        "transmissions": done,
        "major_timeouts": 0,
        "bytes_sent": done * 200,
        "bytes_received": done * 1200,
        "queue_ms": done // 800,
        "rtt_ms": done * 7,
        "execute_ms": done * 7,
        "errors": 0,
    }


def _interfaces(seconds: int) -> Iterator[dict[str, Any]]:
    for second in range(seconds):
        for host in HOSTS:
            yield {
                "t_unix_s": START + second + 0.7,
                "host": host,
                "cpu_busy_ratio": 0.2,
                "nic_rx_bytes": second * 1_000_000,
                "nic_tx_bytes": second * 1_100_000,
                "nic_rx_packets": second * 900,
                "nic_tx_packets": second * 950,
                "mem_available_bytes": 400_000_000,
            }


def _minutes(count: int) -> Iterator[dict[str, Any]]:
    yield {"kind": "asked", "from_unix_s": START, "until_unix_s": START + 60 * count, "reason": None}
    moved = {"Sum": 60 * 2e6, "SampleCount": 60_000.0, "Minimum": 4096.0, "Maximum": 10_000.0}
    percent = {"Minimum": 0.0, "Maximum": 100.0, "Average": 50.0}
    metrics = {"DataReadIOBytes": moved, "DataWriteIOBytes": moved, "PercentIOLimit": percent}
    for metric, statistics in metrics.items():
        for minute in range(count):
            t_unix_s = START + 60 * minute
            yield {"kind": "minute", "metric": metric, "t_unix_s": t_unix_s, "period_s": 60, "statistics": statistics}


def show(what: str, took: Took, more: str = "") -> None:
    print(
        f"{what:34} {took.wall_s:7.2f} s  {took.processor_s:7.2f} s CPU  {took.largest_mb:6.0f} MB  {more}", flush=True
    )


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="write the runs here, and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = options.keep or Path(temporary)
        large = results / "large" / "efs-iops" / "efs-iops.lab" / "2026-11-23T103000Z"
        if not large.exists():
            write_run(large, options.records)
        bytes_raw = sum(file.stat().st_size for file in (large / "raw").iterdir())
        shutil.rmtree(large / "columns", ignore_errors=True)
        for what in ("first report", "second report"):
            took = run("report", str(large))
            page = (large / "report.html").stat().st_size / 1e6
            show(
                f"{what} of {options.records:,} records",
                took,
                f"page {page:.1f} MB, raw records {bytes_raw / 1e6:.0f} MB",
            )
        for runs in (max(1, options.runs // 10), options.runs):
            folder = results / f"runs-{runs}"
            _many(folder, runs)
            for module in ("report.ledger", "report.results"):
                show(f"{module} of {runs} runs", run(module, "--results", str(folder)))


def _many(folder: Path, runs: int) -> None:
    """Writes small runs of one kind, each with its report."""
    for number in range(runs):
        path = (
            folder
            / "efs-iops"
            / "efs-iops.lab"
            / f"2026-11-{1 + number // 1440:02d}T{number // 60 % 24:02d}{number % 60:02d}00Z"
        )
        if path.exists():
            continue
        if number == 0:
            write_run(path, 2880)
            run("report", str(path))
            first = path
        else:
            path.mkdir(parents=True)
            for name in ("manifest.json", "verdicts.json", "summary.json"):
                (path / name).write_bytes((first / name).read_bytes())


if __name__ == "__main__":
    main()
