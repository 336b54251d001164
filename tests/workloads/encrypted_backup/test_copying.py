"""The copy that a client's host makes, run on a folder of this machine in the place of the mounted volume."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from bench.backup import LocalVolume
from workloads.encrypted_backup.context import script
from workloads.encrypted_backup.scripts import manifest, seed

NAMESPACE = ["unshare", "--mount", "--", "true"]
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("rsync") is None or subprocess.run(NAMESPACE, check=False).returncode != 0,
    reason="a mount of its own takes root with CAP_SYS_ADMIN, and the copy takes rsync",
)
FIRST, SECOND, THIRD = "2026-01-01T000000Z", "2026-01-02T000000Z", "2026-01-03T000000Z"
VICTIM = Path("folder-0000/name-5eed-000003.txt")


class Backups:
    """Snapshots of one folder of small files."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "above" / "source"
        seed.make(self.source, "5eed", 20)
        self.volume = LocalVolume(folder)

    def copy(self, name: str, *sources: Path, one_file_system: str = "no") -> bool:
        """A complete snapshot; whether it was only linked."""
        words = map(str, sources or (self.source,))
        said = json.loads(self.volume.do(script("client_copy"), name, one_file_system, *words).splitlines()[-2])
        self.volume.do(script("client_publish"), name, json.dumps({"name": name}))
        return bool(said["linked"])

    def tree(self, name: str) -> Path:
        return self.volume.snapshots / name / "tree" / str(self.source).lstrip("/")


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path)


def described(root: Path) -> dict[bytes, manifest.Entry]:
    """Everything below a folder, but for the inodes; times of what is no file in seconds (manifest.compare_entries)."""
    found = {}
    for path, each in manifest.paths_below(os.fsencode(root)):
        entry = manifest.describe(each.path, path, each.stat(follow_symlinks=False), None)
        if entry["type"] != "file":
            entry["mtime_ns"] //= 10**9
        found[path] = entry
    return found


def test_an_unchanged_tree_is_linked_and_the_same_in_everything(backups: Backups) -> None:
    assert not backups.copy(FIRST)
    assert backups.copy(SECOND)
    assert described(backups.tree(SECOND)) == described(backups.source)
    assert (backups.tree(SECOND) / VICTIM).samefile(backups.tree(FIRST) / VICTIM)
    assert not (backups.tree(SECOND) / VICTIM.parent).samefile(backups.tree(FIRST) / VICTIM.parent)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.chmod(0o4700),
        lambda path: os.utime(path, (1, 1)),
        lambda path: os.setxattr(path, "user.new", b"1"),
        lambda path: path.unlink(),
        lambda path: path.with_name("new").touch(),
        lambda path: path.parent.chmod(0o700),
        lambda path: os.link(path, path.with_name("another name")),
    ],
    ids=["content", "mode", "time", "attribute", "removed", "added", "folder's mode", "hard link"],
)
def test_one_change_is_copied_and_leaves_the_first_snapshot_alone(backups: Backups, change: object) -> None:
    assert callable(change)
    backups.copy(FIRST)
    before = described(backups.tree(FIRST))
    change(backups.source / VICTIM)
    assert not backups.copy(SECOND)
    assert described(backups.tree(SECOND)) == described(backups.source)
    assert described(backups.tree(FIRST)) == before
    assert backups.copy(THIRD)


def test_what_is_above_a_source_is_kept_as_it_is_and_makes_nothing_be_copied(backups: Backups) -> None:
    above = backups.source.parent
    os.utime(above, (1, 1))
    backups.copy(FIRST)
    above.chmod(0o711)
    os.utime(above, (2, 2))
    assert backups.copy(SECOND)
    for name, mode, seconds in ((FIRST, 0o755, 1), (SECOND, 0o711, 2)):
        kept = backups.tree(name).parent.stat()
        assert (stat.S_IMODE(kept.st_mode), kept.st_mtime) == (mode, seconds)


def test_a_source_that_is_no_longer_named_is_not_taken_over(backups: Backups) -> None:
    folder, other = backups.source / "folder-0000", backups.source / "odd"
    backups.copy(FIRST, folder, other)
    assert not backups.copy(SECOND, folder)
    assert not (backups.tree(SECOND) / "odd").exists()
    assert not backups.copy(THIRD, folder, one_file_system="yes")
