"""Makes a tree of files with everything that a backup must keep: runs on the client, as root.

    python3 - make DIRECTORY SEED FILES     replaces the tree; the same seed makes the same tree
    python3 - change DIRECTORY SEED         rewrites a tenth of the small files; adds, removes and renames one

Every small file contains the text `plaintext-SEED`, and its name `name-SEED`: neither may be found where only
ciphertext belongs. Prints one JSON document that describes the tree.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import sys
from pathlib import Path

MARKER = ".made-up"  # a tree with this file is replaced by the next
SMALL_BYTES = (1, 6000)
LARGE_BYTES = 2 << 20
SPARSE_BYTES = 16 << 20
# An ACL in the kernel's format (linux/posix_acl_xattr.h): version 2, then tag, permissions and id of each entry. It
# gives user 1234 read and write, beside rw-r--r-- with a mask of rw.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, identity)
    for tag, permissions, identity in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 6, 1234),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 6, 0xFFFFFFFF),
        (0x20, 4, 0xFFFFFFFF),
    )
)
ODD_NAMES = (
    b" leading and trailing ",
    b"line\nfeed",
    b"tab\tand \x1b escape",
    b"back\\slash",
    b"not UTF-8 \xff\xfe",
    b"-rf",
    b"*?[a]",
    b"'quotes\"",
    "grüße 数据 🙂".encode(),
    b"x" * 255,
)


def text_of(seed: str, number: int, size: int) -> bytes:
    """Returns `size` bytes that begin with the known text, where it fits."""
    line = f"plaintext-{seed} file {number} ".encode()
    return (line * (size // len(line) + 1))[:size]


def small_files(root: Path, seed: str, files: int) -> list[Path]:
    """Returns the small files' paths, a hundred in a folder."""
    return [root / f"folder-{number // 100:04d}" / f"name-{seed}-{number:06d}.txt" for number in range(files)]


def write_small(path: Path, seed: str, number: int, chance: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text_of(seed, number, chance.randint(*SMALL_BYTES)))
    path.chmod(chance.choice((0o644, 0o600, 0o755, 0o640, 0o4755, 0o444)) if number % 10 == 0 else 0o644)
    if number % 7 == 0:
        os.chown(path, 1000 + number % 5, 2000 + number % 3)
    when = 1_000_000_000 + chance.randrange(600_000_000)
    os.utime(path, ns=(when * 10**9, when * 10**9 + chance.randrange(10**9)))


def make(root: Path, seed: str, files: int) -> None:
    chance = random.Random(seed)
    if (root / MARKER).exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / MARKER).touch()
    for number, path in enumerate(small_files(root, seed, files)):
        write_small(path, seed, number, chance)
    odd = root / "odd"
    odd.mkdir()
    for name in ODD_NAMES:
        (odd / os.fsdecode(name)).write_bytes(text_of(seed, 0, 100))
    (root / "large").write_bytes(chance.randbytes(LARGE_BYTES))
    with (root / "sparse").open("wb") as file:
        file.truncate(SPARSE_BYTES)
        file.seek(SPARSE_BYTES // 2)
        file.write(text_of(seed, 0, 5000))
    first = root / "linked-1"
    first.write_bytes(text_of(seed, 0, 3000))
    (root / "linked-2").hardlink_to(first)
    (odd / "linked-3").hardlink_to(first)
    (root / "symbolic").symlink_to("folder-0000")
    (root / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(root / "fifo", 0o600)
    (root / "empty").touch()
    (root / "empty-folder").mkdir(mode=0o1777)
    with_attributes = root / "attributes"
    with_attributes.write_bytes(text_of(seed, 0, 50))
    os.setxattr(with_attributes, "user.comment", f"plaintext-{seed}".encode())
    os.setxattr(with_attributes, "user.binary", bytes(range(256)))
    os.setxattr(with_attributes, "trusted.tidemark", b"1")
    os.setxattr(with_attributes, "system.posix_acl_access", ACL)
    os.setxattr(root / "empty-folder", "system.posix_acl_default", ACL)
    os.utime(root / "symbolic", ns=(10**18, 10**18), follow_symlinks=False)
    os.utime(odd, ns=(1, 999_999_999))


def change(root: Path, seed: str) -> None:
    chance = random.Random(f"{seed} changed")
    small = sorted(root.glob("folder-*/*"))
    for path in small[::10]:
        path.write_bytes(text_of(seed, 1_000_000, chance.randint(*SMALL_BYTES)))
    small[1].unlink()
    small[2].rename(small[2].with_name(f"name-{seed}-renamed"))
    # Changes only the mode: the previous snapshot must keep the old one.
    small[3].chmod(0o700)
    (root / f"name-{seed}-added").write_bytes(text_of(seed, 0, 100))


def said(root: Path) -> dict[str, int]:
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return {
        "files": len(found),
        "total_bytes": sum(path.stat().st_size for path in found),
        "allocated_bytes": sum(path.stat().st_blocks * 512 for path in found),
    }


def main(command: str, directory: str, seed: str, *rest: str) -> None:
    root = Path(directory)
    if command == "make":
        make(root, seed, int(rest[0]))
    else:
        change(root, seed)
    print(json.dumps(said(root)))


if __name__ == "__main__":
    main(*sys.argv[1:])
