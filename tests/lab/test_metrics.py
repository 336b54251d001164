"""CloudWatch's metrics of a file system, made from seconds of counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import metrics
from lab.account import FileSystem
from lab.metrics import FileSystemMetrics, Statistics
from lab.service_model import FileSystemModel
from tests.lab.conftest import Api

MINUTE = 1_700_000_040  # a whole minute
MODEL = FileSystemModel("file-system", "m", 0.0, 4096, read_ops_per_s=3500, write_ops_per_s=3000)
NOTHING: dict[str, Any] = {
    "count": 0,
    "failed": 0,
    "bytes": 0,
    "metered_sum": 0,
    "metered_min": None,
    "metered_max": None,
}


def second(end: int, *, read: int = 0, write: int = 0, size: int = 4096, other: int = 0) -> dict[str, Any]:
    """A second's counts: so many operations, all of one metered size."""

    def kind(count: int) -> dict[str, Any]:
        if not count:
            return NOTHING
        return {**NOTHING, "count": count, "metered_sum": count * size, "metered_min": size, "metered_max": size}

    return {"t_unix_s": end, "connections": 2, "read": kind(read), "write": kind(write), "other": {"count": other}}


def minute_of(found: FileSystemMetrics, seconds: list[dict[str, Any]]) -> dict[str, Statistics]:
    """The first minute that these seconds end."""
    for each in seconds:
        done = found.second(each)
        if done is not None:
            assert done[0] == MINUTE
            return done[1]
    raise AssertionError("no minute ended")


def test_a_minute_has_sum_number_least_and_greatest() -> None:
    seconds = [second(MINUTE + i, write=10, size=4096 * i) for i in range(1, 61)]
    found = minute_of(FileSystemMetrics(MODEL), [*seconds, second(MINUTE + 61)])
    assert found["DataWriteIOBytes"] == Statistics(600, 10 * 4096 * sum(range(1, 61)), 4096, 4096 * 60)
    assert found["DataReadIOBytes"].count == 0
    assert found["TotalIOBytes"] == found["DataWriteIOBytes"]
    assert found["ClientConnections"] == Statistics(1, 2, 2, 2)
    assert found["PermittedThroughput"].total / 60 == 100 * 1024**2


def test_a_second_belongs_to_the_minute_in_which_it_began() -> None:
    found = FileSystemMetrics(MODEL)
    assert found.second(second(MINUTE + 60, read=1)) is None  # the last second of the minute
    done = found.second(second(MINUTE + 61, read=5))
    assert done is not None
    assert done[0] == MINUTE
    assert done[1]["DataReadIOBytes"].count == 1


@pytest.mark.parametrize(("reads", "writes", "percent"), [(3500, 0, 100.0), (0, 3000, 100.0), (1750, 750, 75.0)])
def test_percent_io_limit_is_of_what_the_model_allows(reads: int, writes: int, percent: float) -> None:
    seconds = [second(MINUTE + i, read=reads, write=writes) for i in range(1, 62)]
    found = minute_of(FileSystemMetrics(MODEL), seconds)["PercentIOLimit"]
    assert found.total / found.count == pytest.approx(percent)


def test_without_limits_there_is_no_percentage() -> None:
    assert "PercentIOLimit" not in minute_of(FileSystemMetrics(None), [second(MINUTE + 1), second(MINUTE + 61)])


def test_credits_shrink_by_what_is_moved_beyond_the_baseline() -> None:
    moved = 101 * 1024**2
    found = FileSystemMetrics(MODEL)
    minute_of(found, [second(MINUTE + 1, write=1, size=moved), second(MINUTE + 61)])
    # A second's baseline of 1 MiB/s came in with it, and another with the second after.
    assert found.credit_bytes == metrics.INITIAL_CREDIT_BYTES - moved + 2 * 1024**2


def test_provisioned_throughput_is_what_is_permitted_and_has_no_credits() -> None:
    system = FileSystem("fs-1", "provisioned", 128.0, ())
    found = minute_of(metrics.of_file_system(system, MODEL), [second(MINUTE + 1), second(MINUTE + 61)])
    assert found["PermittedThroughput"].greatest == 128 * 1024**2
    assert "BurstCreditBalance" not in found


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 1 << 20)), max_size=130))
def test_no_operation_is_lost_between_minutes(counts: list[tuple[int, int, int]]) -> None:
    found = FileSystemMetrics(MODEL)
    totals = {"DataReadIOBytes": 0.0, "DataWriteIOBytes": 0.0}
    ends = [*(second(MINUTE + i, read=r, write=w, size=s) for i, (r, w, s) in enumerate(counts, 1))]
    for each in [*ends, second(MINUTE + 1000)]:
        done = found.second(each)
        for name in totals:
            totals[name] += done[1][name].count if done else 0
    assert totals == {
        "DataReadIOBytes": sum(read for read, _, _ in counts),
        "DataWriteIOBytes": sum(write for _, write, _ in counts),
    }


def test_cloudwatch_shows_a_minute_as_it_was_published(api: Api) -> None:
    minute = {"DataReadIOBytes": Statistics(3, 12288 + 10000, 4096, 10000), "PercentIOLimit": Statistics()}
    metrics.publish(api.clients.cloudwatch, "fs-1", MINUTE, minute)
    start = datetime.fromtimestamp(MINUTE, UTC)
    (point,) = api.clients.cloudwatch.get_metric_statistics(
        Namespace="AWS/EFS",
        MetricName="DataReadIOBytes",
        Dimensions=[{"Name": "FileSystemId", "Value": "fs-1"}],
        StartTime=start,
        EndTime=datetime.fromtimestamp(MINUTE + 60, UTC),
        Period=60,
        Statistics=["Sum", "SampleCount", "Minimum", "Maximum", "Average"],
    )["Datapoints"]
    assert point["Timestamp"] == start
    assert (point["Sum"], point["SampleCount"]) == (22288, 3)
    assert (point["Minimum"], point["Maximum"]) == (4096, 10000)
    assert math.isclose(point["Average"], 22288 / 3)
    listed = api.clients.cloudwatch.list_metrics(Namespace="AWS/EFS")["Metrics"]
    assert [metric["MetricName"] for metric in listed] == ["DataReadIOBytes"], "what has no value is left out"
