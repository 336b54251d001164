"""The manifest: what rsync has copied is found to be the same, and every kind of difference is found."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads.encrypted_backup.scripts import manifest, manifest_writer, seed
from workloads.encrypted_backup.scripts.entries import Entry
from workloads.encrypted_backup.scripts.manifest_writer import Writer
from workloads.encrypted_backup.scripts.selection import Selection

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("rsync") is None, reason="owners take root, and the copy takes rsync"
)
RSYNC = ("rsync", "-aHAXS", "--numeric-ids", "--relative", "--delete")
SEED = "5eed"
# A kernel gives files the time of its last tick (inode_set_ctime_current): 10 ms at 100 Hz.
TICK_SECONDS = 0.02


class Volume:
    """Snapshots of one directory, made as client_copy.sh makes them."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.snapshots = folder / "snapshots"
        seed.make(self.source, SEED, 40)

    def snapshot(self, name: str, previous: Path | None = None) -> tuple[Path, Entry]:
        folder = self.snapshots / name
        (folder / "tree").mkdir(parents=True)
        time.sleep(TICK_SECONDS)
        (folder / "began").touch()
        Selection(b"/nowhere/own", [os.fsencode(self.source)]).save(os.fsencode(folder / "selection"))
        links = [] if previous is None else [f"--link-dest={previous}/tree"]
        subprocess.run([*RSYNC, *links, str(self.source), f"{folder}/tree/"], check=True)
        said = Writer(os.fsencode(folder), None if previous is None else os.fsencode(previous)).write()
        (folder / "began").unlink()
        return folder, said

    def copy_in(self, snapshot: Path) -> Path:
        return snapshot / "tree" / str(self.source).lstrip("/")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def compared(snapshot: Path, root: Path) -> int:
    return int(manifest.compare(os.fsencode(snapshot), os.fsencode(root))["differences"])


def test_a_copy_by_rsync_is_the_same_in_everything(volume: Volume) -> None:
    snapshot, said = volume.snapshot("1")
    assert said["differences"] == 0
    # The folders above it are entries, too; pytest writes into them, and that is said of them.
    assert said["changed_meanwhile"] <= len(volume.source.parents)
    assert said["files"] == seed.said(volume.source)["files"]
    assert said["total_bytes"] == seed.said(volume.source)["total_bytes"]
    assert compared(snapshot, snapshot / "tree") == 0


@pytest.mark.parametrize(
    ("kind", "known"), [(b"ext4", True), (b"fuse.sshfs", False), (b"fuseblk", False), (b"vfat", False)]
)
def test_a_ctime_that_any_program_can_set_is_not_kept(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, kind: bytes, known: bool
) -> None:
    """`touch` sets the ctime of a file on a USB stick, too: with another content it would pass as unchanged."""
    device = volume.source.stat().st_dev
    monkeypatch.setattr(manifest_writer, "file_systems", lambda: [(b"/", kind, device)])
    snapshot, _ = volume.snapshot("1")
    entries = [json.loads(line) for line in (snapshot / "manifest").read_text().splitlines()]
    ctimes = [entry["source_ctime_ns"] for entry in entries if entry["type"] == "file"]
    assert len(ctimes) >= 40
    assert any(each is not None for each in ctimes) == known


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


def written_again(volume: Volume, snapshot: Path, began_ns: int | None = None, previous: Path | None = None) -> Entry:
    """The manifest made once more, of a copy that was begun now, or at `began_ns`."""
    time.sleep(TICK_SECONDS)
    (snapshot / "began").touch()
    # The folders above the source are everybody's: others write to /tmp meanwhile.
    for folder in volume.source.parents[:-1]:
        shutil.copystat(folder, snapshot / "tree" / str(folder).lstrip("/"))
    if began_ns is not None:
        os.utime(snapshot / "began", ns=(began_ns, began_ns))
    return Writer(os.fsencode(snapshot), None if previous is None else os.fsencode(previous)).write()


def not_compared(volume: Volume, snapshot: Path) -> set[str]:
    """Of the source's entries those that the manifest says were not the same, or not compared."""
    entries = map(json.loads, (snapshot / "manifest").read_text().splitlines())
    top = str(volume.source).lstrip("/") + "/"
    names = [entry["path"] for entry in entries if entry["source_ctime_ns"] is None]
    return {name.removeprefix(top) for name in names if name.startswith(top)}


def test_a_source_that_changed_meanwhile_is_counted_and_no_difference(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    time.sleep(TICK_SECONDS)
    began_ns = time.time_ns()
    time.sleep(TICK_SECONDS)
    for name in ("large", "sparse"):
        (volume.source / name).write_bytes(b"written to")
    said = written_again(volume, snapshot, began_ns)
    assert said["differences"] == 0
    assert not_compared(volume, snapshot) == {"large", "sparse"}
    # pytest may write to the folders above meanwhile, which are entries, too.
    assert 2 <= said["changed_meanwhile"] <= 2 + len(volume.source.parents)


def test_what_was_written_to_since_the_backup_began_is_compared_again_by_the_next(volume: Volume) -> None:
    """It may be written to once more with the same ctime, which has the length of a tick."""
    snapshot, _ = volume.snapshot("1")
    said = written_again(volume, snapshot, began_ns=0)
    assert said["differences"] == said["changed_meanwhile"] == 0
    again = written_again(volume, snapshot, previous=snapshot)
    assert again["new_files"] == said["new_files"]


def test_a_copy_that_is_not_its_source_is_a_difference(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    (volume.copy_in(snapshot) / "large").write_bytes(b"not what is in the source")
    assert written_again(volume, snapshot)["differences"] >= 1


@pytest.mark.parametrize("seconds", [0, 4_070_908_800], ids=["1970", "2099"])
def test_a_time_that_anybody_can_set_keeps_no_file_from_being_compared(seconds: int, volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    copy = volume.copy_in(snapshot) / "large"
    copy.write_bytes(b"x" * copy.stat().st_size)
    for path in (copy, volume.source / "large"):
        os.utime(path, (seconds, seconds))
    said = written_again(volume, snapshot)
    assert said["differences"] == 1
    assert not_compared(volume, snapshot) == {"large"}


def test_a_ctime_that_lies_far_ahead_is_none(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sshfs has it, which shows the mtime in its place."""
    snapshot, _ = volume.snapshot("1")
    (volume.copy_in(snapshot) / "large").write_bytes(b"not what is in the source")
    monkeypatch.setattr(manifest_writer, "CLOCK_AHEAD_NS", -(10**18))
    assert written_again(volume, snapshot, began_ns=0)["differences"] == 1


def test_a_file_of_the_same_size_and_time_as_before_is_compared_when_it_was_written_to(volume: Volume) -> None:
    first, _ = volume.snapshot("1")
    victim = volume.source / "large"
    found = victim.stat()
    victim.write_bytes(b"x" * found.st_size)
    os.utime(victim, ns=(found.st_mtime_ns, found.st_mtime_ns))
    _, said = volume.snapshot("2", first)
    assert said["differences"] == 1


def test_what_was_not_compared_is_compared_by_the_next_backup(volume: Volume) -> None:
    first, _ = volume.snapshot("1")
    (volume.copy_in(first) / "large").write_bytes(b"torn")
    time.sleep(TICK_SECONDS)
    began_ns = time.time_ns()
    time.sleep(TICK_SECONDS)
    (volume.source / "large").chmod(0o600)
    written_again(volume, first, began_ns)
    assert not_compared(volume, first) == {"large"}
    second = volume.snapshots / "2"
    subprocess.run(["cp", "--archive", "--link", first, second], check=True)
    assert written_again(volume, second, previous=first)["differences"] >= 1


LISTXATTR, LSTAT = os.listxattr, os.lstat


def fails(source: Path, number: int, function: Callable[..., object]) -> Callable[..., object]:
    """The function, which gives this error for `source` and what is below it."""

    def failing(path: bytes, **options: object) -> object:
        if Path(os.fsdecode(path)).is_relative_to(source):
            raise OSError(number, os.strerror(number), path)
        return function(path, **options)

    return failing


def test_a_source_that_has_no_attributes_has_none(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    (volume.source / "attributes").unlink()
    os.removexattr(volume.source / "empty-folder", "system.posix_acl_default")
    snapshot, _ = volume.snapshot("1")
    monkeypatch.setattr(os, "listxattr", fails(volume.source, errno.EOPNOTSUPP, LISTXATTR))
    said = written_again(volume, snapshot)
    assert (said["differences"], said["unread"]) == (0, 0)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
@pytest.mark.parametrize("function", ["lstat", "listxattr"])
def test_an_entry_that_cannot_be_compared_is_named_and_the_rest_goes_on(
    function: str, number: int, volume: Volume, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, _ = volume.snapshot("1")
    (volume.copy_in(snapshot) / "sparse").write_bytes(b"damaged")
    monkeypatch.setattr(os, function, fails(volume.source / "large", number, getattr(os, function)))
    said = written_again(volume, snapshot)
    assert (said["unread"], said["differences"]) == (1, 1)
    assert f"source/large': {os.strerror(number)}" in capsys.readouterr().err
    (line,) = (snapshot / "unread").read_text().splitlines()
    assert json.loads(line) == {"path": f"{volume.source}/large".lstrip("/"), "why": os.strerror(number)}


def test_attributes_that_a_copy_can_not_keep_are_said_once(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, _ = volume.snapshot("1")
    others = ["system.nfs4_acl", "btrfs.compression"]

    def listed(path: bytes, **options: bool) -> list[str]:
        more = others if Path(os.fsdecode(path)).is_relative_to(volume.source) else []
        return [*LISTXATTR(path, **options), *more]

    monkeypatch.setattr(os, "listxattr", listed)
    said = written_again(volume, snapshot)
    assert (said["differences"], said["attributes_not_kept"]) == (0, 2)
    assert capsys.readouterr().err.count("can't keep: btrfs.compression, system.nfs4_acl") == 1


def test_a_folder_that_cannot_be_read_is_one_difference(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, _ = volume.snapshot("1")
    copy = volume.copy_in(snapshot)
    monkeypatch.setattr(os, "scandir", fails(copy / "folder-0000", errno.EIO, os.scandir))
    assert compared(snapshot, snapshot / "tree") == 1
    assert written_again(volume, snapshot)["differences"] >= 1


@pytest.mark.parametrize("function", ["scandir", "lstat"])
def test_a_folder_of_the_source_that_cannot_be_read_is_unread(
    function: str, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as another user's FUSE mount, of which the copy has nothing."""
    mount = volume.source / "mount"
    mount.mkdir()
    snapshot, _ = volume.snapshot("1")
    (mount / "file").touch()
    if function == "lstat":
        (volume.copy_in(snapshot) / "mount").rmdir()
        for path in (volume.source, volume.copy_in(snapshot)):
            os.utime(path, (1, 1))
    else:
        os.utime(mount, ns=((volume.copy_in(snapshot) / "mount").stat().st_mtime_ns,) * 2)
    for each in {function, "scandir"}:
        monkeypatch.setattr(os, each, fails(mount, errno.EACCES, getattr(os, each)))
    said = written_again(volume, snapshot)
    assert (said["unread"], said["differences"]) == (1, 0)


def test_a_source_that_can_not_be_read_at_all_is_a_difference(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, _ = volume.snapshot("1")
    monkeypatch.setattr(os, "scandir", fails(volume.source, errno.ESTALE, os.scandir))
    assert written_again(volume, snapshot)["differences"] == 1


def test_what_is_new_in_a_source_is_no_fault_and_what_was_there_is(volume: Volume) -> None:
    snapshot, _ = volume.snapshot("1")
    (volume.copy_in(snapshot) / "large").unlink()
    for path in (volume.source, volume.copy_in(snapshot)):
        os.utime(path, (1, 1))
    assert written_again(volume, snapshot)["differences"] == 1
    said = written_again(volume, snapshot, began_ns=0)
    assert said["differences"] == 0
    assert said["changed_meanwhile"] >= 1
