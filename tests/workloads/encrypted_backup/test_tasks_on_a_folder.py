"""What the tasks do with snapshots, on a folder of this machine in the place of the mounted volume."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from invoke.exceptions import Exit

from bench.backup import LocalVolume
from tests.workloads.call_task import call_task
from workloads.connectors.script import Script, ScriptResult, facts_in, script_error
from workloads.encrypted_backup import backup, tasks
from workloads.encrypted_backup.context import Context, script
from workloads.encrypted_backup.experiment import EXPERIMENT
from workloads.encrypted_backup.passphrase import checked
from workloads.encrypted_backup.scripts import seed
from workloads.encrypted_backup.snapshots import Keep, Snapshot
from workloads.encrypted_backup.volume import Volume
from workloads.errors import WorkloadError

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("rsync") is None
    or subprocess.run(["unshare", "--mount", "--", "true"], check=False).returncode != 0,
    reason="a mount of its own takes root with CAP_SYS_ADMIN, and the copy takes rsync",
)
VOLUME = Volume(checked(b"of no use here", "a test"))
NAMES = [f"2026-01-0{day}T000000Z" for day in range(1, 5)]


class Here:
    """In the place of a context: scripts run here, on a folder; keeps what a person is told, and the records."""

    run = "test"
    client_name = "client"

    def __init__(self, folder: Path) -> None:
        self.volume = LocalVolume(folder)
        self.said: list[str] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.console = self

    def say(self, _: str, words: str) -> None:
        self.said.append(words)

    def step(self, name: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def record(self, event: str, **fields: Any) -> None:
        self.records[event] = fields

    def run_short(self, name: str, arguments: Iterable[str] = ()) -> ScriptResult:
        return self.run_long(script(name), arguments)

    def run_long(self, what: Script, arguments: Iterable[str] = (), words: str = "") -> ScriptResult:
        done = self.volume.run_script(what, *arguments)
        if done.returncode:
            raise script_error(self.client_name, what.name, done.returncode, done.stderr)
        return ScriptResult(self.client_name, done.stdout, done.stderr, facts_in(done.stdout))


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few files in `source`, and four snapshots of them."""
    folder = tmp_path_factory.mktemp("backed-up")
    found = Here(folder)
    seed.make(folder / "source", "5eed", 5)
    names = iter(NAMES)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(found, patch)
        patch.setattr(backup, "name_now", lambda: next(names))
        for _ in NAMES:
            assert backup.back_up(cast(Context, found), VOLUME, backup.Sources([str(folder / "source")])).unread == 0
    return folder


def stand_in(here: Here, patch: pytest.MonkeyPatch) -> None:
    """Takes its folder for the mounted volume."""
    patch.setattr(backup, "SNAPSHOTS", str(here.volume.snapshots))
    patch.setattr(backup, "mounted", lambda *_: contextlib.nullcontext())


@pytest.fixture
def source(backed_up: Path) -> Path:
    return backed_up / "source"


@pytest.fixture
def here(backed_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """A copy of the snapshots."""
    found = Here(tmp_path)
    subprocess.run(["cp", "-a", f"{backed_up}/run/.", tmp_path / "run"], check=True)
    stand_in(found, monkeypatch)
    return found


def damage(here: Here, name: str) -> None:
    path = here.volume.snapshots / name / "snapshot.json"
    path.write_bytes(path.read_bytes()[:40])


def names(here: Here) -> list[str]:
    return sorted(path.name for path in here.volume.snapshots.iterdir())


def test_a_damaged_record_is_told_everywhere_and_costs_no_snapshot(here: Here, tmp_path: Path) -> None:
    context = cast(Context, here)
    damage(here, NAMES[0])
    damage(here, NAMES[3])
    found = backup.list_snapshots(context, VOLUME)
    assert [each.name for each in found] == NAMES
    assert [each.damaged for each in found] == ["its record is damaged", None, None, "its record is damaged"]
    with pytest.raises(WorkloadError, match="2 entries differ from the manifest"):
        backup.check(context, VOLUME)
    assert here.said[-2:] == [f"snapshot {name}: its record is damaged" for name in (NAMES[0], NAMES[3])]
    # The newest is still the newest, and its files are compared with its manifest.
    assert backup.restore(context, VOLUME, "latest", str(tmp_path / "restored")).name == NAMES[3]
    assert here.records["restored"]["files"] is None
    # Of the two that are whole one is kept, and no damaged one stands for it.
    assert backup.prune(context, VOLUME, Keep(last=1)) == ([NAMES[0], NAMES[2], NAMES[3]], [NAMES[1]])
    assert names(here) == [NAMES[0], NAMES[2], NAMES[3]]


def test_a_file_that_is_damaged_keeps_no_other_from_being_restored(here: Here, source: Path, tmp_path: Path) -> None:
    copy = here.volume.snapshots / NAMES[3] / "tree" / str(source).lstrip("/")
    (copy / "large").unlink()
    with pytest.raises(WorkloadError, match="2 entries differ from the manifest"):
        backup.restore(cast(Context, here), VOLUME, "latest", str(tmp_path / "restored"))
    assert sum("missing" in line for line in here.said) == 1
    assert (tmp_path / "restored" / str(source).lstrip("/") / "linked-1").exists()


def test_exclusions_and_their_record(here: Here, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "name_now", lambda: "2026-01-05T000000Z")
    made = backup.back_up(cast(Context, here), VOLUME, backup.Sources([str(source)], exclude=["odd", "*.txt"]))
    assert made.exclude == ("odd", "*.txt")
    assert backup.list_snapshots(cast(Context, here), VOLUME)[-1] == made
    record = json.loads((here.volume.snapshots / made.name / "snapshot.json").read_text())
    assert (record["exclude"], record["unread"]) == (["odd", "*.txt"], 0)
    assert "damaged" not in record


def test_a_source_that_an_exclusion_matches_is_refused_before_anything_is_started(here: Here, source: Path) -> None:
    with pytest.raises(WorkloadError, match="source is left out itself by an --exclude; give the one or the other"):
        backup.back_up(cast(Context, here), VOLUME, backup.Sources([str(source)], exclude=["source"]))
    with pytest.raises(WorkloadError, match="/proc is in proc, which has no files; give a directory that has files"):
        backup.back_up(cast(Context, here), VOLUME, backup.Sources(["/proc"]))
    assert names(here) == NAMES


@pytest.mark.parametrize("target", ["restored", "host:restored", "-x"])
def test_a_target_is_a_path_from_the_root(target: str, here: Here) -> None:
    """rsync takes the second for another machine's."""
    with pytest.raises(WorkloadError, match=f"--target {target} is no path from the root"):
        backup.restore(cast(Context, here), VOLUME, "latest", target)


def test_one_that_can_not_be_removed_keeps_no_other_from_it(here: Here) -> None:
    stuck = here.volume.snapshots / NAMES[0] / "tree"
    try:
        subprocess.run(["chattr", "+i", stuck], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("no immutable files on this file system")
    try:
        with pytest.raises(WorkloadError, match=f"{NAMES[0]} can't be removed"):
            backup.prune(cast(Context, here), VOLUME, Keep(last=1))
        assert [name for name in names(here) if not name.startswith(".")] == [NAMES[3]]
    finally:
        for folder in (stuck, here.volume.snapshots / f".pruned-{NAMES[0]}" / "tree"):
            subprocess.run(["chattr", "-i", folder], check=False, capture_output=True)


@pytest.mark.parametrize(("unread", "code"), [(0, None), (2, 3)])
def test_what_was_not_read_is_in_the_exit_code(
    unread: int, code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "back_up", lambda *_, **__: Snapshot(NAMES[0], unread=unread))
    monkeypatch.setattr(tasks, "connected_for", lambda *_, **__: contextlib.nullcontext(Here(tmp_path)))
    (tmp_path / "key").write_bytes(b"of no use here")
    (tmp_path / "key").chmod(0o600)
    options = {"source": ["/home"], "key_file": str(tmp_path / "key")}
    if code is None:
        call_task(EXPERIMENT, "run", **options)
        return
    with pytest.raises(Exit, match="2 entries could not be read whole, and are missing in snapshot") as fault:
        call_task(EXPERIMENT, "run", **options)
    assert fault.value.code == code
