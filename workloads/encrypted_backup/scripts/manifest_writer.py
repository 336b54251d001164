"""Writes a snapshot's manifest: runs on the client, as root, with the standard library only."""

from __future__ import annotations

import contextlib
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
    describe,
    differing,
    is_file,
    paths_below,
    with_read_ahead,
    without,
)
from workloads.encrypted_backup.scripts.manifest_format import (
    COUNTS,
    INODE_OF_THE_SOURCE,
    OF_THE_SOURCE,
    RECORDS,
    STATE,
    Findings,
    SourceState,
    line_of,
    read_manifest,
    save_state,
    saved_state,
    sum_line,
)
from workloads.encrypted_backup.scripts.selection import SETTABLE_CTIME, file_systems, saved

# A source's ctime may come from a file server's clock, which may be ahead. One further ahead is not a clock's: some
# file systems (sshfs) have no ctime and show the mtime, which any program can set.
CLOCK_AHEAD_NS = 3600 * 10**9


class Writer:
    """Makes a snapshot's manifest. Reuses the previous snapshot's entry for the same inode whose source still has the
    ctime of their comparison; reads every other file back and compares it with its source. Size, mtime and name prove
    nothing; no program can set a ctime, but on the file systems of SETTABLE_CTIME.
    """

    def __init__(self, snapshot: bytes, previous: bytes | None) -> None:
        self.snapshot = snapshot
        self.tree = os.path.join(snapshot, b"tree")
        self.began_ns = os.stat(os.path.join(snapshot, b"began")).st_mtime_ns
        self.differences = Findings("differs")
        self.unread = Findings("could not be read")
        self.changed = Findings("changed meanwhile")
        self.counts = dict.fromkeys(("files", "entries", "total_bytes", "new_files", "new_bytes"), 0)
        self._settable_ctime = {device for _, kind, device in file_systems() if kind.startswith(SETTABLE_CTIME)}
        self._unread: list[Entry] = []
        self._not_kept: set[str] = set()
        self._selection = saved(os.path.join(snapshot, b"selection"))
        self._state = SourceState(self._selection.above())
        self._first_of: dict[int, str] = {}  # inode -> its first path
        self._first_source_of: dict[tuple[int, int], str] = {}
        self._known: dict[tuple[str, int], Entry] = {}
        if previous is not None:
            entries, damage = read_manifest(previous)
            if damage:
                Findings("everything is read back", previous).add("", damage[0])
            else:
                self._known = {
                    (entry["path"], entry["inode"]): entry
                    for entry in entries
                    if entry["type"] != "dir" and "hard_link_of" not in entry
                }

    def write(self) -> Entry:
        """Writes the files manifest, SHA256SUMS, unread and state; none of them after an error."""
        made = {name: os.path.join(self.snapshot, name) for name in RECORDS}
        seen = set()
        digest = hashlib.sha256()
        with open(made[b"manifest"] + b".new", "wb") as file, open(made[b"SHA256SUMS"] + b".new", "wb") as sums:
            for relative, each in with_read_ahead(paths_below(self.tree, self._failed_copy), self.tree, self._is_new):
                seen.add(relative)
                try:
                    entry = self._reused(relative, each) or self._new_entry(relative, each)
                except OSError as error:
                    self._failed_copy(relative, error)
                    continue
                self._state.add_entry(entry)
                self.counts["entries"] += 1
                if entry["type"] == "file":
                    self.counts["files"] += 1
                    self.counts["total_bytes"] += entry["size"]
                    sums.write(sum_line(entry["sha256"], relative))
                line = line_of(entry)
                file.write(line)
                digest.update(line)
        self._report_missing(seen)
        with open(made[b"unread"] + b".new", "w", encoding="ascii") as listing:
            listing.writelines(json.dumps(entry) + "\n" for entry in self._unread)
        for path in made.values():
            os.replace(path + b".new", path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.snapshot, STATE))  # of an earlier attempt; it may be a hard link
        if self._state.is_known:
            sources = {"sources": self._state.checksum(), "above": self._state.above}
            counts = {name: self.counts[name] for name in COUNTS}
            save_state(self.snapshot, {**sources, **counts, "manifest_sha256": digest.hexdigest()})
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

    def _reused(self, relative: bytes, each: os.DirEntry[bytes]) -> Entry | None:
        """Returns the previous snapshot's entry for the same inode, if its source has not changed since."""
        name = os.fsdecode(relative)
        known = self._known.get((name, each.inode()))
        if known is None or known.get(OF_THE_SOURCE) is None:
            return None
        try:
            if os.lstat(os.path.join(b"/", relative)).st_ctime_ns != known[OF_THE_SOURCE]:
                return None
        except OSError:
            return None  # reported when the two are compared
        first = self._first_of.setdefault(each.inode(), name)
        return known if first == name else known | {"hard_link_of": first}  # its inode has an earlier name now

    def _new_entry(self, relative: bytes, each: os.DirEntry[bytes]) -> Entry:
        """Reads an entry of the copy, and compares it with its source. Raises OSError when the copy can't be read."""
        name = os.fsdecode(relative)
        path = os.path.join(self.tree, relative)
        entry = describe(path, relative, each.stat(follow_symlinks=False), prefetched=self._is_new((relative, each)))
        if entry["type"] != "dir" and (first := self._first_of.setdefault(each.inode(), name)) != name:
            entry["hard_link_of"] = first
        elif entry["type"] == "file":
            self.counts["new_files"] += 1
            self.counts["new_bytes"] += entry["size"]
        return entry | {"inode": each.inode()} | self._compared_with_source(relative, entry)

    def _failed_copy(self, relative: bytes, error: OSError) -> None:
        self.differences.add(os.fsdecode(relative), f"the copy can't be read ({error.strerror})")

    def _compared_with_source(self, relative: bytes, entry: Entry) -> Entry:
        """Returns the source's inode, and its ctime if the two are the same. Reports a difference: as a change, and not
        as a fault, when the source was written to since the backup began.
        """
        source = os.path.join(b"/", relative)
        try:
            original = os.lstat(source)
            expected = describe(source, relative, original, not_kept=self._not_kept)
            words = [*differing(expected, without(entry, "hard_link_of")), *self._links(original, entry)]
            has_changed = bool(words) and self._has_changed(source)
        except OSError as error:
            self._failed_source(relative, error)
            return {OF_THE_SOURCE: None}
        if words:
            (self.changed if has_changed else self.differences).add(entry["path"], ", ".join(words))
        # Two writes within a tick of the kernel's clock have the same ctime: a fresh ctime proves nothing.
        proven = not words and original.st_ctime_ns < self.began_ns and original.st_dev not in self._settable_ctime
        return {OF_THE_SOURCE: original.st_ctime_ns if proven else None, INODE_OF_THE_SOURCE: original.st_ino}

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
        """Reports a source that could not be read or compared; counts one that is gone by now as a change."""
        name = os.fsdecode(relative)
        try:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and self._has_changed(b"/" + relative):
                self.changed.add(name, "gone")
                return
        except OSError as another:
            error = another
        self.unread.add(name, str(error.strerror))
        self._unread.append({"path": name, "why": str(error.strerror)})

    def _report_missing(self, seen: set[bytes]) -> None:
        """Reports entries of the sources that the copy lacks; they may be unreadable."""
        tops = {source.lstrip(b"/") for source in self._selection.sources}
        reported = set()

        def failed(folder: bytes, error: OSError) -> None:
            if folder in reported:
                return
            reported.add(folder)
            if folder in tops:
                self.differences.add(f"/{os.fsdecode(folder)}", f"the source can't be read ({error.strerror})")
            else:
                self._failed_source(folder, error)

        for relative in self._selection.walk(failed):
            if relative and relative not in seen and relative not in reported:
                reported.add(relative)
                self._missing(relative)

    def _missing(self, relative: bytes) -> None:
        source = b"/" + relative
        try:
            found = os.lstat(source)
            changed = self._has_changed(source)
            if stat.S_ISREG(found.st_mode) and changed:
                os.close(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
            elif describe(source, relative, found)["type"] == UNKNOWN:
                raise OSError(0, "an unknown type of file")
        except OSError as error:
            self._failed_source(relative, error)
            return
        if changed:
            self.changed.add(os.fsdecode(relative), "new")
        else:
            self.differences.add(os.fsdecode(relative), "not in the copy")


def write_same(snapshot: bytes, previous: bytes) -> Entry:
    """Gives a snapshot the manifest of the one before it, whose sources have not changed.

    One that has the same tree has the same records. In one of links the folders above the sources may be others: these
    are described anew.
    """
    state = saved_state(previous)
    if state is None:
        return Writer(snapshot, previous).write()  # a record was damaged since the copy was planned
    for name in (*RECORDS, STATE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(snapshot, name))  # of an earlier attempt; it may be a hard link
    tree = os.path.join(snapshot, b"tree")
    has_same_tree = os.path.samefile(tree, os.path.join(previous, b"tree"))
    for name in (*RECORDS, STATE) if has_same_tree else (b"SHA256SUMS", b"unread"):
        os.link(os.path.join(previous, name), os.path.join(snapshot, name))
    if not has_same_tree:
        above = [described_above(tree, os.fsencode(entry["path"])) for entry in state["above"]]
        anew = {line_of(before): line_of(now) for before, now in zip(state["above"], above, strict=True)}
        digest = hashlib.sha256()
        with (
            open(os.path.join(previous, b"manifest"), "rb") as known,
            open(os.path.join(snapshot, b"manifest"), "wb") as made,
        ):
            for before in known:
                line = anew.get(before, before)
                made.write(line)
                digest.update(line)
        state |= {"above": above, "manifest_sha256": digest.hexdigest()}
        save_state(snapshot, state)
    nothing = ("new_files", "new_bytes", "changed_meanwhile", "unread", "attributes_not_kept", "differences")
    return {**dict.fromkeys(nothing, 0), **{name: state[name] for name in (*COUNTS, "manifest_sha256")}}


def described_above(tree: bytes, relative: bytes) -> Entry:
    """Returns the entry of a folder above the sources, which is not compared with its source."""
    path = os.path.join(tree, relative)
    status = os.lstat(path)
    return describe(path, relative, status) | {"inode": status.st_ino, OF_THE_SOURCE: None}
