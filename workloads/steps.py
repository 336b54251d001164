"""Configuring in named steps: each is shown, timed and noted, with the number of things that it changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from workloads.deployment import Deployment

Step = tuple[str, Callable[[], int]]
"""A step's name, and what does it and returns how many things it changed."""


def run_steps(deployment: Deployment, steps: Iterable[Step], at_boundary: Callable[[str], None] | None = None) -> int:
    """Runs the steps; the number of changes. `at_boundary` is called with each step's name when it has ended."""
    started = time.monotonic()
    total = 0
    for name, run in steps:
        with deployment.console.under_way("configure", name):
            before = time.monotonic()
            changed = run()
            seconds = time.monotonic() - before
        total += changed
        deployment.results.step(f"configure {name}", seconds, changed)
        words = f"{changed} changed" if changed else "as it should be"
        deployment.console.say("configure", f"{name:<20} {words:<16} {seconds:5.1f} s")
        if at_boundary is not None:
            at_boundary(name)
    summary = f"{total} changes" if total else "nothing changed"
    deployment.console.say("configure", f"done, {summary}, {time.monotonic() - started:.1f} s")
    return total
