"""s3-throttle's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, duration_words
from workloads.deployment import existing, local_versions, recorded
from workloads.logs import collect_logs
from workloads.results import Results
from workloads.s3_throttle import plan as plans
from workloads.s3_throttle.configure import configure as configure_uploader
from workloads.s3_throttle.context import Context, bucket_of
from workloads.s3_throttle.environment import Environment
from workloads.s3_throttle.run import run as run_cells
from workloads.s3_throttle.settings import SCRIPTS

START_SECONDS = 4  # of a cell besides its transfer: the AWS CLI begins, and ends


@contextmanager
def connected(inventory: Inventory, console: Console) -> Iterator[Context]:
    """Connections to the inventory's hosts, closed at the end."""
    with deployment.connected(inventory, console) as found:
        yield Context.of(found)


def prepared(stack: str | None, file: str | None, plan_name: str | None) -> tuple[Inventory, plans.Plan]:
    """Inventory, plan and environment, looked at before any host is touched."""
    plan = plans.load(plan_name)
    inventory = sources.load(stack, file)
    bucket_of(inventory)
    Environment.load()
    return inventory, plan


def show_plan(name: str | None) -> None:
    """`fab s3-throttle.plan`: reads a plan, and says what it measures and for how long."""
    plan = plans.load(name)
    cells = plans.cells(plan)
    least = sum(plans.least_seconds(plan, cell) for cell in cells)
    console = Console()
    console.say(
        "plan",
        f"{plan.name}: {len(cells)} syncs until their means are known to {plan.precision:.0%}, "
        f"{duration_words(least)} to {duration_words(len(cells) * plan.most_seconds)} in all; "
        f"each takes {START_SECONDS} s more to begin and end",
    )
    for method in plans.METHODS:
        names = [f"{cell.ratio:.0%}" for cell in cells if cell.method == method]
        if names:
            console.say("plan", f"{method}: {', '.join(names)} of the free rate")


def configure(stack: str | None, file: str | None, plan_name: str | None) -> None:
    """`fab s3-throttle.configure`."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        configure_uploader(context, plan)


def run(stack: str | None, file: str | None, plan_name: str | None) -> Path:
    """`fab s3-throttle.run`: a new run; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        return measured(context, plan, logs=False)


def all_(stack: str | None, file: str | None, plan_name: str | None) -> Path:
    """`fab s3-throttle.all`, up to the report; the directory of the results."""
    inventory, plan = prepared(stack, file, plan_name)
    with connected(inventory, Console()) as context:
        return measured(context, plan, logs=True)


def measured(context: Context, plan: plans.Plan, *, logs: bool) -> Path:
    """A run, written to new results."""
    results = Results.start(context.inventory, plan=plan.to_dict(), versions=local_versions())
    with recorded(context, results):
        configure_uploader(context, plan)
        try:
            run_cells(context, plan, results.directory.name)
        finally:
            if logs:
                collect_logs(context, SCRIPTS)
    return results.directory


def collect(stack: str | None, file: str | None) -> None:
    """`fab s3-throttle.collect`."""
    inventory = sources.load(stack, file)
    with connected(inventory, Console()) as context:
        context.results = existing(context)
        collect_logs(context, SCRIPTS)
