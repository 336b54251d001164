"""Fetches the hosts' logs into the results."""

from __future__ import annotations

import time

from workloads.deployment import Deployment
from workloads.eip_region.settings import SCRIPTS
from workloads.logs import write_sections
from workloads.scripts import find_script


def collect(deployment: Deployment) -> int:
    """Writes each host's logs to logs/; the number of files."""
    assert deployment.results is not None, "collect needs results to add to"
    started = time.monotonic()
    with deployment.console.under_way("collect", "logs"):
        arguments: dict[str, list[str]] = {host.name: [] for host in deployment.inventory.hosts}
        files = write_sections(deployment.results, deployment.hosts.run(find_script("host_logs", SCRIPTS), arguments))
    deployment.results.step("collect", time.monotonic() - started, None)
    deployment.console.say("collect", f"{files} logs in {deployment.results.directory / 'logs'}")
    return files
