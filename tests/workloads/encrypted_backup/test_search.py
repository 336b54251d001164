"""The search of a server: nothing hides between two pieces, and a blank stretch costs no search."""

from __future__ import annotations

from pathlib import Path

import pytest

from workloads.encrypted_backup.scripts import search

TEXT = b"plaintext-0123456789ab"
CONTROL = b"LUKS"
PIECE = search.CHUNK_BYTES


@pytest.mark.parametrize("at", [0, PIECE - len(TEXT) // 2, PIECE - 1, PIECE, 2 * PIECE - 1, 3 * PIECE - len(TEXT)])
def test_a_text_is_found_wherever_it_lies(tmp_path: Path, at: int) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(3 * PIECE)
        file.seek(at)
        file.write(TEXT)
    assert search.search("disk", [disk], [TEXT, b"absent"], TEXT) == {
        "place": "disk",
        "read_bytes": 3 * PIECE,
        "patterns": 2,
        "found": 1,
        "control": True,
    }


def test_what_one_file_ends_with_and_the_next_begins_with_is_no_text(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x" * 100 + TEXT[:10])
    two.write_bytes(TEXT[10:] + CONTROL)
    found = search.search("memory", [one, tmp_path / "gone", two], [TEXT], CONTROL)
    assert (found["found"], found["control"], found["read_bytes"]) == (0, True, 100 + len(TEXT) + len(CONTROL))


@pytest.mark.parametrize(
    ("field", "path"),
    [(b"/run", "/run"), (b"/mnt/a\\040b", "/mnt/a b"), (b"/x\\134040", "/x\\040"), (b"/\xff", "/\udcff")],
)
def test_a_mount_with_a_space_in_its_name_is_searched(field: bytes, path: str) -> None:
    assert search.path_in(field) == path


def test_a_place_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        search.search("disk", [tmp_path], [TEXT], CONTROL)
