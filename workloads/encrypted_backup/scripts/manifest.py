"""Writes and compares the manifest of a snapshot: runs on the client, as root.

    python3 - write SNAPSHOT [PREVIOUS]      after a copy: writes the snapshot's manifest, and reads back what is new
    python3 - same SNAPSHOT PREVIOUS         where nothing was copied, as the sources are in PREVIOUS' state
    python3 - compare SNAPSHOT ROOT          after a restore: compares ROOT with the manifest
    python3 - check SNAPSHOT...              compares every file of every snapshot with its manifest

A snapshot is a folder with `tree` in it (or a symbolic link to the tree, which several may have), and the files of
manifest_format.py; `unread` lists the paths that could not be read when it was made, and why. Only the standard library
is used, and the modules that are sent with this one.

Prints one JSON document: counts, with "differences". Names go to standard error only, the first few of each kind: they
are confidential, and so in no document.
"""

from __future__ import annotations

import json
import os
import sys

from workloads.encrypted_backup.scripts.entries import (
    Entry,
    Found,
    describe,
    differing,
    is_file,
    paths_below,
    with_read_ahead,
    without,
)
from workloads.encrypted_backup.scripts.manifest_format import NOT_COPIED, RECORDS, Findings, read_manifest
from workloads.encrypted_backup.scripts.manifest_writer import Writer, write_same
from workloads.encrypted_backup.scripts.selection import RESTORE_MARKER

Read = dict[tuple[int | None, int], str]  # checksums by device and inode: hard links share them


class Comparison:
    """Compares the entries below `root` with a snapshot's manifest."""

    def __init__(self, snapshot: bytes, root: bytes, read: Read) -> None:
        self.root = root
        self.read = read
        self.differences = Findings("differs", of=snapshot)
        entries, self.damage = read_manifest(snapshot)
        for words in self.damage:
            self.differences.add("", words)
        self.expected = {entry["path"]: entry for entry in entries}
        self.counts = {"files": 0, "entries": len(self.expected), "read_bytes": 0, "total_bytes": 0}
        self._first_of: dict[tuple[int | None, int], str] = {}
        self._unread_folders: list[str] = []
        self._device = device_of(root)

    def compare(self, *, restored: bool = False) -> Entry:
        """Reads everything, and counts differences; ignores the marker of a `restored` tree."""
        for relative, each in with_read_ahead(paths_below(self.root, self._failed), self.root, self._is_unread):
            if not restored or relative != RESTORE_MARKER:
                self._compare(relative, each)
        # Whether entries of an unreadable folder are missing is unknown.
        unknown = tuple(f"{folder}/" if folder else "" for folder in self._unread_folders)
        for name in self.expected:
            if not name.startswith(unknown):
                self.differences.add(name, "missing")
        return {**self.counts, "differences": self.differences.count}

    def _is_unread(self, found: Found) -> bool:
        return is_file(found[1]) and (self._device, found[1].inode()) not in self.read

    def _failed(self, relative: bytes, error: OSError) -> None:
        self.differences.add(os.fsdecode(relative), f"cannot be read ({error.strerror})")
        self._unread_folders.append(os.fsdecode(relative))

    def _compare(self, relative: bytes, each: os.DirEntry[bytes]) -> None:
        name = os.fsdecode(relative)
        wanted = self.expected.pop(name, None)
        if wanted is None:
            if not self.damage:  # else a damaged line may be the reason
                self.differences.add(name, "not in the manifest")
            return
        try:
            found = each.stat(follow_symlinks=False)
            key: tuple[int | None, int] = (found.st_dev, found.st_ino)
            entry = describe(os.path.join(self.root, relative), relative, found, self.read.get(key), prefetched=True)
        except OSError as error:
            self.differences.add(name, f"cannot be read ({error.strerror})")
            return
        if entry["type"] == "file":
            self.counts["files"] += 1
            self.counts["total_bytes"] += entry["size"]
            self.counts["read_bytes"] += 0 if key in self.read else entry["size"]
            if found.st_nlink > 1:
                self.read[key] = entry["sha256"]
        if entry["type"] != "dir":
            first = self._first_of.setdefault(key, name)
            entry |= {"hard_link_of": first} if first != name else {}
        if words := differing(without(wanted, *NOT_COPIED), entry):
            self.differences.add(name, ", ".join(words))


def device_of(root: bytes) -> int | None:
    """Returns the device number; None when it can't be read, which the listing then reports."""
    try:
        return os.stat(root).st_dev
    except OSError:
        return None


def identity(snapshot: bytes) -> tuple[tuple[int, int], ...] | bytes:
    """Returns what two snapshots have in common if tree and records of one are the other's."""
    try:
        found = [os.stat(os.path.join(snapshot, name)) for name in (b"tree", *RECORDS)]
    except OSError:
        return snapshot
    return tuple((each.st_dev, each.st_ino) for each in found)


def compare(snapshot: bytes, root: bytes) -> Entry:
    """Compares a restored tree with the manifest."""
    return Comparison(snapshot, root, {}).compare(restored=True)


def check(snapshots: list[bytes]) -> Entry:
    """Checks all snapshots; reads a file that several of them share once, and a tree that several have."""
    total = {"snapshots": 0, "files": 0, "entries": 0, "read_bytes": 0, "total_bytes": 0, "differences": 0}
    read: Read = {}
    compared: dict[tuple[tuple[int, int], ...] | bytes, Entry] = {}
    for snapshot in snapshots:
        which = identity(snapshot)
        if which in compared:
            counts = {**compared[which], "read_bytes": 0}
        else:
            counts = compared[which] = Comparison(snapshot, os.path.join(snapshot, b"tree"), read).compare()
        total = {key: value + counts.get(key, 1) for key, value in total.items()}
    return total


def main(arguments: list[bytes]) -> int:
    command, *paths = arguments
    try:
        if command == b"write":
            counts = Writer(paths[0], paths[1] if len(paths) > 1 and paths[1] else None).write()
        elif command == b"same":
            counts = write_same(paths[0], paths[1])
        elif command == b"check":
            counts = check(paths)
        else:
            counts = compare(paths[0], paths[1])
    except OSError as error:
        where = os.fsdecode(error.filename or b"the backup volume")
        sys.exit(f"tidemark-error: {where} gave an error ({error.strerror})|see the volume's room and its disk")
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main([os.fsencode(each) for each in sys.argv[1:]]))
