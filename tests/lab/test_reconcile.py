"""What the reconciler decides by itself."""

from __future__ import annotations

from lab.reconcile import least_used


def test_hosts_are_spread_over_the_cpus() -> None:
    taken: list[int] = []
    for _ in range(5):
        taken.append(least_used({0, 1}, taken))
    assert taken == [0, 1, 0, 1, 0]


def test_a_cpu_that_a_host_left_is_taken_first() -> None:
    assert least_used({2, 3, 7}, [2, 2, 7]) == 3
    assert least_used({2, 3, 7}, [2, 3, 3, 7, 7]) == 2
