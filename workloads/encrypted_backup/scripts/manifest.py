"""Runs on the client's host, as root: writes a snapshot's manifest, reads a snapshot back, compares a restored tree.

    python3 - write SNAPSHOT [PREVIOUS]     its manifest and SHA256SUMS, each new file compared with its source
    python3 - check SNAPSHOT...             everything that they hold, read back and compared with their manifests
    python3 - compare SNAPSHOT TARGET       the tree in TARGET compared with the snapshot's manifest

A snapshot is a folder with `tree` in it. Its manifest has one JSON document a line, in the order of their paths:
path, type, mode, uid, gid, mtime_ns, size, sha256, target, rdev, hard_link_of, xattrs (base64; ACLs are among them),
inode. Only the standard library is used, and nothing of this project: it is sent to hosts that have neither.

Says one JSON document on standard output: counts, "differences" among them. The first differences are named on standard
error: names are the client's alone, and no figure.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# One buffer for all reading: where a page fault is dear, as on a small virtual machine, a new one each time costs more
# than the reading and the checksum.
BLOCK = bytearray(1 << 20)
# Files that the disk is asked for before they are read, and how much of each: as many requests as a disk takes at once.
AHEAD_FILES = 16
AHEAD_BYTES = 1 << 20
SHOWN = 5
MARKER = ".tidemark-restore"  # client_restore.sh keeps it in a target that it has not done with
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
Entry = dict[str, Any]
Found = tuple[bytes, "os.DirEntry[bytes]"]  # the path below a root, and what is there


def ask_for(path: bytes) -> None:
    """Lets the disk begin with a file that will be read soon.

    What the page cache holds of it is dropped first, as far as it is written.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # whoever reads it will say so
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(fd, 0, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(fd)


def asked_for(entries: Iterable[Found], root: bytes, wanted: Callable[[Found], bool]) -> Iterator[Found]:
    """The same entries; the disk is asked for the content of those that are `wanted` some files before they come.

    One small file after the other costs a round trip each, which is long where the disk is behind a tunnel.
    """
    waiting: deque[Found] = deque()
    for found in entries:
        if wanted(found):
            ask_for(os.path.join(root, found[0]))
        waiting.append(found)
        if len(waiting) > AHEAD_FILES:
            yield waiting.popleft()
    yield from waiting


def sha256_of(path: bytes, *, asked: bool = False) -> str:
    """Of the content as the disk has it: what the page cache holds is dropped first, unless `ask_for` has done so."""
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if not asked:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with memoryview(BLOCK) as block:
            while length := os.readv(fd, [block]):
                digest.update(block[:length])
    finally:
        os.close(fd)
    return digest.hexdigest()


def xattrs_of(path: bytes) -> dict[str, str]:
    """Extended attributes in base64, POSIX ACLs among them."""
    return {
        os.fsdecode(name): base64.b64encode(os.getxattr(path, name, follow_symlinks=False)).decode()
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    }


def describe(path: bytes, relative: bytes, found: os.stat_result, sha256: str | None, *, asked: bool = False) -> Entry:
    """An entry without its hard link and inode; a regular file's checksum is `sha256`, read when that is None."""
    kind = TYPES[stat.S_IFMT(found.st_mode)]
    entry: Entry = {"path": os.fsdecode(relative), "type": kind, "mode": stat.S_IMODE(found.st_mode)}
    entry |= {"uid": found.st_uid, "gid": found.st_gid, "mtime_ns": found.st_mtime_ns}
    if kind == "file":
        entry |= {"size": found.st_size, "sha256": sha256 or sha256_of(path, asked=asked)}
    elif kind == "link":
        entry["target"] = os.fsdecode(os.readlink(path))
    elif kind in ("char", "block"):
        entry["rdev"] = found.st_rdev
    if xattrs := xattrs_of(path):
        entry["xattrs"] = xattrs
    return entry


def paths_below(root: bytes) -> Iterator[Found]:
    """Every entry below `root` with its path relative to it, a folder before what is in it."""
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as listing:
            for entry in sorted(listing, key=lambda each: each.name):
                relative = os.path.join(folder, entry.name)
                yield relative, entry
                if entry.is_dir(follow_symlinks=False):
                    pending.append(relative)


def read_manifest(snapshot: bytes) -> Iterator[tuple[Entry, str]]:
    """The entries of a manifest, each with its line."""
    with open(os.path.join(snapshot, b"manifest"), encoding="ascii") as file:
        for line in file:
            yield json.loads(line), line


def same_but(entry: Entry, *left_out: str) -> Entry:
    return {key: value for key, value in entry.items() if key not in left_out}


class Differences:
    """Counted; the first few are told to a person."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, path: str, words: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            print(f"differs: {path!r}: {words}", file=sys.stderr)


def compare_entries(expected: Entry, found: Entry, differences: Differences, path: str) -> None:
    """Times of what is no regular file count in whole seconds: rsync leaves a folder, a link, a fifo that it made
    within the second of the original's time as it is (rsync.c, same_mtime without ATTRS_ACCURATE_TIME).
    """
    keys = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    if found["type"] != "file" and expected["mtime_ns"] // 10**9 == found["mtime_ns"] // 10**9:
        keys.discard("mtime_ns")
    if keys:
        differences.add(path, ", ".join(sorted(keys)))


class Writer:
    """A snapshot's manifest in the making. An entry that is the very file of the snapshot before, by its inode, was
    compared with its source then and is taken over; every other one is read back and compared with its source now.
    """

    def __init__(self, snapshot: bytes, previous: bytes | None) -> None:
        self.snapshot = snapshot
        self.tree = os.path.join(snapshot, b"tree")
        self.began_ns = os.stat(os.path.join(snapshot, b"began")).st_mtime_ns
        self.differences = Differences()
        self.counts = dict.fromkeys(
            ("files", "entries", "total_bytes", "new_files", "new_bytes", "changed_meanwhile"), 0
        )
        self.sums: list[bytes] = []
        self._first_of: dict[int, str] = {}  # inode -> the first path that has it
        self._first_source_of: dict[tuple[int, int], str] = {}
        self._known: dict[tuple[str, int], tuple[Entry, str]] = {}
        if previous is not None:
            self._known = {
                (entry["path"], entry["inode"]): (entry, line)
                for entry, line in read_manifest(previous)
                if entry["type"] != "dir" and "hard_link_of" not in entry
            }

    def write(self) -> Entry:
        """Both files, whole or not at all."""
        manifest = os.path.join(self.snapshot, b"manifest")
        sums = os.path.join(self.snapshot, b"SHA256SUMS")
        with open(manifest + b".new", "w", encoding="ascii") as file:
            for relative, each in asked_for(paths_below(self.tree), self.tree, self._is_new):
                file.write(self._line(relative, each))
        with open(sums + b".new", "wb") as listing:
            listing.writelines(self.sums)
        for made in (manifest, sums):
            os.replace(made + b".new", made)
        with open(manifest, "rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        return {**self.counts, "differences": self.differences.count, "manifest_sha256": sha256}

    def _is_new(self, found: Found) -> bool:
        """Whether its content will be read."""
        relative, each = found
        return each.is_file(follow_symlinks=False) and (os.fsdecode(relative), each.inode()) not in self._known

    def _line(self, relative: bytes, each: os.DirEntry[bytes]) -> str:
        name = os.fsdecode(relative)
        taken_over = self._known.get((name, each.inode()))
        if taken_over is not None and self._first_of.setdefault(each.inode(), name) == name:
            entry, line = taken_over
        else:
            if taken_over is not None:  # it has another name now, that comes before
                entry = taken_over[0] | {"hard_link_of": self._first_of[each.inode()]}
            else:
                entry = self._new_entry(relative, each)
            line = json.dumps(entry, separators=(",", ":")) + "\n"
        self.counts["entries"] += 1
        if entry["type"] == "file":
            self.counts["files"] += 1
            self.counts["total_bytes"] += entry["size"]
            self.sums.append(sum_line(entry["sha256"], relative))
        return line

    def _new_entry(self, relative: bytes, each: os.DirEntry[bytes]) -> Entry:
        name = os.fsdecode(relative)
        entry = describe(
            os.path.join(self.tree, relative), relative, each.stat(follow_symlinks=False), None, asked=True
        )
        if entry["type"] != "dir" and (first := self._first_of.setdefault(each.inode(), name)) != name:
            entry["hard_link_of"] = first
        elif entry["type"] == "file":
            self.counts["new_files"] += 1
            self.counts["new_bytes"] += entry["size"]
        self._compare_with_source(relative, entry)
        return entry | {"inode": each.inode()}

    def _compare_with_source(self, relative: bytes, entry: Entry) -> None:
        """A source that was written to since the backup began may be another one by now: that is said, and no fault."""
        source = os.path.join(b"/", relative)
        try:
            original = os.lstat(source)
            if max(original.st_mtime_ns, original.st_ctime_ns) >= self.began_ns:
                raise FileNotFoundError
            expected = describe(source, relative, original, None)
        except FileNotFoundError:
            self.counts["changed_meanwhile"] += 1
            return
        compare_entries(expected, same_but(entry, "hard_link_of"), self.differences, entry["path"])
        if entry["type"] == "dir":
            return
        key = (original.st_dev, original.st_ino)
        first = self._first_source_of.setdefault(key, entry["path"])
        linked = entry.get("hard_link_of")
        if linked is None and first != entry["path"]:
            self.differences.add(entry["path"], f"no hard link of {first!r}")
        elif linked is not None:
            other = os.lstat(os.path.join(b"/", os.fsencode(linked)))
            if (other.st_dev, other.st_ino) != key:
                self.differences.add(entry["path"], f"a hard link of {linked!r}")


def sum_line(sha256: str, relative: bytes) -> bytes:
    """As sha256sum writes it: a name with a backslash or a line feed is escaped, and its line begins with a
    backslash.
    """
    escaped = relative.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != relative else b"") + sha256.encode() + b"  " + escaped + b"\n"


def compare(snapshot: bytes, root: bytes, read: dict[int, str]) -> Entry:
    """What is below `root` against the manifest. `read` keeps the checksums by inode, where hard links share them."""
    differences = Differences()
    expected = {entry["path"]: entry for entry, _ in read_manifest(snapshot)}
    counts = {"files": 0, "entries": len(expected), "read_bytes": 0, "total_bytes": 0}
    first_of: dict[int, str] = {}

    def unread(found: Found) -> bool:
        return found[1].is_file(follow_symlinks=False) and found[1].inode() not in read

    for relative, each in asked_for(paths_below(root), root, unread):
        name = os.fsdecode(relative)
        if name == MARKER:
            continue
        wanted = expected.pop(name, None)
        if wanted is None:
            differences.add(name, "not in the manifest")
            continue
        path = os.path.join(root, relative)
        found = each.stat(follow_symlinks=False)
        try:
            entry = describe(path, relative, found, read.get(found.st_ino), asked=True)
        except OSError as error:
            differences.add(name, f"cannot be read ({error.strerror})")
            continue
        if entry["type"] == "file":
            counts["files"] += 1
            counts["total_bytes"] += entry["size"]
            counts["read_bytes"] += 0 if found.st_ino in read else entry["size"]
            if found.st_nlink > 1:
                read[found.st_ino] = entry["sha256"]
        if entry["type"] != "dir":
            first = first_of.setdefault(found.st_ino, name)
            entry |= {"hard_link_of": first} if first != name else {}
        compare_entries(same_but(wanted, "inode"), entry, differences, name)
    for name in expected:
        differences.add(name, "missing")
    return {**counts, "differences": differences.count}


def check(snapshots: list[bytes]) -> Entry:
    """All of them, each file read once however many snapshots share it."""
    total = {"snapshots": 0, "files": 0, "entries": 0, "read_bytes": 0, "total_bytes": 0, "differences": 0}
    read: dict[int, str] = {}
    for snapshot in snapshots:
        counts = compare(snapshot, os.path.join(snapshot, b"tree"), read)
        total = {key: value + counts.get(key, 1) for key, value in total.items()}
    return total


def main(arguments: list[bytes]) -> int:
    command, *paths = arguments
    if command == b"write":
        said = Writer(paths[0], paths[1] if len(paths) > 1 and paths[1] else None).write()
    elif command == b"check":
        said = check(paths)
    else:
        said = compare(paths[0], paths[1], {})
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main([os.fsencode(each) for each in sys.argv[1:]]))
