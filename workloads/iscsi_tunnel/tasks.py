"""iscsi-tunnel's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inventory import Inventory
from workloads import deployment, sources
from workloads.console import Console, si_bytes
from workloads.iscsi_tunnel.attachment import Attachment, Status
from workloads.iscsi_tunnel.attachment import attach as attach_volume
from workloads.iscsi_tunnel.attachment import detach as detach_volume
from workloads.iscsi_tunnel.attachment import status as status_of
from workloads.iscsi_tunnel.configure import configure as configure_ends
from workloads.iscsi_tunnel.ends import Ends, client_of, server_of


@contextmanager
def connected(inventory: Inventory, console: Console, client: str | None) -> Iterator[Ends]:
    """Connections to the inventory's hosts, closed at the end; one that has no tunnel in it is refused first."""
    server_of(inventory)
    client_of(inventory, client)
    with deployment.connected(inventory, console) as found:
        yield Ends.of(found, client)


def configure(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.configure`."""
    with connected(sources.load(stack, file), Console(), client) as ends:
        configure_ends(ends)


def attach(stack: str | None, file: str | None, client: str | None, limit_seconds: int, tun: int | None) -> None:
    """`fab iscsi-tunnel.attach`."""
    with connected(sources.load(stack, file), Console(), client) as ends:
        show_attachment(ends, attach_volume(ends, limit_seconds=limit_seconds, tun=tun))


def detach(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.detach`."""
    console = Console()
    with connected(sources.load(stack, file), console, client) as ends:
        changed = detach_volume(ends)
        words = "disk and tunnel have gone" if changed else "nothing was attached"
        console.say("detach", f"{ends.client_name}: {words}")


def status(stack: str | None, file: str | None, client: str | None) -> None:
    """`fab iscsi-tunnel.status`."""
    console = Console()
    with connected(sources.load(stack, file), console, client) as ends:
        console.say("status", f"{ends.client_name}: {status_words(status_of(ends))}")


def show_attachment(ends: Ends, found: Attachment) -> None:
    """Says what is attached, and where."""
    console = ends.deployment.console
    already = "" if found.changed else " already"
    console.say("attach", f"{found.volume} is attached{already} at {ends.client_name}: {found.device} ({found.disk})")
    console.say(
        "attach",
        f"{found.size_bytes} bytes ({si_bytes(found.size_bytes)}) as the volume has, "
        f"through {found.tun} with packets of {found.mtu_bytes} bytes",
    )


def status_words(seen: Status) -> str:
    """A status, for a person."""
    tunnel = f"tunnel {seen.tunnel}" + (f" ({seen.detail})" if seen.detail else "")
    if not seen.disk:
        return f"{tunnel}, no disk"
    return f"{tunnel}, session {seen.session}, {seen.device or seen.disk} {seen.disk_state}, {seen.size_bytes} bytes"
