"""`--engine io_uring`: what it counts is what it submitted, and a machine without it is one line."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from tests.machine import in_time, repeated_when_delayed
from tests.native.conftest import FILE_BYTES
from tests.native.native_worker import (
    NativeWorker,
    Outcome,
    check_outcome,
    end_by,
    finish,
    ring,
    wait_until_it_takes_signals,
    words,
)

DEPTH = 8
BLOCK = 4096


@pytest.fixture
def ringed(worker: NativeWorker, data_file: Path) -> NativeWorker:
    """The worker, on a machine that has io_uring."""
    outcome = worker.run(*words(data_file, "read", "random", BLOCK, 1, 0.01), *ring(1))
    if outcome.code != 0:
        pytest.skip(outcome.error.strip())
    return worker


def submitted(log: Path) -> int:
    """The requests that io_uring_enter took, by strace; a call that overlaps with another is split in two lines."""
    ended = re.findall(r"io_uring_enter(?:\(| resumed>).*\) += (\d+)", log.read_text())
    return sum(map(int, ended))


@pytest.mark.parametrize("operation", ["read", "write"])
@pytest.mark.parametrize("pattern", ["fixed", "sequential", "random"])
@repeated_when_delayed
def test_counts_each_request_once(
    ringed: NativeWorker, data_file: Path, tmp_path: Path, operation: str, pattern: str
) -> None:
    log = tmp_path / "log"
    seconds = 1.2 if (operation, pattern) == ("read", "random") else 0.3  # an interval's end is the same for all
    outcome = ringed.traced(log, *words(data_file, operation, pattern, BLOCK, 2, seconds), *ring(DEPTH))
    assert (outcome.code, outcome.error) == (0, "")
    check_outcome(outcome)
    final = outcome.final
    assert final["ops"] == submitted(log) > 2 * DEPTH
    assert final["bytes"] == final["ops"] * BLOCK
    assert (final["engine"], final["depth"], final["threads"]) == ("io_uring", DEPTH, 2)
    # Little's law: as many requests as the depth are in flight for each thread, until the last ones end. A thread that
    # gets no processor begins late.
    elapsed_ns = (final["t_end_unix_s"] - final["t_start_unix_s"]) * 1e9
    in_flight_ns = final["latency_ns"]["sum"] / (2 * DEPTH)
    assert in_flight_ns <= 1.05 * elapsed_ns
    in_time(in_flight_ns >= 0.95 * seconds * 1e9, final)


def test_sequential_writes_reach_each_block_from_the_requests_own_buffers(
    ringed: NativeWorker, data_file: Path
) -> None:
    before = data_file.read_bytes()
    for seconds in (0.3, 3, 30):  # a busy machine writes less
        outcome = ringed.run(*words(data_file, "write", "sequential", BLOCK, 1, seconds), *ring(DEPTH))
        assert outcome.code == 0
        if outcome.final["ops"] >= len(before) // BLOCK:
            break
    after = data_file.read_bytes()
    blocks = [after[at : at + BLOCK] for at in range(0, len(after), BLOCK)]
    assert all(block != before[at * BLOCK :][:BLOCK] for at, block in enumerate(blocks))
    assert 1 < len(set(blocks)) <= DEPTH


@repeated_when_delayed
def test_end_of_file_is_an_error_and_slows_it_down(ringed: NativeWorker, data_file: Path) -> None:
    os.truncate(data_file, FILE_BYTES)
    process = ringed.start(*words(data_file, "read", "random", 512, 1, 1), *ring(DEPTH))
    time.sleep(0.3)
    os.truncate(data_file, 0)
    outcome = finish(process)
    check_outcome(outcome)
    in_time(outcome.final["ops"] > 0)
    in_time(outcome.final["errors"].keys() == {"EOF"}, outcome.final)
    assert outcome.final["errors"]["EOF"] <= 1000 * DEPTH
    in_time(outcome.final["errors"]["EOF"] > DEPTH)


def test_signal_waits_for_what_is_in_flight(ringed: NativeWorker, data_file: Path) -> None:
    process = ringed.start(*words(data_file, "read", "random", BLOCK, 2, 60), *ring(DEPTH))
    wait_until_it_takes_signals(process)
    time.sleep(0.4)
    outcome = end_by(process)
    assert (outcome.code, outcome.error) == (0, "")
    check_outcome(outcome)


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        ("io_uring_setup", "ENOSYS", "this kernel has no io_uring"),
        ("io_uring_setup", "EPERM", "kernel.io_uring_disabled"),
        ("io_uring_register", "ENOMEM", "ulimit -l"),
        ("io_uring_register", "EINVAL", "Invalid argument"),
    ],
)
def test_machine_without_it_is_one_line(
    worker: NativeWorker, data_file: Path, tmp_path: Path, call: str, error: str, reason: str
) -> None:
    arguments = [*words(data_file, "read", "random", BLOCK, 2, 0.1), *ring(DEPTH)]
    outcome: Outcome = worker.traced(tmp_path / "log", *arguments, inject=f"{call}:error={error}")
    assert outcome.code == 1
    assert outcome.lines == []
    assert outcome.error.startswith("tidemark-worker: --engine: io_uring: ")
    assert reason in outcome.error
    assert "--engine threads" in outcome.error
    assert outcome.error.count("\n") == 1


def test_kernel_that_knows_no_later_setup_is_asked_for_a_plain_ring(
    ringed: NativeWorker, data_file: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    arguments = [*words(data_file, "read", "random", BLOCK, 1, 0.1), *ring(DEPTH)]
    outcome = ringed.traced(log, *arguments, inject="io_uring_setup:error=EINVAL:when=1..2")
    assert (outcome.code, outcome.error) == (0, "")
    check_outcome(outcome)
    assert len(re.findall(r"io_uring_setup\(", log.read_text())) == 3
    assert outcome.final["ops"] == submitted(log) > 0
