"""The Fabric tasks of eip-region: `fab eip-region.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads import lazily
from workloads.fab import HELP, INVENTORY_HELP, collection, plan_task, reported, run_module

if TYPE_CHECKING:
    from workloads.eip_region import tasks
else:
    tasks = lazily.module("workloads.eip_region.tasks")


@task(help=HELP)
@reported
def prove(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Ask for an address of another region."""
    tasks.prove(stack, inventory, plan)


@task(
    help={
        **HELP,
        "to": "the host that gets the address",
        "times": "how many moves in all: to that host, back, and so on",
    }
)
@reported
def remap(
    _: Any,
    to: str,
    times: int = 1,
    stack: str | None = None,
    inventory: str | None = None,
    plan: str | None = None,
) -> None:
    """Move the address, and measure what a client sees."""
    tasks.remap(stack, inventory, plan, to, times)


@task(help=INVENTORY_HELP)
@reported
def collect(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Fetch the hosts' logs into the newest results."""
    tasks.collect(stack, inventory)


@task(name="all", help=HELP)
@reported
def all_(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Prove, remap, collect, and report."""
    directory = tasks.all_(stack, inventory, plan)
    run_module("report", str(directory))


TASKS = collection("eip-region", plan_task(lambda plan: tasks.show_plan(plan)), prove, remap, collect, all_)
