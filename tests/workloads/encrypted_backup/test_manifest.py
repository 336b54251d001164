"""The manifest: what rsync has copied is found to be the same, and every kind of difference is found."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads.encrypted_backup.scripts import manifest, seed

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("rsync") is None, reason="owners take root, and the copy takes rsync"
)
RSYNC = ("rsync", "-aHAXS", "--numeric-ids", "--relative", "--delete")
SEED = "5eed"


class Volume:
    """Snapshots of one directory, made as client_copy.sh makes them."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.snapshots = folder / "snapshots"
        seed.make(self.source, SEED, 40)

    def snapshot(self, name: str, previous: Path | None = None) -> tuple[Path, manifest.Entry]:
        folder = self.snapshots / name
        (folder / "tree").mkdir(parents=True)
        (folder / "began").touch()
        links = [] if previous is None else [f"--link-dest={previous}/tree"]
        subprocess.run([*RSYNC, *links, str(self.source), f"{folder}/tree/"], check=True)
        said = manifest.Writer(os.fsencode(folder), None if previous is None else os.fsencode(previous)).write()
        (folder / "began").unlink()
        return folder, said

    def copy_in(self, snapshot: Path) -> Path:
        return snapshot / "tree" / str(self.source).lstrip("/")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def compared(snapshot: Path, root: Path) -> int:
    return int(manifest.compare(os.fsencode(snapshot), os.fsencode(root), {})["differences"])


def test_a_copy_by_rsync_is_the_same_in_everything(volume: Volume) -> None:
    snapshot, said = volume.snapshot("1")
    assert said["differences"] == 0
    # The folders above it are entries, too; pytest writes into them, and that is said of them.
    assert said["changed_meanwhile"] <= len(volume.source.parents)
    assert said["files"] == seed.said(volume.source)["files"]
    assert said["total_bytes"] == seed.said(volume.source)["total_bytes"]
    assert compared(snapshot, snapshot / "tree") == 0


def test_sha256sum_reads_the_list_of_checksums(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    command = ["sha256sum", "--check", "--quiet", "--strict", str(snapshot / "SHA256SUMS")]
    subprocess.run(command, cwd=snapshot / "tree", check=True)
    victim = next(volume.copy_in(snapshot).glob("folder-*/*"))
    victim.write_bytes(b"other")
    assert subprocess.run(command, cwd=snapshot / "tree", check=False, capture_output=True).returncode == 1


def test_a_second_snapshot_takes_over_what_is_the_same_file(volume: Volume) -> None:
    first, before = volume.snapshot("1")
    kept = volume.copy_in(first)
    modes = {path: path.lstat().st_mode for path in kept.rglob("*")}
    seed.change(volume.source, SEED)
    second, after = volume.snapshot("2", first)
    assert after["differences"] == 0
    assert 0 < after["new_files"] < before["new_files"] / 3
    assert compared(second, second / "tree") == 0
    # Nothing of the first changed, the mode of a file whose source has another mode now included.
    assert compared(first, first / "tree") == 0
    assert {path: path.lstat().st_mode for path in kept.rglob("*")} == modes
    both = manifest.check([os.fsencode(first), os.fsencode(second)])
    assert both["differences"] == 0
    assert both["snapshots"] == 2
    assert both["read_bytes"] < both["total_bytes"], "shared files are read once"


def test_a_new_hard_link_of_an_old_file_is_known(volume: Volume) -> None:
    first, _ = volume.snapshot("1")
    (volume.source / "linked-9").hardlink_to(volume.source / "linked-1")
    (volume.source / "zz-linked").hardlink_to(next(volume.source.glob("folder-*/*")))
    second, said = volume.snapshot("2", first)
    assert said["differences"] == 0
    assert compared(second, second / "tree") == 0


def unlink(path: Path) -> None:
    path.unlink()


def lead_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/elsewhere")


def become_a_file(path: Path) -> None:
    path.unlink()
    path.touch(0o600)


def break_link(path: Path) -> None:
    content, found = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))


Damage = Callable[[Path], object]
DAMAGES: list[tuple[str, str, Damage]] = [
    ("content of the same size", "large", lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x")),
    ("mode", "large", lambda path: path.chmod(0o600)),
    ("owner", "large", lambda path: os.chown(path, 7, 8)),
    ("time", "large", lambda path: os.utime(path, ns=(1, 1))),
    ("attribute", "attributes", lambda path: os.setxattr(path, "user.comment", b"other")),
    ("attribute gone", "attributes", lambda path: os.removexattr(path, "user.binary")),
    ("ACL", "attributes", lambda path: os.removexattr(path, "system.posix_acl_access")),
    ("missing", "empty", unlink),
    ("one more", "odd", lambda path: (path / "more").touch()),
    ("link's target", "dangling", lead_elsewhere),
    ("hard link broken", "linked-2", break_link),
    ("folder's time", "odd", lambda path: os.utime(path, ns=(5 * 10**9, 5 * 10**9))),
    ("another kind", "fifo", become_a_file),
]


@pytest.mark.parametrize(("what", "name", "damage"), DAMAGES, ids=[damage[0] for damage in DAMAGES])
def test_every_damage_is_found(what: str, name: str, damage: Damage, volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    damage(volume.copy_in(snapshot) / name)
    assert compared(snapshot, snapshot / "tree") >= 1, what


def test_a_source_that_changed_meanwhile_is_counted_and_no_difference(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    (snapshot / "began").touch()
    os.utime(snapshot / "began", ns=(0, 0))
    said = manifest.Writer(os.fsencode(snapshot), None).write()
    assert said["changed_meanwhile"] == said["entries"]
    assert said["differences"] == 0


def test_a_copy_that_is_not_its_source_is_a_difference(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    (volume.copy_in(snapshot) / "large").write_bytes(b"not what is in the source")
    (snapshot / "began").touch()
    assert manifest.Writer(os.fsencode(snapshot), None).write()["differences"] >= 1
