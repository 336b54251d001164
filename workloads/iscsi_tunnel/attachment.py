"""Attaching the server's volume to the client through the tunnel, detaching it, and showing what there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from workloads.connectors.parallel import in_threads
from workloads.connectors.script import ScriptResult
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.addresses import choose_pair, choose_tun, networks_in
from workloads.iscsi_tunnel.ends import Ends, script
from workloads.iscsi_tunnel.settings import (
    BOOT_UNIT,
    LIMIT_SECONDS,
    MTU_MAX,
    RELOADED_SECONDS,
    TARGET_PARAMETERS,
    TUNNEL_USER,
    TUNNEL_WAIT_SECONDS,
)
from workloads.waiting import wait_until


@dataclass(frozen=True)
class Attachment:
    """A volume at the client: `device` is its stable name there, `disk` the kernel's of now. `volume_bytes` is what the
    disk has at the server. `changed` counts what had to be done for it, 0 when it was attached already.
    """

    volume: str
    device: str
    disk: str
    volume_bytes: int
    size_bytes: int
    block_bytes: int
    tun: str
    mtu_bytes: int
    server_address: str
    client_address: str
    changed: int


@dataclass(frozen=True)
class Status:
    """What there is of an attachment. `tunnel` is up, connecting, waiting (ssh ended and will be started again),
    refused (another host key), lost (away longer than the limit), stopped, or detached. `session` is the kernel's
    word, empty without one.
    """

    tunnel: str
    since_unix_s: float | None
    detail: str
    tun: str
    mtu_bytes: int | None
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
class Line:
    """How the two ends are to be joined: what both must be told alike.

    `known` says that the client has an attachment, or half of one.
    """

    server_address: str
    client_address: str
    server_tun: int
    client_tun: int
    public_key: str
    initiator: str
    known: bool
    changed: int


def join(ends: Ends, tun: int | None = None) -> Line:
    """Looks at both ends and decides on addresses and devices. A client that is not the one attached now is refused."""
    looks = {
        "client": lambda: ends.client.run(script("client_look")),
        "server": lambda: ends.server.run(script("server_look")),
    }
    looked = in_threads(looks, on_interrupt=lambda: ends.deployment.hosts.close())
    client, server = looked["client"], looked["server"]
    here, there = _merged(client), _merged(server)
    initiator = ends.initiator(str(here["name"]))
    other = there.get("attached_by")
    if other not in (None, initiator):
        name = str(other).rpartition("initiator.")[2] or other
        raise WorkloadError(
            f"volume {ends.volume.id} is attached by {name}",
            "detach it there first: two machines that use one disk destroy what is on it",
            ends.server_host.name,
        )
    server_tun = choose_tun(str(there["devices"]).split(), str(there["tun"]))
    own = str(here["tun"]) if tun is None or str(tun) == str(here["tun"]) else ""
    client_tun = choose_tun(str(here["devices"]).split(), own) if tun is None else tun
    now = (str(there["local"]), str(there["remote"])) if there["local"] else None
    taken = networks_in(here["routes"], f"tun{here['tun']}" if here["tun"] else "")
    taken += networks_in(there["routes"], f"tun{there['tun']}" if there["tun"] else "")
    pair = choose_pair(taken, now)
    changed = client.changed + server.changed
    return Line(*pair, server_tun, client_tun, str(here["public_key"]), initiator, bool(here["tun"]), changed)


def prepare_ssh(ends: Ends, line: Line) -> int:
    """Lets the client's key open the tunnel; sshd's new configuration stays only if one can still log in. Changes."""
    arguments = [TUNNEL_USER, str(line.server_tun), line.public_key]
    result = ends.server.run(script("server_ssh"), arguments)
    if any(fact.get("to_be_kept") for fact in result.facts):
        try:
            _log_in_anew(ends)
        except WorkloadError as error:
            raise WorkloadError(
                f"after the change of sshd's configuration nobody gets in ({error.what})",
                "it takes the change back by itself within a minute; see journalctl -u ssh there",
                ends.server_host.name,
            ) from error
    return result.changed


def _log_in_anew(ends: Ends) -> None:
    """Stops the timer that takes sshd's change back, over a log-in that was made after it. Raises WorkloadError."""

    def log_in() -> ScriptResult:
        ends.deployment.hosts.drop(ends.server_host.name)
        return ends.server.run(script("server_ssh_keep"))

    wait_until(log_in, timeout_seconds=RELOADED_SECONDS, interval_seconds=0.5, retry_on=WorkloadError)


def prepare_volume(ends: Ends, line: Line) -> ScriptResult:
    """The server's end of the tunnel, and the volume there, whose bytes are the fact `size_bytes`."""
    volume = ends.volume
    arguments = [TUNNEL_USER, str(line.server_tun), line.server_address, line.client_address, str(MTU_MAX)]
    return ends.server.run(script("server_volume"), [*arguments, volume.id, volume.device, str(volume.size_gib)])


def export(ends: Ends, line: Line) -> int:
    """The target, bound to the tunnel's address, for this client alone. Changes."""
    pairs = [f"{ends.iqn}={ends.volume.id}=/dev/tidemark/{ends.volume.id}"]
    arguments = [line.server_address, line.initiator, TARGET_PARAMETERS, BOOT_UNIT, *pairs]
    return ends.server.run(script("iscsi_targets"), arguments).changed


def attach(ends: Ends, *, limit_seconds: int = LIMIT_SECONDS, tun: int | None = None) -> Attachment:
    """Attaches the volume, whichever machine the client is; attached already is well. On a fault nothing is left."""
    line = join(ends, tun)
    changed = line.changed + prepare_ssh(ends, line)
    volume = prepare_volume(ends, line)
    volume_bytes = int(_merged(volume)["size_bytes"])
    changed += volume.changed + export(ends, line)
    way = ends.way()
    given = {
        **way,
        "user": TUNNEL_USER,
        "alias": ends.server_host.id,
        "tun": str(line.client_tun),
        "remote_tun": str(line.server_tun),
        "local": line.client_address,
        "remote": line.server_address,
        "mtu_max": str(MTU_MAX),
        "iqn": ends.iqn,
        "volume": ends.volume.id,
        "limit_seconds": str(limit_seconds),
        "wait_seconds": str(TUNNEL_WAIT_SECONDS),
    }
    words = [f"{name}={value}" for name, value in given.items()]
    # alias comes before the keys that are known by it.
    words += [f"host_key={key}" for key in ends.deployment.hosts.keys_of(ends.server_host.name)]
    expected = [
        ends.iqn,
        line.server_address,
        line.initiator,
        ends.volume.id,
        str(volume_bytes),
        str(limit_seconds),
    ]
    with _nothing_half_made(ends, line):
        tunnel = ends.client.run(script("client_tunnel"), words)
        disk = ends.client.run(script("client_disk"), expected)
    seen = _merged(tunnel) | _merged(disk)
    return Attachment(
        volume=str(seen["volume"]),
        device=str(seen["device"]),
        disk=str(seen["disk"]),
        volume_bytes=volume_bytes,
        size_bytes=int(seen["size_bytes"]),
        block_bytes=int(seen["block_bytes"]),
        tun=str(seen["tun"]),
        mtu_bytes=int(seen["mtu"]),
        server_address=line.server_address,
        client_address=line.client_address,
        changed=changed + tunnel.changed + disk.changed,
    )


@contextmanager
def _nothing_half_made(ends: Ends, line: Line) -> Iterator[None]:
    """A tunnel without its disk goes again, unless it was there before. A server that has ended is the fault."""
    try:
        yield
    except BaseException as error:
        if not line.known:
            with suppress(WorkloadError):
                detach(ends)
        if isinstance(error, WorkloadError):
            ends.deployment.hosts.check(ends.server_host.name)
        raise


def detach(ends: Ends) -> int:
    """Takes disk and tunnel away and proves it; changes, 0 when there was nothing. Refused while the disk is in use."""
    return ends.client.run(script("client_detach"), [ends.iqn]).changed


def status(ends: Ends) -> Status:
    """What there is at the client, now."""
    seen = _merged(ends.client.run(script("client_status"), [ends.iqn]))
    return Status(
        tunnel=str(seen["tunnel"]),
        since_unix_s=seen["since_unix_s"],
        detail=str(seen["detail"]),
        tun=str(seen["tun"]),
        mtu_bytes=seen["mtu"],
        session=str(seen["session"]),
        disk=str(seen["disk"]),
        disk_state=str(seen["disk_state"]),
        device=str(seen["device"]),
        size_bytes=seen["size_bytes"],
    )


def _merged(result: ScriptResult) -> dict[str, Any]:
    """The facts of a script as one object."""
    merged: dict[str, Any] = {}
    for fact in result.facts:
        merged |= fact
    return merged
