"""Attaches the server's volume to the client through the tunnel, detaches it, and shows its status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from typing import Any

from workloads.connectors.pool import in_threads
from workloads.connectors.script import ScriptResult
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.addresses import choose_pair, choose_tun, networks_in
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS, MTU_MAX, TUNNEL_USER, Attachment, TunnelEndpoints, script
from workloads.waiting import wait_until

TARGET_PARAMETERS = "InitialR2T=No FirstBurstLength=262144"
"""A write sends its data with the command, up to FirstBurstLength bytes (the most that open-iscsi takes by default),
instead of waiting for a round trip of the tunnel until the target asks for it (RFC 7143, 13.10 and 13.14).
"""
# A server that was just started answers late; ssh retries meanwhile.
TUNNEL_WAIT_SECONDS = 60
# An sshd that rereads its configuration restarts, and accepts no connection for a moment; the timer takes the change
# back after 60 s (server_ssh.sh).
RELOADED_SECONDS = 20.0
BOOT_UNIT = "tidemark-tunnel-server.service"


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


@dataclass(frozen=True)
class TunnelConfig:
    """The configuration that both endpoints share. `known`: the client has an attachment, or a part of one."""

    server_address: str
    client_address: str
    server_tun: int
    client_tun: int
    public_key: str
    initiator: str
    known: bool
    changed: int


def choose_config(tunnel: TunnelEndpoints, tun: int | None = None) -> TunnelConfig:
    """Chooses addresses and devices by the state of both endpoints. Raises WorkloadError when another client has the
    volume attached.
    """
    looks = {
        "client": lambda: tunnel.client.run(script("client_look")),
        "server": lambda: tunnel.server.run(script("server_look")),
    }
    looked = in_threads(looks, on_interrupt=tunnel.hosts.close)
    client, server = looked["client"], looked["server"]
    here, there = _merged(client), _merged(server)
    initiator = tunnel.initiator(str(here["name"]))
    other = there.get("attached_by")
    if other not in (None, initiator):
        name = str(other).rpartition("initiator.")[2] or other
        raise WorkloadError(
            f"volume {tunnel.volume.id} is attached by {name}",
            "detach it there first (if that machine is gone, its session ends within a minute): two machines that use "
            "one disk destroy what is on it",
            tunnel.server_host.name,
        )
    server_tun = choose_tun(str(there["devices"]).split(), str(there["tun"]))
    own = str(here["tun"]) if tun is None or str(tun) == str(here["tun"]) else ""
    client_tun = choose_tun(str(here["devices"]).split(), own) if tun is None else tun
    now = (str(there["local"]), str(there["remote"])) if there["local"] else None
    taken = networks_in(here["routes"], f"tun{here['tun']}" if here["tun"] else "")
    taken += networks_in(there["routes"], f"tun{there['tun']}" if there["tun"] else "")
    pair = choose_pair(taken, now)
    changed = client.changed + server.changed
    return TunnelConfig(*pair, server_tun, client_tun, str(here["public_key"]), initiator, bool(here["tun"]), changed)


def prepare_ssh(tunnel: TunnelEndpoints, config: TunnelConfig) -> int:
    """Lets the client's key open the tunnel; returns the number of changes.

    sshd's new configuration stays only if a log-in succeeds after it.
    """
    arguments = [TUNNEL_USER, str(config.server_tun), config.public_key]
    result = tunnel.server.run(script("server_ssh"), arguments)
    if any(fact.get("to_be_kept") for fact in result.facts):
        try:
            _log_in_anew(tunnel)
        except WorkloadError as error:
            raise WorkloadError(
                f"after the change of sshd's configuration nobody gets in ({error.what})",
                "it takes the change back by itself within a minute; see journalctl -u ssh there",
                tunnel.server_host.name,
            ) from error
    return result.changed


def _log_in_anew(tunnel: TunnelEndpoints) -> None:
    """Logs in with sshd's new configuration, and stops the timer that takes it back. Raises WorkloadError."""

    def log_in() -> ScriptResult:
        tunnel.hosts.drop(tunnel.server_host.name)
        return tunnel.server.run(script("server_ssh_keep"))

    wait_until(log_in, timeout_seconds=RELOADED_SECONDS, interval_seconds=0.5, retry_on=WorkloadError)


def prepare_volume(tunnel: TunnelEndpoints, config: TunnelConfig) -> ScriptResult:
    """Makes the server's tun device and the volume, whose size is the fact `size_bytes`."""
    volume = tunnel.volume
    arguments = [TUNNEL_USER, str(config.server_tun), config.server_address, config.client_address, str(MTU_MAX)]
    return tunnel.server.run(script("server_volume"), [*arguments, volume.id, volume.device, str(volume.size_gib)])


def export(tunnel: TunnelEndpoints, config: TunnelConfig) -> int:
    """Exports the target on the tunnel's address to this client alone; returns the number of changes."""
    pairs = [f"{tunnel.iqn}={tunnel.volume.id}=/dev/tidemark/{tunnel.volume.id}"]
    arguments = [config.server_address, config.initiator, TARGET_PARAMETERS, BOOT_UNIT, *pairs]
    return tunnel.server.run(script("iscsi_targets"), arguments).changed


def attach(tunnel: TunnelEndpoints, *, limit_seconds: int = LIMIT_SECONDS, tun: int | None = None) -> Attachment:
    """Attaches the volume to the client. Idempotent; rolls back on failure."""
    config = choose_config(tunnel, tun)
    changed = config.changed + prepare_ssh(tunnel, config)
    volume = prepare_volume(tunnel, config)
    volume_bytes = int(_merged(volume)["size_bytes"])
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
    expected = [
        tunnel.iqn,
        config.server_address,
        config.initiator,
        tunnel.volume.id,
        str(volume_bytes),
        str(limit_seconds),
    ]
    with _rollback(tunnel, config):
        link = tunnel.client.run(script("client_tunnel"), words)
        disk = tunnel.client.run(script("client_disk"), expected)
    seen = _merged(link) | _merged(disk)
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
    seen = _merged(tunnel.client.run(script("client_status"), [tunnel.iqn]))
    return Status(**{field.name: seen[field.name] for field in fields(Status)})


def _merged(result: ScriptResult) -> dict[str, Any]:
    """Merges the facts of a script into one object."""
    merged: dict[str, Any] = {}
    for fact in result.facts:
        merged |= fact
    return merged


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
