"""Waiting until something is so."""

from __future__ import annotations

import pytest

from tests.workloads.fake_clock import FakeClock
from workloads.waiting import wait_until


def test_the_value_that_is_true_is_returned(clock: FakeClock) -> None:
    values = iter(["", "", "there"])
    found = wait_until(lambda: next(values), timeout_seconds=60, interval_seconds=2)
    assert (found, clock.slept) == ("there", [2, 2])


@pytest.mark.parametrize(("timeout_seconds", "calls"), [(0, 1), (3, 4), (3.5, 5)])
def test_after_the_timeout_the_last_value_is_returned(clock: FakeClock, timeout_seconds: float, calls: int) -> None:
    made: list[int] = []

    def predicate() -> bool:
        made.append(1)
        return False

    assert not wait_until(predicate, timeout_seconds=timeout_seconds, interval_seconds=1)
    assert len(made) == calls


def test_an_error_is_retried_until_the_timeout_and_any_other_ends_the_wait(clock: FakeClock) -> None:
    errors = iter([OSError("first"), OSError("second"), OSError("last"), ValueError("other")])

    def predicate() -> bool:
        raise next(errors)

    with pytest.raises(OSError, match="last"):
        wait_until(predicate, timeout_seconds=2, interval_seconds=1, retry_on=OSError)
    with pytest.raises(ValueError, match="other"):
        wait_until(predicate, timeout_seconds=2, interval_seconds=1, retry_on=OSError)
    assert clock.slept == [1, 1]
