"""Fetches the hosts' logs into a run's directory; a script prints them in sections."""

from __future__ import annotations

import time
from pathlib import Path

from workloads.deployment import Deployment
from workloads.scripts import find_script

_MARK = "@@ "
END = "end"


def sections(text: str) -> dict[str, str]:
    """Returns the parts of `text` by name: each begins with a line "@@ NAME". Leaves out what precedes the first."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            lines = found.setdefault(line.removeprefix(_MARK).strip(), [])
        else:
            lines.append(line)
    return {name: "\n".join(part) for name, part in found.items()}


def collect_logs(deployment: Deployment, scripts: Path) -> None:
    """Runs host_logs.sh of the folder `scripts` on each host, and writes its output to the results."""
    started = time.monotonic()
    roles = {host.name: [host.role] for host in deployment.inventory.hosts}
    with deployment.console.under_way("collect", "logs"):
        output = deployment.hosts.run(find_script("host_logs", scripts, "sections"), roles)
    files = 0
    for host, result in output.items():
        for name, text in sections(result.stdout).items():
            if name != END and text.strip():
                deployment.results.write_file(f"logs/{host}-{name}.txt", f"{text}\n".encode())
                files += 1
    deployment.results.step("collect", time.monotonic() - started, None)
    where = deployment.results.directory / "logs"
    deployment.console.say("collect", f"{files} logs of {len(output)} hosts in {where}")
