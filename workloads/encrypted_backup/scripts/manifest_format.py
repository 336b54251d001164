"""The format of a snapshot's manifest and SHA256SUMS: runs on hosts, with the standard library only.

`manifest` has one JSON document a line, ordered by path: an entry (entries.py) with hard_link_of, inode,
source_ctime_ns: the source's ctime when the two were compared, null where they differed or could not be compared, and
source_inode.
SHA256SUMS is in sha256sum's format.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable

from workloads.encrypted_backup.scripts.entries import TYPES, UNKNOWN, Entry

SHOWN = 5
COUNTED = ("mode", "uid", "gid", "inode")
OF_THE_SOURCE = "source_ctime_ns"
INODE_OF_THE_SOURCE = "source_inode"
# Of the copy and its source themselves, and not of what was copied.
NOT_COPIED = ("inode", OF_THE_SOURCE, INODE_OF_THE_SOURCE)


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


def sums_of(entries: Iterable[Entry]) -> Iterable[bytes]:
    """Returns the lines of SHA256SUMS."""
    return (sum_line(entry["sha256"], os.fsencode(entry["path"])) for entry in entries if entry["type"] == "file")


def sum_line(sha256: str, relative: bytes) -> bytes:
    """Returns a line as sha256sum writes it: when a name needs escapes, the line begins with a backslash."""
    escaped = relative.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != relative else b"") + sha256.encode() + b"  " + escaped + b"\n"


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


def read_manifest(snapshot: bytes) -> tuple[list[tuple[Entry, str]], list[str]]:
    """Returns the readable entries of a manifest, each with its line, and descriptions of its damage.

    SHA256SUMS is derived from the same entries, so a difference between the two is damage.
    """
    entries: list[tuple[Entry, str]] = []
    damage = []
    try:
        with open(os.path.join(snapshot, b"manifest"), "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    entries.append((entry_in(line), line.decode("ascii")))
                except ValueError:
                    damage.append(f"its manifest is damaged (line {number})")
    except OSError as error:
        damage.append(f"its manifest can't be read ({error.strerror})")
    if not damage:
        try:
            with open(os.path.join(snapshot, b"SHA256SUMS"), "rb") as file:
                if file.read() != b"".join(sums_of(entry for entry, _ in entries)):
                    damage.append("its manifest and its SHA256SUMS differ: one is damaged")
        except OSError as error:
            damage.append(f"its SHA256SUMS can't be read ({error.strerror})")
    return entries, damage
