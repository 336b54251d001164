"""The Fabric tasks of eip-region: `fab eip-region.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fab import HELP, all_task, collect_task, collection, plan_task, reported
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.eip_region import tasks
else:
    tasks = lazy_import("workloads.eip_region.tasks")


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


TASKS = collection(
    "eip-region",
    plan_task(tasks),
    prove,
    remap,
    collect_task(tasks),
    all_task(tasks, "Prove, remap, collect, and report."),
)
