"""Writes a snapshot's manifest: runs on the client, as root, with the standard library alone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time

from workloads.encrypted_backup.scripts.entries import (
    UNKNOWN,
    Entry,
    Found,
    asked_for,
    describe,
    differing,
    is_file,
    paths_below,
    without,
)
from workloads.encrypted_backup.scripts.manifest_format import OF_THE_SOURCE, Named, read_manifest, sum_line
from workloads.encrypted_backup.scripts.selection import saved

# A source's ctime may be of a file server's clock. One that lies further ahead than a clock that anybody looks after is
# of a file system that has none of its own and shows the mtime, which anybody can set (sshfs): it tells nothing.
CLOCK_AHEAD_NS = 3600 * 10**9


class Writer:
    """A snapshot's manifest in the making. An entry that is the very file of the snapshot before, by its inode, and
    whose source has the ctime that it had when the two were compared, is taken over; every other one is read back and
    compared with its source now. Nobody can set a ctime; size, mtime and name say nothing here.
    """

    def __init__(self, snapshot: bytes, previous: bytes | None) -> None:
        self.snapshot = snapshot
        self.tree = os.path.join(snapshot, b"tree")
        self.began_ns = os.stat(os.path.join(snapshot, b"began")).st_mtime_ns
        self.differences = Named("differs")
        self.unread = Named("could not be read")
        self.changed = Named("changed meanwhile")
        self.counts = dict.fromkeys(("files", "entries", "total_bytes", "new_files", "new_bytes"), 0)
        self._unread: list[Entry] = []
        self._not_kept: set[str] = set()
        self._sums: list[bytes] = []
        self._first_of: dict[int, str] = {}  # inode -> its first path
        self._first_source_of: dict[tuple[int, int], str] = {}
        self._known: dict[tuple[str, int], tuple[Entry, str]] = {}
        if previous is not None:
            entries, damage = read_manifest(previous)
            if damage:
                Named("everything is read back", previous).add("", damage[0])
            else:
                self._known = {
                    (entry["path"], entry["inode"]): (entry, line)
                    for entry, line in entries
                    if entry["type"] != "dir" and "hard_link_of" not in entry
                }

    def write(self) -> Entry:
        """Writes the files manifest, SHA256SUMS and unread: all of them, or none."""
        made = {name: os.path.join(self.snapshot, name) for name in (b"manifest", b"SHA256SUMS", b"unread")}
        seen = set()
        digest = hashlib.sha256()
        with open(made[b"manifest"] + b".new", "wb") as file:
            for relative, each in asked_for(paths_below(self.tree, self._failed_copy), self.tree, self._is_new):
                seen.add(relative)
                line = self._line(relative, each).encode("ascii")
                file.write(line)
                digest.update(line)
        self._look_for_what_is_missing(seen)
        with open(made[b"SHA256SUMS"] + b".new", "wb") as file:
            file.writelines(self._sums)
        with open(made[b"unread"] + b".new", "w", encoding="ascii") as listing:
            listing.writelines(json.dumps(entry) + "\n" for entry in self._unread)
        for path in made.values():
            os.replace(path + b".new", path)
        if self._not_kept:
            print(f"attributes that a snapshot can't keep: {', '.join(sorted(self._not_kept))}", file=sys.stderr)
        return {
            **self.counts,
            "changed_meanwhile": self.changed.count,
            "unread": self.unread.count,
            "attributes_not_kept": len(self._not_kept),
            "differences": self.differences.count,
            "manifest_sha256": digest.hexdigest(),
        }

    def _is_new(self, found: Found) -> bool:
        """Returns whether the content will be read, as far as is known before its source is examined."""
        relative, each = found
        return is_file(each) and (os.fsdecode(relative), each.inode()) not in self._known

    def _taken_over(self, relative: bytes, each: os.DirEntry[bytes]) -> tuple[Entry, str] | None:
        known = self._known.get((os.fsdecode(relative), each.inode()))
        if known is None or known[0].get(OF_THE_SOURCE) is None:
            return None
        try:
            same = os.lstat(os.path.join(b"/", relative)).st_ctime_ns == known[0][OF_THE_SOURCE]
        except OSError:
            return None  # reported when the two are compared
        return known if same else None

    def _line(self, relative: bytes, each: os.DirEntry[bytes]) -> str:
        name = os.fsdecode(relative)
        taken_over = self._taken_over(relative, each)
        if taken_over is not None and self._first_of.setdefault(each.inode(), name) == name:
            entry, line = taken_over
        else:
            if taken_over is not None:  # its inode has an earlier name now
                entry = taken_over[0] | {"hard_link_of": self._first_of[each.inode()]}
            else:
                new = self._new_entry(relative, each)
                if new is None:
                    return ""
                entry = new
            line = json.dumps(entry, separators=(",", ":")) + "\n"
        self.counts["entries"] += 1
        if entry["type"] == "file":
            self.counts["files"] += 1
            self.counts["total_bytes"] += entry["size"]
            self._sums.append(sum_line(entry["sha256"], relative))
        return line

    def _new_entry(self, relative: bytes, each: os.DirEntry[bytes]) -> Entry | None:
        name = os.fsdecode(relative)
        path = os.path.join(self.tree, relative)
        try:
            entry = describe(path, relative, each.stat(follow_symlinks=False), asked=self._is_new((relative, each)))
        except OSError as error:
            self._failed_copy(relative, error)
            return None
        if entry["type"] != "dir" and (first := self._first_of.setdefault(each.inode(), name)) != name:
            entry["hard_link_of"] = first
        elif entry["type"] == "file":
            self.counts["new_files"] += 1
            self.counts["new_bytes"] += entry["size"]
        return entry | {"inode": each.inode(), OF_THE_SOURCE: self._compared_with_source(relative, entry)}

    def _failed_copy(self, relative: bytes, error: OSError) -> None:
        self.differences.add(os.fsdecode(relative), f"the copy can't be read ({error.strerror})")

    def _compared_with_source(self, relative: bytes, entry: Entry) -> int | None:
        """The source's ctime, when the two are the same. One that differs, and was written to since the backup began,
        is no fault, but is said.
        """
        source = os.path.join(b"/", relative)
        try:
            original = os.lstat(source)
            expected = describe(source, relative, original, not_kept=self._not_kept)
            words = [*differing(expected, without(entry, "hard_link_of")), *self._links(original, entry)]
            has_changed = bool(words) and self._has_changed(source)
        except OSError as error:
            self._failed_source(relative, error)
            return None
        if words:
            (self.changed if has_changed else self.differences).add(entry["path"], ", ".join(words))
        # Within a tick of the kernel's clock two writes have one ctime: a fresh ctime proves nothing.
        return original.st_ctime_ns if not words and original.st_ctime_ns < self.began_ns else None

    def _links(self, original: os.stat_result, entry: Entry) -> list[str]:
        if entry["type"] == "dir":
            return []
        key = (original.st_dev, original.st_ino)
        first = self._first_source_of.setdefault(key, entry["path"])
        linked = entry.get("hard_link_of")
        if linked is None:
            return [] if first == entry["path"] else [f"no hard link of {first!r}"]
        other = os.lstat(os.path.join(b"/", os.fsencode(linked)))
        return [] if (other.st_dev, other.st_ino) == key else [f"a hard link of {linked!r}"]

    def _has_changed(self, source: bytes) -> bool:
        """Returns whether a source was changed or removed since the backup began. Raises other OSErrors."""
        try:
            changed_ns = os.lstat(source).st_ctime_ns
        except (FileNotFoundError, NotADirectoryError):
            return True
        return self.began_ns <= changed_ns <= time.time_ns() + CLOCK_AHEAD_NS

    def _failed_source(self, relative: bytes, error: OSError) -> None:
        """Reports a source that could not be read or compared; one that has changed meanwhile may be gone."""
        name = os.fsdecode(relative)
        try:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and self._has_changed(b"/" + relative):
                self.changed.add(name, "gone")
                return
        except OSError as another:
            error = another
        self.unread.add(name, str(error.strerror))
        self._unread.append({"path": name, "why": str(error.strerror)})

    def _look_for_what_is_missing(self, seen: set[bytes]) -> None:
        """Reports entries of the sources that the copy lacks: unreadable ones can't have been copied."""
        try:
            wanted = saved(os.path.join(self.snapshot, b"selection"))
        except FileNotFoundError:
            return  # the copy has no record of its selection
        tops = {source.lstrip(b"/") for source in wanted.sources}
        told = set()

        def failed(folder: bytes, error: OSError) -> None:
            if folder in told:
                return
            told.add(folder)
            if folder in tops:
                self.differences.add(f"/{os.fsdecode(folder)}", f"the source can't be read ({error.strerror})")
            else:
                self._failed_source(folder, error)

        for relative in wanted.walk(failed):
            if relative and relative not in seen and relative not in told:
                told.add(relative)
                self._missing(relative)

    def _missing(self, relative: bytes) -> None:
        source = b"/" + relative
        try:
            found = os.lstat(source)
            changed = self._has_changed(source)
            if stat.S_ISREG(found.st_mode) and changed:
                os.close(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
            elif describe(source, relative, found)["type"] == UNKNOWN:
                raise OSError(0, "neither a file nor a folder, a link, a device")
        except OSError as error:
            self._failed_source(relative, error)
            return
        if changed:
            self.changed.add(os.fsdecode(relative), "new")
        else:
            self.differences.add(os.fsdecode(relative), "not in the copy")
