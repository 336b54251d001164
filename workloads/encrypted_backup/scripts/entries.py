"""Reads directory entries with all their metadata: runs on hosts, with the standard library only.

An entry is a dictionary: path (relative, by os.fsdecode), type, mode, uid, gid, mtime_ns; for a file size and sha256,
for a link target, for a device rdev; xattrs (base64) where it has any that a copy can keep.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# One buffer for all reads: on a small virtual machine the page faults of a new buffer cost more than read and checksum.
BLOCK = bytearray(1 << 20)
# How many files are read ahead, and how much of each: as many requests as a disk handles at once.
AHEAD_FILES = 16
AHEAD_BYTES = 1 << 20
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
UNKNOWN = "unknown"
# The attributes that an ext4 volume keeps (ext4(5), xattr(7)), as in lib.sh; rsync copies POSIX ACLs by --acls. Other
# attributes belong to one file system: system.nfs4_acl, btrfs.compression.
KEPT_ATTRIBUTES = ("user.", "trusted.", "security.")
KEPT_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
# rsync's own attributes, which it does not copy (rsync(1), --fake-super).
RSYNC_NOTES = "user.rsync.%"
# Not an error: a file system (sshfs, s3fs) or kernel without attributes.
NO_ATTRIBUTES = (errno.EOPNOTSUPP, errno.ENOSYS)
Entry = dict[str, Any]
Found = tuple[bytes, "os.DirEntry[bytes]"]  # the path below a root, and its entry
Failed = Callable[[bytes, OSError], None]  # gets the path, relative to the root, that can't be read


def prefetch(path: bytes) -> None:
    """Drops a file from the page cache, and makes the disk begin to read it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # reading it will fail, and report it
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(fd, 0, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    except OSError:
        pass  # a hint, which not every file system accepts
    finally:
        os.close(fd)


def with_read_ahead(entries: Iterable[Found], root: bytes, wanted: Callable[[Found], bool]) -> Iterator[Found]:
    """Yields the same entries, and prefetches the content of the `wanted` ones some files ahead.

    Without that, each small file would cost a round trip, which is long for a disk behind a tunnel.
    """
    waiting: deque[Found] = deque()
    for found in entries:
        if wanted(found):
            prefetch(os.path.join(root, found[0]))
        waiting.append(found)
        if len(waiting) > AHEAD_FILES:
            yield waiting.popleft()
    yield from waiting


def sha256_of(path: bytes, size: int, *, prefetched: bool = False) -> str:
    """Returns the checksum of the first `size` bytes on the disk; drops the page cache first unless `prefetched`.

    It reads no more than that: a file may grow as fast as it is read.
    """
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not prefetched:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with memoryview(BLOCK) as block:
            while size and (length := os.readv(fd, [block[:size]])):
                digest.update(block[:length])
                size -= length
    finally:
        os.close(fd)
    return digest.hexdigest()


def is_kept(attribute: str) -> bool:
    """Returns whether a copy on the volume keeps this extended attribute."""
    return attribute in KEPT_ACLS or (attribute.startswith(KEPT_ATTRIBUTES) and not attribute.startswith(RSYNC_NOTES))


def xattrs_of(path: bytes, not_kept: set[str] | None = None) -> dict[str, str]:
    """Returns the extended attributes that a copy keeps, in base64, with POSIX ACLs; adds the others to `not_kept`."""
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno in NO_ATTRIBUTES:
            return {}
        raise
    if not_kept is not None:
        not_kept.update(name for name in names if not is_kept(name))
    return {
        name: base64.b64encode(os.getxattr(path, name, follow_symlinks=False)).decode()
        for name in names
        if is_kept(name)
    }


def describe(
    path: bytes,
    relative: bytes,
    found: os.stat_result,
    sha256: str | None = None,
    *,
    prefetched: bool = False,
    not_kept: set[str] | None = None,
) -> Entry:
    """Returns an entry; `sha256` is a regular file's checksum, computed when it is None. Raises OSError."""
    kind = TYPES.get(stat.S_IFMT(found.st_mode), UNKNOWN)
    entry: Entry = {"path": os.fsdecode(relative), "type": kind, "mode": stat.S_IMODE(found.st_mode)}
    entry |= {"uid": found.st_uid, "gid": found.st_gid, "mtime_ns": found.st_mtime_ns}
    if kind == "file":
        entry |= {"size": found.st_size, "sha256": sha256 or sha256_of(path, found.st_size, prefetched=prefetched)}
    elif kind == "link":
        entry["target"] = os.fsdecode(os.readlink(path))
    elif kind in ("char", "block"):
        entry["rdev"] = found.st_rdev
    if xattrs := xattrs_of(path, not_kept):
        entry["xattrs"] = xattrs
    return entry


def is_file(entry: os.DirEntry[bytes]) -> bool:
    """Returns whether it is a regular file; False when it can't be read."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def children_of(root: bytes, folder: bytes, failed: Failed) -> list[tuple[bytes, os.DirEntry[bytes], bool]]:
    """Lists a folder by name: each path relative to `root`, and whether it is a folder."""
    found = []
    try:
        with os.scandir(os.path.join(root, folder)) as listing:
            entries = sorted(listing, key=lambda each: each.name)
    except OSError as error:
        failed(folder, error)
        return []
    for entry in entries:
        relative = os.path.join(folder, entry.name)
        try:
            found.append((relative, entry, entry.is_dir(follow_symlinks=False)))
        except OSError:  # the file system gives no types with the names
            found.append((relative, entry, False))
    return found


def paths_below(root: bytes, failed: Failed) -> Iterator[Found]:
    """Yields every entry below `root` with its relative path, a folder before its contents."""
    pending = [b""]
    while pending:
        for relative, entry, is_folder in children_of(root, pending.pop(), failed):
            yield relative, entry
            if is_folder:
                pending.append(relative)


def without(entry: Entry, *left_out: str) -> Entry:
    return {key: value for key, value in entry.items() if key not in left_out}


def differing(expected: Entry, found: Entry) -> list[str]:
    """Returns the keys that differ. Times of other than regular files are compared in whole seconds: rsync does not
    correct a folder, link or fifo that it made within the same second (rsync.c, same_mtime without
    ATTRS_ACCURATE_TIME).
    """
    keys = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    if found["type"] != "file" and expected["mtime_ns"] // 10**9 == found["mtime_ns"] // 10**9:
        keys.discard("mtime_ns")
    return sorted(keys)
