"""The Fabric tasks of an account: `fab account.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workloads.experiment import Option
from workloads.fabric_tasks import collection, make_task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads import account, account_cost, account_reap
else:
    account = lazy_import("workloads.account")
    account_cost = lazy_import("workloads.account_cost")
    account_reap = lazy_import("workloads.account_reap")

REGION = Option("region", "ask only this region (default: every region that is enabled)")

TASKS = collection(
    "account",
    make_task(
        "check",
        "List what is left in the AWS account.\n\nThe exit code is 0 when nothing is left, and 1 otherwise.",
        lambda **given: account.check(**given),
        REGION,
    ),
    make_task(
        "reap",
        "Delete what has expired.\n\n"
        "Finds resources by this project's tags, shows them, and asks before it deletes anything. After an "
        "interruption, the next call goes on.",
        lambda **given: account_reap.reap(**given),
        REGION,
        Option("stack", "delete what belongs to this stack, expired or not (default: what has expired, of any stack)"),
        Option("orphans", "delete what no state of the Pulumi backend knows, expired or not", False),
        Option("backend", "with --orphans: the backend's URL (default: the one that you are logged in to)"),
        Option(
            "include",
            "the id of a protected volume, file system or bucket to delete, too; may be given several times",
            repeatable=True,
        ),
        Option("yes", "do not ask", False),
        Option("dry_run", "show what would be deleted, and delete nothing", False),
    ),
    make_task(
        "cost",
        "Show what is running, and what it costs.\n\n"
        "Shows dollars an hour and since creation for everything that has this project's tags, by stack.",
        lambda **given: account_cost.cost(**given),
        REGION,
    ),
)
