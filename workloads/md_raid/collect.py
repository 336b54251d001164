"""Fetches the hosts' logs and states into the results."""

from __future__ import annotations

import time

from workloads.md_raid.context import Context, script
from workloads.md_raid.parsers import sections


def collect(context: Context) -> int:
    """Writes each host's logs to logs/HOST/; the number of files."""
    assert context.results is not None, "collect needs results to add to"
    started = time.monotonic()
    with context.console.under_way("collect", "logs"):
        results = context.hosts.run(script("host_logs"), {host.name: [host.role] for host in context.inventory.hosts})
    files = 0
    for name, result in results.items():
        for part, text in sections(result.stdout).items():
            if part == "end" or not text.strip():
                continue
            path = context.results.log_path(f"{name}-{part}.txt")
            path.write_text(text + "\n", encoding="utf-8")
            files += 1
    context.results.step("collect", time.monotonic() - started, None)
    context.console.say("collect", f"{files} logs of {len(results)} hosts in {context.results.directory / 'logs'}")
    return files
