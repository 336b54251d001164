"""Computes rsync's arguments for a copy of the selection: runs on the client, as root.

    python3 - look OWN COUNT SOURCE... PATTERN...
    python3 - plan OWN COUNT SOURCE... PATTERN... yes|no SNAPSHOT NEWEST

COUNT is the number of sources. `look` checks that they can be backed up. `plan` writes the file `selection` into an
incomplete snapshot, and NUL-terminated lists into OWN (the folder of this project's own files, which is never copied):
`sources`, `rules` (the exclusions), and `anew`: changed files that rsync would link to an earlier snapshot because size
and mtime are the same. Any program can set an mtime: VeraCrypt restores a container's. Prints one JSON document with
the file systems that are left out.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator

from workloads.encrypted_backup.scripts.entries import Entry, sha256_of
from workloads.encrypted_backup.scripts.manifest_format import OF_THE_SOURCE, read_manifest
from workloads.encrypted_backup.scripts.selection import Refused, Selection, selected


def begun_before(snapshot: bytes) -> list[tuple[bytes, int]]:
    """Returns the trees of interrupted copies, and when each began: rsync continues from them."""
    folder, name = os.path.split(snapshot)
    found = []
    for other in os.listdir(folder):
        if other.startswith(b".partial-") and other != name:
            try:
                began_ns = os.stat(os.path.join(folder, other, b"began")).st_mtime_ns
            except OSError:
                began_ns = 0  # unknown: everything may have changed since
            found.append((os.path.join(folder, other, b"tree"), began_ns))
    return found


class ChangedFiles:
    """Finds changed files that rsync would link to an earlier copy, by their ctime, which no program can set."""

    def __init__(self, snapshot: bytes, newest: bytes | None) -> None:
        # Nothing is known from a damaged manifest: wrong links are found by the comparison afterwards.
        entries, damage = read_manifest(newest) if newest else ([], [])
        self._known: dict[str, Entry] = {}
        if not damage:
            self._known = {entry["path"]: entry for entry, _ in entries if entry["type"] == "file"}
        self._cut_short = begun_before(snapshot)

    def must_copy(self, relative: bytes, found: os.stat_result) -> bool:
        """Returns whether a source file must be copied even if its size and time are the same. Raises OSError."""
        entry = self._known.get(os.fsdecode(relative))
        # rsync compares whole seconds where one side has no fractions.
        if entry and (entry["size"], entry["mtime_ns"] // 10**9) == (found.st_size, found.st_mtime_ns // 10**9):
            # Manifests of earlier versions have no ctime: wrong links are found by the comparison afterwards.
            if entry.get(OF_THE_SOURCE, found.st_ctime_ns) == found.st_ctime_ns:
                return False
            return bool(sha256_of(b"/" + relative, found.st_size) != entry["sha256"])
        return any(
            began_ns <= found.st_ctime_ns and os.path.lexists(os.path.join(tree, relative))
            for tree, began_ns in self._cut_short
        )

    def paths_in(self, selection: Selection) -> Iterator[bytes]:
        """Returns the paths of the selection that must be copied, with the other names of the same files."""
        if not self._known and not self._cut_short:
            return
        names: dict[tuple[int, int], list[bytes]] = {}
        suspected = set()
        for relative in selection.walk(lambda path, error: None):  # rsync reports it, too
            try:
                found = os.lstat(b"/" + relative)
                if not stat.S_ISREG(found.st_mode):
                    continue
                key = (found.st_dev, found.st_ino)
                if self.must_copy(relative, found):
                    suspected.add(key)
                if found.st_nlink > 1 or key in suspected:
                    names.setdefault(key, []).append(relative)
            except OSError:
                continue
        for key in suspected:
            yield from names[key]


def put_words(path: bytes, words: Iterable[bytes]) -> None:
    """Writes NUL-terminated words for bash's mapfile."""
    with open(path, "wb") as file:
        file.writelines(word + b"\0" for word in words)


def main(command: bytes, own: bytes, count: bytes, *words: bytes) -> None:
    sources, rest = words[: int(count)], words[int(count) :]
    if command == b"look":
        selected(own, sources, rest)
        return
    *patterns, one_file_system, snapshot, newest = rest
    found = selected(own, sources, patterns, one_file_system=one_file_system == b"yes")
    print(json.dumps({"left_out": [os.fsdecode(each) for each in found.mounts]}))
    found.save(os.path.join(snapshot, b"selection"))
    put_words(os.path.join(own, b"sources"), found.sources)
    put_words(os.path.join(own, b"rules"), found.rules())
    put_words(os.path.join(own, b"anew"), ChangedFiles(snapshot, newest or None).paths_in(found))


if __name__ == "__main__":
    try:
        main(*map(os.fsencode, sys.argv[1:]))
    except Refused as fault:
        what, remedy = fault.args
        sys.exit(f"tidemark-error: {what}|{remedy}")
    except OSError as error:
        sys.exit(f"tidemark-error: the copy can't be begun ({error})|see the volume's room and its disk, and run again")
