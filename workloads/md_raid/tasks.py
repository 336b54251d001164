"""md-raid's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, duration_words, si_bytes
from workloads.deployment import existing, latest, local_versions, recorded
from workloads.logs import collect_logs
from workloads.md_raid import plan as plans
from workloads.md_raid.configure import configure as configure_hosts
from workloads.md_raid.context import Context
from workloads.md_raid.drill import drill as drill_hosts
from workloads.md_raid.prove import prove as prove_hosts
from workloads.md_raid.run import run as run_cells
from workloads.md_raid.settings import SCRIPTS
from workloads.md_raid.topology import Topology
from workloads.results import Results
from workloads.worker import Worker


@contextmanager
def connected(inventory: Inventory, console: Console) -> Iterator[Context]:
    """Connections to the inventory's hosts, closed at the end; one that can't be md-raid's is refused first."""
    Topology.of(inventory)
    with deployment.connected(inventory, console) as found:
        yield Context.of(found.hosts, console)


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
        context.results = existing(context)
        collect_logs(context, SCRIPTS)


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
            collect_logs(context, SCRIPTS)
    return results.directory


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory, plan and worker, looked at before any host is touched."""
    plan = plans.load(plan_name)
    Worker.load()
    inventory = sources.load(stack, file)
    plans.check(plan, Topology.of(inventory))
    return inventory, plan
