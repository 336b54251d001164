"""iscsi-tunnel's scripts against a made-up /sys and /proc: what is on a disk, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.script_world import ScriptWorld
from workloads.connections import END_OF_SCRIPT
from workloads.iscsi_tunnel.ends import script

IQN = "iqn.2026-11.io.tidemark:server.vol-1"
MOUNTS = (
    "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme9n1p1 rw\n"
    "30 22 253:0 / /run/backup\\040volume rw shared:2 - ext4 /dev/mapper/tidemark-backup rw\n"
    "31 30 0:44 / /run/backup\\040volume/below rw - btrfs /dev/sda2 rw\n"
    "32 22 0:45 / /srv rw - nfs4 nas:/dev/sda rw\n"
)


@pytest.fixture
def world(tmp_path: Path) -> ScriptWorld:
    """A session with its disk: a LUKS volume on its first partition, btrfs on its second."""
    found = ScriptWorld(tmp_path)
    found.file("/proc/self/mountinfo", MOUNTS)
    found.file("/proc/swaps", "Filename Type Size Used Priority\n")
    found.disk("sda", 80 << 30)
    found.file("/sys/block/sda/dev", "8:0\n")
    for number in (1, 2):
        found.file(f"/sys/block/sda/sda{number}/dev", f"8:{number}\n")
    found.disk("dm-0", 80 << 30)
    found.file("/sys/block/dm-0/dev", "253:0\n")
    found.file("/sys/block/dm-0/dm/name", "tidemark-backup\n")
    found.file("/sys/block/sda/sda1/holders/dm-0")
    found.file("/sys/class/iscsi_session/session1/targetname", f"{IQN}\n")
    below = "/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:0/block"
    found.path(below).mkdir(parents=True)
    found.link(f"{below}/sda", "/sys/block/sda")
    for tool in ("iscsiadm", "systemctl", "ip", "blockdev", "sync"):
        found.tool(tool)
    found.tool("lsblk", "echo 'lsblk: unknown column: MOUNTPOINTS' >&2; exit 1")  # before util-linux 2.37
    return found


@pytest.mark.parametrize(
    ("mounts", "swaps", "held", "words"),
    [
        (MOUNTS, "", True, r"/dev/mapper/tidemark-backup /run/backup\040volume /run/backup\040volume/below"),
        (MOUNTS.splitlines()[0], "", True, "/dev/mapper/tidemark-backup"),
        (MOUNTS, "", False, r"/run/backup\040volume/below"),
        (MOUNTS.splitlines()[0], "/dev/sda2 partition 1 0 -2", False, "/dev/sda2"),
    ],
)
def test_a_disk_in_use_is_not_detached(world: ScriptWorld, mounts: str, swaps: str, held: bool, words: str) -> None:
    world.file("/proc/self/mountinfo", mounts)
    world.file("/proc/swaps", f"Filename Type Size Used Priority\n{swaps}\n")
    if not held:
        world.path("/sys/block/sda/sda1/holders/dm-0").unlink()
    done = world.run(script("client_detach"), IQN)
    assert f"tidemark-error: /dev/sda is in use ({words})|unmount" in done.stderr
    assert world.calls == []


def test_what_cannot_be_looked_at_is_not_unused(world: ScriptWorld) -> None:
    world.path("/proc/self/mountinfo").unlink()
    done = world.run(script("client_detach"), IQN)
    assert "tidemark-error: /proc/self/mountinfo can't be read|" in done.stderr
    assert world.calls == []


def supervisor_functions(world: ScriptWorld) -> str:
    """The supervisor's own functions, as client_tunnel.sh writes them to the client."""
    text = script("client_tunnel").text
    libraries = text[: text.index("# Brings the client's end")]
    body = text[
        text.index('put /usr/local/sbin/tidemark-tunnel "$(') : text.index("chmod 755 /usr/local/sbin/tidemark-tunnel")
    ]
    world.path("/usr/local/sbin").mkdir(parents=True)
    assert world.run(f"{libraries}{body}\n{END_OF_SCRIPT}\n").returncode == 0
    written = world.read("/usr/local/sbin/tidemark-tunnel")
    # The bash that a host runs must have understood it whole.
    return written[written.index("state() {") : written.index("# give_up:")]


def test_nothing_stays_mounted_on_a_dead_disk_whatever_lsblk_knows(world: ScriptWorld) -> None:
    functions = supervisor_functions(world)
    world.tool("umount")
    world.tool("dmsetup")
    lines = "set -u\nRUN=/run\n" + functions + 'release /dev/sda\necho "left: $left"\n' + END_OF_SCRIPT + "\n"
    done = world.run(f"export PATH=/usr/sbin:$PATH\n{lines}")
    assert done.returncode == 0, done.stderr
    assert world.calls == [
        "umount --lazy /run/backup volume/below",
        "umount --lazy /run/backup volume",
        "dmsetup remove --force --deferred tidemark-backup",
    ]
    # The made-up umount unmounts nothing: what is still there is told.
    assert done.stdout.endswith("left: /run/backup\\040volume /run/backup\\040volume/below\n")
