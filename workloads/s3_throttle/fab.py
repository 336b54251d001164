"""The Fabric tasks of s3-throttle: `fab s3-throttle.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads import lazily
from workloads.fab import HELP, INVENTORY_HELP, collection, plan_task, reported, run_module

if TYPE_CHECKING:
    from workloads.s3_throttle import tasks
else:
    tasks = lazily.module("workloads.s3_throttle.tasks")


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


@task(help=INVENTORY_HELP)
@reported
def collect(_: Any, stack: str | None = None, inventory: str | None = None) -> None:
    """Fetch the uploader's logs into the newest results."""
    tasks.collect(stack, inventory)


@task(name="all", help=HELP)
@reported
def all_(_: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None) -> None:
    """Configure, run, collect, and report."""
    directory = tasks.all_(stack, inventory, plan)
    run_module("report", str(directory))


TASKS = collection("s3-throttle", plan_task(lambda plan: tasks.show_plan(plan)), configure, run, collect, all_)
