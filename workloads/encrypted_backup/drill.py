"""The recovery drill: types the sheet's commands and the passphrase on a blank machine, then compares every byte."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Sequence

from inventory import Host, Inventory
from workloads.connectors.base import Connector
from workloads.encrypted_backup import recovery_sheet
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.errors import WorkloadError

BLANK_ROLE = "third"
"""The role of the machine that recovers everything: iscsi-tunnel's third host, on which nothing is set up."""
RESTORED = "/restored"
DRILL_SECONDS = 24 * 3600.0


def blank_host(inventory: Inventory) -> Host:
    """Returns the blank machine of the drill. Raises WorkloadError where there is none."""
    for host in inventory.hosts:
        if host.role == BLANK_ROLE:
            return host
    raise WorkloadError(f"no host has the role {BLANK_ROLE}", "set tidemark:thirdType: the drill needs a blank machine")


def drill(context: Context, page: str, passphrase: Passphrase, blank: Host, source: str) -> None:
    """Recovers everything on `blank` by the page's commands, and compares `source` with the result."""
    began = time.monotonic()
    on_server, off_server = recovery_sheet.commands(page, "server")
    *typed, ending = recovery_sheet.commands(page)
    recovering = context.hosts.connector(blank.name)
    password = secrets.token_hex(12)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        _on_server(context, [hashed], on_server)
        words = [password.encode(), passphrase.for_stdin(), context.server_host.private_address.encode()]
        result = recovering.run(
            script("blank_recover"),
            [ending],
            stdin=b"\n".join(words) + b"\n" + "".join([*typed, ending]).encode(),
            idle_timeout_seconds=DRILL_SECONDS,
        )
    finally:
        _on_server(context, [], off_server)
    seconds = time.monotonic() - began
    machines: tuple[tuple[Connector, str], ...] = ((context.client, source), (recovering, f"{RESTORED}{source}"))
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
    context.console.say("drill", f"{blank.name} has restored everything from the sheet alone in {seconds:.0f} s")


def _on_server(context: Context, typed: Sequence[str], commands: str) -> None:
    lines = "".join(f"{line}\n" for line in [*typed, "commands"])
    context.server.run(script("server_typed"), stdin=(lines + commands).encode())
