"""Fetches the hosts' logs and states into the results."""

from __future__ import annotations

import time

from workloads.logs import write_sections
from workloads.md_raid.context import Context, script


def collect(context: Context) -> int:
    """Writes each host's logs to logs/; the number of files."""
    assert context.results is not None, "collect needs results to add to"
    started = time.monotonic()
    with context.console.under_way("collect", "logs"):
        results = context.hosts.run(script("host_logs"), {host.name: [host.role] for host in context.inventory.hosts})
    files = write_sections(context.results, results)
    context.results.step("collect", time.monotonic() - started, None)
    context.console.say("collect", f"{files} logs of {len(results)} hosts in {context.results.directory / 'logs'}")
    return files
