"""Attaches the server's volume to the client through the tunnel, detaches it, and shows its status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from typing import Any

from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.configure import TunnelConfig, choose_config, export, prepare_ssh, prepare_volume
from workloads.iscsi_tunnel.endpoints import (
    LIMIT_SECONDS,
    MTU_MAX,
    TUNNEL_USER,
    Attachment,
    TunnelEndpoints,
    merged_facts,
    script,
)

# A server that was just started answers late; ssh retries meanwhile.
TUNNEL_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Status:
    """The status of an attachment. `tunnel` is up, connecting, waiting (ssh ended and will be restarted), refused
    (another host key), lost (for longer than the limit), stopped, or detached. `session` is the kernel's state of the
    iSCSI session, empty without one.
    """

    tunnel: str
    detail: str
    session: str
    disk: str
    disk_state: str
    device: str
    size_bytes: int | None

    @property
    def attached(self) -> bool:
        """Whether the disk can be used now."""
        return self.tunnel == "up" and self.session == "LOGGED_IN" and self.disk_state == "running"


def attach(tunnel: TunnelEndpoints, *, limit_seconds: int = LIMIT_SECONDS, tun: int | None = None) -> Attachment:
    """Attaches the volume to the client. Idempotent; rolls back on failure."""
    config = choose_config(tunnel, tun)
    changed = config.changed + prepare_ssh(tunnel, config)
    volume = prepare_volume(tunnel, config)
    volume_bytes = int(merged_facts(volume)["size_bytes"])
    changed += volume.changed + export(tunnel, config)
    given = {
        **tunnel.ssh_route(),
        "user": TUNNEL_USER,
        "alias": tunnel.server_host.id,
        "tun": str(config.client_tun),
        "remote_tun": str(config.server_tun),
        "local": config.client_address,
        "remote": config.server_address,
        "mtu_max": str(MTU_MAX),
        "iqn": tunnel.iqn,
        "volume": tunnel.volume.id,
        "limit_seconds": str(limit_seconds),
        "wait_seconds": str(TUNNEL_WAIT_SECONDS),
    }
    words = [f"{name}={value}" for name, value in given.items()]
    # alias comes before the keys that are known by it.
    words += [f"host_key={key}" for key in tunnel.hosts.keys_of(tunnel.server_host.name)]
    expected = [tunnel.iqn, config.server_address, config.initiator, tunnel.volume.id]
    with _rollback(tunnel, config):
        link = tunnel.client.run(script("client_tunnel"), words)
        disk = tunnel.client.run(script("client_disk"), [*expected, str(volume_bytes), str(limit_seconds)])
    seen = merged_facts(link) | merged_facts(disk)
    return Attachment(
        volume=str(seen["volume"]),
        device=str(seen["device"]),
        disk=str(seen["disk"]),
        volume_bytes=volume_bytes,
        size_bytes=int(seen["size_bytes"]),
        block_bytes=int(seen["block_bytes"]),
        tun=str(seen["tun"]),
        mtu_bytes=int(seen["mtu"]),
        server_address=config.server_address,
        client_address=config.client_address,
        changed=changed + link.changed + disk.changed,
    )


@contextmanager
def _rollback(tunnel: TunnelEndpoints, config: TunnelConfig) -> Iterator[None]:
    """Detaches on failure, unless an attachment existed before. Raises ResourceGone when the server has ended."""
    try:
        yield
    except BaseException as error:
        if not config.known:
            with suppress(WorkloadError):
                detach(tunnel)
        if isinstance(error, WorkloadError):
            tunnel.hosts.check(tunnel.server_host.name)
        raise


def detach(tunnel: TunnelEndpoints) -> int:
    """Removes disk and tunnel, and checks that they are gone; returns the number of changes: 0 when nothing was
    attached.

    Raises WorkloadError while the disk is in use.
    """
    changed = tunnel.client.run(script("client_detach"), [tunnel.iqn]).changed
    tunnel.attached = None
    return changed


def status(tunnel: TunnelEndpoints) -> Status:
    """Returns the status of the attachment at the client."""
    seen = merged_facts(tunnel.client.run(script("client_status"), [tunnel.iqn]))
    return Status(**{field.name: seen[field.name] for field in fields(Status)})


def attach_recorded(tunnel: TunnelEndpoints) -> Attachment:
    """Attaches the volume, and records it and how long it took."""
    before = time.monotonic()
    found = tunnel.attached = attach(tunnel)
    _record(
        tunnel,
        "attached",
        seconds=round(time.monotonic() - before, 2),
        changed=found.changed,
        device=found.device,
        size_bytes=found.size_bytes,
        expected_bytes=found.volume_bytes,
        block_bytes=found.block_bytes,
        mtu_bytes=found.mtu_bytes,
    )
    return found


def detach_recorded(tunnel: TunnelEndpoints) -> None:
    """Detaches the volume, and records that session, disk and tunnel are gone."""
    before = time.monotonic()
    changed = detach(tunnel)
    _record(tunnel, "detached", seconds=round(time.monotonic() - before, 2), changed=changed, gone=True)


def _record(tunnel: TunnelEndpoints, event: str, **fields: Any) -> None:
    where = {"client": tunnel.client_name, "volume": tunnel.volume.id}
    tunnel.results.append("attachments", {"t_unix_s": time.time(), "event": event, **where, **fields})
