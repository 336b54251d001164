"""iscsi-tunnel's scripts against a made-up /sys and /proc: what is on a disk, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.script_world import ScriptWorld
from workloads.connectors.script import END_OF_SCRIPT
from workloads.encrypted_backup.context import script as backup_script
from workloads.iscsi_tunnel.endpoints import script
from workloads.scripts import SHARED

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


def test_a_disk_is_ready_when_the_kernel_has_listed_it(world: ScriptWorld) -> None:
    """The kernel makes a disk's own directory, then its entry in /sys/block: in between there is only one."""
    world.file("/sys/class/iscsi_session/session1/state", "LOGGED_IN\n")
    new = "/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:0/block/sda"
    listed = world.path("/sys/block/sda")
    world.path(new).unlink()
    listed.rename(world.path(new))
    ready = (
        'look_at_sessions\nif session_ready "$1"; then echo "ready $disk"; else echo "not yet"; fi\n' + END_OF_SCRIPT
    )
    text = "".join((SHARED / name).read_text() for name in ("lib.sh", "libraries/iscsi.sh")) + ready
    assert world.run(text, IQN).stdout == "not yet\n"
    world.link("/sys/block/sda", new)
    assert world.run(text, IQN).stdout == "ready sda\n"


def test_the_tunnel_s_user_may_log_in_where_sshd_lists_who_may(world: ScriptWorld) -> None:
    """With AllowUsers or AllowGroups in the host's own sshd_config, the server refused the tunnel's key for ever."""
    for name in ("id", "chmod", "systemctl", "systemd-run"):
        world.tool(name)
    world.tool("sshd", "echo permittunnel point-to-point")
    done = world.run(script("server_ssh"), "tidemark-tunnel", "7", "ssh-ed25519 AAAA")
    assert done.returncode == 0, done.stderr
    lines = world.read("/etc/ssh/sshd_config.d/50-tidemark-tunnel.conf").splitlines()
    after = [line.strip() for line in lines[lines.index("Match User tidemark-tunnel") + 1 :]]
    assert {"AllowUsers tidemark-tunnel", "AllowGroups *"} <= set(after)


@pytest.mark.parametrize(("grep", "kept"), [('exec /usr/bin/grep "$@"', "ssh-rsa BBBB"), ("exit 2", "ssh-rsa AAAA")])
def test_the_login_keys_that_cannot_be_read_stay(world: ScriptWorld, grep: str, kept: str) -> None:
    """Of grep, 1 is that nothing is left, and 2 that nothing is known."""
    keys = world.file("/etc/home/.ssh/authorized_keys", "ssh-rsa AAAA mine\n")
    world.tool("getent", "echo admin:x:1000:1000::/etc/home:/bin/bash")
    world.tool("grep", grep)
    done = world.run(script("server_stream"), "open", "admin", "ssh-rsa BBBB", "192.0.2.1", "5")
    assert kept in keys.read_text()
    assert "ssh-rsa AAAA mine" in keys.read_text()
    assert (done.returncode == 0) == (grep != "exit 2")


def test_a_port_is_not_called_closed_when_nothing_was_tried(world: ScriptWorld) -> None:
    world.tool("ip", "exit 2")
    done = world.run(script("third_reach"), "10.20.1.5", "198.18.83.1", "3260")
    assert (done.returncode, done.stdout) == (1, "")
    assert "tidemark-error: no route to 198.18.83.1 by 10.20.1.5 can be made|" in done.stderr


@pytest.mark.parametrize(
    ("blkid", "dd", "made"),
    [("echo ext4", "", False), ("exit 2", "", True), ("exit 2", "exit 1", False), ("exit 8", "", False)],
)
def test_a_file_system_is_made_only_where_there_is_none_for_sure(
    world: ScriptWorld, blkid: str, dd: str, made: bool
) -> None:
    """blkid says 2 for nothing found and for nothing read, and 8 for more than one."""
    for name, body in (("blkid", blkid), ("dd", dd), ("mkfs.ext4", ""), ("e2fsck", "")):
        world.tool(name, body)
    done = world.run(backup_script("client_filesystem"), "old")
    assert any(call.startswith("mkfs.ext4") for call in world.calls) == made
    checked = world.run(backup_script("client_check_filesystem"), "preen")
    fault = "the contents of /dev/mapper/tidemark-backup can't be determined"
    unknown = not made and blkid != "echo ext4"
    assert (fault in done.stderr, fault in checked.stderr) == (unknown, unknown)


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
