"""The Fabric tasks of an account: `fab account.TASK`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fabric_tasks import collection, reported
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads import account, account_cost, account_reap
else:
    account = lazy_import("workloads.account")
    account_cost = lazy_import("workloads.account_cost")
    account_reap = lazy_import("workloads.account_reap")


@task(help={"region": "ask only this region (default: every region that is enabled)"})
@reported
def check(_: Any, region: str | None = None) -> None:
    """List what is left in the AWS account.

    The exit code is 0 when nothing is left, and 1 otherwise.
    """
    account.check(region)


@task(help={"region": "ask only this region (default: every region that is enabled)"})
@reported
def cost(_: Any, region: str | None = None) -> None:
    """Show what is running, and what it costs.

    Shows dollars an hour and since creation for everything that has this
    project's tags, by stack.
    """
    account_cost.cost(region)


@task(
    iterable=["include"],
    help={
        "region": "ask only this region (default: every region that is enabled)",
        "stack": "delete what belongs to this stack, expired or not (default: what has expired, of any stack)",
        "orphans": "delete what no state of the Pulumi backend knows, expired or not",
        "backend": "with --orphans: the backend's URL (default: the one that you are logged in to)",
        "include": "the id of a protected volume, file system or bucket to delete, too; may be given several times",
        "yes": "do not ask",
        "dry_run": "show what would be deleted, and delete nothing",
    },
)
@reported
def reap(
    _: Any,
    region: str | None = None,
    stack: str | None = None,
    orphans: bool = False,
    backend: str | None = None,
    include: Sequence[str] | None = None,
    yes: bool = False,
    dry_run: bool = False,
) -> None:
    """Delete what has expired.

    Finds resources by this project's tags, shows them, and asks before it deletes
    anything. After an interruption, the next call goes on.
    """
    account_reap.reap(
        region=region, stack=stack, orphans=orphans, backend=backend, include=include or (), yes=yes, dry_run=dry_run
    )


TASKS = collection("account", check, reap, cost)
