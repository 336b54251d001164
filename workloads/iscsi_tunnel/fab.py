"""The Fabric tasks of iscsi-tunnel: `fab iscsi-tunnel.TASK`."""

from __future__ import annotations

from typing import Any

from invoke.tasks import task

from workloads.fab import INVENTORY_HELP, collection, reported
from workloads.iscsi_tunnel import tasks
from workloads.iscsi_tunnel.settings import LIMIT_SECONDS

CLIENT_HELP = {**INVENTORY_HELP, "client": "a host's name, or `this` for this machine (default: the host of that role)"}
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


TASKS = collection("iscsi-tunnel", configure, attach, detach, status)
