"""The volume, from a server that is stopped to a file system that is mounted, and all the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from workloads.encrypted_backup import disk
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.passphrase import Passphrase
from workloads.encrypted_backup.settings import LUKS, REHEARSAL_COST
from workloads.encrypted_backup.stages import Stage, entered
from workloads.errors import WorkloadError
from workloads.lease import lease, lease_holder


@dataclass
class Volume:
    """How the volume is opened. `stop_server` leaves the server stopped at the end, as the original did."""

    passphrase: Passphrase
    kind: str = LUKS
    stop_server: bool = True
    checked_whole: bool = False
    size_bytes: int = 0
    free_bytes: int = 0


@contextmanager
def mounted(context: Context, volume: Volume) -> Iterator[None]:
    """The volume is mounted on the client while the block lasts; whatever happens, all is undone in reverse."""
    stages = [*reach(context, stop_server=volume.stop_server), *opened(context, volume)]
    with entered(stages, context.note):
        yield


def claimed(context: Context, *, stop_server: bool) -> list[Stage]:
    """The server started, and claimed for this run alone."""
    claiming = ExitStack()

    def start() -> None:
        context.power.start(context.server)
        with context.console.under_way("server", "starting") as progress:
            context.power.await_return(context.server, progress.update)

    def claim() -> None:
        who = lease_holder(f"{context.run} for {context.client_name}")
        claiming.enter_context(lease(context.hosts.connector(context.server.name), script("server_claim"), [who]))

    def give_up_server() -> None:
        # Stopped while it is still claimed: nobody else's run can begin on a server that is about to go.
        if stop_server:
            context.power.stop(context.server)
        claiming.close()

    return [
        Stage("start", start),
        Stage("claim", claim, "stop" if stop_server else "give back", give_up_server),
    ]


def reach(context: Context, *, stop_server: bool) -> list[Stage]:
    """The server claimed, the client free of what earlier runs left, and the disk attached."""
    keeping = ExitStack()

    def keep() -> None:
        keeping.enter_context(lease(context.on_client, disk.keeper(context)))

    return [
        *claimed(context, stop_server=stop_server),
        Stage("clean", lambda: clean(context)),
        Stage("keep", keep, "let go", keeping.close, leave_half_done=True),
        Stage("attach", lambda: disk.attach(context), "detach", lambda: disk.detach(context), leave_half_done=True),
    ]


def opened(context: Context, volume: Volume) -> list[Stage]:
    """The volume opened, its file system checked and mounted."""

    def mount() -> None:
        facts = context.brief("client_mount").facts[0]
        volume.size_bytes, volume.free_bytes = int(facts["size_bytes"]), int(facts["free_bytes"])

    return [
        _open_stage(context, volume),
        Stage("check", lambda: _run(context, "client_check_filesystem", "read" if volume.checked_whole else "preen")),
        Stage("mount", mount, "unmount", lambda: _run(context, "client_unmount"), leave_half_done=True),
    ]


def _open_stage(context: Context, volume: Volume) -> Stage:
    return Stage(
        "open",
        lambda: open_volume(context, volume),
        "close",
        lambda: _run(context, "client_close"),
        leave_half_done=True,
    )


def open_volume(context: Context, volume: Volume) -> None:
    """Opens it on the client; a wrong passphrase is one line."""
    context.brief("client_open", [context.device, volume.kind], volume.passphrase)


def clean(context: Context) -> None:
    """Releases what a run that was killed has left on the client: the mount, the open volume, the disk."""
    context.brief("client_release")
    disk.detach(context)


def formatted(context: Context, volume: Volume, erase: str | None) -> str:
    """Makes the volume, on a disk that is empty or that `erase` names by its volume's id; what was on it.

    Raises WorkloadError, and nothing is changed, when it holds data. A volume of ours that was left without a file
    system, by a run that was cut short, gets one.
    """
    volume_id = context.server.volumes[0].id
    if erase is not None and erase != volume_id:
        raise WorkloadError(f"--erase {erase} is not this stack's volume", f"that is {volume_id}", context.server.name)
    with entered(reach(context, stop_server=volume.stop_server), context.note):
        found = str(context.brief("client_device", [context.device]).facts[0]["contents"])
        if found not in ("empty", "ours") and erase is None:
            raise WorkloadError(
                f"{volume_id} holds data ({found})",
                f"give another volume, or erase it by its name: --erase {volume_id}",
                context.server.name,
            )
        stages = []
        new = found != "ours" or erase is not None
        if new:
            cost = REHEARSAL_COST if context.inventory.rehearsal else ()
            stages.append(Stage("format", lambda: _format(context, volume.passphrase, cost)))
        stages += [
            _open_stage(context, volume),
            Stage("file system", lambda: _run(context, "client_filesystem", "new" if new else "old")),
        ]
        with entered(stages, context.note):
            pass
    return found


def _format(context: Context, passphrase: Passphrase, cost: tuple[str, ...]) -> None:
    context.brief("client_format", [context.device, *cost], passphrase)


def _run(context: Context, name: str, *arguments: str) -> None:
    context.brief(name, arguments)
