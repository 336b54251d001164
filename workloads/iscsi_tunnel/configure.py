"""Brings server and client to the state that a tunnel needs; a second run changes nothing."""

from __future__ import annotations

from functools import partial

from workloads.deployment import versions_on
from workloads.iscsi_tunnel.attachment import Line, export, join, prepare_ssh, prepare_volume
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.iscsi_tunnel.settings import MODULES, PACKAGES, PACKAGES_TIMEOUT_S
from workloads.steps import Step, run_steps


def configure(ends: Ends) -> int:
    """Packages, the tunnel's way through sshd, the volume, the target; the number of changes."""
    lines: list[Line] = []

    def look() -> int:
        lines.append(join(ends))
        return lines[0].changed

    steps: list[Step] = [
        ("packages", partial(check_packages, ends)),
        ("key and addresses", look),
        ("sshd", lambda: prepare_ssh(ends, lines[0])),
        ("volume", lambda: prepare_volume(ends, lines[0]).changed),
        ("target", lambda: export(ends, lines[0])),
    ]
    return run_steps(ends.deployment, steps)


def check_packages(ends: Ends) -> int:
    """Packages and kernel modules of both ends."""
    changed = 0
    for role, machine in (("server", ends.server), ("client", ends.client)):
        words = [*PACKAGES[role], "--", *MODULES[role]]
        result = machine.run(script("host_packages"), words, idle_timeout_seconds=PACKAGES_TIMEOUT_S)
        ends.deployment.versions |= versions_on(machine.name, result)
        changed += result.changed
    return changed
