"""The tasks of encrypted-backup: each reads its options and the passphrase before any host is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from invoke.exceptions import Exit
from rich.markup import escape
from rich.table import Table

from inventory import Host, Inventory
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console, si_bytes
from workloads.deployment import local_versions, recorded
from workloads.encrypted_backup import backup, end_to_end, passphrase, recovery_sheet
from workloads.encrypted_backup import drill as drills
from workloads.encrypted_backup.context import Context
from workloads.encrypted_backup.drill import blank_host
from workloads.encrypted_backup.snapshots import Keep
from workloads.encrypted_backup.volume import KINDS, LUKS, Volume, claimed, clean, formatted, reach
from workloads.errors import WorkloadError
from workloads.experiment import Request
from workloads.host_keys import host_keys
from workloads.iscsi_tunnel.endpoints import client_of, server_of
from workloads.paths import output_path
from workloads.power import start_stopped_hosts
from workloads.resource_watch import ResourceWatch
from workloads.results import Results

MISSING = "-"
MOST_SNAPSHOTS = 1_000_000  # one a minute for almost two years
# A snapshot was made, and something of the sources is not in it: restic's code for the same.
EXIT_INCOMPLETE = 3


def volume_of(request: Request, *, again: bool = False) -> Volume:
    """Returns the volume, and reads its passphrase. Raises WorkloadError."""
    options = request.options
    kind = options["type"]
    if kind not in KINDS:
        raise WorkloadError(f"--type {kind} is no kind of volume", f"choose one of {', '.join(KINDS)}")
    found = passphrase.read(fd=options["passphrase_fd"], key_file=options["key_file"], again=again)
    if kind != LUKS and not found.is_one_line:
        raise WorkloadError(f"a {kind} passphrase is one line", "give one that can be typed")
    return Volume(found, kind, stop_server=not options["leave_running"])


@contextmanager
def connected(inventory: Inventory, client: str | None, run: str, others: Sequence[Host] = ()) -> Iterator[Context]:
    """Connects to the client and `others`, and to the server once it is started; closes the connections at the end."""
    console = Console()
    server, client_host = server_of(inventory), client_of(inventory, client)
    others = [*others, *([] if client_host is None else [client_host])]
    around = start_stopped_hosts(replace(inventory, hosts=tuple(others)), lambda words: console.say("hosts", words))
    both = replace(inventory, hosts=(server, *around.hosts))
    watch = ResourceWatch(both)
    keys = host_keys(both, watch=watch, tell=lambda words: console.say("hosts", words))
    with ConnectionPool(around, keys, watch.check) as hosts:
        hosts.wait_for_all(lambda words: console.say("hosts", words))
        hosts.inventory = both
        client_host = None if client_host is None else around.host(client_host.name)
        yield Context(hosts=hosts, console=console, client_host=client_host, run=run)


@contextmanager
def connected_for(request: Request, run: str, *, records: bool = False, blank: bool = False) -> Iterator[Context]:
    """Connects as `connected` does; with `records` to results of its own, with `blank` to the drill's machine, too."""
    others = [blank_host(request.inventory)] if blank else []
    if request.options["client"] in [host.name for host in others]:
        raise WorkloadError(
            f"--client {request.options['client']} is the machine that the drill recovers on",
            "name the client whose files are backed up, or `this`",
        )
    with connected(request.inventory, request.options["client"], run, others) as context, ExitStack() as recording:
        if records:
            results = Results.start(context.inventory, plan={"run": run}, versions=local_versions())
            recording.enter_context(recorded(context, results))
        yield context


def format_volume(request: Request) -> None:
    """`fab encrypted-backup.format`."""
    volume = volume_of(request, again=True)
    with connected_for(request, "format") as context:
        found = formatted(context, volume, request.options["erase"])
        words = {"empty": "was empty", "ours": "was a volume of ours already"}.get(found, f"held {found}")
        context.console.say("format", f"{context.volume.id} {words}")


def run(request: Request) -> None:
    """`fab encrypted-backup.run`; exits with 3 when entries could not be read."""
    directories = request.options["source"]
    if not directories:
        raise WorkloadError("nothing says what to back up", "give --source DIR, as often as needed")
    options = {name: request.options[name] for name in ("one_file_system", "checksum")}
    sources = backup.Sources(directories, request.options["exclude"] or (), **options)
    volume = volume_of(request)
    with connected_for(request, "backup", records=True) as context:
        made = backup.back_up(context, volume, sources)
        context.console.say(
            "backup",
            f"snapshot {made.name}: {made.files} files, {_size(made.total_bytes)}, of which "
            f"{_size(made.new_bytes)} are new; {si_bytes(volume.free_bytes)} were free",
        )
    if made.unread:
        raise Exit(
            f"tidemark: {made.unread} entries could not be read whole, and are missing in snapshot {made.name} or were "
            "not compared; the first are named above, the rest is kept: mend that, or leave them out by --exclude",
            code=EXIT_INCOMPLETE,
        )


def _size(number_bytes: int | None) -> str:
    return MISSING if number_bytes is None else si_bytes(number_bytes)


def list_snapshots(request: Request) -> None:
    """`fab encrypted-backup.list`."""
    volume = volume_of(request)
    with connected_for(request, "list") as context:
        found = backup.list_snapshots(context, volume)
    table = Table("snapshot", "of", "files", "size", "new", "not read", "took")
    for each in found:
        if each.damaged is not None:
            table.add_row(each.name, escape(f"damaged: {each.damaged}"), *[MISSING] * 5)
            continue
        without = f" without {', '.join(each.exclude)}" if each.exclude else ""
        table.add_row(
            each.name,
            escape(f"{each.host}: {', '.join(each.sources)}{without}"),
            str(each.files),
            _size(each.total_bytes),
            _size(each.new_bytes),
            str(each.unread),
            MISSING if each.seconds is None else f"{each.seconds:.0f} s",
        )
    context.console.print(table)


def restore(request: Request) -> None:
    """`fab encrypted-backup.restore`."""
    volume, target = volume_of(request), request.options["target"]
    with connected_for(request, "restore") as context:
        restored = backup.restore(context, volume, request.options["snapshot"], target)
        context.console.say("restore", f"{restored.name} is in {target}, and every checksum agrees")
        if restored.unread:
            context.console.say("restore", f"{restored.unread} entries could not be read whole when it was made")


def check(request: Request) -> None:
    """`fab encrypted-backup.check`."""
    volume = volume_of(request)
    with connected_for(request, "check") as context:
        seen = backup.check(context, volume)
        context.console.say(
            "check",
            f"{seen['snapshots']} snapshots, {seen['files']} files: {si_bytes(int(seen['read_bytes']))} read back, "
            "all as they were",
        )


def prune(request: Request) -> None:
    """`fab encrypted-backup.prune`."""
    periods = ("last", "daily", "weekly", "monthly")
    keep = Keep(*(request.integer(f"keep_{period}", 0, MOST_SNAPSHOTS) or 0 for period in periods))
    volume = volume_of(request)
    with connected_for(request, "prune") as context:
        stays, gone = backup.prune(context, volume, keep)
        context.console.say("prune", f"kept {len(stays)}; removed {', '.join(gone) or 'none'}")


def release(request: Request) -> None:
    """`fab encrypted-backup.release`."""
    with connected_for(request, "release") as context:
        clean(context)
        context.console.say("release", f"nothing of {request.experiment.name} is open on {context.client_name}")


def write_recovery_sheet(request: Request) -> None:
    """`fab encrypted-backup.recovery-sheet`: needs no passphrase."""
    path = output_path(request.options["output"])
    with connected_for(request, "sheet") as context:
        # Attached for a moment, so that the page has the disk's stable name.
        with context.performed(reach(context, stop_server=not request.options["leave_running"])):
            page = recovery_sheet.page_of(context, [])
        path.write_text(page, encoding="utf-8")
        context.console.say("sheet", f"{path}: print it, and keep it where the computer is not")


def drill(request: Request) -> None:
    """`fab encrypted-backup.drill`: a blank machine recovers the newest snapshot; --source is compared with it."""
    source, blank = request.options["source"], blank_host(request.inventory)
    volume = volume_of(request)
    if not volume.passphrase.is_one_line:
        raise WorkloadError("the drill types the passphrase", "a key file with line feeds can't be typed")
    with connected_for(request, "drill", records=True, blank=True) as context:
        with context.performed(reach(context, stop_server=False)):
            page = recovery_sheet.page_of(context, [source])
        with context.performed(claimed(context, stop_server=volume.stop_server)):
            drills.drill(context, page, volume.passphrase, blank, source)


def run_all(request: Request) -> Path:
    """`fab encrypted-backup.all`, up to the report; returns the directory of the results.

    In a rehearsal it makes up the passphrase, unless one is given, and erases the volume, whose data is made up, too.
    """
    inventory, options, erase = request.inventory, request.options, request.options["erase"]
    if inventory.rehearsal:
        erase = server_of(inventory).volumes[0].id
    if inventory.rehearsal and options["passphrase_fd"] is None and options["key_file"] is None:
        volume = Volume(passphrase.generate())
    else:
        volume = volume_of(request, again=True)
    blank = blank_host(inventory)
    with connected_for(request, "sample", records=True, blank=True) as context:
        end_to_end.run_end_to_end(context, volume, blank, erase, context.results.directory)
        return context.results.directory
