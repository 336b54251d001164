"""md-raid's scripts against a made-up /sys: what is held, what is not known, and what is never read as an absence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.script_world import ScriptWorld
from workloads.md_raid.context import script
from workloads.md_raid.parsers import client_state

MDSTAT = "Personalities : [raid0] [raid10] \nunused devices: <none>\n"
TARGET = "iqn.2026-11.io.tidemark:storage-1.vol-1"


@pytest.fixture
def world(tmp_path: Path) -> ScriptWorld:
    return ScriptWorld(tmp_path)


def session(world: ScriptWorld, disk: str, *, state: str = "running") -> None:
    """A session with its disk, as the kernel shows them."""
    world.disk(disk, 15 << 30)
    world.file("/sys/class/iscsi_session/session1/targetname", f"{TARGET}\n")
    world.file("/sys/class/iscsi_session/session1/state", "LOGGED_IN\n")
    below = "/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:0/block"
    world.path(below).mkdir(parents=True)
    world.link(f"{below}/{disk}", f"/sys/block/{disk}")
    world.file(f"/sys/block/{disk}/device/state", f"{state}\n")


@pytest.mark.parametrize(
    ("array_state", "label"),
    [("clean", None), ("active", None), ("broken", None), ("inactive", "tidemark:md1"), (None, "tidemark:md1")],
)
def test_what_holds_a_disk_is_told_and_its_label_unless_an_array_runs(
    world: ScriptWorld, array_state: str | None, label: str | None
) -> None:
    world.file("/proc/mdstat", MDSTAT)
    session(world, "sda")
    world.file("/sys/block/sda/holders/md127")
    if array_state is not None:
        world.file("/sys/block/md127/md/array_state", f"{array_state}\n")
    world.tool("mdadm", "case $1 in --examine) echo MD_NAME=tidemark:md1; echo MD_EVENTS=7 ;; esac")
    done = world.run(script("client_state"))
    assert done.returncode == 0, done.stderr
    disk = client_state(done.stdout).disks[TARGET]
    assert (disk.holder, disk.label) == ("md127", label)


@pytest.mark.parametrize(
    ("mdadm", "label", "fault"),
    [
        ("echo MD_NAME=tidemark:md1; echo MD_EVENTS=7", "tidemark:md1", None),
        ("echo 'mdadm: No md superblock detected on /dev/sda.' >&2; exit 1", None, None),
        ("echo 'mdadm: cannot open /dev/sda: Input/output error' >&2; exit 1", None, "cannot open"),
        ("exit 1", None, "failed without a word"),
    ],
)
def test_only_mdadms_own_word_says_that_there_is_no_label(
    world: ScriptWorld, mdadm: str, label: str | None, fault: str | None
) -> None:
    world.file("/proc/mdstat", MDSTAT)
    session(world, "sda")
    world.tool("mdadm", mdadm)
    done = world.run(script("client_state"))
    assert done.returncode == 0, done.stderr
    disk = client_state(done.stdout).disks[TARGET]
    assert disk.label == label
    assert (fault is None) == (disk.label_fault is None)
    assert fault is None or fault in str(disk.label_fault)


def test_a_disk_that_is_away_has_a_label_that_is_not_known(world: ScriptWorld) -> None:
    world.file("/proc/mdstat", MDSTAT)
    session(world, "sda", state="transport-offline")
    world.tool("mdadm")
    disk = client_state(world.run(script("client_state")).stdout).disks[TARGET]
    assert disk.label_fault == "the disk is transport-offline"
    assert world.calls == []


def test_a_kernel_without_md_is_no_host_without_arrays(world: ScriptWorld) -> None:
    done = world.run(script("client_state"))
    assert done.returncode == 1
    assert "tidemark-error: the kernel has no md arrays (/proc/mdstat is missing)|run configure" in done.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("client_mirrors", ["512", "md1=/dev/sda,/dev/sdb,/dev/sdc"]),
        ("client_stripe", ["md99", "512", "create", "/dev/sdb"]),
    ],
)
def test_nothing_is_created_over_what_is_held(world: ScriptWorld, name: str, arguments: list[str]) -> None:
    for disk in ("sda", "sdb", "sdc"):
        world.disk(disk, 15 << 30)
    world.tool("mdadm")
    assert world.run(script(name), *arguments).returncode == 0
    assert len(world.calls) == 1
    world.file("/sys/block/sdb/holders/md7")
    done = world.run(script(name), *arguments)
    assert "tidemark-error: /dev/sdb is held by md7|" in done.stderr
    assert len(world.calls) == 1
