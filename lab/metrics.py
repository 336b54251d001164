"""The CloudWatch metrics of EFS, computed from the front end's counts of each second.

The rules are those of the EFS user guide ("Amazon CloudWatch metrics for Amazon EFS") and of 2018: a data operation
counts with its bytes, at least 4096; each minute has a sum, a number, a minimum and a maximum; PercentIOLimit is the
share of General Purpose mode's limit of operations; bursting allows 100 MiB/s while there are credits, which grow with
what is stored and shrink with what is transferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.account import FileSystem
from lab.service_model import FileSystemModel

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import StandardUnitType

NAMESPACE = "AWS/EFS"
MINUTE_SECONDS = 60
METADATA_METERED_BYTES = 4096
MIB = 1024**2
TIB = 1024**4

# EFS user guide, "Bursting throughput": 50 KiB/s for each GiB stored, at least 1 MiB/s, which is what a file system of
# the region's size has; bursts of 100 MiB/s below a TiB; 2.1 TiB of credits to begin with.
BASELINE_LEAST_BYTES_PER_S = MIB
BURST_BYTES_PER_S = 100 * MIB
INITIAL_CREDIT_BYTES = 2.1 * TIB


@dataclass
class Statistics:
    """A minute of one metric."""

    count: float = 0
    total: float = 0.0
    least: float = math.inf
    greatest: float = -math.inf

    def add(self, count: float, total: float, least: float | None, greatest: float | None) -> None:
        """Adds `count` values at once."""
        if count and least is not None and greatest is not None:
            self.count += count
            self.total += total
            self.least = min(self.least, least)
            self.greatest = max(self.greatest, greatest)

    def one(self, value: float) -> None:
        """Adds one value."""
        self.add(1, value, value, value)


@dataclass
class FileSystemMetrics:
    """Collects one file system's counts of each second into the statistics of each minute."""

    model: FileSystemModel | None = None
    permitted_bytes_per_s: float = BURST_BYTES_PER_S
    bursting: bool = True
    credit_bytes: float = INITIAL_CREDIT_BYTES
    _minute: int | None = None
    _metrics: dict[str, Statistics] = field(default_factory=dict)

    def second(self, counts: Mapping[str, Any]) -> tuple[int, dict[str, Statistics]] | None:
        """Adds the counts of the second that ended at `t_unix_s`. Returns a minute that is over by that as (its start,
        its statistics), else None.
        """
        minute = (int(counts["t_unix_s"]) - 1) // MINUTE_SECONDS * MINUTE_SECONDS
        done = None
        if self._minute is not None and minute != self._minute:
            done = (self._minute, self._metrics)
            self._metrics = {}
        self._minute = minute
        self._take(counts)
        return done

    def _take(self, counts: Mapping[str, Any]) -> None:
        read, write, other = counts["read"], counts["write"], counts["other"]["count"]
        moved = 0.0
        for name, kind in (("DataReadIOBytes", read), ("DataWriteIOBytes", write)):
            values = (kind["count"], kind["metered_sum"], kind["metered_min"], kind["metered_max"])
            self._metric(name).add(*values)
            self._metric("TotalIOBytes").add(*values)
            moved += kind["metered_sum"]
        metadata = (other, other * METADATA_METERED_BYTES, METADATA_METERED_BYTES, METADATA_METERED_BYTES)
        self._metric("MetadataIOBytes").add(*metadata)
        self._metric("TotalIOBytes").add(*metadata)
        moved += other * METADATA_METERED_BYTES
        self._metric("PermittedThroughput").one(self.permitted_bytes_per_s)
        # One value a minute: AWS's sum is the number of connections, not of connections times seconds.
        seen = self._metrics.pop("ClientConnections", Statistics())
        self._metric("ClientConnections").one(max(counts["connections"], seen.greatest))
        if self.bursting:
            self.credit_bytes = min(self.credit_bytes + BASELINE_LEAST_BYTES_PER_S - moved, INITIAL_CREDIT_BYTES)
            self._metric("BurstCreditBalance").one(max(self.credit_bytes, 0.0))
        used = self._used_ratio(read["count"], write["count"])
        if used is not None:
            self._metric("PercentIOLimit").one(min(100.0, 100.0 * used))

    def _used_ratio(self, reads: int, writes: int) -> float | None:
        """Returns the share of the operations that the model allows in a second; None if it has no limit."""
        model = self.model
        if model is None or model.read_ops_per_s is None or model.write_ops_per_s is None:
            return None
        return reads / model.read_ops_per_s + writes / model.write_ops_per_s

    def _metric(self, name: str) -> Statistics:
        return self._metrics.setdefault(name, Statistics())


def of_file_system(system: FileSystem, model: FileSystemModel | None) -> FileSystemMetrics:
    """Returns the metrics of a new file system, by its throughput mode."""
    bursting = system.throughput_mode == "bursting"
    if system.provisioned_mib_per_s is not None:
        return FileSystemMetrics(model, system.provisioned_mib_per_s * MIB, bursting)
    return FileSystemMetrics(model, bursting=bursting)


def publish(
    cloudwatch: CloudWatchClient, file_system_id: str, minute_unix_s: int, metrics: Mapping[str, Statistics]
) -> None:
    """Puts a minute's metrics. Leaves out a metric without a value in that minute, as EFS does."""
    data: list[Any] = [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "FileSystemId", "Value": file_system_id}],
            "Timestamp": datetime.fromtimestamp(minute_unix_s, UTC),
            "Unit": unit(name),
            "StatisticValues": {
                "SampleCount": statistics.count,
                "Sum": statistics.total,
                "Minimum": statistics.least,
                "Maximum": statistics.greatest,
            },
        }
        for name, statistics in sorted(metrics.items())
        if statistics.count
    ]
    if data:
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)


def unit(name: str) -> StandardUnitType:
    """Returns the unit of a metric of EFS."""
    if name == "PermittedThroughput":
        return "Bytes/Second"
    if name == "PercentIOLimit":
        return "Percent"
    return "Count" if name == "ClientConnections" else "Bytes"
