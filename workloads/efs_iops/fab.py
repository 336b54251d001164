"""The Fabric tasks of efs-iops: `fab efs-iops.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fab import HELP, INVENTORY_HELP, collect_task, collection, plan_task, reported, run_module
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.efs_iops import tasks
else:
    tasks = lazy_import("workloads.efs_iops.tasks")

MEASURING_HELP = {**HELP, "tls": "mount through amazon-efs-utils with TLS, where the hosts have it"}


@task(help=MEASURING_HELP)
@reported
def configure(
    _: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None, tls: bool = False
) -> None:
    """Mount the file system, see how, make files."""
    tasks.configure(stack, inventory, plan, tls=tls)


@task(help=MEASURING_HELP)
@reported
def run(
    _: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None, tls: bool = False
) -> None:
    """Measure the matrix; ask CloudWatch, too."""
    tasks.run(stack, inventory, plan, tls=tls)


@task(help={**INVENTORY_HELP, "output": "the JSON file to write"})
@reported
def base(_: Any, output: str, stack: str | None = None, inventory: str | None = None) -> None:
    """Measure one operation by itself, for a rehearsal."""
    tasks.base(stack, inventory, output)


@task(name="all", help=MEASURING_HELP)
@reported
def all_(
    _: Any, stack: str | None = None, inventory: str | None = None, plan: str | None = None, tls: bool = False
) -> None:
    """Configure, run, collect, and report."""
    directory = tasks.all_(stack, inventory, plan, tls=tls)
    run_module("report", str(directory))


TASKS = collection("efs-iops", plan_task(tasks), configure, run, collect_task(tasks), base, all_)
