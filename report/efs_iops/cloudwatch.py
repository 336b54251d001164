"""raw/cloudwatch.ndjson: CloudWatch's metrics of the file system, minute by minute; nothing is known of a minute that
is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from report.missing import known
from report.records import Record, RecordError, number, text
from report.runs import Run

MINUTE_SECONDS = 60
# The worker's word for an operation, and the metric that counts it ("CloudWatch metrics for Amazon EFS", user guide).
DATA_METRICS = {"read": "DataReadIOBytes", "write": "DataWriteIOBytes"}
STATISTICS = ("Sum", "SampleCount", "Minimum", "Maximum", "Average")

Statistics = Mapping[str, float]


@dataclass
class CloudWatch:
    """Each metric's minutes by their start."""

    metrics: dict[str, dict[float, Statistics]] = field(default_factory=dict)
    asked: list[tuple[float, float]] = field(default_factory=list)

    def minute(self, metric: str, start_unix_s: float) -> Statistics | None:
        return self.metrics.get(metric, {}).get(start_unix_s)

    def values(self, metric: str, *names: str) -> list[float]:
        """Returns of each minute, in order of time, the first of these statistics that it has."""
        minutes = self.metrics.get(metric, {})
        return known(next((minutes[t][name] for name in names if name in minutes[t]), None) for t in sorted(minutes))


def read_cloudwatch(run: Run) -> CloudWatch:
    found = CloudWatch()

    def parse(record: Record) -> None:
        kind = text(record, "kind")
        if kind == "minute":
            _add_minute(record, found)
        elif kind == "asked":
            found.asked.append((number(record, "from_unix_s"), number(record, "until_unix_s")))
            if record.get("reason"):
                run.problem(f"CloudWatch: {record['reason']}")
        else:
            raise RecordError(f"kind {kind!r} is not minute or asked")

    if run.has_stream("cloudwatch", "what AWS counted is not known"):
        run.read("cloudwatch", parse)
    return found


def _add_minute(record: Record, found: CloudWatch) -> None:
    metric, start = text(record, "metric"), number(record, "t_unix_s")
    if number(record, "period_s") != MINUTE_SECONDS:
        raise RecordError(f"period_s of {metric} is {record['period_s']!r}, this report reads minutes")
    each = record.get("statistics")
    if not isinstance(each, dict):
        raise RecordError(f"statistics of {metric} is not an object")
    # Where a minute was asked for twice the later answer counts: it may have more.
    found.metrics.setdefault(metric, {})[start] = {name: number(each, name) for name in STATISTICS if name in each}
