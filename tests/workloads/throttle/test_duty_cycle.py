"""The original's way, in simulated time."""

from __future__ import annotations

import pytest

from tests.workloads.throttle.simulation import LATE_S, READING_S, Buffered, hold, steady
from workloads.throttle.pacing import Decision, DutyCycle
from workloads.throttle.settings import Cycle


def test_it_begins_with_the_stop_as_the_original_did() -> None:
    cycle = DutyCycle(Cycle(0.4, 0.6))
    assert cycle.decide(100.0, 0) == Decision(0.0, 0.4)
    assert cycle.decide(100.5, 0) == Decision(pytest.approx(0.5), 0.4)  # type: ignore[arg-type]
    assert cycle.decide(101.1, 0) == Decision(0.0, pytest.approx(0.3))  # type: ignore[arg-type]


def test_it_may_wait_for_the_first_byte() -> None:
    cycle = DutyCycle(Cycle(0.4, 0.6, from_first_byte=True))
    assert cycle.decide(100.0, 0).stop_s == 0
    assert cycle.decide(103.0, 0).stop_s == 0
    assert cycle.decide(103.1, 1) == Decision(0.0, 0.4)
    assert cycle.decide(103.6, 1) == Decision(pytest.approx(0.5), 0.4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("stop_s", "run_s"), [(0.4, 0.6), (0.05, 0.95), (1.9, 0.1), (0.02, 0.03)])
def test_a_process_runs_at_run_over_run_and_pause_of_its_free_rate(stop_s: float, run_s: float) -> None:
    """The claim duty-cycle, for a process without buffers; being late evens out, since the clock decides."""
    process = steady(1e6)
    held = hold(DutyCycle(Cycle(stop_s, run_s)), process, 60)
    promised = run_s / (run_s + stop_s)
    each_late = (2 * LATE_S + READING_S) / (run_s + stop_s)
    assert process.process_bytes / held.seconds / 1e6 == pytest.approx(promised, abs=each_late)


def test_a_buffer_that_drains_in_the_pause_makes_it_more_than_promised() -> None:
    """256 KiB more in each pause of 0.5 s: half a MiB a second on top of half of 4 MiB/s."""
    process = Buffered(link_bytes_per_s=4 * 2**20, chunk_bytes=16 * 1024, buffer_bytes=256 * 1024)
    held = hold(DutyCycle(Cycle(0.5, 0.5)), process, 60)
    assert process.network_bytes / held.seconds > 2.2 * 2**20


def test_bytes_do_not_matter() -> None:
    idle, busy = DutyCycle(Cycle(0.4, 0.6)), DutyCycle(Cycle(0.4, 0.6))
    assert [idle.decide(t / 7, 0) for t in range(30)] == [busy.decide(t / 7, t * 10**9) for t in range(30)]
