"""encrypted-backup's tasks, as fabfile.py offers them: inventory in, connections made, results written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from inventory import Host, Inventory
from workloads import sources
from workloads.connectors.pool import ConnectionPool
from workloads.console import Console, si_bytes
from workloads.deployment import local_versions, recorded
from workloads.encrypted_backup import backup, exclusions, passphrase, rehearsal, sheet
from workloads.encrypted_backup.context import Context
from workloads.encrypted_backup.drill import facts
from workloads.encrypted_backup.options import Options
from workloads.encrypted_backup.settings import BLANK, EXPERIMENT, KINDS, LUKS
from workloads.encrypted_backup.snapshots import Keep, Snapshot
from workloads.encrypted_backup.stages import entered
from workloads.encrypted_backup.volume import Volume, claimed, clean, formatted, reach
from workloads.errors import WorkloadError
from workloads.host_keys import host_keys
from workloads.iscsi_tunnel.ends import client_of, server_of
from workloads.power import with_current_addresses
from workloads.resource_watch import ResourceWatch
from workloads.results import Results
from workloads.user_path import output_path

MISSING = "-"


def volume_of(options: Options, *, again: bool = False) -> Volume:
    """The volume, its passphrase read; what is wrong is one line before any host is touched."""
    if options.type not in KINDS:
        raise WorkloadError(f"--type {options.type} is no kind of volume", f"choose one of {', '.join(KINDS)}")
    found = passphrase.read(fd=options.passphrase_fd, key_file=options.key_file, again=again)
    if options.type != LUKS and not found.is_one_line:
        raise WorkloadError(f"a {options.type} passphrase is one line", "give one that can be typed")
    return Volume(found, options.type, stop_server=not options.leave_running)


@contextmanager
def connected(inventory: Inventory, client: str | None, run: str, others: Sequence[Host] = ()) -> Iterator[Context]:
    """Connections to the client and `others`, and to the server once it is started; closed at the end."""
    console = Console()
    server, client_host = server_of(inventory), client_of(inventory, client)
    others = [*others, *([] if client_host is None else [client_host])]
    around = with_current_addresses(replace(inventory, hosts=tuple(others)), lambda words: console.say("hosts", words))
    both = replace(inventory, hosts=(server, *around.hosts))
    watch = ResourceWatch(both)
    keys = host_keys(both, watch=watch, tell=lambda words: console.say("hosts", words))
    with ConnectionPool(around, keys, watch.check) as hosts:
        hosts.wait_for_all(lambda words: console.say("hosts", words))
        hosts.inventory = both
        yield Context(
            hosts=hosts,
            console=console,
            client_host=None if client_host is None else around.host(client_host.name),
            run=run,
        )


@contextmanager
def noted(context: Context) -> Iterator[None]:
    """What is done inside is written to results of its own."""
    results = Results.start(context.inventory, plan={"run": context.run}, versions=local_versions())
    with recorded(context, results):
        yield


def format_volume(options: Options, erase: str | None) -> None:
    """`fab encrypted-backup.format`."""
    volume = volume_of(options, again=True)
    with connected(sources.load(options.stack, options.inventory), options.client, "format") as context:
        found = formatted(context, volume, erase)
        words = {"empty": "was empty", "ours": "was a volume of ours already"}.get(found, f"held {found}")
        context.console.say("format", f"{context.server.volumes[0].id} {words}")


def run(options: Options, directories: Sequence[str], exclude: Sequence[str], *, one_file_system: bool) -> Snapshot:
    """`fab encrypted-backup.run`; the snapshot that was made."""
    if not directories:
        raise WorkloadError("nothing says what to back up", "give --source DIR, as often as needed")
    exclude = exclusions.checked(exclude)
    volume = volume_of(options)
    with connected(sources.load(options.stack, options.inventory), options.client, "backup") as context, noted(context):
        made = backup.back_up(context, volume, directories, one_file_system=one_file_system, exclude=exclude)
        context.console.say(
            "backup",
            f"snapshot {made.name}: {made.files} files, {_size(made.total_bytes)}, of which "
            f"{_size(made.new_bytes)} are new; {si_bytes(volume.free_bytes)} were free",
        )
        return made


def _size(number_bytes: int | None) -> str:
    return MISSING if number_bytes is None else si_bytes(number_bytes)


def list_snapshots(options: Options) -> None:
    """`fab encrypted-backup.list`."""
    volume = volume_of(options)
    with connected(sources.load(options.stack, options.inventory), options.client, "list") as context:
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


def restore(options: Options, snapshot: str, target: str) -> None:
    """`fab encrypted-backup.restore`."""
    volume = volume_of(options)
    with connected(sources.load(options.stack, options.inventory), options.client, "restore") as context:
        restored = backup.restore(context, volume, snapshot, target)
        context.console.say("restore", f"{restored.name} is in {target}, and every checksum agrees")
        if restored.unread:
            context.console.say("restore", f"{restored.unread} entries could not be read whole when it was made")


def check(options: Options) -> None:
    """`fab encrypted-backup.check`."""
    volume = volume_of(options)
    with connected(sources.load(options.stack, options.inventory), options.client, "check") as context:
        seen = backup.check(context, volume)
        context.console.say(
            "check",
            f"{seen['snapshots']} snapshots, {seen['files']} files: {si_bytes(int(seen['read_bytes']))} read back, "
            "all as they were",
        )


def prune(options: Options, keep: Keep) -> None:
    """`fab encrypted-backup.prune`."""
    volume = volume_of(options)
    with connected(sources.load(options.stack, options.inventory), options.client, "prune") as context:
        stays, gone = backup.prune(context, volume, keep)
        context.console.say("prune", f"kept {len(stays)}; removed {', '.join(gone) or 'none'}")


def release(options: Options) -> None:
    """`fab encrypted-backup.release`: what a run that was killed has left on the client."""
    with connected(sources.load(options.stack, options.inventory), options.client, "release") as context:
        clean(context)
        context.console.say("release", f"nothing of {EXPERIMENT} is open on {context.client_name}")


def recovery_sheet(options: Options, output: str) -> None:
    """`fab encrypted-backup.recovery-sheet`: needs no passphrase."""
    path = output_path(output)
    with connected(sources.load(options.stack, options.inventory), options.client, "sheet") as context:
        # Attached for a moment, so that the page names the disk as it will be seen.
        with entered(reach(context, stop_server=not options.leave_running), context.note):
            page = sheet.rendered(facts(context, []))
        path.write_text(page, encoding="utf-8")
        context.console.say("sheet", f"{path}: print it, and keep it where the computer is not")


def drill(options: Options, source: str) -> None:
    """`fab encrypted-backup.drill`: a blank machine recovers the newest snapshot, of which `source` is compared."""
    inventory = sources.load(options.stack, options.inventory)
    volume, blank = volume_of(options), _blank(inventory)
    if not volume.passphrase.is_one_line:
        raise WorkloadError("the drill types the passphrase", "a key file with line feeds can't be typed")
    with connected(inventory, options.client, "drill", [blank]) as context, noted(context):
        with entered(reach(context, stop_server=False), context.note):
            page = sheet.rendered(facts(context, [source]))
        with entered(claimed(context, stop_server=volume.stop_server), context.note):
            rehearsal.recovered(context, page, volume, blank, source)


def _blank(inventory: Inventory) -> Host:
    for host in inventory.hosts:
        if host.role == BLANK:
            return host
    raise WorkloadError(f"no host has the role {BLANK}", "set tidemark:thirdType: the drill needs a blank machine")


def all_(options: Options, erase: str | None) -> Path:
    """`fab encrypted-backup.all`, up to the report; the directory of the results.

    In a rehearsal the passphrase is made up, unless one is given, and the volume is erased: what it holds is made up,
    too.
    """
    inventory = sources.load(options.stack, options.inventory)
    if inventory.rehearsal:
        erase = server_of(inventory).volumes[0].id
    if inventory.rehearsal and options.passphrase_fd is None and options.key_file is None:
        volume = Volume(passphrase.made_up())
    else:
        volume = volume_of(options, again=True)
    blank = _blank(inventory)
    with connected(inventory, options.client, "sample", [blank]) as context, noted(context):
        assert context.results is not None, "noted() has begun them"
        rehearsal.whole(context, volume, blank, erase, context.results.directory)
        return context.results.directory
