"""The tasks that attach and detach the volume, and show its status, for any client."""

from __future__ import annotations

from workloads.console import si_bytes
from workloads.experiment import Request
from workloads.iscsi_tunnel import attachment
from workloads.iscsi_tunnel.attachment import Status
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS
from workloads.run_stages import connected_context

MAX_LIMIT_SECONDS = 86_400  # a day
MAX_TUN = 9_999


def attach(request: Request) -> None:
    """`fab iscsi-tunnel.attach`."""
    limit_seconds, tun = request.integer("limit", 1, MAX_LIMIT_SECONDS), request.integer("tun", 0, MAX_TUN)
    with connected_context(request) as tunnel:
        found = attachment.attach(tunnel, limit_seconds=limit_seconds or LIMIT_SECONDS, tun=tun)
        already = "" if found.changed else " already"
        request.console.say(
            "attach", f"{found.volume} is attached{already} at {tunnel.client_name}: {found.device} ({found.disk})"
        )
        request.console.say(
            "attach",
            f"{found.size_bytes} bytes ({si_bytes(found.size_bytes)}), the size of the volume, "
            f"through {found.tun} with packets of {found.mtu_bytes} bytes",
        )


def detach(request: Request) -> None:
    """`fab iscsi-tunnel.detach`."""
    with connected_context(request) as tunnel:
        words = "disk and tunnel have gone" if attachment.detach(tunnel) else "nothing was attached"
        request.console.say("detach", f"{tunnel.client_name}: {words}")


def status(request: Request) -> None:
    """`fab iscsi-tunnel.status`."""
    with connected_context(request) as tunnel:
        request.console.say("status", f"{tunnel.client_name}: {status_words(attachment.status(tunnel))}")


def status_words(seen: Status) -> str:
    """Describes a status, for a person."""
    tunnel = f"tunnel {seen.tunnel}" + (f" ({seen.detail})" if seen.detail else "")
    if not seen.disk:
        return f"{tunnel}, no disk"
    return f"{tunnel}, session {seen.session}, {seen.device or seen.disk} {seen.disk_state}, {seen.size_bytes} bytes"
