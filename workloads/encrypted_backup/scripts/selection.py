"""What a backup copies of a host: runs on the client, as root, with the standard library only.

Patterns are a subset of rsync's (rsync(1), "PATTERN MATCHING RULES"): with a leading slash a path from the root,
otherwise the last name or names of any path; `*` and `?` match any characters but a slash; a trailing slash matches
folders only. A match is excluded with everything below it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence

from workloads.encrypted_backup.scripts.entries import Failed, children_of

# File systems of the kernel's own data, without anybody's files: util-linux's list (libmount/src/utils.c,
# mnt_fstype_is_pseudofs), without those that do hold files (overlay, virtiofs, FUSE) or lead to some (autofs).
PSEUDO = frozenset(
    b"binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs dlmfs efivarfs functionfs fusectl "
    b"fuse.lxcfs hugetlbfs mqueue nfsd nsfs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs spufs sysfs "
    b"tracefs xenfs".split()
)
# Lost at the next boot; excluded unless a source is in one.
IN_MEMORY = frozenset((b"tmpfs", b"ramfs"))
# Here any program can set a ctime: FAT keeps it identical to the mtime (fs/fat, since Linux 5.19), exFAT reads it from
# the disk as such, and FUSE shows what a program says (sshfs: the mtime).
SETTABLE_CTIME = (b"fuse", b"vfat", b"msdos", b"exfat")
# In a restore's target until it is complete (client_restore.sh).
RESTORE_MARKER = b".tidemark-restore"


class Refused(Exception):
    """A source can't be backed up; the second argument is what to do instead."""


def compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Compiles a pattern; it matches paths from the root, without their first slash."""
    body = pattern.removesuffix(b"/").removeprefix(b"/")
    parts = {b"*": b"[^/]*", b"?": b"[^/]"}
    text = b"".join(parts.get(each, re.escape(each)) for each in re.split(rb"([*?])", body))
    return re.compile((b"" if pattern.startswith(b"/") else b"(?:.*/)?") + text, re.DOTALL)


def rule(path: bytes, below: bytes = b"") -> bytes:
    """Returns the rule that excludes a path, or what is `below` it. rsync takes backslashes literally in a rule without
    wildcards.
    """
    if re.search(rb"[*?\[]", path + below):
        path = re.sub(rb"([\\*?\[])", rb"\\\1", path)
    return b"- " + path + below


class Selection:
    """The sources (real paths from the root) without `own`, without matches of `patterns`, and without the contents of
    the file systems at `mounts`; a mount point itself is copied.
    """

    def __init__(
        self,
        own: bytes,
        sources: Sequence[bytes],
        patterns: Sequence[bytes] = (),
        mounts: Sequence[bytes] = (),
        *,
        one_file_system: bool = False,
    ) -> None:
        self.own = own
        self.sources = sources
        self.patterns = patterns
        self.mounts = mounts
        self.one_file_system = one_file_system
        self._left_out = [(compiled(pattern), pattern.endswith(b"/")) for pattern in (*patterns, b"/" + RESTORE_MARKER)]
        self._mounts = {mount.lstrip(b"/") for mount in mounts}

    def leaves_out(self, relative: bytes, *, is_folder: bool) -> bool:
        """Returns whether an entry itself is excluded; it may also be in an excluded folder."""
        if relative == self.own.lstrip(b"/") or (not is_folder and relative in self._mounts):
            return True
        return any(
            pattern.fullmatch(relative) is not None
            for pattern, folders_alone in self._left_out
            if is_folder or not folders_alone
        )

    def walk(self, failed: Failed) -> Iterator[bytes]:
        """Yields every path that a copy must have, a folder before its contents; sources may contain each other."""
        for source in self.sources:
            top = source.lstrip(b"/")
            try:
                device = os.lstat(source).st_dev
            except OSError as error:
                failed(top, error)
                continue
            yield top
            pending = [top]
            while pending:
                for relative, _, is_folder in children_of(b"/", pending.pop(), failed):
                    if self.leaves_out(relative, is_folder=is_folder):
                        continue
                    yield relative
                    if is_folder and relative not in self._mounts and self._is_entered(relative, device, failed):
                        pending.append(relative)

    def _is_entered(self, folder: bytes, device: int, failed: Failed) -> bool:
        if not self.one_file_system:
            return True
        try:
            return os.lstat(os.path.join(b"/", folder)).st_dev == device
        except OSError as error:
            failed(folder, error)
            return False

    def above(self) -> set[str]:
        """Returns the paths of the folders above the sources, which a copy has, too."""
        found = set()
        for source in self.sources:
            path = os.path.dirname(source.lstrip(b"/"))
            while path:
                found.add(os.fsdecode(path))
                path = os.path.dirname(path)
        return found

    def rules(self) -> list[bytes]:
        """Returns the exclusions as rsync's rules."""
        rules = [rule(self.own, b"/"), rule(b"/" + RESTORE_MARKER), *(b"- " + each for each in self.patterns)]
        return rules + [rule(each, b"/*" if os.path.isdir(each) else b"") for each in self.mounts]

    def save(self, path: bytes) -> None:
        """Writes the selection to a file, the same for the same selection."""
        content = {
            "sources": [os.fsdecode(each) for each in self.sources],
            "exclude": [os.fsdecode(each) for each in self.patterns],
            "one_file_system": self.one_file_system,
            "file_systems_left_out": [os.fsdecode(each) for each in self.mounts],
            "own": os.fsdecode(self.own),
        }
        with open(path, "w", encoding="ascii") as file:
            file.write(json.dumps(content) + "\n")


def saved(path: bytes) -> Selection:
    """Reads what `save` wrote. Raises OSError."""
    with open(path, encoding="ascii") as file:
        content = json.load(file)

    def paths(name: str) -> list[bytes]:
        return [os.fsencode(each) for each in content[name]]

    return Selection(
        os.fsencode(content["own"]),
        paths("sources"),
        paths("exclude"),
        paths("file_systems_left_out"),
        one_file_system=content["one_file_system"],
    )


def file_systems() -> list[tuple[bytes, bytes, int]]:
    """Returns the visible mounts: mount point, type and device number (proc_pid_mountinfo(5))."""
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            mount, _, kind = line.partition(b" - ")
            fields = mount.split()
            major, minor = map(int, fields[2].split(b":"))
            where = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), fields[4])
            try:
                if os.lstat(where).st_dev == os.makedev(major, minor):
                    found.append((where, kind.split()[0], os.makedev(major, minor)))
            except OSError:
                continue  # hidden from root (FUSE): walking there reports it
    return found


def selected(
    own: bytes, sources: Sequence[bytes], patterns: Sequence[bytes], *, one_file_system: bool = False
) -> Selection:
    """Returns the current selection on this host. Raises Refused."""
    mounted = file_systems()
    pseudo = {device: kind for _, kind, device in mounted if kind in PSEUDO}
    real = []
    for source in sources:
        try:
            path = os.path.realpath(source, strict=True)
            device = os.lstat(path).st_dev
        except OSError as error:
            raise Refused(f"{os.fsdecode(source)} can't be read ({error.strerror})", "give another directory") from None
        if device in pseudo:
            kind = pseudo[device].decode()
            raise Refused(f"{os.fsdecode(source)} is in {kind}, which has no files", "give a directory that has files")
        real.append(path)
    inside = tuple(path if path.endswith(b"/") else path + b"/" for path in real)
    no_files = [
        where
        for where, kind, _ in mounted
        if kind in PSEUDO | IN_MEMORY and where not in real and where.startswith(inside)
    ]
    outermost = tuple(
        each + b"/" for each in no_files if not each.startswith(tuple(other + b"/" for other in no_files))
    )
    # A disk that is mounted below one of them is excluded with it, and reported.
    disks = [
        where
        for where, kind, _ in mounted
        if kind not in PSEUDO | IN_MEMORY and where.startswith(outermost) and not where.startswith(own + b"/")
    ]
    mounts = sorted({*disks, *(each.rstrip(b"/") for each in outermost)})
    found = Selection(own, real, patterns, mounts, one_file_system=one_file_system)
    for path in real:
        if found.leaves_out(path.lstrip(b"/"), is_folder=True):
            raise Refused(f"{os.fsdecode(path)} is left out itself by an --exclude", "give the one or the other")
    return found
