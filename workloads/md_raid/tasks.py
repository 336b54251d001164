"""md-raid's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import sources
from workloads.connections import Hosts
from workloads.console import Console, duration_words, si_bytes
from workloads.errors import WorkloadError
from workloads.host_keys import host_keys
from workloads.md_raid import plan as plans
from workloads.md_raid.collect import collect as collect_logs
from workloads.md_raid.configure import configure as configure_hosts
from workloads.md_raid.context import Context
from workloads.md_raid.drill import drill as drill_hosts
from workloads.md_raid.prove import prove as prove_hosts
from workloads.md_raid.run import run as run_cells
from workloads.md_raid.topology import Topology
from workloads.power import with_current_addresses
from workloads.results import Results, results_root
from workloads.worker import Worker


def local_versions() -> dict[str, str]:
    """The versions of what runs here."""
    names = ("fabric", "paramiko", "boto3")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


@contextmanager
def connected(inventory: Inventory, console: Console) -> Iterator[Context]:
    """Connections to the inventory's hosts, closed at the end."""
    topology = Topology.of(inventory)
    try:
        inventory = with_current_addresses(inventory, lambda words: console.say("hosts", words))
    except WorkloadError as error:
        # The inventory may be right as it is; hosts whose keys are unknown will need the API all the same.
        console.say("hosts", f"addresses are taken from the inventory as it is ({error.what})")
    keys = host_keys(inventory, tell=lambda words: console.say("hosts", words))
    with Hosts(inventory, keys) as hosts:
        hosts.await_all(lambda words: console.say("hosts", words))
        yield Context(hosts, topology, console)


@contextmanager
def recorded(context: Context, results: Results) -> Iterator[None]:
    """What is done inside is written to `results`, versions included."""
    context.results = results
    context.console.say("results", str(results.directory))
    with results.recording():
        try:
            yield
        finally:
            results.write_manifest(versions={**results.manifest["versions"], **context.versions})


def latest(context: Context) -> Results:
    """The newest results of the stack, to be added to; new ones when there are none."""
    found = Results.latest(context.inventory)
    return found or Results.start(context.inventory, versions=local_versions())


def show_plan(name: str | None) -> None:
    """`fab md-raid.plan`: reads a plan, and says what it measures and for how long."""
    plan = plans.load(name)
    sets = len(plan.stripes) + plan.mirrors + len(plan.raw)
    seconds = plan.warmup_seconds + plan.measured_seconds
    patterns = " and ".join(pattern.name for pattern in plan.patterns)
    cells = sets * len(plan.patterns)
    console = Console()
    console.say(
        "plan",
        f"{plan.name}: {cells} cells of {seconds:g} s ({sets} sets of devices, {patterns}), "
        f"{duration_words(cells * seconds)} of reading",
    )
    # Each kill ends when every mirror has missed the server, which nobody knows beforehand.
    least = plan.drill.steady_seconds + 2 * plan.drill.after_seconds
    console.say(
        "plan",
        f"the drill: at least {duration_words(least)} of reads, "
        f"{si_bytes(2 * plan.drill.data_bytes)} written and read back",
    )


def configure(stack: str | None, file: str | None) -> None:
    """`fab md-raid.configure`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console()) as context:
        configure_hosts(context)


def prove(stack: str | None, file: str | None) -> None:
    """`fab md-raid.prove`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console()) as context, recorded(context, latest(context)):
        prove_hosts(context)


def run(stack: str | None, file: str | None, plan_name: str | None) -> None:
    """`fab md-raid.run`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        results = Results.start(context.inventory, plan=plan.to_dict(), versions=local_versions())
        with recorded(context, results):
            configure_hosts(context)
            context.record_arrays("configured")
            run_cells(context, plan)


def drill(stack: str | None, file: str | None, plan_name: str | None) -> None:
    """`fab md-raid.drill`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context, recorded(context, latest(context)):
        drill_hosts(context, plan)


def collect(stack: str | None, file: str | None) -> None:
    """`fab md-raid.collect`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console()) as context:
        found = Results.latest(context.inventory)
        if found is None:
            raise WorkloadError(f"no results of {inventory.stack} yet", "run `fab md-raid.run` first")
        context.results = found
        collect_logs(context)


def all_(stack: str | None, file: str | None, plan_name: str | None) -> Path:
    """`fab md-raid.all`, up to the report; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        results = Results.start(context.inventory, plan=plan.to_dict(), versions=local_versions())
        with recorded(context, results):
            configure_hosts(context)
            context.record_arrays("configured")
            prove_hosts(context)
            run_cells(context, plan)
            drill_hosts(context, plan)
            collect_logs(context)
    return results.directory


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory, plan and worker, looked at before any host is touched."""
    plan = plans.load(plan_name)
    Worker.load()
    inventory = sources.load(stack, file)
    plans.check(plan, Topology.of(inventory))
    return inventory, plan


def newest_results() -> Path:
    """The newest run of all."""
    runs = sorted(results_root().glob("*/*/????-??-??T??????Z"), key=lambda path: path.name)
    if not runs:
        raise WorkloadError(f"no results in {results_root()}", "run `make rehearse` or `fab md-raid.all` first")
    return runs[-1]
