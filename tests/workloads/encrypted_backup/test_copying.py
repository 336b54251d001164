"""The copy that a client's host makes, run on a folder of this machine in the place of the mounted volume."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.backup import LocalVolume
from workloads.connectors.script import facts_in
from workloads.encrypted_backup.context import host_program, script
from workloads.encrypted_backup.scripts import seed
from workloads.encrypted_backup.scripts.entries import Entry, describe, is_kept, paths_below

NAMESPACE = ["unshare", "--mount", "--", "true"]
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("rsync") is None or subprocess.run(NAMESPACE, check=False).returncode != 0,
    reason="a mount of its own takes root with CAP_SYS_ADMIN, and the copy takes rsync",
)
FIRST, SECOND, THIRD = "2026-01-01T000000Z", "2026-01-02T000000Z", "2026-01-03T000000Z"
CLOCK_TICK_NS = 20_000_000  # more than a tick of the kernel's clock, by which ctimes are
VICTIM = Path("folder-0000/name-5eed-000003.txt")


class Backups:
    """Snapshots of one folder of small files."""

    def __init__(self, folder: Path) -> None:
        self.source = self.named = folder / "above" / "source"
        seed.make(self.source, "5eed", 20)
        self.volume = LocalVolume(folder)

    def copy_alone(
        self,
        name: str,
        *sources: Path,
        one_file_system: str = "no",
        reads_files: str = "no",
        exclude: Sequence[str] = (),
    ) -> Entry:
        """What a run leaves that is cut short after its copy; what that said."""
        words = list(map(str, sources or (self.named,)))
        arguments = [name, one_file_system, reads_files, str(len(words)), *words, *exclude]
        facts = facts_in(self.volume.output_of(host_program("copy_plan", "client_copy"), *arguments))
        (said,) = (fact for fact in facts if "linked" in fact)
        return said

    def copy(self, name: str, *sources: Path, one_file_system: str = "no", exclude: Sequence[str] = ()) -> bool:
        """A complete snapshot without a manifest; whether it was only linked."""
        said = self.copy_alone(name, *sources, one_file_system=one_file_system, exclude=exclude)
        self.publish(name)
        return bool(said["linked"])

    def back_up(self, name: str, previous: str = "", sources: Sequence[Path] = (), **options: Any) -> Entry:
        """A complete snapshot with its manifest; what that says."""
        copied = self.copy_alone(name, *sources, **options)
        said = self.written(name, previous, "same" if copied["same"] else "write")
        self.publish(name)
        return {**said, "same": copied["same"]}

    def written(self, name: str, previous: str = "", command: str = "write") -> Entry:
        """The manifest of a copy; what that says."""
        before = f"{self.volume.snapshots}/{previous}" if previous else ""
        words = [command, f"{self.volume.snapshots}/.partial-{name}", before]
        return dict(json.loads(self.volume.output_of(host_program("manifest"), *words).splitlines()[0]))

    def checked(self, *names: str) -> Entry:
        """What a check of snapshots says."""
        words = [f"{self.volume.snapshots}/{name}" for name in names]
        return dict(json.loads(self.volume.output_of(host_program("manifest"), "check", *words).splitlines()[0]))

    def publish(self, name: str) -> None:
        self.volume.output_of(script("client_publish"), name, json.dumps({"name": name}))

    def tree(self, name: str) -> Path:
        return self.volume.snapshots / name / "tree" / str(self.named).lstrip("/")


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path)


def described(root: Path) -> dict[bytes, Entry]:
    """Everything below a folder, but for the inodes; times of what is no file in seconds (entries.differing)."""
    found = {}

    def failed(path: bytes, error: OSError) -> None:
        raise error

    for path, each in paths_below(os.fsencode(root), failed):
        entry = describe(each.path, path, each.stat(follow_symlinks=False))
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


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_bytes(b"other"),
    "mode": lambda path: path.chmod(0o4700),
    "time": lambda path: os.utime(path, (1, 1)),
    "attribute": lambda path: os.setxattr(path, "user.new", b"1"),
    "added": lambda path: path.with_name("new").touch(),
    "folder's mode": lambda path: path.parent.chmod(0o700),
    "hard link": lambda path: os.link(path, path.with_name("another name")),
    "removed": lambda path: path.unlink(),
}


def test_one_change_is_copied_and_leaves_the_snapshot_before_alone(backups: Backups) -> None:
    """Each against a snapshot of all changes before it."""
    last = FIRST
    backups.copy(last)
    for number, (name, change) in enumerate(CHANGES.items(), start=2):
        before = described(backups.tree(last))
        change(backups.source / VICTIM)
        snapshot = f"2026-01-{number:02}T000000Z"
        assert not backups.copy(snapshot), name
        assert described(backups.tree(snapshot)) == described(backups.source), name
        assert described(backups.tree(last)) == before, name
        last = snapshot
    assert backups.copy("2026-02-01T000000Z")


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


def written_to_unseen(path: Path) -> bytes:
    """Gives a file other content of the same size, and the time that it had."""
    found = path.stat()
    content = os.urandom(found.st_size)
    path.write_bytes(content)
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))
    return content


def test_a_file_that_was_written_to_and_has_its_size_and_time_again_is_copied(backups: Backups) -> None:
    backups.back_up(FIRST)
    before = (backups.tree(FIRST) / VICTIM).read_bytes()
    content = written_to_unseen(backups.source / VICTIM)
    (backups.source / VICTIM.with_name("linked")).hardlink_to(backups.source / VICTIM)
    assert backups.back_up(SECOND, FIRST)["differences"] == 0
    assert (backups.tree(SECOND) / VICTIM).read_bytes() == content
    assert (backups.tree(FIRST) / VICTIM).read_bytes() == before
    assert described(backups.tree(SECOND)) == described(backups.source)
    assert backups.back_up(THIRD, SECOND)["new_files"] == 0


def test_so_is_one_that_was_copied_by_a_run_that_was_cut_short(backups: Backups) -> None:
    backups.copy_alone(FIRST)
    content = written_to_unseen(backups.source / VICTIM)
    assert backups.back_up(SECOND)["differences"] == 0
    assert (backups.tree(SECOND) / VICTIM).read_bytes() == content


def test_a_file_whose_ctime_alone_has_changed_is_stored_once(backups: Backups) -> None:
    backups.back_up(FIRST)
    found = (backups.source / VICTIM).stat()
    os.utime(backups.source / VICTIM, ns=(0, found.st_mtime_ns))
    assert backups.back_up(SECOND, FIRST)["differences"] == 0
    assert (backups.tree(SECOND) / VICTIM).samefile(backups.tree(FIRST) / VICTIM)


def test_what_is_excluded_is_in_no_part_of_a_snapshot(backups: Backups) -> None:
    exclude = ["odd", "/nowhere", f"{backups.source}/*linked-1", "*.txt"]
    assert backups.back_up(FIRST, exclude=exclude)["differences"] == 0
    assert {path.name for path in backups.tree(FIRST).iterdir()} == {
        path.name for path in backups.source.iterdir() if path.name not in ("odd", "linked-1")
    }
    for name in ("manifest", "SHA256SUMS"):
        assert b"linked-3" not in (backups.volume.snapshots / FIRST / name).read_bytes()
    assert json.loads((backups.volume.snapshots / FIRST / "selection").read_text())["exclude"] == exclude
    assert backups.checked(FIRST)["differences"] == 0


def test_other_exclusions_are_no_reason_to_link_all(backups: Backups) -> None:
    backups.back_up(FIRST)
    assert not backups.copy(SECOND, exclude=["odd"])
    assert not (backups.tree(SECOND) / "odd").exists()
    assert backups.copy(THIRD, exclude=["odd"])


# A root that may not pass over permissions, as one before another user's FUSE mount.
NOT_ALL_POWERFUL = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "


def test_what_cannot_be_read_is_named_and_the_rest_is_kept(backups: Backups) -> None:
    file = backups.source / "odd" / "secret"
    file.write_text("text")
    os.chown(file, 1234, 1234)
    file.chmod(0o600)
    backups.volume.before = NOT_ALL_POWERFUL
    said = backups.back_up(FIRST)
    assert (said["unread"], said["differences"]) == (1, 0)
    (line,) = (backups.volume.snapshots / FIRST / "unread").read_text().splitlines()
    assert json.loads(line) == {"path": str(file).lstrip("/"), "why": "Permission denied"}
    assert (backups.tree(FIRST) / VICTIM).exists()
    assert not (backups.tree(FIRST) / "odd" / "secret").exists()
    assert backups.checked(FIRST)["differences"] == 0
    assert backups.back_up(SECOND, FIRST)["unread"] == 1
    assert backups.back_up(THIRD, SECOND, exclude=["secret"])["unread"] == 0


def test_what_can_be_read_and_was_not_copied_is_a_difference(backups: Backups) -> None:
    backups.copy_alone(FIRST)
    copy = backups.volume.snapshots / f".partial-{FIRST}" / "tree" / str(backups.source / VICTIM).lstrip("/")
    copy.unlink()
    shutil.copystat((backups.source / VICTIM).parent, copy.parent)
    assert backups.written(FIRST)["differences"] == 1


def test_names_are_not_taken_for_reasons(backups: Backups) -> None:
    """A file that is called like an error, and can't be read, is no full or broken disk."""
    for name in ("No space left on device", "x: Read-only file system (30)", "Input", "file has vanished: "):
        (backups.source / name).write_text("text")
        os.chown(backups.source / name, 1234, 1234)
        (backups.source / name).chmod(0o600)
    backups.volume.before = NOT_ALL_POWERFUL
    assert backups.back_up(FIRST)["unread"] == 4


def test_a_volume_that_has_no_room_for_a_new_folder_or_record_is_full(backups: Backups) -> None:
    snapshots = shlex.quote(str(backups.volume.snapshots))
    full = f"mount -t tmpfs -o nr_inodes={{}} none {snapshots} && "
    backups.volume.before = full.format(2)
    copied = backups.volume.run_script(
        host_program("copy_plan", "client_copy"), FIRST, "no", "no", "1", str(backups.source)
    )
    backups.volume.before = full.format(3) + f"mkdir -p {snapshots}/.partial-{FIRST}/tree && "
    published = backups.volume.run_script(script("client_publish"), FIRST, "{}")
    for done in (copied, published):
        assert done.returncode != 0
        assert "tidemark-error: the backup volume is full|nothing of earlier snapshots is lost" in done.stderr


def test_a_source_of_any_name_is_copied(backups: Backups, tmp_path: Path) -> None:
    sources = [tmp_path / "above" / name for name in ("a:b", "-x", "line\nfeed", "a  b ", "[a]*")]
    for source in sources:
        source.mkdir()
        (source / "file").write_text(f"text of {source}")
    assert backups.back_up(FIRST, sources=sources)["differences"] == 0
    for source in sources:
        copy = backups.volume.snapshots / FIRST / "tree" / str(source).lstrip("/") / "file"
        assert copy.read_text() == f"text of {source}"


def test_attributes_are_those_that_the_manifest_compares(backups: Backups) -> None:
    """rsync's rules and the manifest's are of each other."""
    file = backups.source / VICTIM
    for name in ("user.a", "trusted.b", "security.c", "user.rsync.%stat"):
        os.setxattr(file, name, b"1")
    assert backups.back_up(FIRST)["differences"] == 0
    kept = set(os.listxattr(backups.tree(FIRST) / VICTIM))
    assert {"user.a", "trusted.b", "security.c"} <= kept
    assert all(is_kept(name) for name in kept)


def settle(backups: Backups) -> None:
    """Waits until the last file's ctime has passed: the manifest of a snapshot that begins then has every ctime."""
    while time.time_ns() <= max(path.lstat().st_ctime_ns for path in backups.source.rglob("*")) + CLOCK_TICK_NS:
        os.sched_yield()


@pytest.fixture
def settled(backups: Backups) -> Backups:
    """With a first snapshot, whose manifest has every ctime."""
    settle(backups)
    backups.back_up(FIRST)
    return backups


def test_sources_in_the_state_of_the_newest_manifest_are_linked_without_a_look_at_their_copy(settled: Backups) -> None:
    second = settled.back_up(SECOND, FIRST)
    assert second["same"]
    assert (second["differences"], second["new_files"]) == (0, 0)
    first, again = (settled.volume.snapshots / name for name in (FIRST, SECOND))
    assert (again / "SHA256SUMS").read_bytes() == (first / "SHA256SUMS").read_bytes()
    assert settled.checked(FIRST, SECOND)["differences"] == 0
    # And of that the next one knows as much.
    assert settled.back_up(THIRD, SECOND)["same"]


@pytest.fixture
def apart(backups: Backups) -> Backups:
    """As `settled`, of sources in /mnt: what is above them changes only here, as the time of /tmp does not."""
    backups.named = Path("/mnt/source")
    backups.volume.before = f"mount --bind {shlex.quote(str(backups.source.parent))} /mnt && "
    settle(backups)
    backups.back_up(FIRST)
    return backups


def trees(backups: Backups) -> set[str]:
    return {path.name for path in (backups.volume.snapshots.parent / "trees").iterdir()}


def test_snapshots_of_one_state_have_one_tree_which_the_last_of_them_leaves(apart: Backups) -> None:
    for previous, name in ((FIRST, SECOND), (SECOND, THIRD)):
        assert apart.back_up(name, previous)["same"]
    assert apart.tree(THIRD).samefile(apart.tree(FIRST))
    assert trees(apart) == {FIRST}
    checked = apart.checked(FIRST, SECOND, THIRD)
    assert checked["files"] == 3 * apart.checked(FIRST)["files"]
    assert checked["read_bytes"] == apart.checked(FIRST)["read_bytes"]
    apart.volume.output_of(script("client_prune"), FIRST, SECOND)
    assert trees(apart) == {FIRST}
    assert apart.checked(THIRD)["differences"] == 0
    assert described(apart.tree(THIRD)) == described(apart.source)
    apart.volume.output_of(script("client_prune"), THIRD)
    assert trees(apart) == set()


def test_a_change_ends_the_common_tree_and_leaves_it_as_it_is(apart: Backups) -> None:
    apart.back_up(SECOND, FIRST)
    before = described(apart.tree(FIRST))
    (apart.source / VICTIM).write_text("other")
    settle(apart)
    assert not apart.back_up(THIRD, SECOND)["same"]
    assert described(apart.tree(SECOND)) == before
    assert trees(apart) == {FIRST, THIRD}
    apart.volume.output_of(script("client_prune"), FIRST, SECOND)
    assert trees(apart) == {THIRD}
    assert apart.checked(THIRD)["differences"] == 0


def test_with_another_folder_above_the_sources_the_tree_is_another(apart: Backups) -> None:
    apart.source.parent.chmod(0o711)
    assert apart.back_up(SECOND, FIRST)["same"]
    kept = [stat.S_IMODE(apart.tree(name).parent.stat().st_mode) for name in (FIRST, SECOND)]
    assert kept == [0o755, 0o711]
    assert apart.checked(FIRST, SECOND)["differences"] == 0
    assert apart.back_up(THIRD, SECOND)["same"]
    assert trees(apart) == {FIRST, SECOND}


def test_without_the_state_of_the_newest_the_entries_are_compared_and_linked(apart: Backups) -> None:
    (apart.volume.snapshots / FIRST / "state").unlink()
    second = apart.back_up(SECOND, FIRST)
    assert (second["same"], second["new_files"], second["differences"]) == (False, 0, 0)
    assert (apart.tree(SECOND) / VICTIM).samefile(apart.tree(FIRST) / VICTIM)
    assert apart.back_up(THIRD, SECOND)["same"]
    assert apart.checked(THIRD)["differences"] == 0
    assert trees(apart) == {FIRST, SECOND}


def test_a_copy_that_is_made_again_does_not_write_into_a_common_tree(apart: Backups) -> None:
    assert apart.copy_alone(SECOND)["same"]
    apart.written(SECOND, FIRST, "same")
    before, state = described(apart.tree(FIRST)), (apart.volume.snapshots / FIRST / "state").read_bytes()
    (apart.source / VICTIM).write_text("other")
    settle(apart)
    assert not apart.back_up(SECOND, FIRST)["same"]
    assert described(apart.tree(FIRST)) == before
    assert (apart.volume.snapshots / FIRST / "state").read_bytes() == state
    assert apart.checked(FIRST, SECOND)["differences"] == 0


def test_no_tree_is_removed_where_a_snapshot_has_none_that_can_be_found(apart: Backups) -> None:
    apart.back_up(SECOND, FIRST)
    (apart.volume.snapshots / FIRST / "tree").unlink()
    assert apart.volume.run_script(script("client_prune"), SECOND).returncode
    assert trees(apart) == {FIRST}


def _later(path: Path) -> None:
    """Changes the content alone: time and size are as they were."""
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES_OF_CTIME: dict[str, Callable[[Path], object]] = {
    "content": _later,
    "mode": lambda path: path.chmod(0o611),
    "gone": lambda path: path.unlink(),
    "new": lambda path: path.with_name(f"new {path.name}").touch(),
    "renamed": lambda path: path.rename(path.with_name(f"renamed {path.name}")),
    "attribute": lambda path: os.setxattr(path, "user.note", b"1"),
    "another name": lambda path: path.with_name(f"another {path.name}").hardlink_to(path),
    "a time in the future": lambda path: os.utime(path, (4_000_000_000, 4_000_000_000)),
    "folder's mode": lambda path: path.parent.chmod(0o700),
}


def test_a_change_of_any_kind_is_in_the_next_snapshot(settled: Backups) -> None:
    """Each of another file, against a snapshot of all changes before it."""
    last = FIRST
    victims = sorted((settled.source / VICTIM).parent.glob("name-*.txt"))
    for number, (change, path) in enumerate(zip(CHANGES_OF_CTIME, victims, strict=False), start=2):
        CHANGES_OF_CTIME[change](path)
        settle(settled)
        snapshot = f"2026-01-{number:02}T000000Z"
        said = settled.back_up(snapshot, last)
        assert not said["same"], change
        assert said["differences"] == 0, change
        assert states(settled.source) == states(settled.tree(snapshot)), change
        if path.exists():
            assert path.read_bytes() == (settled.tree(snapshot) / path.relative_to(settled.source)).read_bytes()
        last = snapshot
    assert number == len(CHANGES_OF_CTIME) + 1
    assert settled.back_up("2026-02-01T000000Z", last)["same"]


def states(root: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time, in seconds, of everything below a folder."""
    found = {path: entry.stat(follow_symlinks=False) for path, entry in paths_below(os.fsencode(root), _fail)}
    return {os.fsdecode(path): (each.st_mode, each.st_size, each.st_mtime_ns // 10**9) for path, each in found.items()}


def _fail(path: bytes, error: OSError) -> None:
    raise error


def test_a_damaged_manifest_says_nothing_of_what_has_not_changed(settled: Backups) -> None:
    manifest = settled.volume.snapshots / FIRST / "manifest"
    manifest.write_bytes(manifest.read_bytes().replace(b'"size":', b'"sise":', 1))
    assert not settled.back_up(SECOND, FIRST)["same"]


def test_a_ctime_from_after_the_backups_begin_proves_nothing(backups: Backups) -> None:
    """A second write within the same tick of the clock, or after the clock was set back, has the same ctime."""
    victim = backups.source / VICTIM
    copied = backups.copy_alone(FIRST)
    began = backups.volume.snapshots / f".partial-{FIRST}" / "began"
    when = victim.stat().st_ctime_ns
    os.utime(began, ns=(when, when))
    backups.written(FIRST)
    backups.publish(FIRST)
    assert not copied["same"]
    assert not backups.back_up(SECOND, FIRST)["same"]


def test_another_selection_is_not_the_same(settled: Backups) -> None:
    assert not settled.back_up(SECOND, FIRST, exclude=["no-such-name"])["same"]


def test_with_checksum_a_file_is_read_whose_ctime_tells_no_change(settled: Backups) -> None:
    """As on a file system whose ctime is anybody's: here the manifest has the ctime of the change."""
    victim = settled.source / VICTIM
    _later(victim)
    manifest = settled.volume.snapshots / FIRST / "manifest"
    lines = manifest.read_text().splitlines(keepends=True)
    (at,) = (n for n, line in enumerate(lines) if json.loads(line)["path"].endswith(str(VICTIM)))
    entry = json.loads(lines[at]) | {"source_ctime_ns": victim.stat().st_ctime_ns}
    lines[at] = json.dumps(entry, separators=(",", ":")) + "\n"
    manifest.write_text("".join(lines))
    assert settled.back_up(SECOND, FIRST)["new_files"] == 0
    assert (settled.tree(SECOND) / VICTIM).read_bytes() != victim.read_bytes()
    third = settled.back_up(THIRD, reads_files="yes")
    assert (third["same"], third["differences"]) == (False, 0)
    assert (settled.tree(THIRD) / VICTIM).read_bytes() == victim.read_bytes()
