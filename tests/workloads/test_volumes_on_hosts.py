"""How a volume is found among a host's disks, and what is refused: against a made-up /sys and /dev."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workloads.script_world import ScriptWorld
from workloads.connectors.script import END_OF_SCRIPT
from workloads.iscsi_tunnel.endpoints import script
from workloads.md_raid.context import script as storage_script
from workloads.scripts import SHARED

LIBRARIES = (SHARED / "lib.sh").read_text() + (SHARED / "libraries" / "iscsi.sh").read_text()
FIND = f'{LIBRARIES}scan_disks\ndisk_of "$1" "$2"\necho "$disk"\n{END_OF_SCRIPT}\n'
TAKEN = f'{LIBRARIES}if taken "$1" ${{2:-}}; then echo "$taker"; else echo free; fi\n{END_OF_SCRIPT}\n'
EBS = "vol-0123456789abcdef0"
UUID = "6ea73b81-555e-4a74-9c1e-0123456789ab"
TERABYTE = 1_000_204_886_016  # what disks of "1 TB" have (IDEMA LBA1-03)


@pytest.fixture
def world(tmp_path: Path) -> ScriptWorld:
    found = ScriptWorld(tmp_path)
    found.file("/proc/self/mountinfo", "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme9n1p1 rw\n")
    found.file("/proc/swaps", "Filename Type Size Used Priority\n")
    return found


def test_a_volume_is_found_by_its_serial_as_each_kind_of_disk_shows_it(world: ScriptWorld) -> None:
    world.disk("nvme1n1", 50 << 30, "vol0123456789abcdef0                    \n")
    world.disk("ubdb", 50 << 30, "vol-0aaaaaaaaaaaaaaaa\n")
    world.disk("vdb", 50 << 30, UUID[:20])
    for volume, disk in ((EBS, "nvme1n1"), ("vol-0aaaaaaaaaaaaaaaa", "ubdb"), (UUID, "vdb")):
        assert world.run(FIND, volume, "/dev/sdf").stdout == f"/dev/{disk}\n"


def test_a_serial_that_two_disks_show_identifies_none(world: ScriptWorld) -> None:
    """Namespaces of one NVMe controller; all disks of VirtualBox's."""
    world.disk("nvme0n1", 500 << 30, "VB1234-56789")
    world.disk("nvme0n2", 50 << 30, "VB1234-56789")
    assert world.run(FIND, "VB1234-56789", "/dev/nvme0n1").stdout == "/dev/nvme0n1\n"
    assert world.run(FIND, "VB1234-56789", "/dev/nvme0n2").stdout == "/dev/nvme0n2\n"
    done = world.run(FIND, "VB1234-56789", "/dev/sdf")
    assert done.returncode == 1
    assert "tidemark-error: 2 disks have the serial VB1234-56789 (/dev/nvme0n" in done.stderr
    assert "|a serial that several show identifies none: give another id" in done.stderr


def test_two_ids_that_begin_alike_are_two_virtio_disks_only_by_their_device(world: ScriptWorld) -> None:
    world.disk("vdb", 50 << 30, UUID[:20])
    world.disk("vdc", 50 << 30, UUID[:20])
    assert world.run(FIND, UUID, "/dev/vdc").stdout == "/dev/vdc\n"
    assert "2 disks have the serial" in world.run(FIND, UUID, "/dev/sdf").stderr


@pytest.mark.parametrize("volume", ["VB123456789", "VB1234", UUID[:-1], "vol0123456789abcdef0x"])
def test_a_serial_that_only_looks_alike_is_another(world: ScriptWorld, volume: str) -> None:
    world.disk("nvme0n1", 50 << 30, "VB1234-56789")
    world.disk("nvme1n1", 50 << 30, "vol0123456789abcdef0")
    world.disk("vdb", 50 << 30, UUID[:19])
    done = world.run(FIND, volume, "/dev/sdq")
    assert f"tidemark-error: no disk has the serial {volume}|attach the volume, or correct its id" in done.stderr
    assert "(serials there: " in done.stderr


def test_a_disk_without_a_serial_is_the_one_that_device_names(world: ScriptWorld) -> None:
    world.disk("xvdf", 50 << 30)
    world.disk("sda", TERABYTE)
    world.link("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/sda")
    assert world.run(FIND, EBS, "/dev/sdf").stdout == "/dev/xvdf\n"
    assert world.run(FIND, "backup", "/dev/sda").stdout == "/dev/sda\n"
    assert world.run(FIND, "backup", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4").stdout == "/dev/sda\n"


def test_a_disk_with_another_serial_is_taken_by_a_name_that_stays_alone(world: ScriptWorld) -> None:
    world.disk("nvme0n1", TERABYTE, "S5GXNF0R123456")
    world.disk("nvme1n1", TERABYTE, "S5GXNF0R999999")
    world.link("/dev/disk/by-id/nvme-eui.0025385b", "/dev/nvme0n1")
    assert "no disk has the serial backup" in world.run(FIND, "backup", "/dev/nvme0n1").stderr
    assert world.run(FIND, "backup", "/dev/disk/by-id/nvme-eui.0025385b").stdout == "/dev/nvme0n1\n"
    done = world.run(FIND, "S5GXNF0R999999", "/dev/disk/by-id/nvme-eui.0025385b")
    assert (
        "/dev/nvme1n1 has the serial S5GXNF0R999999, and /dev/disk/by-id/nvme-eui.0025385b leads to /dev/nvme0n1|"
        in (done.stderr)
    )


def test_a_part_of_a_disk_is_no_disk(world: ScriptWorld) -> None:
    world.disk("sda", TERABYTE)
    world.file("/sys/block/sda/sda1/partition", "1\n")
    world.file("/dev/sda1")
    world.link("/sys/class/block/sda1", "/sys/block/sda/sda1")
    world.link("/dev/disk/by-id/wwn-0x5-part1", "/dev/sda1")
    for name, kind in (("dm-0", "dm"), ("md7", "md"), ("loop0", "loop")):
        world.disk(name, TERABYTE)
        world.path(f"/sys/block/{name}/{kind}").mkdir()
    world.link("/dev/vg/data", "/dev/dm-0")
    for device, words in (
        ("/dev/sda1", "is a partition"),
        ("/dev/disk/by-id/wwn-0x5-part1", "is a partition"),
        ("/dev/vg/data", "is a logical volume"),
        ("/dev/md7", "is an array"),
        ("/dev/loop0", "is a loop device"),
    ):
        done = world.run(FIND, "backup", device)
        assert done.returncode == 1
        assert f"tidemark-error: {device} {words}|a whole disk is needed" in done.stderr


@pytest.mark.parametrize(
    ("place", "text", "taker"),
    [
        ("/sys/block/sdc/holders/dm-3", "", "/dev/dm-3"),
        ("/sys/block/sdc/sdc1/holders/dm-0", "", "/dev/dm-0"),
        ("/proc/self/mountinfo", "30 1 8:33 / /srv rw - ext4 /dev/root rw\n", "/srv"),
        ("/proc/self/mountinfo", "30 1 0:40 / /srv rw - btrfs /dev/sdc1 rw\n", "/srv"),
        ("/proc/swaps", "Filename Type\n/dev/sdc2 partition 1 0 -2\n", "/dev/sdc2"),
        ("/sys/block/sda/holders/dm-9", "", "free"),
        ("/proc/self/mountinfo", "30 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n", "free"),
    ],
)
def test_whatever_holds_a_disk_or_a_partition_of_it_has_taken_it(
    world: ScriptWorld, place: str, text: str, taker: str
) -> None:
    for name, major_minor in (("sda", "8:0"), ("sdc", "8:32")):
        world.disk(name, 80 << 30)
        world.file(f"/sys/block/{name}/dev", f"{major_minor}\n")
    world.file("/sys/block/sdc/sdc1/dev", "8:33\n")
    world.file("/sys/block/sdc/sdc2/dev", "8:34\n")
    world.file(place, text)
    assert world.run(TAKEN, "/dev/sdc").stdout == f"{taker}\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [(16, "something that has it for itself (lsof /dev/sdc)\n"), (0, "free\n"), (6, "free\n"), (127, "")],
)
def test_a_disk_that_something_has_for_itself_is_taken(world: ScriptWorld, code: int, words: str) -> None:
    world.disk("sdc", 80 << 30)
    world.tool("python3", f"exit {code}")
    done = world.run(TAKEN, "/dev/sdc")
    assert done.stdout == words
    assert (done.returncode, "python3 is not there" in done.stderr) == ((1, True) if code == 127 else (0, False))
    assert world.run(TAKEN, "/dev/sdc", "ours").stdout == "free\n"


def configured(world: ScriptWorld, device: str, size_gib: int) -> tuple[int, str, list[dict[str, object]]]:
    """server_volume.sh: its exit code, words, and facts."""
    world.path("/sys/module/tun").mkdir(parents=True, exist_ok=True)
    world.file("/sys/class/net/tun0/mtu")
    world.file("/proc/sys/net/ipv4/conf/tun0/forwarding", "1\n")
    world.path("/usr/local/sbin").mkdir(parents=True, exist_ok=True)
    for tool in ("ip", "modprobe", "sync", "systemctl"):
        world.tool(tool)
    tunnel = ["nobody", "0", "198.18.83.1", "198.18.83.2", "8900"]
    done = world.run(script("server_volume"), *tunnel, "backup", device, str(size_gib))
    return done.returncode, done.stderr, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("size_gib", [931, 932])
def test_a_disk_that_one_buys_has_no_whole_gib(world: ScriptWorld, size_gib: int) -> None:
    world.disk("sda", TERABYTE)
    world.link("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/sda")
    code, words, facts = configured(world, "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", size_gib)
    assert code == 0, words
    assert facts[0] == {"volume": "backup", "disk": "/dev/sda", "size_bytes": TERABYTE}


@pytest.mark.parametrize(
    ("size_bytes", "size_gib", "right"), [(TERABYTE, 930, 932), (80 << 30, 79, 80), (80 << 30, 81, 80)]
)
def test_a_size_that_is_not_the_disks_is_refused(
    world: ScriptWorld, size_bytes: int, size_gib: int, right: int
) -> None:
    world.disk("sda", size_bytes)
    code, words, _ = configured(world, "/dev/sda", size_gib)
    assert code == 1
    assert (
        f"tidemark-error: /dev/sda (backup) has {size_bytes} bytes, and {size_gib} GiB are {size_gib << 30}|" in words
    )
    assert f"write {right} as its size_gib" in words


def test_at_boot_the_disk_is_found_again_under_another_name_and_nothing_else_of_the_host_is_touched(
    world: ScriptWorld,
) -> None:
    world.disk("sda", TERABYTE)
    world.link("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/sda")
    world.file("/proc/sys/net/ipv4/ip_forward", "1\n")
    assert configured(world, "/dev/sda", 932)[0] == 0
    assert world.path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert world.path("/proc/sys/net/ipv4/conf/tun0/forwarding").read_text() == "0\n"
    link = world.path("/dev/tidemark/backup")
    assert link.readlink() == world.path("/dev/sda")

    world.disk("sdb", TERABYTE)
    world.path("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4").unlink()
    world.link("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/sdb")
    boot = world.path("/usr/local/sbin/tidemark-tunnel-server").read_text()
    done = world.run(f"{boot}\n{END_OF_SCRIPT}\n")
    assert done.returncode == 0, done.stderr
    assert link.readlink() == world.path("/dev/sdb")

    world.file("/sys/block/sdb/size", "1024\n")
    done = world.run(f"{boot}\n{END_OF_SCRIPT}\n")
    assert (done.returncode, "/dev/sdb has 524288 bytes, and backup had" in done.stderr) == (1, True)


def volumes(world: ScriptWorld, **tools: str) -> tuple[int, str]:
    """storage_volumes.sh over one volume, with LVM's tools and wipefs as given; its exit code and words."""
    for tool in ("pvs", "lvs", "wipefs", "udevadm", "sync", "systemctl", "vgcreate", "lvcreate"):
        world.tool(tool, tools.get(tool, ""))
    world.disk("sdb", 50 << 30, "vol-1")
    done = world.run(storage_script("storage_volumes"), "15", "vol-1=/dev/sdf")
    return done.returncode, done.stderr


@pytest.mark.parametrize("tool", ["pvs", "lvs", "wipefs"])
def test_a_tool_that_fails_is_not_taken_for_a_disk_without_anything(world: ScriptWorld, tool: str) -> None:
    code, words = volumes(world, **{tool: "exit 5"})
    assert (code, f"tidemark-error: {tool} failed|" in words) == (1, True)
    assert not any(call.startswith("vgcreate") for call in world.calls)


def test_what_looks_like_lvm_and_lvm_does_not_know_is_data(world: ScriptWorld) -> None:
    code, words = volumes(world, wipefs="echo sdb LVM2_member")
    assert (code, "tidemark-error: /dev/sdb holds data (LVM2_member)|" in words) == (1, True)


def test_two_ids_that_one_disk_shows_are_refused(world: ScriptWorld) -> None:
    """Volume ids of OpenStack that begin alike, of which virtio shows the beginning."""
    for tool in ("pvs", "lvs", "wipefs", "udevadm", "sync", "systemctl"):
        world.tool(tool)
    world.disk("vdb", 50 << 30, UUID[:20])
    other = UUID[:-1] + "c"
    done = world.run(storage_script("storage_volumes"), "15", f"{UUID}=/dev/sdf", f"{other}=/dev/sdg")
    assert f"tidemark-error: /dev/vdb is both {other} and {UUID}|" in done.stderr
