"""The context of every task: connections to an inventory's hosts, a console, and results.

Hosts are configured in named steps: each is shown, timed and recorded, with the number of things that it changed.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from inventory import Inventory
from workloads.connectors.pool import BOOT_SECONDS, ConnectionPool
from workloads.connectors.script import Script, ScriptResult
from workloads.console import Console, duration_words
from workloads.errors import WorkloadError
from workloads.host_keys import CONSOLE_TIMEOUT_SECONDS, host_keys
from workloads.power import start_stopped_hosts
from workloads.resource_watch import ResourceGone, ResourceWatch
from workloads.results import NullResults, Results

PACKAGES_TIMEOUT_S = 900


@dataclass
class Deployment:
    """Connections, a console and results, if any; `versions` collects the versions on the hosts.

    An experiment's context extends it: `Context(**vars(deployment), …)`.
    """

    hosts: ConnectionPool
    console: Console
    results: Results = field(default_factory=NullResults)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def inventory(self) -> Inventory:
        """The inventory with the current addresses."""
        return self.hosts.inventory


def local_versions() -> dict[str, str]:
    """Returns the versions of what runs on this machine."""
    names = ("fabric", "paramiko", "boto3")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


@contextmanager
def connected(inventory: Inventory, console: Console) -> Iterator[Deployment]:
    """Connects to all hosts of the inventory, and closes the connections at the end."""

    def say(words: str) -> None:
        console.say("hosts", words)

    with ExitStack() as stack:
        longest = f"at most {duration_words(CONSOLE_TIMEOUT_SECONDS + BOOT_SECONDS)}"
        with console.under_way("hosts", "waiting until all answer", longest):
            try:
                inventory = start_stopped_hosts(inventory, say)
            except ResourceGone:
                raise
            except WorkloadError as error:
                # The inventory may be right as it is. Hosts whose keys are unknown need the API all the same.
                say(f"addresses are taken from the inventory as it is ({error.what})")
            watch = ResourceWatch(inventory)
            keys = host_keys(inventory, watch=watch, tell=say)
            hosts = stack.enter_context(ConnectionPool(inventory, keys, watch.check))
            hosts.wait_for_all(say)
        yield Deployment(hosts, console)


@contextmanager
def recorded(deployment: Deployment, results: Results) -> Iterator[None]:
    """Records what the block does, and the versions that it finds, in `results`."""
    deployment.results = results
    deployment.console.say("results", str(results.directory))
    with results.recording():
        try:
            yield
        finally:
            results.write_manifest(versions={**results.manifest["versions"], **deployment.versions})


def latest(deployment: Deployment) -> Results:
    """Returns the stack's newest results, to add to; begins new ones where there are none."""
    found = Results.latest(deployment.inventory)
    return found or Results.start(deployment.inventory, versions=local_versions())


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


def versions_on(host: str, result: ScriptResult) -> dict[str, str]:
    """Returns the versions of a host's kernel and packages, from the output of host_packages.sh."""
    found = {f"kernel {host}": str(result.facts[0]["kernel"])}
    return found | {str(fact["package"]): str(fact["version"]) for fact in result.facts if "package" in fact}
