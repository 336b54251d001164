"""Which snapshots there are, which is meant, and which are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.encrypted_backup.snapshots import Keep, Snapshot, chosen, kept, listed, name_now
from workloads.errors import WorkloadError

START = datetime(2026, 1, 1, 3, tzinfo=UTC)
DAILY = [name_now(START + timedelta(days=day)) for day in range(90)]
FACT = {"sources": ["/home"], "host": "client", "files": 3, "total_bytes": 30, "new_bytes": 10, "seconds": 4.5}


def snapshots(*names: str) -> list[Snapshot]:
    return listed({**FACT, "name": name} for name in names)


def test_they_are_listed_oldest_first_and_other_lines_are_left_out() -> None:
    found = listed([{**FACT, "name": DAILY[1]}, {"changed": 0}, {**FACT, "name": DAILY[0]}])
    assert [each.name for each in found] == DAILY[:2]
    assert found[0].time == START


def test_the_latest_or_the_named_is_chosen() -> None:
    found = snapshots(*DAILY[:3])
    assert chosen(found, "latest").name == DAILY[2]
    assert chosen(found, DAILY[1]).name == DAILY[1]
    with pytest.raises(WorkloadError, match=f"there is no snapshot x; the newest are {DAILY[0]}"):
        chosen(found, "x")
    with pytest.raises(WorkloadError, match="there is no snapshot on the volume yet"):
        chosen([], "latest")


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Keep(last=2), DAILY[-2:]),
        (Keep(daily=3), DAILY[-3:]),
        # 2026-03-31, the last, is a Tuesday; the Sundays before it end their weeks.
        (Keep(weekly=2), [DAILY[89], DAILY[87]]),
        (Keep(monthly=3), [DAILY[89], DAILY[58], DAILY[30]]),
        (Keep(monthly=12), [DAILY[89], DAILY[58], DAILY[30]]),
        (Keep(last=1, monthly=2), [DAILY[89], DAILY[58]]),
    ],
)
def test_rules_of_keeping(keep: Keep, expected: list[str]) -> None:
    assert kept(DAILY, keep) == set(expected)


def test_the_last_of_a_day_stands_for_it() -> None:
    hours = [name_now(START + timedelta(hours=hour)) for hour in range(40)]
    # It begins at three: the first day's last is the 21st hour from there.
    assert kept(hours, Keep(daily=2)) == {hours[20], hours[39]}


@given(st.sets(st.integers(0, 10**6)), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_the_newest_is_always_kept_and_pruning_twice_changes_nothing(
    hours: set[int], last: int, daily: int, weekly: int, monthly: int
) -> None:
    names = {name_now(START + timedelta(hours=hour)) for hour in hours}
    keep = Keep(last, daily, weekly, monthly)
    stays = kept(names, keep)
    assert stays <= names
    assert kept(stays, keep) == stays
    assert not names or max(names) in stays
    assert len(stays) <= last + daily + weekly + monthly


@pytest.mark.parametrize("numbers", [(0, 0, 0, 0), (-1, 2, 0, 0)])
def test_a_rule_that_keeps_nothing_is_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(WorkloadError):
        Keep(*numbers)
