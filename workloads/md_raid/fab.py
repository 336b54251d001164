"""The Fabric tasks of md-raid: `fab md-raid.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fab import HELP, INVENTORY_HELP, all_task, collect_task, collection, plan_task, reported
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.md_raid import tasks
else:
    tasks = lazy_import("workloads.md_raid.tasks")


@task(help=INVENTORY_HELP)
@reported
def configure(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Set up volumes, targets, sessions, mirrors and stripe."""
    tasks.configure(stack, inventory)


@task(help=INVENTORY_HELP)
@reported
def prove(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Prove the MTU, the hosts' limits, the closed ports."""
    tasks.prove(stack, inventory)


@task(help=HELP)
@reported
def run(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Measure stripes, a mirror, and the same disks raw."""
    tasks.run(stack, inventory, plan)


@task(help=HELP)
@reported
def drill(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Kill two servers during reads; see all come back."""
    tasks.drill(stack, inventory, plan)


TASKS = collection(
    "md-raid",
    plan_task(tasks),
    configure,
    prove,
    run,
    drill,
    collect_task(tasks),
    all_task(tasks, "Configure, prove, run, drill, collect, and report."),
)
