"""Searches the server's disk, its files in memory and captured packets for known text: runs there, as root.

    python3 - DISK CAPTURE PATTERN...

Patterns are given as hexadecimal digits, so that the text itself is only in this process's memory. In each place a
positive control is searched for, too: a text that must be there. Prints one JSON document for each place.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20
LUKS_MAGIC = b"LUKS\xba\xbe"  # of the header's first copy (LUKS2 On-Disk Format, section 2.1)
SSH_BANNER = b"SSH-2.0-"  # RFC 4253, section 4.2: sent in the clear by both sides
CONTROL = Path("/dev/shm/tidemark-search-control")
CONTROL_TEXT = b"tidemark searched this file in memory"


def pieces(path: Path, buffer: bytearray, overlap: int) -> Iterator[int]:
    """Reads a file piece by piece into `buffer`, and yields where each piece ends there. It begins with the last bytes
    of the piece before, as many as `overlap`, so that no text is cut between two.
    """
    buffer[:overlap] = bytes(overlap)
    with path.open("rb", buffering=0) as file, memoryview(buffer) as view:
        while length := file.readinto(view[overlap:]):
            end = overlap + length
            yield end
            view[:overlap] = bytes(view[end - overlap : end])


def search(name: str, paths: Iterable[Path], patterns: list[bytes], control: bytes) -> dict[str, object]:
    """Searches one place; returns the bytes read, how many patterns were found, and whether the control was."""
    wanted = {*patterns, control}
    overlap = max(map(len, wanted))
    # One buffer: on a small virtual machine the page faults of new ones cost more than the search.
    buffer, zeros = bytearray(overlap + CHUNK_BYTES), bytes(overlap + CHUNK_BYTES)
    read, found = 0, set[bytes]()
    for path in paths:
        try:
            for end in pieces(path, buffer, overlap):
                read += end - overlap
                if buffer != zeros:  # else it is a part of a disk that was never written
                    found |= {text for text in wanted - found if buffer.find(text, 0, end) >= 0}
        except OSError as error:
            raised(error)  # a file of /run may be gone
    figures = {"read_bytes": read, "patterns": len(patterns), "found": len(found.intersection(patterns))}
    return {"place": name, **figures, "control": control in found}


def files_in_memory() -> Iterator[Path]:
    """Returns the regular files of every tmpfs, and the swap files."""
    for line in Path("/proc/self/mounts").read_bytes().splitlines():
        _, where, kind, *_ = line.split(b" ")
        if kind in (b"tmpfs", b"ramfs"):
            for folder, _, names in os.walk(path_in(where), onerror=raised):
                yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())
    for line in Path("/proc/swaps").read_bytes().splitlines()[1:]:
        yield Path(path_in(line.split()[0]))


def path_in(field: bytes) -> str:
    """Decodes a path of mounts or swaps, in which blanks are octal (proc_pid_mounts(5))."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), field))


def raised(error: OSError) -> None:
    """Raises an error unless the file is gone: a place that can't be searched proves nothing."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def main(disk: str, capture: str, *patterns: str) -> None:
    wanted = [bytes.fromhex(pattern) for pattern in patterns]
    CONTROL.write_bytes(CONTROL_TEXT)
    try:
        for place in (
            search("disk", [Path(disk)], wanted, LUKS_MAGIC),
            search("memory", files_in_memory(), wanted, CONTROL_TEXT),
            search("network", [Path(capture)], wanted, SSH_BANNER),
        ):
            print(json.dumps(place))
    except OSError as error:
        sys.exit(f"tidemark-error: {error.filename} can't be searched ({error.strerror})|correct that and run again")
    finally:
        CONTROL.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
