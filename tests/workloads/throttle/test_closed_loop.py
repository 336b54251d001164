"""The closed loop in simulated time: the rate it holds, how far it may be off, and what it never does."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workloads.throttle.simulation import (
    LATE_S,
    READING_S,
    UNSEEN_S,
    Buffered,
    Process,
    Sluggish,
    bursty,
    hold,
    stalled,
    steady,
    threads,
)
from workloads.throttle.loop import PAUSED_SEARCH_S
from workloads.throttle.pacing import (
    BURST_S,
    FIRST_LOOK_S,
    LEAST_LOOK_S,
    LEAST_PAUSE_S,
    LEAST_RUN_S,
    LOOK_S,
    PERIOD_S,
    START_S,
    ClosedLoop,
    Decision,
)

MIB = 2**20
MAX_PAUSE_S = 2.0
# Between two looks in a pause, and then everything is late.
PAUSE_SLACK_S = 2 * LATE_S + READING_S


@pytest.mark.parametrize("percent", [5, 10, 25, 50, 75, 90, 95])
@pytest.mark.parametrize("free", [1 * MIB, 100 * MIB])
def test_the_mean_is_the_target_to_three_percent(percent: int, free: float) -> None:
    target = free * percent / 100
    process = steady(free)
    held = hold(ClosedLoop(target, MAX_PAUSE_S), process, 60)
    assert process.process_bytes / held.seconds == pytest.approx(target, rel=0.03)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slowest_s", [0.01, 0.1, 0.4])
def test_a_process_that_is_slow_to_begin_and_then_fast_has_its_rate(slowest_s: float, seed: int) -> None:
    """Bursts of 50 to 200 KB at 92 KB/s, as the AWS CLI sends them at 5 % of 2 MB/s on a host with one processor."""
    process = Sluggish(100_000, slowest_s, seed)
    held = hold(ClosedLoop(92_000, 5.0), process, 300, seed=seed)
    assert process.process_bytes / held.seconds == pytest.approx(92_000, rel=0.02)


@pytest.mark.parametrize("percent", [5, 25, 50, 95])
def test_bursts_stay_as_small_as_a_period_allows(percent: int) -> None:
    """Once the free rate is known: no tenth of a second moves more than a run too much."""
    free = 100 * MIB
    target = free * percent / 100
    held = hold(ClosedLoop(target, MAX_PAUSE_S), steady(free), 30)
    a_run = max(target * PERIOD_S, free * (LEAST_RUN_S + UNSEEN_S))
    bursts = [held.network_bytes_between(at / 10, at / 10 + 0.1) for at in range(50, 290)]
    assert max(bursts) <= target * 0.1 + 2 * a_run


@pytest.mark.parametrize("free", [0.2 * MIB, 0.99 * MIB])
def test_a_process_slower_than_the_target_is_never_stopped(free: float) -> None:
    process = steady(free)
    held = hold(ClosedLoop(1 * MIB, MAX_PAUSE_S), process, 30)
    assert held.pauses_s == []
    assert process.process_bytes == pytest.approx(free * held.seconds, rel=0.001)


def test_it_lets_go_when_the_process_becomes_slower_than_the_target() -> None:
    process = steady(10 * MIB)
    pacer = ClosedLoop(1 * MIB, MAX_PAUSE_S)
    assert hold(pacer, process, 10).pauses_s
    process.rate = lambda _: 0.5 * MIB
    later = _Later(pacer)
    hold(later, process, 5)
    assert hold(later, process, 10).pauses_s == []


class _Later:
    """The same pacer in one simulation after another: its clock goes on."""

    def __init__(self, pacer: ClosedLoop) -> None:
        self._pacer = pacer
        self._offset_s = 1000.0
        self._last_s = 0.0

    cut_short = 0

    def decide(self, now_s: float, moved_bytes: int) -> Decision:
        if now_s < self._last_s:
            self._offset_s += self._last_s
        self._last_s = now_s
        return self._pacer.decide(self._offset_s + now_s, moved_bytes)


@pytest.mark.parametrize(
    "process",
    [
        pytest.param(bursty(50 * MIB, 0.3, 0.7), id="bursty"),
        pytest.param(bursty(50 * MIB, 0.004, 0.02), id="small bursts"),
        pytest.param(stalled(20 * MIB, 2.0, 6.0), id="stalled"),
        pytest.param(threads(16, 2 * MIB, seed=1), id="threads"),
        pytest.param(Buffered(8 * MIB, 256 * 1024, 256 * 1024), id="one buffer"),
        pytest.param(Buffered(8 * MIB, 16 * 1024, 256 * 1024), id="small writes"),
        pytest.param(Buffered(50 * MIB, 256 * 1024, 4 * MIB), id="large buffer"),
    ],
)
@pytest.mark.parametrize("target", [1 * MIB, 3 * MIB])
def test_the_mean_is_never_above_the_target(process: Process, target: float) -> None:
    pacer = ClosedLoop(target, MAX_PAUSE_S)
    before = process.network_bytes
    held = hold(_Later(pacer), process, 60)
    mean = (process.network_bytes - before) / held.seconds
    assert mean <= target * 1.03 + held.worst_run_bytes / held.seconds
    assert max(held.pauses_s) <= MAX_PAUSE_S + PAUSE_SLACK_S


@pytest.mark.parametrize("target", [0.5 * MIB, 2 * MIB, 6 * MIB])
def test_what_the_kernel_sends_while_the_process_stands_is_in_the_mean(target: float) -> None:
    """Chunks of a whole socket buffer, over a link that empties it in a pause: the original's duty cycle has no hold
    on that.
    """
    process = Buffered(link_bytes_per_s=8 * MIB, chunk_bytes=256 * 1024, buffer_bytes=256 * 1024)
    held = hold(ClosedLoop(target, MAX_PAUSE_S), process, 60)
    assert process.network_bytes / held.seconds == pytest.approx(target, rel=0.03)


def test_counts_of_the_network_instead_of_the_process_hold_the_mean_as_well() -> None:
    """They grow while the process stands."""
    process = Buffered(link_bytes_per_s=8 * MIB, chunk_bytes=64 * 1024, buffer_bytes=256 * 1024)
    held = hold(ClosedLoop(1 * MIB, MAX_PAUSE_S), process, 60, counts=lambda: process.network_bytes)
    assert process.network_bytes / held.seconds <= 1 * MIB * 1.03 + 256 * 1024 / held.seconds
    assert max(held.pauses_s) <= MAX_PAUSE_S + PAUSE_SLACK_S


@st.composite
def flows(draw: st.DrawFn, target: float) -> Process:
    """Processes of any habits, the fastest of them twenty times as fast as the target."""
    free = target * draw(st.floats(0.1, 20))
    kind = draw(st.sampled_from(["steady", "bursty", "stalled", "threads", "buffered"]))
    if kind == "bursty":
        return bursty(free, draw(st.floats(0.002, 2)), draw(st.floats(0.002, 2)))
    if kind == "stalled":
        return stalled(free, draw(st.floats(0, 5)), draw(st.floats(5, 15)))
    if kind == "threads":
        count = draw(st.integers(1, 20))
        return threads(count, free / count, draw(st.integers(0, 1000)))
    if kind == "buffered":
        chunk = draw(st.integers(1024, 256 * 1024))
        return Buffered(free, chunk, chunk * draw(st.integers(1, 4)), memory_bytes_per_s=free * 2)
    return steady(free)


@given(st.data(), st.sampled_from([256 * 1024, 1 * MIB, 64 * MIB]), st.integers(0, 1000))
def test_whatever_the_process_does_the_mean_stays_below(data: st.DataObject, target: int, seed: int) -> None:
    process = data.draw(flows(target))
    held = hold(ClosedLoop(target, MAX_PAUSE_S), process, 30, seed=seed)
    burst = max(held.worst_run_bytes, process.process_bytes if not held.pauses_s else 0.0)
    assert process.network_bytes <= target * 1.03 * held.seconds + target * BURST_S + burst
    assert all(pause_s <= MAX_PAUSE_S + PAUSE_SLACK_S for pause_s in held.pauses_s)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**9)), min_size=1, max_size=60),
    st.floats(1024, 1e9),
    st.floats(0.1, 10),
)
@example(steps=[(0.0, 0), (2.2e-313, 1), (2.2e-313, 1), (1.0, 0)], rate=1024.0, max_pause_s=1.0)
def test_whatever_it_is_told_no_pause_is_longer_than_the_bound(
    steps: list[tuple[float, int]], rate: float, max_pause_s: float
) -> None:
    """Counted from when it first asked for the pause; also when calls come late, and bytes from nowhere."""
    pacer = ClosedLoop(rate, max_pause_s)
    now_s, moved, stopped_at_s = 0.0, 0, None
    for elapsed_s, more in steps:
        now_s, moved = now_s + elapsed_s, moved + more
        decision = pacer.decide(now_s, moved)
        if decision.run_s > 0:
            stopped_at_s = now_s + decision.run_s if decision.stop_s else None
            continue
        stopped_at_s = now_s if stopped_at_s is None else stopped_at_s
        assert decision.stop_s > 0
        assert now_s + decision.stop_s <= stopped_at_s + max_pause_s + 1e-6


def test_a_reading_that_the_next_one_takes_back_does_no_harm() -> None:
    """The kernel tells what is not acknowledged a moment before what is: what arrives in between is in both."""
    process, random_ = steady(4 * MIB), random.Random(1)

    def counted_twice_at_times() -> float:
        return process.process_bytes + (64 * 1024 if random_.random() < 0.05 else 0)

    held = hold(ClosedLoop(1 * MIB, MAX_PAUSE_S), process, 30, counts=counted_twice_at_times)
    assert process.process_bytes / held.seconds == pytest.approx(1 * MIB, rel=0.03)
    assert max(held.pauses_s) <= 64 * 1024 / MIB + PERIOD_S + PAUSE_SLACK_S


def test_a_rate_that_takes_longer_pauses_than_allowed_is_admitted() -> None:
    """The shortest run moves five seconds' worth."""
    process = Buffered(link_bytes_per_s=100 * MIB, chunk_bytes=5 * MIB, buffer_bytes=5 * MIB, memory_bytes_per_s=1e12)
    pacer = ClosedLoop(1 * MIB, MAX_PAUSE_S)
    held = hold(pacer, process, 60)
    assert pacer.cut_short > 10
    assert max(held.pauses_s) <= MAX_PAUSE_S + PAUSE_SLACK_S


def test_a_rate_that_can_be_held_is_not_complained_of() -> None:
    pacer = ClosedLoop(1 * MIB, MAX_PAUSE_S)
    hold(pacer, steady(20 * MIB), 60)
    assert pacer.cut_short == 0


def test_who_has_been_fast_is_looked_at_more_often_for_some_time() -> None:
    """The next burst shall not be as large as the first."""
    pacer = ClosedLoop(1.0 * MIB, MAX_PAUSE_S)
    pacer.decide(0.0, 0)
    pacer.decide(0.01, 10 * MIB)
    now_s = 20.0  # the debt is paid, the credit as great as it gets
    for _ in range(10):
        decision = pacer.decide(now_s, 10 * MIB)
        assert decision.run_s <= LEAST_LOOK_S
        now_s += 0.1
    for _ in range(1000):
        decision = pacer.decide(now_s, 10 * MIB)
        now_s += 0.1
    assert decision == Decision(LOOK_S, 0.0)


def test_before_anything_has_moved_it_looks_often_but_not_for_ever() -> None:
    """What moves between two looks is the first burst. A process that stays idle is looked at as rarely as others."""
    pacer = ClosedLoop(1.0 * MIB, MAX_PAUSE_S)
    assert pacer.decide(0.0, 0) == Decision(FIRST_LOOK_S, 0.0)
    assert pacer.decide(START_S - 1, 0) == Decision(FIRST_LOOK_S, 0.0)
    assert pacer.decide(START_S, 0) == Decision(LOOK_S, 0.0)


def test_after_an_idle_time_only_a_tenth_of_a_second_goes_at_once() -> None:
    pacer = ClosedLoop(1000.0 * 1024, MAX_PAUSE_S)
    pacer.decide(0.0, 0)
    pacer.decide(3600.0, 0)
    worth_an_hour = pacer.decide(3600.0, 2 * 1024 * 1024)
    assert worth_an_hour.run_s == 0
    assert worth_an_hour.stop_s > 2 * 1024 * 1024 / (1000 * 1024) - BURST_S - PAUSED_SEARCH_S


def test_a_debt_that_could_never_be_paid_is_forgiven_in_part() -> None:
    pacer = ClosedLoop(1024.0, MAX_PAUSE_S)
    process = steady(1024.0)
    pacer.decide(0.0, 0)
    pacer.decide(0.01, 10 * 1024 * 3600)  # ten hours' worth
    process.process_bytes = 10 * 1024 * 3600
    held = hold(_Later(pacer), process, 120)
    assert held.samples[-1][1] - held.samples[0][1] > 30 * 1024


def test_a_pause_is_worth_its_signals() -> None:
    """Just below the free rate, pauses are rare, not short."""
    held = hold(ClosedLoop(99 * MIB, MAX_PAUSE_S), steady(100 * MIB), 60)
    assert held.pauses_s
    assert min(held.pauses_s) >= LEAST_PAUSE_S / 2
    assert len(held.pauses_s) < 60 * 4
