"""The Fabric tasks of s3-throttle: `fab s3-throttle.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fab import HELP, all_task, collect_task, collection, plan_task, reported
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.s3_throttle import tasks
else:
    tasks = lazy_import("workloads.s3_throttle.tasks")


@task(help=HELP)
@reported
def configure(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Bring the AWS CLI and the throttle, make files."""
    tasks.configure(stack, inventory, plan)


@task(help=HELP)
@reported
def run(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Sync by each way of capping; read back."""
    tasks.run(stack, inventory, plan)


TASKS = collection(
    "s3-throttle",
    plan_task(tasks),
    configure,
    run,
    collect_task(tasks),
    all_task(tasks, "Configure, run, collect, and report."),
)
