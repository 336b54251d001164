"""Fetches the uploader's logs into the results."""

from __future__ import annotations

import time

from workloads.logs import write_sections
from workloads.s3_throttle.context import Context


def collect(context: Context) -> int:
    """Writes its logs to logs/; the number of files."""
    assert context.results is not None, "collect needs results to add to"
    started = time.monotonic()
    with context.console.under_way("collect", "logs"):
        files = write_sections(context.results, {context.uploader.name: context.on_uploader("host_logs")})
    context.results.step("collect", time.monotonic() - started, None)
    context.console.say("collect", f"{files} logs in {context.results.directory / 'logs'}")
    return files
