"""Fetches the hosts' logs into the results."""

from __future__ import annotations

import time

from workloads.iscsi_tunnel.ends import Ends, script
from workloads.logs import write_sections


def collect(ends: Ends) -> int:
    """Writes each host's logs to logs/; the number of files."""
    results = ends.deployment.results
    assert results is not None, "collect needs results to add to"
    started = time.monotonic()
    with ends.deployment.console.under_way("collect", "logs"):
        hosts = {host.name: [host.role] for host in ends.deployment.inventory.hosts}
        files = write_sections(results, ends.deployment.hosts.run(script("host_logs"), hosts))
    results.step("collect", time.monotonic() - started, None)
    ends.deployment.console.say("collect", f"{files} logs in {results.directory / 'logs'}")
    return files
