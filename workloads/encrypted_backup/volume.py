"""Brings the volume from a stopped server to a mounted file system on the client, and all the way back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.encrypted_backup.reversible import Action
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel import attachment, endpoints
from workloads.lease import lease, lease_holder
from workloads.power import START_MAY_TAKE

LUKS = "luks"
KINDS = (LUKS, "truecrypt", "veracrypt")
# argon2id's cost slows down guessing: cryptsetup's own choice (up to 1 GiB of memory, two seconds) on a real machine.
# On a rehearsal host page faults are expensive: 64 MiB took 11 s to fill; opening with 1 MiB takes three in all. Its
# volume exists for minutes and holds made-up files.
REHEARSAL_COST = ("--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1")


FileSystemCheck = Literal["preen", "read"]
"""Before it is mounted: corrects safe errors, or checks all and changes nothing (client_check_filesystem.sh)."""


@dataclass
class Volume:
    """How the volume is opened. `stop_server` stops the server at the end, as the original did."""

    passphrase: Passphrase
    kind: str = LUKS
    stop_server: bool = True
    free_bytes: int = 0


@contextmanager
def mounted(context: Context, volume: Volume, checking: FileSystemCheck = "preen") -> Iterator[None]:
    """Mounts the volume on the client for the duration of the block; undoes everything in reverse, whatever happens."""
    actions = [*reach(context, stop_server=volume.stop_server), *opened(context, volume, checking)]
    with context.performed(actions):
        yield


def keeper(context: Context) -> Script:
    """Returns the script that releases the volume and detaches the disk on the client when the run is gone."""
    # Without its own END_OF_SCRIPT line: the host would take that for the end of the whole script.
    detaching = endpoints.script("client_detach").text.rstrip().removesuffix(END_OF_SCRIPT)
    function = f"detach() {{\nbash -s -- {shlex.quote(context.iqn)} << 'END_OF_DETACH'\n{detaching}\nEND_OF_DETACH\n}}"
    keeping = script("client_keeper")
    return replace(keeping, text=keeping.text.replace("@DETACH@", function))


def claimed(context: Context, *, stop_server: bool) -> list[Action]:
    """Returns the actions that start the server, and claim it for this run alone."""
    claiming = ExitStack()

    def start() -> None:
        context.power.start(context.server_host)
        with context.under_way(f"starting the server; {START_MAY_TAKE}") as progress:
            context.power.await_return(context.server_host, progress.update)

    def claim() -> None:
        who = lease_holder(f"{context.run} for {context.client_name}")
        claiming.enter_context(lease(context.server, script("host_claim"), [who]))

    def give_up_server() -> None:
        # Stopped while it is still claimed: no other run can begin on a server that is about to stop.
        if stop_server:
            context.power.stop(context.server_host)
        claiming.close()

    return [
        Action("start", start),
        Action("claim", claim, "stop" if stop_server else "give back", give_up_server),
    ]


def reach(context: Context, *, stop_server: bool) -> list[Action]:
    """Returns the actions that claim the server, clear the client of what earlier runs left, and attach the disk."""
    keeping = ExitStack()

    def keep() -> None:
        keeping.enter_context(lease(context.client, keeper(context)))

    def attach() -> None:
        attached = attachment.attach(context, limit_seconds=context.limit_seconds)
        context.device = attached.device
        context.record("attached", size_bytes=attached.size_bytes, tun=attached.tun, mtu_bytes=attached.mtu_bytes)

    return [
        *claimed(context, stop_server=stop_server),
        Action("clean", lambda: clean(context)),
        Action("keep", keep, "let go", keeping.close, undo_half_done=True),
        Action("attach", attach, "detach", lambda: attachment.detach(context), undo_half_done=True),
    ]


def opened(context: Context, volume: Volume, checking: FileSystemCheck = "preen") -> list[Action]:
    """Returns the actions that open the volume, and check and mount its file system."""

    def mount() -> None:
        volume.free_bytes = int(context.run_short("client_mount").facts[0]["free_bytes"])

    return [
        _open_action(context, volume),
        Action("check", lambda: context.run_short("client_check_filesystem", [checking])),
        Action("mount", mount, "unmount", lambda: context.run_short("client_unmount"), undo_half_done=True),
    ]


def _open_action(context: Context, volume: Volume) -> Action:
    return Action(
        "open",
        lambda: open_volume(context, volume),
        "close",
        lambda: context.run_short("client_close"),
        undo_half_done=True,
    )


def open_volume(context: Context, volume: Volume) -> None:
    """Opens the volume on the client. Raises WorkloadError for a wrong passphrase."""
    context.run_short("client_open", [context.device, volume.kind], volume.passphrase)


def clean(context: Context) -> None:
    """Releases what a killed run has left on the client: the mount, the open volume, the disk."""
    context.run_short("client_release")
    attachment.detach(context)


def formatted(context: Context, volume: Volume, erase: str | None) -> str:
    """Formats the volume, if it is empty or `erase` is its id; returns what it held.

    Raises WorkloadError, and changes nothing, when it holds data. A volume that an interrupted run has left without a
    file system gets one.
    """
    volume_id = context.volume.id
    if erase is not None and erase != volume_id:
        raise WorkloadError(
            f"--erase {erase} is not this stack's volume", f"that is {volume_id}", context.server_host.name
        )
    with context.performed(reach(context, stop_server=volume.stop_server)):
        found = str(context.run_short("client_device", [context.device]).facts[0]["contents"])
        if found not in ("empty", "ours") and erase is None:
            raise WorkloadError(
                f"{volume_id} holds data ({found})",
                f"give another volume, or erase it by its name: --erase {volume_id}",
                context.server_host.name,
            )
        new = found != "ours" or erase is not None
        if new:
            cost = REHEARSAL_COST if context.inventory.rehearsal else ()
            with context.step("format"):
                context.run_short("client_format", [context.device, *cost], volume.passphrase)
        with context.performed([_open_action(context, volume)]), context.step("file system"):
            context.run_short("client_filesystem", ["new" if new else "old"])
    return found
