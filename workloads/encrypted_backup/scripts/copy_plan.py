"""Computes rsync's arguments for a copy of the selection: runs on the client, as root.

    python3 - look OWN COUNT SOURCE... PATTERN...
    python3 - plan OWN COUNT SOURCE... PATTERN... yes|no yes|no SNAPSHOT NEWEST

COUNT is the number of sources. `look` checks that they can be backed up. `plan` writes the file `selection` into an
incomplete snapshot, and NUL-terminated lists into OWN (the folder of this project's own files, which is never copied):
`sources`, `rules` (the exclusions), and `anew`: changed files that rsync would link to an earlier snapshot because size
and mtime are the same. Any program can set an mtime: VeraCrypt restores a container's. The file `same` of OWN is empty
unless the sources are in the very state that the manifest of the newest snapshot has: then nothing of the volume but
that snapshot's records was read. It has the word "tree" if the folders above the sources are in that state, too, or
else "links". The first yes|no is whether the copy stays within the sources' file systems, the second one whether files
are read instead of taking a ctime's word. Prints one JSON document with the file systems that are left out.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable

from workloads.encrypted_backup.scripts.entries import TYPES, describe, differing, sha256_of, without
from workloads.encrypted_backup.scripts.manifest_format import (
    NOT_COPIED,
    OF_THE_SOURCE,
    SourceState,
    read_manifest,
    saved_state,
)
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


def changed_files(
    selection: Selection, snapshot: bytes, newest: bytes | None, *, trusts_ctime: bool = True
) -> list[bytes]:
    """Returns the changed files of a selection that rsync would link to an earlier copy, with the other names of the
    same files. They are found by their ctime, which no program can set.
    """
    # Nothing is known from a damaged manifest: wrong links are found by the comparison afterwards.
    entries, damage = read_manifest(newest) if newest else ([], [])
    known = {} if damage else {entry["path"]: entry for entry in entries if entry["type"] == "file"}
    cut_short = begun_before(snapshot)
    if not known and not cut_short:
        return []

    def must_copy(relative: bytes, found: os.stat_result) -> bool:
        """Returns whether a file must be copied even if its size and time are the same. Raises OSError."""
        entry = known.get(os.fsdecode(relative))
        # rsync compares whole seconds where one side has no fractions.
        if entry and (entry["size"], entry["mtime_ns"] // 10**9) == (found.st_size, found.st_mtime_ns // 10**9):
            if trusts_ctime and entry.get(OF_THE_SOURCE) == found.st_ctime_ns:
                return False
            return bool(sha256_of(b"/" + relative, found.st_size) != entry["sha256"])
        return any(
            began_ns <= found.st_ctime_ns and os.path.lexists(os.path.join(tree, relative))
            for tree, began_ns in cut_short
        )

    names: dict[tuple[int, int], list[bytes]] = {}
    suspected = set()
    for relative in selection.walk(lambda path, error: None):  # rsync reports what can't be read
        try:
            found = os.lstat(b"/" + relative)
            if not stat.S_ISREG(found.st_mode):
                continue
            key = (found.st_dev, found.st_ino)
            if must_copy(relative, found):
                suspected.add(key)
        except OSError:
            continue
        if found.st_nlink > 1 or key in suspected:
            names.setdefault(key, []).append(relative)
    return [path for key in suspected for path in names[key]]


def same_state(selection: Selection, newest: bytes) -> str:
    """Returns "tree" if the sources and the folders above them are in the state that a snapshot has, "links" if the
    sources are, and nothing if they are not.
    """
    known = saved_state(newest)
    if known is None:
        return ""
    failed: list[bytes] = []
    found = SourceState(set())
    try:
        for relative in selection.walk(lambda path, _: failed.append(path)):
            status = os.lstat(b"/" + relative)
            kind = TYPES.get(stat.S_IFMT(status.st_mode), "")
            found.add(os.fsdecode(relative), kind, status.st_size, status.st_ino, status.st_ctime_ns)
        if failed or found.checksum() != known["sources"]:
            return ""
        above = ((entry, os.fsencode(entry["path"])) for entry in known["above"])
        described = ((entry, describe(b"/" + path, path, os.lstat(b"/" + path))) for entry, path in above)
        return "links" if any(differing(without(entry, *NOT_COPIED), now) for entry, now in described) else "tree"
    except OSError:
        return ""  # it is gone, or can't be read: rsync reports it


def same_content(one: bytes, other: bytes) -> bool:
    """Returns whether two files have the same content; False where one can't be read."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def put_words(path: bytes, words: Iterable[bytes]) -> None:
    """Writes NUL-terminated words for bash's mapfile."""
    with open(path, "wb") as file:
        file.writelines(word + b"\0" for word in words)


def main(command: bytes, own: bytes, count: bytes, *words: bytes) -> None:
    sources, rest = words[: int(count)], words[int(count) :]
    if command == b"look":
        selected(own, sources, rest)
        return
    *patterns, one_file_system, reads_files, snapshot, newest = rest
    found = selected(own, sources, patterns, one_file_system=one_file_system == b"yes")
    print(json.dumps({"left_out": [os.fsdecode(each) for each in found.mounts]}))
    written = os.path.join(snapshot, b"selection")
    found.save(written)
    put_words(os.path.join(own, b"sources"), found.sources)
    put_words(os.path.join(own, b"rules"), found.rules())
    trusts_ctime, is_selected = reads_files != b"yes", same_content(written, os.path.join(newest, b"selection"))
    same = same_state(found, newest) if trusts_ctime and is_selected else ""
    anew = [] if same else changed_files(found, snapshot, newest or None, trusts_ctime=trusts_ctime)
    put_words(os.path.join(own, b"anew"), anew)
    put_words(os.path.join(own, b"same"), [same.encode()] if same else [])


if __name__ == "__main__":
    try:
        main(*map(os.fsencode, sys.argv[1:]))
    except Refused as fault:
        what, remedy = fault.args
        sys.exit(f"tidemark-error: {what}|{remedy}")
    except OSError as error:
        sys.exit(f"tidemark-error: the copy can't be begun ({error})|see the volume's room and its disk, and run again")
