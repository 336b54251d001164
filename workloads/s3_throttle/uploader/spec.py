"""A sync as the tasks specify it, and the command, configuration and environment that run it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from workloads.s3_throttle.uploader import counts
from workloads.s3_throttle.uploader.kernel import without_retransmissions

CONNECT_SECONDS = 10  # the CLI's own 60, five times, take long to find that S3 can't be reached


@dataclass(frozen=True)
class Spec:
    """One sync of `objects` files, the pool's first `pool_objects` repeatedly, under the caps that are not None.
    Nothing here is secret.

    `endpoint` is the URL of S3, None for AWS's own; `address` is the host's, on the interface that is measured.
    `tc_bytes_per_s` includes headers, as tc counts; all other rates are of TCP's payload.

    With `precision_ratio` the sync is ended once the mean of its steady part (steady.py) is known to that, after at
    least `least_s` and twenty cycles, or `most_s` after its first byte; else it runs until all is sent.
    `wire_target_bytes_per_s` is the interface's intended rate, headers included; `send_buffer_bytes` limits a socket's
    send buffer.
    """

    aws: str
    pool: str
    pool_objects: int
    folder: str
    objects: int
    bucket: str
    prefix: str
    region: str
    endpoint: str | None
    address: str
    limit_s: float
    rate_bytes_per_s: int | None = None
    stop_s: float | None = None
    run_s: float | None = None
    max_bandwidth_kib_per_s: int | None = None
    tc_bytes_per_s: int | None = None
    precision_ratio: float | None = None
    least_s: float = 0.0
    most_s: float = 0.0
    wire_target_bytes_per_s: float | None = None
    send_buffer_bytes: int | None = None

    @property
    def cycle_s(self) -> float | None:
        """The length of a stop and a run."""
        return None if self.stop_s is None or self.run_s is None else self.stop_s + self.run_s

    def sent_once(self, tx: list[int], again: list[int]) -> list[int]:
        """Returns the bytes without retransmissions. With `tc` all count: it drops segments before they are sent."""
        return tx if self.tc_bytes_per_s is not None else without_retransmissions(tx, again)

    def to_json(self) -> str:
        """Returns the form that from_json reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Reads a specification. Raises TypeError for an unknown or missing field."""
        return cls(**json.loads(text))


def sync_command(spec: Spec, source: Path) -> list[str]:
    """Returns the AWS CLI's sync."""
    destination = f"s3://{spec.bucket}/{spec.prefix}"
    sync = [spec.aws, "s3", "sync", "--no-progress", "--only-show-errors"]
    return [*sync, "--cli-connect-timeout", str(CONNECT_SECONDS), f"{source}/", destination]


def throttle_arguments(spec: Spec, report: Path) -> list[str] | None:
    """Returns the throttle's arguments up to `--`, or None for a sync without it.

    The original held a process that was already transferring, so the CLI is not held before its first byte.
    """
    if spec.rate_bytes_per_s is not None:
        return ["--report", str(report), "--rate", f"{spec.rate_bytes_per_s} B/s"]
    if spec.stop_s is not None and spec.run_s is not None:
        return ["--report", str(report), "--stop", str(spec.stop_s), "--run", str(spec.run_s), "--from-first-byte"]
    return None


def configuration(spec: Spec) -> str:
    """Returns the CLI's configuration file. It takes whole KB/s, which are KiB/s."""
    lines = ["[plugins]", f"counts = {counts.__name__}", "[default]", f"region = {spec.region}"]
    if spec.max_bandwidth_kib_per_s is not None:
        lines += ["s3 =", f"    max_bandwidth = {spec.max_bandwidth_kib_per_s}KB/s"]
    return "\n".join(lines) + "\n"


def environment(spec: Spec, configuration_file: Path, counts_file: Path) -> dict[str, str]:
    """Returns the command's environment, without credentials: the CLI asks for the instance's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    made = {
        "AWS_CONFIG_FILE": str(configuration_file),
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        counts.FILE: str(counts_file),
    }
    if spec.endpoint is not None:
        made["AWS_ENDPOINT_URL_S3"] = spec.endpoint
    return kept | made
