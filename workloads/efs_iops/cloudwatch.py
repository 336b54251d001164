"""Reads CloudWatch's metrics of the file system for each minute of a run, and waits for late ones.

Metrics, their dimensions, units and valid statistics: Amazon EFS user guide, "CloudWatch metrics for Amazon EFS"
(https://docs.aws.amazon.com/efs/latest/ug/efs-metrics.html). A minute's values arrive some minutes late, and may be
corrected after that. A minute without activity has no metrics of operations.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from workloads.aws import aws_client
from workloads.console import duration_words
from workloads.efs_iops.context import Context

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

# https://docs.aws.amazon.com/efs/latest/ug/API_FileSystemDescription.html
FILE_SYSTEM_ID = re.compile(r"fs-[0-9a-f]{8,40}")
NAMESPACE = "AWS/EFS"
PERIOD_S = 60
# Every operation counts in this metric: a minute with activity has arrived when this has.
ARRIVAL = ("TotalIOBytes", "SampleCount")
WAIT_LIMIT_S = 600.0
POLL_S = 10.0
# A rehearsal's minutes arrive a second after their end, and its endpoint has no limit of calls.
REHEARSAL_POLL_S = 1.0
MAY_TAKE = f"at most {duration_words(WAIT_LIMIT_S)} after the end of the last one"
LONGEST_PAUSE_S = 60.0

# AWS's error codes for throttling (as in botocore/retries/standard.py, which has more).
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "LimitExceeded",
        "LimitExceededException",
        "LimitExceededFault",
        "TooManyRequestsException",
    }
)
_CREDENTIALS_GONE = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
# Errors that may pass by themselves; botocore's others are of the configuration.
_TRANSIENT = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)


@dataclass(frozen=True)
class Metric:
    """A metric of AWS/EFS, with the statistics that are valid for it."""

    name: str
    unit: str
    statistics: tuple[str, ...]
    storage_class: str | None = None


_OF_OPERATIONS = ("Sum", "SampleCount", "Minimum", "Maximum", "Average")
_OF_A_LEVEL = ("Minimum", "Maximum", "Average")
METRICS = (
    Metric("DataReadIOBytes", "Bytes", _OF_OPERATIONS),
    Metric("DataWriteIOBytes", "Bytes", _OF_OPERATIONS),
    Metric("MetadataIOBytes", "Bytes", _OF_OPERATIONS),
    Metric("TotalIOBytes", "Bytes", _OF_OPERATIONS),
    Metric("PercentIOLimit", "Percent", _OF_A_LEVEL),
    Metric("PermittedThroughput", "Bytes/Second", _OF_A_LEVEL),
    Metric("BurstCreditBalance", "Bytes", _OF_A_LEVEL),
    Metric("StorageBytes", "Bytes", _OF_A_LEVEL, storage_class="Total"),  # one value each 15 minutes
    Metric("ClientConnections", "Count", ("Sum",)),
)

# Values by the metric's name, the start of the minute in Unix seconds, and the statistic.
Values = dict[tuple[str, int, str], float]


class _Fault(Exception):
    """CloudWatch did not answer, or not completely; `transient`: the next answer may be complete."""

    def __init__(self, words: str, *, transient: bool) -> None:
        super().__init__(words)
        self.transient = transient


def read_metrics(context: Context, cells: Sequence[tuple[float, float]], until_unix_s: float) -> None:
    """Records every metric of the run's whole minutes; prints what is missing, and why.

    `cells` are the begin and the end of each cell, by the runner's clock like the end of the run.
    """
    if not FILE_SYSTEM_ID.fullmatch(context.file_system.id):  # a person's own may have any id
        context.console.say("cloudwatch", f"left out: {context.file_system.id} is no EFS file system")
        return
    started = time.monotonic()
    asked = minutes(min((begin for begin, _ in cells), default=until_unix_s), until_unix_s)
    with context.console.under_way("cloudwatch", f"{len(asked)} minutes", MAY_TAKE) as progress:
        records = wait_for(
            aws_client(context.inventory.region, "cloudwatch"),
            context.file_system.id,
            asked,
            # A minute without activity may never arrive.
            [minute for minute in asked if was_busy(cells, minute, minute + PERIOD_S)],
            poll_s=REHEARSAL_POLL_S if context.inventory.rehearsal else POLL_S,
            tell=progress.update,
        )
    for record in records:
        context.results.append("cloudwatch", record)
    context.results.step("cloudwatch", time.monotonic() - started, None)
    words = f"{len(asked)} whole minute{'' if len(asked) == 1 else 's'}, waited {time.monotonic() - started:.0f} s"
    reason = records[-1]["reason"]
    context.console.say("cloudwatch", words if reason is None else f"{words}; {reason}")


def was_busy(cells: Sequence[tuple[float, float]], from_unix_s: float, until_unix_s: float) -> bool:
    """Returns whether a cell ran at any time between."""
    return any(begin < until_unix_s and end > from_unix_s for begin, end in cells)


def minutes(from_unix_s: float, until_unix_s: float) -> range:
    """Returns the starts, in Unix seconds, of the whole minutes between two times; there may be none."""
    first = -int(-from_unix_s // PERIOD_S) * PERIOD_S
    last = int(until_unix_s // PERIOD_S) * PERIOD_S
    return range(first, max(first, last), PERIOD_S)


def wait_for(
    client: CloudWatchClient,
    file_system_id: str,
    asked: range,
    wanted: Collection[int],
    *,
    limit_s: float = WAIT_LIMIT_S,
    poll_s: float = POLL_S,
    tell: Callable[[str], None] = lambda words: None,
) -> list[dict[str, Any]]:
    """Reads the minutes `asked` (from `minutes`) until all of `wanted` have arrived and two answers in a row are equal.

    `wanted` are the starts of minutes with activity. After `limit_s`, or an error that will not pass, such as
    credentials that have expired, it returns what was read so far.

    Returns the records for raw/cloudwatch.ndjson; the last is about the reading itself, with the reason why some may be
    missing.
    """
    started_s = time.monotonic()
    known: Values = {}
    last: Values | None = None
    faults_in_a_row = 0
    shown = None
    reason = None if asked else "there is no whole minute to ask for"
    while asked:
        answer: Values = {}
        fault: _Fault | None = None
        try:
            _read(client, file_system_id, asked, into=answer)
        except (_Fault, ClientError, BotoCoreError) as error:
            fault = error if isinstance(error, _Fault) else _fault(error)
        # Keeps earlier answers, and the first pages of an answer that was interrupted.
        known |= answer
        missing = sorted(minute for minute in wanted if (ARRIVAL[0], minute, ARRIVAL[1]) not in known)
        if fault is None and not missing and answer == last:
            break
        parts = [] if fault is None else [str(fault)]
        if missing:
            first = datetime.fromtimestamp(missing[0], UTC)
            parts.append(f"CloudWatch lacks {len(missing)} of {len(wanted)} minutes, the first from {first:%H:%M} UTC")
        state = "; ".join(parts) or "no two answers in a row were the same"
        if fault is not None and not fault.transient:
            reason = state
            break
        if fault is None:
            last, faults_in_a_row = answer, 0
        else:
            faults_in_a_row += 1
        left_s = limit_s - (time.monotonic() - started_s)
        if left_s <= 0:
            reason = f"{state}, after {limit_s:g} s"
            break
        if missing and state != shown:
            tell(f"{state}; asking again for up to {left_s:.0f} s")
            shown = state
        time.sleep(min(_pause_s(poll_s, faults_in_a_row, random.random()), left_s))
    about = {
        "kind": "asked",
        "from_unix_s": asked.start,
        "until_unix_s": asked.stop,
        "asked_at_unix_s": time.time(),
        "waited_s": round(time.monotonic() - started_s, 3),
        "reason": reason,
    }
    return [*_records(known), about]


def _pause_s(poll_s: float, faults_in_a_row: int, random_share: float) -> float:
    """Returns the time to the next attempt; after faults it doubles, and is shortened at random, so that clients do not
    all come back at once.
    """
    if not faults_in_a_row:
        return poll_s
    return min(poll_s * 2.0 ** min(faults_in_a_row, 16), LONGEST_PAUSE_S) * (0.5 + random_share / 2)


def _fault(error: ClientError | BotoCoreError) -> _Fault:
    if isinstance(error, BotoCoreError):
        words = " ".join(str(error).split())
        return _Fault(f"CloudWatch cannot be asked ({words})", transient=isinstance(error, _TRANSIENT))
    detail = error.response.get("Error", {})
    code = detail.get("Code", "an error")
    message = " ".join(detail.get("Message", "").split())
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _CREDENTIALS_GONE:
        return _Fault(f"the credentials are no longer valid ({code}): renew them and ask again", transient=False)
    if code in _THROTTLED or status == 429:
        return _Fault(f"CloudWatch is asked too often ({code})", transient=True)
    return _Fault(f"CloudWatch answers {code} ({message})", transient=status >= 500)


def _read(client: CloudWatchClient, file_system_id: str, asked: range, *, into: Values) -> None:
    """Adds the values of the minutes `asked`; keeps those read before a fault."""
    # GetMetricData takes 500 queries in a call
    # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html).
    columns = [(metric, statistic) for metric in METRICS for statistic in metric.statistics]
    queries = {f"q{number}": column for number, column in enumerate(columns)}
    states: dict[str, str] = {}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[_query(name, file_system_id, *column) for name, column in queries.items()],
        StartTime=datetime.fromtimestamp(asked.start, UTC),
        EndTime=datetime.fromtimestamp(asked.stop, UTC),
        ScanBy="TimestampAscending",
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            metric, statistic = queries[result["Id"]]
            # A long series comes in parts, over several pages; the last part's status counts.
            states[result["Id"]] = result.get("StatusCode", "Complete")
            for timestamp, value in zip(result["Timestamps"], result["Values"], strict=True):
                minute = int(timestamp.timestamp())
                if minute in asked:
                    into[metric.name, minute, statistic] = value
    for name, state in states.items():
        if state != "Complete":
            metric, statistic = queries[name]
            raise _Fault(f"CloudWatch answers {state} for {metric.name}", transient=state != "Forbidden")


def _query(name: str, file_system_id: str, metric: Metric, statistic: str) -> MetricDataQueryTypeDef:
    dimensions = {"FileSystemId": file_system_id}
    if metric.storage_class is not None:
        dimensions["StorageClass"] = metric.storage_class
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": NAMESPACE,
                "MetricName": metric.name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": PERIOD_S,
            "Stat": statistic,
        },
    }


def _records(values: Values) -> list[dict[str, Any]]:
    """Returns a record for each metric and minute, with the statistics that were read."""
    found: list[dict[str, Any]] = []
    for metric in METRICS:
        for minute in sorted({minute for name, minute, _ in values if name == metric.name}):
            statistics = {
                statistic: values[key]
                for statistic in metric.statistics
                if (key := (metric.name, minute, statistic)) in values
            }
            record = {"kind": "minute", "metric": metric.name, "t_unix_s": minute, "period_s": PERIOD_S}
            found.append(record | {"unit": metric.unit, "statistics": statistics})
    return found
