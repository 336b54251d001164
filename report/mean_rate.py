"""The mean of per-second rates, its uncertainty, and the difference of two means.

Successive seconds are correlated: a busy neighbour or a full cache lasts longer than one. A confidence interval that
took them as independent would be too narrow, and would call noise a difference. Here the variance of a mean comes from
the slowest movements of its series: the equal-weighted cosine estimator, with Student's t of as many degrees of freedom
as it has cosines (Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice", Journal of Business
& Economic Statistics 36, 2018). It assumes no model of the correlation, and keeps the confidence in short series, where
effective sample sizes from estimated autocorrelations do not.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from report.intervals import Floats

# The paper's recommendation: 0.4 n^(2/3) cosines.
COSINES_FACTOR = 0.4
SAMPLES_MIN = 4


@dataclass(frozen=True)
class MeanRate:
    """The mean of a series, operations a second."""

    samples: int
    mean: float
    variance_of_mean: float
    degrees_of_freedom: float
    independent_samples: float  # the number of independent samples that would tell as much; at most `samples`


@dataclass(frozen=True)
class Ratio:
    """New over base, with its confidence interval. 1: no difference."""

    value: float
    low: float
    high: float


def mean_rate(series: Sequence[float]) -> MeanRate | None:
    """Returns the mean and its error; None for fewer samples than SAMPLES_MIN, or if all are 0: nothing to compare."""
    samples = len(series)
    values = np.asarray(series, dtype=float)
    if samples < SAMPLES_MIN or not (mean := float(values.mean())) > 0:
        return None
    weights = _weights(samples)
    long_run_variance = float(np.mean(((values - mean) @ weights) ** 2))
    variance = float(values.var(ddof=1))
    independent = samples if long_run_variance <= variance else samples * variance / long_run_variance
    return MeanRate(samples, mean, long_run_variance / samples, float(weights.shape[1]), independent)


@lru_cache(maxsize=4)  # the cells of a run are equally long
def _weights(samples: int) -> Floats:
    """Returns the cosines, a column each."""
    cosines = max(1, int(COSINES_FACTOR * samples ** (2 / 3)))
    position = (np.arange(samples) + 0.5) / samples
    weights: Floats = math.sqrt(2 / samples) * np.cos(np.pi * np.outer(position, np.arange(1, cosines + 1)))
    return weights


def ratio_of_means(base: MeanRate, new: MeanRate, confidence: float) -> Ratio:
    """Welch's t on the logarithms, whose variances are the relative ones; its degrees of freedom by Satterthwaite."""
    parts = [each.variance_of_mean / each.mean**2 for each in (base, new)]
    difference = math.log(new.mean / base.mean)
    variance = sum(parts)
    if variance == 0:
        return _ratio(difference, 0.0)
    shares = [part**2 / each.degrees_of_freedom for part, each in zip(parts, (base, new), strict=True)]
    return _ratio(difference, _quantile(variance**2 / sum(shares), confidence) * math.sqrt(variance))


def mean_ratio(ratios: Sequence[float], confidence: float) -> Ratio | None:
    """Returns the geometric mean over cells, each one measurement of the difference; None for fewer than two."""
    if len(ratios) < 2:
        return None
    logarithms = [math.log(ratio) for ratio in ratios]
    deviation = statistics.stdev(logarithms) / math.sqrt(len(ratios))
    return _ratio(statistics.fmean(logarithms), _quantile(len(ratios) - 1, confidence) * deviation)


def _quantile(degrees_of_freedom: float, confidence: float) -> float:
    return float(stdtrit(degrees_of_freedom, 1 - (1 - confidence) / 2))


def _ratio(difference: float, half_width: float) -> Ratio:
    # An interval too wide for a float is as wide as any.
    half_width = min(half_width, 50.0)
    return Ratio(math.exp(difference), math.exp(difference - half_width), math.exp(difference + half_width))
