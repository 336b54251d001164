"""The command of a sync, and the environment in which it runs."""

from __future__ import annotations

import os
from pathlib import Path

from workloads.s3_throttle.uploader.spec import Spec

PLUGIN = "workloads.s3_throttle.uploader.counts"
COUNTS = "TIDEMARK_S3_COUNTS"
"""The variable that names the file for the CLI's counts."""
CONNECT_SECONDS = 10  # the CLI's own 60, five times, take long to find that S3 can't be reached


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
    lines = ["[plugins]", f"counts = {PLUGIN}", "[default]", f"region = {spec.region}"]
    if spec.max_bandwidth_kib_per_s is not None:
        lines += ["s3 =", f"    max_bandwidth = {spec.max_bandwidth_kib_per_s}KB/s"]
    return "\n".join(lines) + "\n"


def environment(spec: Spec, configuration_file: Path, counts: Path) -> dict[str, str]:
    """Returns the command's environment, without credentials: the CLI asks for the instance's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    made = {"AWS_CONFIG_FILE": str(configuration_file), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", COUNTS: str(counts)}
    if spec.endpoint is not None:
        made["AWS_ENDPOINT_URL_S3"] = spec.endpoint
    return kept | made
