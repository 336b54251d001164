"""A manifest that is damaged: named with its snapshot and line, and everything else goes on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads.encrypted_backup.scripts import manifest
from workloads.encrypted_backup.scripts.manifest_writer import Writer
from workloads.encrypted_backup.scripts.selection import Selection

FILES = 5
TICK_SECONDS = 0.02  # as test_manifest.py has it


def same_above(source: Path, snapshot: Path) -> None:
    """Gives the folders above the copy what those above the source have."""
    for folder in source.parents[:-1]:
        shutil.copystat(folder, snapshot / "tree" / str(folder).lstrip("/"))


@pytest.fixture
def snapshots(tmp_path: Path) -> list[Path]:
    """Two of the same files, with a manifest each."""
    source, found = tmp_path / "source", [tmp_path / "2026-01-01T000000Z", tmp_path / "2026-01-02T000000Z"]
    source.mkdir()
    for number in range(FILES):
        (source / f"name-{number}").write_text(f"content {number}")
    time.sleep(TICK_SECONDS)
    for snapshot in found:
        above = (snapshot / "tree" / str(source).lstrip("/")).parent
        above.mkdir(parents=True)
        (snapshot / "began").touch()
        shutil.copytree(source, above / "source")
        same_above(source, snapshot)
        Selection(b"/nowhere/own", [os.fsencode(source)]).save(os.fsencode(snapshot / "selection"))
        Writer(os.fsencode(snapshot), None).write()
    return found


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def replace(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return replace


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in a line": lambda content: content[:-100],
    "cut between lines": lambda content: b"".join(content.splitlines(keepends=True)[:-1]),
    "a flipped bit": lambda content: content[:200] + bytes([content[200] | 0x80]) + content[201:],
    "a field less": replaced(b'"mode":', b'"node":'),
    "no number": replaced(b'"uid":0', b'"uid":NaN'),
    "a truth for a number": replaced(b'"uid":0', b'"uid":true'),
    "no entry": replaced(b"{", b"[{"),
    "null": lambda content: b"null\n" + content,
    "deep": lambda content: b"[" * 100_000 + b"\n" + content,
    "no type": replaced(b'"type":"file"', b'"type":"fill"'),
    "half a character": replaced(b"name-0", b"\\ud800"),
    "another checksum": lambda content: content.replace(b'"sha256":"', b'"sha256":"0', 1),
    "another digit": replaced(b"name-0", b"name-9"),
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_it_is_named_and_the_other_snapshot_is_read(
    damage: Callable[[bytes], bytes], snapshots: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = snapshots[0] / "manifest"
    path.write_bytes(damage(path.read_bytes()))
    said = manifest.check([os.fsencode(each) for each in snapshots])
    assert said["differences"] >= 1
    assert said["snapshots"] == 2
    assert said["files"] >= FILES
    complaints = capsys.readouterr().err
    assert f"snapshot {snapshots[0].name}: its manifest" in complaints
    assert snapshots[1].name not in complaints


def test_the_line_is_named(snapshots: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = snapshots[0] / "manifest"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{" + lines[3], *lines[4:]]))
    assert manifest.check([os.fsencode(snapshots[0])])["differences"] == 1
    assert capsys.readouterr().err == f"differs: snapshot {snapshots[0].name}: its manifest is damaged (line 4)\n"


@pytest.mark.parametrize("gone", ["manifest", "SHA256SUMS", "tree"])
def test_what_has_gone_is_named(gone: str, snapshots: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = snapshots[0] / gone
    shutil.rmtree(found) if found.is_dir() else found.unlink()
    assert manifest.check([os.fsencode(each) for each in snapshots])["differences"] == 1
    assert f"snapshot {snapshots[0].name}: " in capsys.readouterr().err


@pytest.mark.parametrize("damage", [*DAMAGES.values(), None], ids=[*DAMAGES, "gone"])
def test_with_a_damaged_one_before_it_everything_is_read_back(
    damage: Callable[[bytes], bytes] | None, snapshots: list[Path], tmp_path: Path
) -> None:
    first, second = snapshots
    shutil.rmtree(second / "tree")
    shutil.copytree(first / "tree", second / "tree", copy_function=os.link)
    same_above(tmp_path / "source", second)
    whole = Writer(os.fsencode(second), os.fsencode(first)).write()
    assert (whole["new_files"], whole["differences"]) == (0, 0)
    path = first / "manifest"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    said = Writer(os.fsencode(second), os.fsencode(first)).write()
    assert (said["new_files"], said["differences"]) == (FILES, 0)
