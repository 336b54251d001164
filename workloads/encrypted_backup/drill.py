"""The recovery drill: a blank machine, the sheet's commands, the passphrase; then every byte compared."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Sequence

from inventory import Host
from workloads.connectors.base import Connector
from workloads.encrypted_backup import sheet
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.errors import WorkloadError
from workloads.iscsi import ISCSI_PORT
from workloads.iscsi_tunnel import ends as tunnel
from workloads.iscsi_tunnel.settings import MTU_MAX, TUNNEL_USER

RESTORED = "/restored"
DRILL_SECONDS = 24 * 3600.0


def facts(context: Context, sources: Sequence[str]) -> sheet.Facts:
    """What the sheet must name, from the inventory and from the server, which must have been attached once."""
    look: dict[str, object] = {}
    for fact in context.hosts.connector(context.server.name).run(tunnel.script("server_look")).facts:
        look |= fact
    if not look.get("tun") or look.get("size_bytes") is None:
        raise WorkloadError(
            "no client has ever attached the volume", "run `fab encrypted-backup.run` first", context.server.name
        )
    server, volume = context.server, context.server.volumes[0]
    return sheet.Facts(
        stack=context.inventory.stack,
        region=context.inventory.region,
        instance=server.id,
        server_name=server.name,
        volume=volume.id,
        size_gib=volume.size_gib,
        size_bytes=int(str(look["size_bytes"])),
        host_keys=tuple(context.hosts.keys_of(server.name)),
        sources=sources,
        user=TUNNEL_USER,
        server_tun=str(look["tun"]),
        server_address=str(look.get("local", "")),
        client_address=str(look.get("remote", "")),
        iqn=context.ends.iqn,
        initiator=context.ends.initiator(context.client_name),
        port=ISCSI_PORT,
        mtu_bytes=MTU_MAX,
        device=context.device,
    )


def drill(context: Context, page: str, passphrase: Passphrase, blank: Host, source: str) -> float:
    """Recovers everything on `blank` by what the page says; seconds. `source` is compared with what was restored."""
    began = time.monotonic()
    on_server, off_server = sheet.commands(page, "server")
    *typed, ending = sheet.commands(page)
    password = secrets.token_hex(12)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        _on_server(context, [hashed], on_server)
        words = [password.encode(), passphrase.for_stdin(), blank_way(context).encode()]
        result = context.hosts.connector(blank.name).run(
            script("blank_recover"),
            [ending],
            stdin=b"\n".join(words) + b"\n" + "".join([*typed, ending]).encode(),
            idle_timeout_seconds=DRILL_SECONDS,
        )
    finally:
        _on_server(context, [], off_server)
    seconds = time.monotonic() - began
    machines: tuple[tuple[Connector, str], ...] = (
        (context.on_client, source),
        (context.hosts.connector(blank.name), f"{RESTORED}{source}"),
    )
    whole = {
        machine.name: machine.run(script("host_tree_digest"), [path], idle_timeout_seconds=DRILL_SECONDS).facts[0]
        for machine, path in machines
    }
    same = len({str(fact["digest"]) for fact in whole.values()}) == 1
    context.record(
        "recovered",
        seconds=round(seconds, 3),
        sheet_seconds=round(float(result.facts[0]["seconds"]), 3),
        files=int(result.facts[0]["files"]),
        entries=int(whole[blank.name]["entries"]),
        same=same,
    )
    if not same:
        raise WorkloadError(
            f"what was restored is not what is in {source}",
            "compare the two with rsync -n --itemize-changes",
            blank.name,
        )
    return seconds


def blank_way(context: Context) -> str:
    """The server's address as the blank machine reaches it: that of the network, where both are in it."""
    return context.server.private_address


def _on_server(context: Context, typed: Sequence[str], commands: str) -> None:
    lines = "".join(f"{line}\n" for line in [*typed, "commands"])
    context.hosts.connector(context.server.name).run(script("server_typed"), stdin=(lines + commands).encode())
