"""The clock that times operations: near the kernel's own, and replaced by it where the counter can't be trusted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.native.native_worker import SOURCE, NativeWorker, check_outcome, words

HERE = Path(__file__).parent


def test_it_stays_by_the_monotonic_clock(tmp_path: Path) -> None:
    program = tmp_path / "clock_differences"
    sources = [str(HERE / "clock_differences.c"), str(SOURCE / "fast_clock.c")]
    command = ["gcc", "-std=c11", "-O2", "-D_GNU_SOURCE", "-I", str(SOURCE), "-o", str(program), *sources]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    kind, *differences_ns = done.stdout.split()
    if kind == "system":
        pytest.skip("this machine's time-stamp counter is not its kernel's clock")
    calibrated, *aligned = map(abs, map(int, differences_ns))
    assert calibrated < 5_000
    assert max(aligned) < 20_000


def test_without_the_counter_it_is_the_monotonic_clock(worker: NativeWorker, data_file: Path, tmp_path: Path) -> None:
    """The only thing that it reads by read(2) is by what the kernel itself keeps time."""
    log = tmp_path / "log"
    arguments = words(data_file, "read", "random", 512, 1, 1.2)
    outcome = worker.traced(log, *arguments, inject="read:error=EIO")
    assert (outcome.code, outcome.error) == (0, "")
    check_outcome(outcome)
    assert log.read_text().count("(INJECTED)") == 1
    assert outcome.final["latency_ns"]["sum"] == pytest.approx(1.2e9, rel=0.05)
