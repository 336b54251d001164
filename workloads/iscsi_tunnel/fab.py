"""The Fabric tasks of iscsi-tunnel: `fab iscsi-tunnel.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fab import HELP, INVENTORY_HELP, collection, plan_task, reported, run_module
from workloads.iscsi_tunnel.settings import LIMIT_SECONDS
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads.iscsi_tunnel import tasks
else:
    tasks = lazy_import("workloads.iscsi_tunnel.tasks")

CLIENT_HELP = {**INVENTORY_HELP, "client": "a host's name, or `this` for this machine (default: the host of that role)"}
MEASURING_HELP = {**CLIENT_HELP, "plan": HELP["plan"]}
ATTACH_HELP = {
    **CLIENT_HELP,
    "limit": "how many seconds a lost connection is waited for before the disk fails",
    "tun": "the number of the client's tun device (default: a free one)",
}


@task(help=CLIENT_HELP)
@reported
def configure(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Prepare the server for a tunnel from the client."""
    tasks.configure(stack, inventory, client)


@task(help=ATTACH_HELP)
@reported
def attach(
    _: Any,
    stack: str | None = None,
    inventory: str | None = None,
    client: str | None = None,
    limit: int = LIMIT_SECONDS,
    tun: int | None = None,
) -> None:
    """Attach the volume; says its stable name."""
    tasks.attach(stack, inventory, client, limit, tun)


@task(help=CLIENT_HELP)
@reported
def detach(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Detach the volume; proves that it has gone."""
    tasks.detach(stack, inventory, client)


@task(help=CLIENT_HELP)
@reported
def status(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Show tunnel, session and disk."""
    tasks.status(stack, inventory, client)


@task(help=CLIENT_HELP)
@reported
def prove(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Prove that nothing but SSH passes."""
    tasks.prove(stack, inventory, client)


@task(help=MEASURING_HELP)
@reported
def run(
    _: Any,
    stack: str | None = None,
    inventory: str | None = None,
    client: str | None = None,
    plan: str | None = None,
) -> None:
    """Measure what the tunnel costs."""
    tasks.run(stack, inventory, client, plan)


@task(help=MEASURING_HELP)
@reported
def drill(
    _: Any,
    stack: str | None = None,
    inventory: str | None = None,
    client: str | None = None,
    plan: str | None = None,
) -> None:
    """Lose the connection; see it come back."""
    tasks.drill(stack, inventory, client, plan)


@task(help=CLIENT_HELP)
@reported
def collect(_: Any, stack: str | None = None, inventory: str | None = None, client: str | None = None) -> None:
    """Fetch the hosts' logs."""
    tasks.collect(stack, inventory, client)


@task(name="all", help=MEASURING_HELP)
@reported
def all_(
    _: Any,
    stack: str | None = None,
    inventory: str | None = None,
    client: str | None = None,
    plan: str | None = None,
) -> None:
    """Do all of these, and report."""
    directory = tasks.all_(stack, inventory, client, plan)
    run_module("report", str(directory))


TASKS = collection(
    "iscsi-tunnel",
    plan_task(tasks),
    configure,
    attach,
    detach,
    status,
    prove,
    run,
    drill,
    collect,
    all_,
)
