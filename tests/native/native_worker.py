"""Runs tidemark-worker and reads what it prints; the bucket formula of docs/interfaces.md, written a second time."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import wait_for

SOURCE = Path(__file__).resolve().parents[2] / "workloads/native"


@dataclass(frozen=True)
class Outcome:
    code: int
    lines: list[dict[str, Any]]
    error: str

    @property
    def intervals(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == "interval"]

    @property
    def final(self) -> dict[str, Any]:
        assert [line["kind"] for line in self.lines].count("final") == 1
        assert self.lines[-1]["kind"] == "final"
        return self.lines[-1]


THREADS = ("--engine", "threads")


def ring(depth: int) -> tuple[str, ...]:
    return ("--engine", "io_uring", "--depth", str(depth))


def words(path: Path, operation: str, pattern: str, size: object, threads: int, duration: float) -> list[str]:
    pairs = {"--file": path, "--op": operation, "--pattern": pattern, "--size": size}
    pairs |= {"--threads": threads, "--duration": duration}
    return [str(word) for pair in pairs.items() for word in pair]


class NativeWorker:
    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def start(
        self, *arguments: object, prefix: tuple[str, ...] = (), stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        command = [*prefix, str(self.binary), *map(str, arguments)]
        return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: object) -> Outcome:
        return finish(self.start(*arguments))

    def traced(self, log: Path, *arguments: object, inject: str | None = None) -> Outcome:
        return finish(self.start_traced(log, *arguments, inject=inject))

    def start_traced(self, log: Path, *arguments: object, inject: str | None = None) -> subprocess.Popen[str]:
        """Under strace, which counts, delays and fails system calls without a line of ours."""
        strace = shutil.which("strace")
        if strace is None:
            pytest.skip("no strace here (make setup-tests installs it)")
        if subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
            pytest.skip("this machine lets strace trace nothing (ptrace)")
        calls = "trace=pread64,pwrite64,read,write,lseek,io_uring_setup,io_uring_enter,io_uring_register"
        prefix: tuple[str, ...] = (strace, "-f", "-qq", "-s", "0", "-e", calls, "-o", str(log))
        if inject is not None:
            prefix += ("-e", f"inject={inject}")
        return self.start(*arguments, prefix=prefix)


def finish(process: subprocess.Popen[str]) -> Outcome:
    output, error = process.communicate(timeout=120)
    return Outcome(process.returncode, [json.loads(line) for line in output.splitlines()], error)


def finish_with_io(process: subprocess.Popen[str]) -> tuple[Outcome, dict[str, int]]:
    """With the kernel's own count of its system calls (proc(5), /proc/pid/io), kept until the process is reaped."""
    assert process.stdout is not None
    assert process.stderr is not None
    output, error = process.stdout.read(), process.stderr.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    io = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
    code = process.wait()
    lines = [json.loads(line) for line in output.splitlines()]
    return Outcome(code, lines, error), {name: int(value) for name, value in io.items()}


def reads_of_starting(worker: NativeWorker) -> int:
    """What the kernel counts for loading the program, and for finding its clock, before it opens a file."""
    _, io = finish_with_io(worker.start(*words(Path("/none"), "read", "fixed", 1, 1, 1)))
    return io["syscr"]


def wait_until_it_takes_signals(process: subprocess.Popen[str]) -> None:
    """Its threads block them, and its first one waits for them (which /proc does not show as blocking)."""
    blocked = re.compile(r"^SigBlk:\t(\w+)$", re.MULTILINE)
    bit = 1 << (signal.SIGTERM - 1)

    def masks() -> list[int]:
        threads = Path(f"/proc/{process.pid}/task").glob("*/status")
        return [int(mask, 16) for each in threads for mask in blocked.findall(each.read_text())]

    wait_for("a thread blocks SIGTERM", lambda: any(mask & bit for mask in masks()), 120)


def end_by(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> Outcome:
    process.send_signal(number)
    return finish(process)


def end_after_a_second(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> Outcome:
    """Ends it once it has printed the line of its first second."""
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    outcome, _ = finish_with_io(process)
    return Outcome(outcome.code, [json.loads(first), *outcome.lines], outcome.error)


def bucket_index(value: int) -> int:
    if value < 256:
        return value
    exponent = value.bit_length() - 1
    return 256 + (exponent - 8) * 128 + ((value >> (exponent - 7)) - 128)


def bucket_range(index: int) -> tuple[int, int]:
    """The least and the greatest value of a bucket."""
    if index < 256:
        return index, index
    exponent, within = 8 + (index - 256) // 128, (index - 256) % 128
    width = 1 << (exponent - 7)
    return (128 + within) * width, (129 + within) * width - 1


def added_up(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields that a final line has in common with interval lines, from the intervals."""
    latencies = [line["latency_ns"] for line in lines]
    buckets: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for line in lines:
        errors.update(line["errors"])
        buckets.update(dict(line["latency_ns"]["buckets"]))
    return {
        "ops": sum(line["ops"] for line in lines),
        "bytes": sum(line["bytes"] for line in lines),
        "errors": dict(errors),
        "latency_ns": {
            "count": sum(latency["count"] for latency in latencies),
            "sum": sum(latency["sum"] for latency in latencies),
            "min": min((x["min"] for x in latencies if x["min"] is not None), default=None),
            "max": max((x["max"] for x in latencies if x["max"] is not None), default=None),
            "buckets": [list(item) for item in sorted(buckets.items())],
        },
    }


COMMON: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "kind": str,
    "t_start_unix_s": float,
    "t_end_unix_s": float,
    "ops": int,
    "bytes": int,
    "errors": dict,
    "latency_ns": dict,
}
INTERVAL = COMMON | {"second": int}
FINAL = COMMON | {
    "op": str,
    "pattern": str,
    "size_bytes": int,
    "threads": int,
    "engine": str,
    "depth": int,
    "files": list,
    "t_first_unix_s": (float, type(None)),
    "t_last_unix_s": (float, type(None)),
}


def check_line(line: dict[str, Any]) -> None:
    fields = INTERVAL if line["kind"] == "interval" else FINAL
    assert set(line) == set(fields)
    for name, kind in fields.items():
        assert isinstance(line[name], kind), name
    assert line["schema"] == 1
    latency = line["latency_ns"]
    assert set(latency) == {"count", "sum", "min", "max", "buckets"}
    assert line["ops"] == latency["count"] == sum(count for _, count in latency["buckets"])
    assert all(count > 0 for count in line["errors"].values())
    indices = [index for index, _ in latency["buckets"]]
    assert indices == sorted(set(indices))
    if latency["count"] == 0:
        assert latency["min"] is None
        assert latency["max"] is None
        assert latency["sum"] == 0
        return
    assert bucket_index(latency["min"]) == indices[0]
    assert bucket_index(latency["max"]) == indices[-1]
    least = sum(bucket_range(index)[0] * count for index, count in latency["buckets"])
    greatest = sum(bucket_range(index)[1] * count for index, count in latency["buckets"])
    assert least <= latency["sum"] <= greatest


def check_outcome(outcome: Outcome) -> None:
    """Every line by the schema, intervals that join, and a final line that is their sum exactly."""
    for line in outcome.lines:
        check_line(line)
    intervals, final = outcome.intervals, outcome.final
    assert [line["second"] for line in intervals] == list(range(len(intervals)))
    for before, after in itertools.pairwise(intervals):
        assert before["t_end_unix_s"] == after["t_start_unix_s"]
    assert {name: final[name] for name in ("ops", "bytes", "errors", "latency_ns")} == added_up(intervals)
    if intervals:
        assert final["t_start_unix_s"] == intervals[0]["t_start_unix_s"]
        assert final["t_end_unix_s"] == intervals[-1]["t_end_unix_s"]
