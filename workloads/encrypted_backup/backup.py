"""A backup: from a server that is stopped to one that is stopped again, with one snapshot more."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workloads.connections import ScriptResult
from workloads.encrypted_backup.context import Context, host_program, script
from workloads.encrypted_backup.snapshots import Keep, Snapshot, chosen, kept, listed, name_now
from workloads.encrypted_backup.stages import Stage, entered
from workloads.encrypted_backup.volume import Volume, mounted
from workloads.errors import WorkloadError

SNAPSHOTS = "/run/tidemark-backup/volume/snapshots"  # as scripts/lib.sh has it


def back_up(context: Context, volume: Volume, sources: Sequence[str], *, one_file_system: bool = False) -> Snapshot:
    """Backs the client's directories up; the new snapshot. Whatever fails, earlier snapshots stay as they are."""
    began = time.monotonic()
    context.brief("client_sources", sources)
    made: list[Snapshot] = []
    with mounted(context, volume):
        made.append(add_snapshot(context, sources, began, one_file_system=one_file_system))
    seconds = time.monotonic() - began
    (snapshot,) = made
    context.record("backed-up", **_figures(snapshot), whole_seconds=round(seconds, 3))
    return snapshot


def add_snapshot(context: Context, sources: Sequence[str], began: float, *, one_file_system: bool = False) -> Snapshot:
    """Copies the client's directories into a new snapshot of the volume, which is mounted, and reads it back.

    `began` is when the run was, on the monotonic clock, in seconds.
    """
    name = name_now()
    facts: dict[str, Any] = {}

    def copy() -> None:
        words = [name, "yes" if one_file_system else "no", *sources]
        context.long(script("client_copy"), words, f"copying {', '.join(sources)}")

    def verify() -> None:
        earlier = snapshots_on(context)
        previous = f"{SNAPSHOTS}/{earlier[-1].name}" if earlier else ""
        written = context.long(
            host_program("manifest"), ["write", f"{SNAPSHOTS}/.partial-{name}", previous], "reading back what is new"
        )
        facts.update(compared(context, written))

    def publish() -> None:
        made = Snapshot(
            name=name,
            sources=tuple(sources),
            host=context.client_name,
            files=int(facts["files"]),
            total_bytes=int(facts["total_bytes"]),
            new_bytes=int(facts["new_bytes"]),
            seconds=round(time.monotonic() - began, 1),
        )
        context.brief("client_publish", [name, json.dumps(asdict(made))])
        published.append(made)

    published: list[Snapshot] = []
    with entered([Stage("copy", copy), Stage("verify", verify), Stage("publish", publish)], context.note):
        context.record("verified", **facts)
        if facts["changed_meanwhile"]:
            context.console.say(context.run, f"{facts['changed_meanwhile']} files changed while they were copied")
    return published[0]


def snapshots_on(context: Context) -> list[Snapshot]:
    """The complete snapshots of the volume, which is mounted; oldest first."""
    return listed(context.brief("client_list").facts)


def list_snapshots(context: Context, volume: Volume) -> list[Snapshot]:
    """The complete snapshots, oldest first."""
    with mounted(context, volume):
        return snapshots_on(context)


def restore(context: Context, volume: Volume, name: str, target: str) -> Snapshot:
    """Copies a snapshot into an empty directory of the client, and compares what is there with its manifest."""
    began = time.monotonic()
    context.brief("client_target", [target])
    with mounted(context, volume):
        snapshot = chosen(snapshots_on(context), name)

        def copy() -> None:
            context.long(script("client_restore"), [snapshot.name, target], f"restoring {snapshot.name}")

        def verify() -> None:
            words = ["compare", f"{SNAPSHOTS}/{snapshot.name}", target]
            seen = compared(context, context.long(host_program("manifest"), words, "comparing checksums"))
            context.record("restored", target_host=context.client_name, **_figures(snapshot), compared=seen)
            context.brief("client_restored", [target])

        with entered([Stage("restore", copy), Stage("verify", verify)], context.note):
            pass
    context.record("restore-ended", seconds=round(time.monotonic() - began, 3))
    return snapshot


def check(context: Context, volume: Volume) -> dict[str, Any]:
    """Reads everything back: the file system's structure, then each file of every snapshot against its checksum."""
    volume.checked_whole = True
    with mounted(context, volume):
        names = [f"{SNAPSHOTS}/{snapshot.name}" for snapshot in snapshots_on(context)]
        seen: dict[str, Any] = {}

        def read() -> None:
            result = context.long(host_program("manifest"), ["check", *names], "reading every file back")
            seen.update(compared(context, result))

        with entered([Stage("read back", read)], context.note):
            pass
    context.record("checked", **seen)
    return seen


def prune(context: Context, volume: Volume, keep: Keep) -> tuple[list[str], list[str]]:
    """Removes the snapshots that `keep` does not keep; the names of those kept and those removed."""
    with mounted(context, volume):
        names = [snapshot.name for snapshot in snapshots_on(context)]
        stays = kept(names, keep)
        gone = [name for name in names if name not in stays]
        with entered([Stage("prune", lambda: _prune(context, gone))], context.note):
            pass
    context.record("pruned", kept=len(stays), removed=len(gone))
    return sorted(stays), gone


def _prune(context: Context, names: Sequence[str]) -> None:
    context.long(script("client_prune"), names, f"removing {len(names)} snapshots")


def compared(context: Context, result: ScriptResult) -> dict[str, Any]:
    """What a comparison found; WorkloadError when something differs."""
    seen = dict(result.facts[0])
    if seen["differences"]:
        for line in result.stderr.splitlines():
            context.console.say(context.run, line)
        raise WorkloadError(
            f"{seen['differences']} entries differ from the manifest",
            "the first are named above; restore an earlier snapshot, and see the disk's health",
            context.client_name,
        )
    return seen


def _figures(snapshot: Snapshot) -> dict[str, Any]:
    """What results may show of a snapshot: no name of a person's file or directory."""
    return {
        "snapshot": snapshot.name,
        "files": snapshot.files,
        "total_bytes": snapshot.total_bytes,
        "new_bytes": snapshot.new_bytes,
    }
