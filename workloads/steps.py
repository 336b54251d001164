"""Configures hosts in named steps: each is shown, timed and recorded, with the number of things that it changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workloads.connectors.script import Script
from workloads.deployment import Deployment, versions_on

PACKAGES_TIMEOUT_S = 900


@dataclass(frozen=True)
class Step:
    """A step of configuring. `run` returns how many things it changed."""

    name: str
    run: Callable[[], int]


def run_steps(deployment: Deployment, steps: Iterable[Step], at_boundary: Callable[[str], None] | None = None) -> int:
    """Runs the steps; returns the number of changes. `at_boundary` gets the name of each step that has ended."""
    started = time.monotonic()
    total = 0
    for step in steps:
        with deployment.console.under_way("configure", step.name):
            before = time.monotonic()
            changed = step.run()
            seconds = time.monotonic() - before
        total += changed
        deployment.results.step(f"configure {step.name}", seconds, changed)
        words = f"{changed} changed" if changed else "as it should be"
        deployment.console.say("configure", f"{step.name:<20} {words:<16} {seconds:5.1f} s")
        if at_boundary is not None:
            at_boundary(step.name)
    summary = f"{total} changes" if total else "nothing changed"
    deployment.console.say("configure", f"done, {summary}, {time.monotonic() - started:.1f} s")
    return total


def install_packages(
    deployment: Deployment, script: Script, needed: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> int:
    """Installs packages and loads kernel modules, by host; notes the versions, and returns the number of changes."""
    arguments = {host: [*packages, "--", *modules] for host, (packages, modules) in needed.items()}
    results = deployment.hosts.run(script, arguments, idle_timeout_seconds=PACKAGES_TIMEOUT_S)
    for host, result in results.items():
        deployment.versions |= versions_on(host, result)
    return sum(result.changed for result in results.values())
