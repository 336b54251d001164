"""Which snapshots there are, which is meant, and which are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.connectors.script import facts_in
from workloads.encrypted_backup.scripts import snapshot_records
from workloads.encrypted_backup.snapshots import Keep, Snapshot, chosen, kept, listed, name_now
from workloads.errors import WorkloadError

START = datetime(2026, 1, 1, 3, tzinfo=UTC)
DAILY = [name_now(START + timedelta(days=day)) for day in range(90)]
FACT = {"sources": ["/home"], "host": "client", "files": 3, "total_bytes": 30, "new_bytes": 10, "seconds": 4.5}
FACT |= {"exclude": [], "unread": 0}


def snapshots(*names: str) -> list[Snapshot]:
    return listed({**FACT, "name": name, "folder": name} for name in names)


def test_they_are_listed_oldest_first_and_other_lines_are_left_out() -> None:
    one, other = ({**FACT, "name": name, "folder": name} for name in DAILY[:2])
    found = listed([other, {"changed": 0}, one])
    assert [each.name for each in found] == DAILY[:2]


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


def test_a_rule_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(WorkloadError):
        Keep()


DAMAGES: list[dict[str, object]] = [
    {"host": None},
    {"files": -1},
    {"files": True},
    {"files": 1 << 70},
    {"total_bytes": "30"},
    {"seconds": float("nan")},
    {"seconds": float("inf")},
    {"sources": "/home"},
    {"sources": [1]},
    {"exclude": [None]},
    {"unread": 1.5},
    {"name": DAILY[2]},
    {"damaged": "its record is damaged"},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=map(str, DAMAGES))
def test_one_with_a_damaged_record_is_there_and_is_called_so(damage: dict[str, object]) -> None:
    whole, other = ({**FACT, "name": name, "folder": name} for name in DAILY[:2])
    found = listed([{**other, **damage}, whole])
    assert [each.name for each in found] == DAILY[:2]
    assert [each.damaged is None for each in found] == [True, False]
    assert found[1].files is None
    assert chosen(found, "latest").name == DAILY[1]


NAMED = {"name": DAILY[0], "folder": DAILY[0]}


@pytest.mark.parametrize("field", FACT)
def test_a_field_less_is_damage_that_is_named(field: str) -> None:
    (found,) = listed([{key: value for key, value in FACT.items() if key != field} | NAMED])
    assert found.damaged == f"its record has no {field}"


def test_a_name_that_is_no_time_is_damage() -> None:
    name = "2026-13-32T256199Z"
    (found,) = listed([{**FACT, "name": name, "folder": name}])
    assert (found.name, found.damaged) == (name, "its name is no time")


CONTENTS = {
    "cut short": b'{"name": "2026-01-01T000000Z", "sou',
    "empty": b"",
    "a list": b"[1]",
    "no UTF-8": b"\xff",
    "deep": b"[" * 100_000,
    "without an end of line": None,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_damaged_record_keeps_no_snapshot_from_being_listed(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the client's host says, read by what reads it."""
    names = [DAILY[0], DAILY[1], DAILY[2]]
    for name in names:
        (tmp_path / name).mkdir()
        record = {**FACT, "name": name}
        (tmp_path / name / "snapshot.json").write_text(json.dumps(record))
    (tmp_path / ".partial-x").mkdir()
    (tmp_path / "2x").mkdir()
    if content is not None:
        (tmp_path / DAILY[1] / "snapshot.json").write_bytes(content)
    (tmp_path / DAILY[2] / "snapshot.json").unlink()
    snapshot_records.main(str(tmp_path))
    found = listed(facts_in(capsys.readouterr().out))
    assert [each.name for each in found] == names
    assert [each.damaged is None for each in found] == [True, content is None, False]
    assert found[2].damaged == "its record can't be read (No such file or directory)"
