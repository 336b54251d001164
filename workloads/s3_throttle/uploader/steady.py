"""The steady part of a transfer, and the precision of its mean.

The mean's standard error comes from the lowest frequencies of the series, by the equal-weighted cosine estimator with
Student's t (Lazarus, Lewis, Stock and Watson, Journal of Business & Economic Statistics 36, 2018), as in
report/mean_rate.py. Neighbouring windows are not independent: a cap that follows a burst by a pause has a more precise
mean than the windows' deviation suggests.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

# The CLI's own traffic before and after the objects: the listing of the bucket, the last responses.
MARGIN_BYTES = 8192
# At the start connections open and send buffers fill; in the tail fewer and fewer connections have data to send.
START_S = 1.0
START_CYCLES = 2
LEAST_CYCLES = 20
HARDLY_MORE = 0.03  # of a target: headers differ between methods, and a method may exceed its target a little
WINDOWS = 100
COSINES = 8  # the paper's 0.4 n^(2/3), of 100
STUDENT_T = 2.306  # of 8 degrees of freedom, at 97.5 %: half of the interval that has the mean in 95 of 100 cases


@dataclass(frozen=True)
class Steady:
    """The steady part, by the samples' clock: its rate, and half of the mean's 95 % interval, relative to the mean."""

    from_s: float
    until_s: float
    bytes_per_s: float
    known_to_ratio: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.until_s - self.from_s


class Curve:
    """Bytes sent over time, interpolated between samples; `t` grows, `sent` does not shrink."""

    def __init__(self, t: Sequence[float], sent: Sequence[int]) -> None:
        self._t = t
        self._sent = sent

    def at(self, t: float) -> float:
        """Returns the bytes sent by then."""
        after = bisect.bisect_right(self._t, t)
        if after == 0 or after == len(self._t):
            return float(self._sent[0 if after == 0 else -1])
        t0, t1 = self._t[after - 1], self._t[after]
        return self._sent[after - 1] + (t - t0) / (t1 - t0) * (self._sent[after] - self._sent[after - 1])

    def first(self) -> float | None:
        """Returns when the first object began to be sent; None: it has not."""
        at = bisect.bisect_right(self._sent, self._sent[0] + MARGIN_BYTES) if self._sent else 0
        return self._t[at - 1] if 0 < at < len(self._sent) else None

    def last(self) -> float:
        """Returns when the last object had been sent."""
        return self._t[bisect.bisect_left(self._sent, self._sent[-1] - MARGIN_BYTES)]

    def edges(self, times: Sequence[float], from_s: float, until_s: float) -> list[float]:
        """Returns the last samples before these times, each once, from `from_s` to `until_s`. A time after the last
        sample has none: the end of a sync ends its last pause too early.
        """
        last_s = self._t[-1]
        found = {self._t[max(0, bisect.bisect_right(self._t, time_s) - 1)] for time_s in times if time_s <= last_s}
        return sorted(each for each in found if from_s <= each <= until_s)

    def through(self, times: Sequence[float]) -> Curve:
        """Returns the curve that is straight between these times."""
        return Curve(times, [round(self.at(each)) for each in times])

    def paid_off(self, first_s: float, from_s: float, until_s: float, bytes_per_s: float) -> float:
        """Returns when the bytes since `first_s` first were no more than the rate allows, or else hardly more.

        Searches from `from_s` to `until_s`; returns `until_s` when there was no such time.
        """
        begun = self.at(first_s)
        looks = range(bisect.bisect_left(self._t, from_s), bisect.bisect_left(self._t, until_s))
        for rate in (bytes_per_s, (1 + HARDLY_MORE) * bytes_per_s):
            for at in looks:
                if self._sent[at] - begun <= rate * (self._t[at] - first_s):
                    return self._t[at]
        return until_s


def steady_part(
    t: Sequence[float],
    sent: Sequence[int],
    *,
    cycle_s: float | None = None,
    target_bytes_per_s: float | None = None,
    resumed: Sequence[float] = (),
    ended: bool = False,
) -> Steady | None:
    """Returns the part between start and tail, or None. A transfer that has not `ended` has no tail yet.

    The start lasts for a second, or two cycles; with a target until the burst at the beginning is paid off, but at most
    half of the time. With cycles the steady part consists of whole ones; also where a closed loop stopped the transfer
    and continued it at the times `resumed`. Its cycles have different lengths, but each burst is paid off at the end of
    its pause, and send buffers are empty then: the mean between two of these times does not depend on a cut burst.
    """
    curve = Curve(t, sent)
    first_s = curve.first()
    if first_s is None:
        return None
    edge_s = max(START_S, START_CYCLES * (cycle_s or 0.0))
    from_s, until_s = first_s + edge_s, curve.last() - edge_s if ended else t[-1]
    if target_bytes_per_s is not None:
        from_s = curve.paid_off(first_s, from_s, first_s + (until_s - first_s) / 2, target_bytes_per_s)
        edges = curve.edges(resumed, from_s, until_s)
        if len(edges) > LEAST_CYCLES:
            curve, from_s, until_s = curve.through(edges), edges[0], edges[-1]
    if cycle_s is not None:
        until_s = from_s + math.floor((until_s - from_s) / cycle_s) * cycle_s
    if until_s - from_s <= edge_s:
        return None
    moved = curve.at(until_s) - curve.at(from_s)
    if moved <= 0:
        return None
    mean = moved / (until_s - from_s)
    return Steady(from_s, until_s, mean, known_to(curve, from_s, until_s, cycle_s or 0.0) / mean)


def known_to(curve: Curve, from_s: float, until_s: float, cycle_s: float) -> float:
    """Returns half of the mean's 95 % interval, in bytes a second.

    It uses rates over a hundredth of the time each, or over a whole cycle, so that cut cycles have no influence.
    """
    width_s = max(cycle_s, (until_s - from_s) / WINDOWS)
    step_s = (until_s - from_s - width_s) / (WINDOWS - 1)
    starts = [from_s + number * step_s for number in range(WINDOWS)]
    rates = [(curve.at(start + width_s) - curve.at(start)) / width_s for start in starts]
    mean = sum(rates) / WINDOWS
    squares = 0.0
    for cosine in range(1, COSINES + 1):
        weight = math.pi * cosine / WINDOWS
        squares += sum((rate - mean) * math.cos(weight * (at + 0.5)) for at, rate in enumerate(rates)) ** 2
    # The long-run variance is 2 / n of their mean, the mean's variance an n-th of that.
    return STUDENT_T * math.sqrt(2 / WINDOWS * squares / COSINES / WINDOWS)
