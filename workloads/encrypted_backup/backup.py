"""Makes, lists, restores, checks and prunes snapshots: the server is started before and stopped after each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workloads.connectors.script import ScriptResult
from workloads.encrypted_backup.context import Context, host_program, script
from workloads.encrypted_backup.snapshots import Keep, Snapshot, chosen, kept, listed, name_now
from workloads.encrypted_backup.volume import Volume, mounted
from workloads.errors import WorkloadError

SNAPSHOTS = "/run/tidemark-backup/volume/snapshots"  # as scripts/lib.sh has it
ALLOWED = (
    "give a name such as .cache, the end of a path such as .local/share/Trash, or a path from the root such as "
    "/home/*/.cache; * and ? stand for any characters but a slash, and a slash at the end takes directories alone"
)
# rsync gives these a meaning that the host's program does not know.
NOT_TAKEN = ("[", "\\", "**", "\0", "\n")


@dataclass(frozen=True)
class Sources:
    """The client's directories that are backed up, without what a pattern of `exclude` matches (scripts/selection.py).
    Raises WorkloadError for a pattern that matches nothing, or something else to rsync than to the host's program.

    With `one_file_system` the copy stays within their file systems. With `checksum` every file is read, here and in its
    copy, even if its ctime tells that it has not changed.
    """

    directories: Sequence[str]
    exclude: Sequence[str] = ()
    one_file_system: bool = False
    checksum: bool = False

    def __post_init__(self) -> None:
        for pattern in self.exclude:
            names = pattern.removesuffix("/").removeprefix("/").split("/")
            if any(each in pattern for each in NOT_TAKEN) or any(name in ("", ".", "..") for name in names):
                raise WorkloadError(f"--exclude {pattern!r} is no pattern", ALLOWED)

    @property
    def selection(self) -> list[str]:
        """The arguments of scripts/copy_plan.py."""
        return [str(len(self.directories)), *self.directories, *self.exclude]


def back_up(context: Context, volume: Volume, sources: Sources) -> Snapshot:
    """Backs up the sources; returns the new snapshot. Earlier snapshots stay as they are, whatever fails."""
    began = time.monotonic()
    context.run_long(host_program("copy_plan", "client_sources"), sources.selection, "looking at the sources")
    with mounted(context, volume):
        snapshot = add_snapshot(context, sources, began)
    seconds = time.monotonic() - began
    context.record("backed-up", **_figures(snapshot), whole_seconds=round(seconds, 3))
    return snapshot


def add_snapshot(context: Context, sources: Sources, began: float) -> Snapshot:
    """Copies the sources into a new snapshot of the mounted volume, and reads it back.

    `began` is the begin of the run, in seconds of the monotonic clock.
    """
    name = name_now()
    with context.step("copy"):
        options = ["yes" if given else "no" for given in (sources.one_file_system, sources.checksum)]
        words = [name, *options, *sources.selection]
        under_way = f"copying {', '.join(sources.directories)}"
        said = context.run_long(host_program("copy_plan", "client_copy"), words, under_way).facts
        if left_out := said[0]["left_out"]:
            context.console.say(context.run, f"left out, as they hold no files of a disk: {', '.join(left_out)}")
    with context.step("verify"):
        earlier = [] if sources.checksum else snapshots_on(context)
        previous = f"{SNAPSHOTS}/{earlier[-1].name}" if earlier else ""
        command = "same" if said[1]["same"] else "write"
        written = context.run_long(
            host_program("manifest"), [command, f"{SNAPSHOTS}/.partial-{name}", previous], "reading back what is new"
        )
        facts = compared(context, written)
    with context.step("publish"):
        made = Snapshot(
            name=name,
            sources=tuple(sources.directories),
            host=context.client_name,
            files=int(facts["files"]),
            total_bytes=int(facts["total_bytes"]),
            new_bytes=int(facts["new_bytes"]),
            seconds=round(time.monotonic() - began, 1),
            exclude=tuple(sources.exclude),
            unread=int(facts["unread"]),
        )
        record = {key: value for key, value in asdict(made).items() if value is not None}
        context.run_short("client_publish", [name, json.dumps(record)])
    context.record("verified", **facts)
    if facts["changed_meanwhile"]:
        context.console.say(context.run, f"{facts['changed_meanwhile']} entries changed while they were copied")
    return made


def snapshots_on(context: Context) -> list[Snapshot]:
    """Returns the complete snapshots of the mounted volume, oldest first, also those with a damaged record."""
    return listed(context.run_long(host_program("snapshot_records"), [SNAPSHOTS], "listing the snapshots").facts)


def list_snapshots(context: Context, volume: Volume) -> list[Snapshot]:
    """Returns the complete snapshots, oldest first."""
    with mounted(context, volume):
        return snapshots_on(context)


def restore(context: Context, volume: Volume, name: str, target: str) -> Snapshot:
    """Copies a snapshot into an empty directory of the client, and compares the copy with its manifest."""
    began = time.monotonic()
    context.run_short("client_target", [target])
    with mounted(context, volume):
        snapshot = chosen(snapshots_on(context), name)
        with context.step("restore"):
            _tell_damaged(context, [snapshot])
            context.run_long(script("client_restore"), [snapshot.name, target], f"restoring {snapshot.name}")
        with context.step("verify"):
            words = ["compare", f"{SNAPSHOTS}/{snapshot.name}", target]
            seen = compared(context, context.run_long(host_program("manifest"), words, "comparing checksums"))
            context.record("restored", target_host=context.client_name, **_figures(snapshot), compared=seen)
            context.run_short("client_restored", [target])
    context.record("restore-ended", seconds=round(time.monotonic() - began, 3))
    return snapshot


def check(context: Context, volume: Volume) -> dict[str, Any]:
    """Checks the file system's structure, then each file of every snapshot against its checksum."""
    with mounted(context, volume, "read"):
        snapshots = snapshots_on(context)
        with context.step("read back"):
            names = [f"{SNAPSHOTS}/{snapshot.name}" for snapshot in snapshots]
            result = context.run_long(host_program("manifest"), ["check", *names], "reading every file back")
            damaged = _tell_damaged(context, snapshots)
            seen = compared(context, result, and_damaged=len(damaged))
    context.record("checked", **seen)
    return seen


def prune(context: Context, volume: Volume, keep: Keep) -> tuple[list[str], list[str]]:
    """Removes the snapshots that `keep` does not keep; returns the names of those kept and those removed.

    Keeps a snapshot with a damaged record, whose contents are unknown, in addition to those that `keep` keeps.
    """
    with mounted(context, volume):
        snapshots = snapshots_on(context)
        damaged = _tell_damaged(context, snapshots)
        names = [snapshot.name for snapshot in snapshots if snapshot.name not in damaged]
        stays = kept(names, keep)
        gone = [name for name in names if name not in stays]
        with context.step("prune"):
            context.run_long(script("client_prune"), gone, f"removing {len(gone)} snapshots")
    context.record("pruned", kept=len(stays) + len(damaged), removed=len(gone))
    return sorted(stays | damaged), gone


def _tell_damaged(context: Context, snapshots: Sequence[Snapshot]) -> set[str]:
    """Prints which snapshots have a damaged record; returns their names."""
    damaged = [snapshot for snapshot in snapshots if snapshot.damaged is not None]
    for snapshot in damaged:
        context.console.say(context.run, f"snapshot {snapshot.name}: {snapshot.damaged}")
    return {snapshot.name for snapshot in damaged}


def compared(context: Context, result: ScriptResult, *, and_damaged: int = 0) -> dict[str, Any]:
    """Prints and returns a comparison's outcome. Raises WorkloadError when entries differ, or records are damaged."""
    seen = dict(result.facts[0])
    for line in result.stderr.splitlines():
        context.console.say(context.run, line)
    if differences := seen["differences"] + and_damaged:
        raise WorkloadError(
            f"{differences} entries differ from the manifest",
            "the first are named above; restore an earlier snapshot, and see the disk's health",
            context.client_name,
        )
    return seen


def _figures(snapshot: Snapshot) -> dict[str, Any]:
    """Returns what results show of a snapshot: no name of a person's file or directory."""
    return {
        "snapshot": snapshot.name,
        "files": snapshot.files,
        "total_bytes": snapshot.total_bytes,
        "new_bytes": snapshot.new_bytes,
    }
