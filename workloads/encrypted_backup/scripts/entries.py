"""Reads what one entry of a folder is from its file system: runs on hosts, with the standard library alone.

An entry is a dictionary: path (relative, as os.fsdecode has it), type, mode, uid, gid, mtime_ns; of a file size and
sha256, of a link target, of a device rdev; xattrs (base64) where it has any that a copy can keep.
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

# One buffer for all reads: where a page fault is expensive, as on a small virtual machine, a new buffer for each read
# costs more than the read and the checksum.
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
# The attributes that an ext4 volume keeps (ext4(5), xattr(7)); lib.sh tells rsync the same. POSIX ACLs are copied by
# rsync's --acls. Others are of one file system: system.nfs4_acl, btrfs.compression.
KEPT_ATTRIBUTES = ("user.", "trusted.", "security.")
KEPT_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
# rsync's own attributes, which it does not copy (rsync(1), --fake-super).
RSYNC_NOTES = "user.rsync.%"
# A file system (sshfs, s3fs) or kernel without attributes is no fault.
NO_ATTRIBUTES = (errno.EOPNOTSUPP, errno.ENOSYS)
Entry = dict[str, Any]
Found = tuple[bytes, "os.DirEntry[bytes]"]  # the path below a root, and what is there
Failed = Callable[[bytes, OSError], None]  # gets the path, relative to the root, of what can't be read


def ask_for(path: bytes) -> None:
    """Lets the disk begin with a file that will be read soon.

    What the page cache holds of it is dropped first, as far as it is written.
    """
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


def sha256_of(path: bytes, size: int, *, asked: bool = False) -> str:
    """Of the first `size` bytes as the disk has them: what the page cache holds is dropped first, unless `ask_for` has
    done so.

    No more than that: a file that is written to may grow as fast as it is read.
    """
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not asked:
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
    asked: bool = False,
    not_kept: set[str] | None = None,
) -> Entry:
    """Returns an entry; `sha256` is a regular file's checksum, computed when it is None. Raises OSError."""
    kind = TYPES.get(stat.S_IFMT(found.st_mode), UNKNOWN)
    entry: Entry = {"path": os.fsdecode(relative), "type": kind, "mode": stat.S_IMODE(found.st_mode)}
    entry |= {"uid": found.st_uid, "gid": found.st_gid, "mtime_ns": found.st_mtime_ns}
    if kind == "file":
        entry |= {"size": found.st_size, "sha256": sha256 or sha256_of(path, found.st_size, asked=asked)}
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
    """Times of what is no regular file count in whole seconds: rsync leaves a folder, a link, a fifo that it made
    within the second of the original's time as it is (rsync.c, same_mtime without ATTRS_ACCURATE_TIME).
    """
    keys = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    if found["type"] != "file" and expected["mtime_ns"] // 10**9 == found["mtime_ns"] // 10**9:
        keys.discard("mtime_ns")
    return sorted(keys)
