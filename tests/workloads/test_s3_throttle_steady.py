"""The steady part of a transfer: where it begins and ends, and that its mean is as well known as is said."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable

import pytest

from report.s3_throttle.network import Part, Trace, closed_loop_edges, rates
from report.s3_throttle.network import known_to as known_to_report
from workloads.s3_throttle.uploader.steady import Curve, Steady, known_to, steady_part

STEP_S = 0.02


def samples(rate: Callable[[float], float], seconds: float, *, quiet_s: float = 1.0) -> tuple[list[float], list[int]]:
    """Looks each 20 ms at what `rate` (bytes a second, by seconds since the first byte) has sent; quiet at first."""
    t, sent, total = [], [], 5_000.0
    for look in range(round((seconds + quiet_s) / STEP_S) + 1):
        now_s = look * STEP_S - quiet_s
        t.append(1e9 + now_s)
        sent.append(round(total))
        total += rate(now_s) * STEP_S if now_s >= 0 else 0.0
    return t, sent


def found(part: Steady | None) -> Steady:
    assert part is not None
    return part


def test_a_steady_transfer_is_known_at_once() -> None:
    part = found(steady_part(*samples(lambda _: 2e6, 10)))
    assert part.from_s == pytest.approx(1e9 + 1, abs=0.05)
    assert part.until_s == pytest.approx(1e9 + 10, abs=0.05)
    assert part.bytes_per_s == pytest.approx(2e6, rel=0.001)
    assert part.known_to_ratio < 0.001


def test_the_tail_is_left_out_of_one_that_has_ended() -> None:
    """Half a second in which few connections still have something to send, and a long time of nothing."""
    t, sent = samples(lambda s: 2e6 if s < 10 else 2e5 if s < 10.5 else 0.0, 14)
    assert found(steady_part(t, sent, ended=True)).bytes_per_s == pytest.approx(2e6, rel=0.001)
    assert found(steady_part(t, sent)).bytes_per_s < 1.7e6


def test_what_went_at_once_is_paid_off_before_the_steady_part_begins() -> None:
    """Ten full send buffers at the beginning, thirteen seconds of nothing, then the target."""
    t, sent = samples(lambda s: 13e6 if s < 0.1 else 0.0 if s < 13 else 1e5, 40)
    part = found(steady_part(t, sent, target_bytes_per_s=1e5))
    assert part.from_s == pytest.approx(1e9 + 13, abs=0.1)
    assert part.bytes_per_s == pytest.approx(1e5, rel=0.01)
    assert found(steady_part(t, sent)).known_to_ratio > 0.1, "with the beginning in it"


def test_a_rate_above_the_target_begins_at_half_of_the_time_at_the_latest() -> None:
    part = found(steady_part(*samples(lambda _: 2.2e6, 20), target_bytes_per_s=2e6))
    assert part.from_s == pytest.approx(1e9 + 10, abs=0.1)
    assert part.bytes_per_s == pytest.approx(2.2e6, rel=0.001)
    hardly = found(steady_part(*samples(lambda _: 2.05e6, 20), target_bytes_per_s=2e6))
    assert hardly.from_s == pytest.approx(1e9 + 1, abs=0.1), "headers may differ by as much"


@pytest.mark.parametrize(("stop_s", "run_s"), [(0.4, 0.6), (0.6, 0.4), (0.9, 0.1), (0.1, 0.2)])
def test_twenty_cycles_that_are_alike_are_known_to_three_percent(stop_s: float, run_s: float) -> None:
    cycle_s = stop_s + run_s
    t, sent = samples(lambda s: 0.0 if s % cycle_s < stop_s else 2e6, 22.4 * cycle_s + 1)
    part = found(steady_part(t, sent, cycle_s=cycle_s))
    assert part.seconds / cycle_s == pytest.approx(round(part.seconds / cycle_s))
    assert part.bytes_per_s == pytest.approx(2e6 * run_s / cycle_s, rel=0.02)
    assert part.known_to_ratio < 0.03


@pytest.mark.parametrize("alike_s", [0.1, 1.0])
def test_the_mean_is_within_what_is_said_in_19_of_20_cases(alike_s: float) -> None:
    """Of rates that change each tenth of a second, or each second: those that follow each other are alike then."""
    inside = 0
    for seed in range(100):
        levels = [random.Random(f"{seed} {each}").gauss(2e6, 4e5) for each in range(round(40 / alike_s) + 1)]
        part = found(steady_part(*samples(lambda s, levels=levels: levels[int(s / alike_s)], 39.9)))  # type: ignore[misc]
        inside += abs(part.bytes_per_s / 2e6 - 1) <= part.known_to_ratio
    assert inside >= 88


def test_a_cap_that_makes_up_for_its_bursts_is_known_better_than_noise() -> None:
    """A burst at each 65th look, and the same bursts at random looks."""

    def bursts(at: set[int]) -> float:
        rate = lambda s: 6.5e6 if round(s / STEP_S) in at else 0.0  # noqa: E731
        return found(steady_part(*samples(rate, 40))).known_to_ratio

    looks = range(round(40 / STEP_S))
    at_random = sorted(bursts(set(random.Random(seed).sample(looks, 31))) for seed in range(11))
    assert bursts(set(looks[::65])) < 0.05
    assert at_random[5] > 0.2


def closed_loop(seconds: float, seed: int = 1) -> tuple[list[float], list[int], list[float]]:
    """Bursts of 50 to 200 KB at 2 MB/s, each followed by as long a pause as pays it off at 0.1 MB/s; samples, and when
    pauses ended.
    """
    random_ = random.Random(seed)
    curve_t, curve_sent = [1e9 - 1], [5_000]
    while curve_t[-1] < 1e9 + seconds:
        size = random_.randrange(50_000, 200_000)
        begun_s = max(1e9, curve_t[-1])
        curve_t += [begun_s + 1e-6, begun_s + size / 2e6, begun_s + size / 1e5]
        curve_sent += [curve_sent[-1], curve_sent[-1] + size, curve_sent[-1] + size]
    curve = Curve(curve_t, curve_sent)
    t = [1e9 - 1 + STEP_S * number for number in range(round((seconds + 1) / STEP_S) + 1)]
    return t, [round(curve.at(each)) for each in t], [each for each in curve_t[3::3] if each < t[-1]]


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_loop_is_measured_over_whole_cycles(seed: int) -> None:
    """Of different lengths: a burst more or less at the end changes the mean by a twentieth otherwise."""
    t, sent, resumed = closed_loop(42, seed)
    part = found(steady_part(t, sent, target_bytes_per_s=1e5, resumed=resumed))
    assert part.bytes_per_s == pytest.approx(1e5, rel=0.03)
    assert part.known_to_ratio < 0.03
    assert found(steady_part(t, sent, target_bytes_per_s=1e5)).known_to_ratio > 2 * part.known_to_ratio
    for edge_s in (part.from_s, part.until_s):
        assert min(abs(edge_s - each) for each in resumed) < 1.5 * STEP_S


def test_a_pause_that_the_end_of_the_sync_has_ended_is_no_edge() -> None:
    t, sent, resumed = closed_loop(42)
    cut = bisect.bisect_left(t, resumed[-1] - 0.3)  # in a pause
    whole = steady_part(t[:cut], sent[:cut], target_bytes_per_s=1e5, resumed=resumed[:-1])
    assert steady_part(t[:cut], sent[:cut], target_bytes_per_s=1e5, resumed=[*resumed[:-1], t[cut] + 0.03]) == whole


def test_a_loop_that_is_off_by_a_tenth_is_measured_so() -> None:
    t, sent, resumed = closed_loop(62)
    part = found(steady_part(t, [round(1.1 * each) for each in sent], target_bytes_per_s=1e5, resumed=resumed))
    assert part.bytes_per_s == pytest.approx(1.1e5, rel=0.03)


def test_fewer_than_twenty_cycles_are_no_measure_of_a_closed_loop() -> None:
    t, sent, resumed = closed_loop(20)
    few = steady_part(t, sent, target_bytes_per_s=1e5, resumed=resumed)
    assert few == steady_part(t, sent, target_bytes_per_s=1e5)


@pytest.mark.parametrize("sent", [[], [0], [0, 0, 0], [5, 8_000, 8_100]])
def test_next_to_nothing_has_no_steady_part(sent: list[int]) -> None:
    assert steady_part([float(n) for n in range(len(sent))], sent) is None
    assert steady_part([float(n) for n in range(len(sent))], sent, ended=True) is None


def mean_of_report(trace: Trace, part: Part) -> float:
    mean_mb_per_s = rates(trace, 1.0, part).mean_mb_per_s
    assert mean_mb_per_s is not None
    return mean_mb_per_s * 1e6


@pytest.mark.parametrize("cycle_s", [None, 0.5])
def test_the_report_knows_it_as_well(cycle_s: float | None) -> None:
    random_ = random.Random(3)
    t, sent = samples(lambda _: random_.uniform(1e6, 3e6), 20)
    part = found(steady_part(t, sent, cycle_s=cycle_s))
    ours = known_to(Curve(t, sent), part.from_s, part.until_s, cycle_s or 0.0) / part.bytes_per_s
    theirs = Part(part.from_s, part.until_s, cycle_s)
    assert known_to_report(Trace(t, sent), theirs) == pytest.approx(ours, rel=0.001)
    assert mean_of_report(Trace(t, sent), theirs) == pytest.approx(part.bytes_per_s, rel=0.001)


def test_the_report_knows_a_closed_loop_as_well() -> None:
    t, sent, resumed = closed_loop(42)
    ours = found(steady_part(t, sent, target_bytes_per_s=1e5, resumed=resumed))
    trace, part = Trace(t, sent), Part(ours.from_s, ours.until_s, None)
    edges = closed_loop_edges(trace, part, resumed)
    assert (edges[0], edges[-1]) == (ours.from_s, ours.until_s)
    theirs = Part(ours.from_s, ours.until_s, None, edges)
    assert known_to_report(trace, theirs) == pytest.approx(ours.known_to_ratio, rel=0.001)
    assert mean_of_report(trace, theirs) == pytest.approx(ours.bytes_per_s, rel=0.001)
    later = Part(ours.from_s + 0.5, ours.until_s, None)
    assert closed_loop_edges(trace, later, resumed) == (), "as a run of an earlier version has it"
