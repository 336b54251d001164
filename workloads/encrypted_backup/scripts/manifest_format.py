"""The format of a snapshot's manifest and SHA256SUMS: runs on hosts, with the standard library only.

`manifest` has one JSON document a line, ordered by path: an entry (entries.py) with hard_link_of, inode,
source_ctime_ns: the source's ctime when the two were compared, null where they differed or could not be compared, and
source_inode.
SHA256SUMS is in sha256sum's format. `state` has a checksum of the state that the sources were in, so that a backup of
unchanged ones needs no entry of the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys

from workloads.encrypted_backup.scripts.entries import TYPES, UNKNOWN, Entry

SHOWN = 5
COUNTED = ("mode", "uid", "gid", "inode")
OF_THE_SOURCE = "source_ctime_ns"
INODE_OF_THE_SOURCE = "source_inode"
# Of the copy and its source themselves, and not of what was copied.
NOT_COPIED = ("inode", OF_THE_SOURCE, INODE_OF_THE_SOURCE)

RECORDS = (b"manifest", b"SHA256SUMS", b"unread")
STATE = b"state"
_ENCODER = json.JSONEncoder(separators=(",", ":"))
COUNTS = ("files", "entries", "total_bytes")


class Findings:
    """Counts differences, and reports the first few."""

    def __init__(self, what: str, of: bytes = b"") -> None:
        self.count = 0
        self._what = f"{what}: snapshot {os.path.basename(of).decode(errors='replace')}" if of else what

    def add(self, path: str, words: str) -> None:
        """Reports a difference; the path is empty when it concerns all entries."""
        self.count += 1
        if self.count <= SHOWN:
            print(f"{self._what}: {f'{path!r}: ' if path else ''}{words}", file=sys.stderr)


def sum_line(sha256: str, relative: bytes) -> bytes:
    """Returns a line as sha256sum writes it: when a name needs escapes, the line begins with a backslash."""
    escaped = relative.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != relative else b"") + sha256.encode() + b"  " + escaped + b"\n"


def line_of(entry: Entry) -> bytes:
    """Returns an entry as a line of a manifest."""
    return f"{_ENCODER.encode(entry)}\n".encode("ascii")


def entry_in(line: bytes) -> Entry:
    """Parses a line of a manifest. Raises ValueError for a damaged one."""
    try:
        entry = json.loads(line.decode("ascii"))
    except RecursionError:
        raise ValueError("nested") from None
    if type(entry) is not dict or entry.get("type") not in (*TYPES.values(), UNKNOWN):
        raise ValueError("no entry")
    numbers = [entry.get(key) for key in COUNTED]
    texts = [entry.get("path"), *(entry[key] for key in ("hard_link_of",) if key in entry)]
    if entry["type"] == "file":
        numbers.append(entry.get("size"))
        texts.append(entry.get("sha256"))
    elif entry["type"] == "link":
        texts.append(entry.get("target"))
    elif entry["type"] in ("char", "block"):
        numbers.append(entry.get("rdev"))
    if not all(type(number) is int and number >= 0 for number in numbers) or type(entry.get("mtime_ns")) is not int:
        raise ValueError("numbers")
    if not all(type(text) is str for text in texts) or type(entry.get("xattrs", {})) is not dict:
        raise ValueError("texts")
    if entry["type"] == "file" and not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
        raise ValueError("sha256")
    os.fsencode(entry["path"])
    return entry


def read_manifest(snapshot: bytes) -> tuple[list[Entry], list[str]]:
    """Returns the readable entries of a manifest, and descriptions of its damage.

    SHA256SUMS is derived from the same entries, so a difference between the two is damage.
    """
    entries: list[Entry] = []
    damage = []
    try:
        with open(os.path.join(snapshot, b"manifest"), "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    entries.append(entry_in(line))
                except ValueError:
                    damage.append(f"its manifest is damaged (line {number})")
    except OSError as error:
        damage.append(f"its manifest can't be read ({error.strerror})")
    if not damage:
        files = [entry for entry in entries if entry["type"] == "file"]
        sums = b"".join(sum_line(entry["sha256"], os.fsencode(entry["path"])) for entry in files)
        try:
            with open(os.path.join(snapshot, b"SHA256SUMS"), "rb") as file:
                if file.read() != sums:
                    damage.append("its manifest and its SHA256SUMS differ: one is damaged")
        except OSError as error:
            damage.append(f"its SHA256SUMS can't be read ({error.strerror})")
    return entries, damage


class SourceState:
    """Collects the state of sources: from a walk, or from the entries of a manifest.

    The folders above the sources, whose paths are given, do not belong to it.
    """

    def __init__(self, above: set[str]) -> None:
        self.is_known = True
        self.above: list[Entry] = []
        self._paths_above = above
        self._lines: set[str] = set()

    def add(self, path: str, kind: str, size: int, inode: int, ctime_ns: int) -> None:
        """Adds a source; twice is as once, since sources may contain each other."""
        self._lines.add(f"{path}\0{kind}\0{size if kind == 'file' else 0}\0{inode}\0{ctime_ns}")

    def add_entry(self, entry: Entry) -> None:
        """Adds an entry of a manifest. Without a proven ctime of one the state is not known."""
        inode, ctime_ns = entry.get(INODE_OF_THE_SOURCE), entry.get(OF_THE_SOURCE)
        if entry["path"] in self._paths_above:
            self.above.append(entry)
        elif inode is None or ctime_ns is None:
            self.is_known = False
        else:
            self.add(entry["path"], entry["type"], entry.get("size", 0), inode, ctime_ns)

    def checksum(self) -> str:
        """Returns the same for the same entries in any order."""
        digest = hashlib.sha256()
        for line in sorted(self._lines):
            digest.update(f"{line}\0\0".encode(errors="surrogateescape"))
        return digest.hexdigest()


def save_state(snapshot: bytes, state: Entry) -> None:
    """Writes the file `state` of a snapshot whose other records are written, and which has none yet."""
    with open(os.path.join(snapshot, STATE), "w", encoding="ascii") as file:
        json.dump({**state, "records": checksum_of_records(snapshot)}, file)


def checksum_of_records(snapshot: bytes) -> str:
    """Returns the checksum of a snapshot's other records, one after the other. Raises OSError."""
    digest = hashlib.sha256()
    for name in RECORDS:
        with open(os.path.join(snapshot, name), "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def saved_state(snapshot: bytes) -> Entry | None:
    """Returns what `save_state` wrote; None where there is none, or a record has changed since."""
    try:
        with open(os.path.join(snapshot, STATE), encoding="ascii") as file:
            content = json.load(file)
        if content["records"] == checksum_of_records(snapshot):
            return dict(content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
