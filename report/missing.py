"""Arithmetic on figures of which some may be missing (None): what can't be computed is missing, too, and never zero."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import TypeVar

N = TypeVar("N", int, float)


def known(values: Iterable[N | None]) -> list[N]:
    return [value for value in values if value is not None]


def divided(value: float | None, by: float | None) -> float | None:
    return None if value is None or not by else value / by


def times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def total(values: Iterable[N | None]) -> N | None:
    """Returns the sum; None if a value is missing, or there is none."""
    values = list(values)
    found = known(values)
    return sum(found) if found and len(found) == len(values) else None


def mean(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that are known."""
    found = known(values)
    return statistics.fmean(found) if found else None
