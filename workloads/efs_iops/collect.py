"""Fetches the clients' logs into the results."""

from __future__ import annotations

import time

from workloads.efs_iops.context import Context
from workloads.logs import write_sections


def collect(context: Context) -> int:
    """Writes each client's logs to logs/; the number of files."""
    assert context.results is not None, "collect needs results to add to"
    started = time.monotonic()
    with context.console.under_way("collect", "logs"):
        files = write_sections(context.results, context.on_clients("host_logs"))
    context.results.step("collect", time.monotonic() - started, None)
    context.console.say("collect", f"{files} logs in {context.results.directory / 'logs'}")
    return files
