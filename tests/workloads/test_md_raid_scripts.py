"""md-raid's scripts against a made-up /sys: what is held, what is not known, and what is never read as an absence."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from tests.workloads.script_world import ScriptWorld
from workloads.connectors.script import END_OF_SCRIPT, sections
from workloads.md_raid.context import SCRIPTS, script
from workloads.md_raid.parsers import client_state
from workloads.scripts import SHARED, find_script

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


def test_disks_alone_are_told_without_a_look_at_labels(world: ScriptWorld) -> None:
    world.file("/proc/mdstat", MDSTAT)
    session(world, "sda")
    world.file("/sys/block/md1/md/array_state", "clean\n")
    world.tool("mdadm")
    state = client_state(world.run(script("client_state"), "disks").stdout)
    assert state.disks[TARGET].device == "/dev/sda"
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


class FakeMd(threading.Thread):
    """md's part of /sys for one array: what is written to `asked` happens a while later, as "idle" does since Linux 7.
    A stretch that is written while a check goes on, which a real kernel refuses, is noted in `refused`.
    """

    def __init__(self, folder: Path, action: str) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.refused: list[str] = []
        self.ended = threading.Event()
        for name, text in (("sync_action", action), ("sync_completed", "0 / 99999"), ("mismatch_cnt", "0")):
            self.write(name, text)
        for name, text in (("sync_min", "1"), ("sync_max", "1"), ("asked", "")):
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        # Whole or not at all, as the kernel shows it.
        (self.folder / f".{name}").write_text(f"{text}\n")
        (self.folder / f".{name}").rename(self.folder / name)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def run(self) -> None:
        stops_at = 0.0
        before = ("", "idle")
        while not self.ended.wait(0.01):
            action = self.read("sync_action")  # before the stretch: what is set while it is idle may be seen late
            now = (self.read("sync_min") + self.read("sync_max"), action)
            if now[0] != before[0] and (before[1], now[1]) == ("check", "check"):
                self.refused.append(now[0])
            if (before[1], now[1]) == ("check", "check"):
                self.write("sync_completed", "2048 / 99999")
            before = now
            if self.read("asked") == "idle" and not stops_at:
                stops_at = time.monotonic() + 0.5
            elif stops_at and time.monotonic() > stops_at:
                stops_at = 0.0
                self.write("asked", "")
                before = (before[0], "idle")  # the next look may come after the next check's begin
                self.write("sync_action", "idle")


@pytest.mark.parametrize("before", ["idle", "check"])
def test_a_stretch_is_set_when_a_check_has_ended_and_not_when_it_was_told_to(world: ScriptWorld, before: str) -> None:
    """Whether the check is our own, or one that the host's own timer had begun."""
    world.disk("md1", 1 << 30)
    world.path("/sys/block/md1/md").mkdir()
    md = FakeMd(world.path("/sys/block/md1/md"), before)
    md.start()
    text = script("client_compare_legs").text.replace('idle > "$md/sync_action"', 'idle > "$md/asked"')
    done = world.run(text, str(1 << 20), "md1")
    time.sleep(0.5)  # for it to see the last of what was written
    md.ended.set()
    md.join()
    assert done.returncode == 0, done.stderr
    assert '{"array": "md1", "mismatched_sectors": 0}' in done.stdout
    assert md.refused == []
    assert (md.read("sync_min"), md.read("sync_max")) == ("0", "max")


def test_an_array_that_does_not_come_to_rest_is_named(world: ScriptWorld) -> None:
    world.disk("md1", 1 << 30)
    world.file("/sys/block/md1/md/sync_action", "recover\n")
    done = world.run(script("client_compare_legs").text.replace("REST_SECONDS=60", "REST_SECONDS=1"), "1024", "md1")
    assert "tidemark-error: md1 has not come to rest in 1 s (recover)|wait for its end" in done.stderr


ISCSIADM = """
case $* in
    *"--mode iface"*"--op new"*) mkdir -p /etc/iscsi/ifaces; echo > "/etc/iscsi/ifaces/$4" ;;
    *"--mode iface"*initiatorname*) echo "iface.initiatorname = ${10}" >> "/etc/iscsi/ifaces/$4" ;;
    *"--mode discovery"*)
        portal=/etc/iscsi/nodes/iqn.2026-11.io.tidemark:storage-1.vol-1/10.20.1.11,3260,1
        mkdir -p "$portal"
        echo "node.startup = manual" > "$portal/$8" ;;
esac
"""
INITIATOR = "iqn.2026-11.io.tidemark:initiator.client"


@pytest.fixture
def client(world: ScriptWorld) -> ScriptWorld:
    """A client that has an iSCSI disk, an array, and settings of its own."""
    world.file("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:7f3a\n")
    world.file("/etc/iscsi/iscsid.conf", "node.startup = manual\n")
    world.file("/etc/iscsi/nodes/iqn.2004-01.com.nas:disk/192.0.2.7,3260,1/default", "node.startup = manual\n")
    world.file("/etc/iscsi/nodes/iqn.2026-11.io.tidemark:server.vol-9/198.18.83.1,3260,1/tidemark", "\n")
    world.file("/etc/mdadm/mdadm.conf", "ARRAY /dev/md0 UUID=1:2:3:4\n")
    for tool in ("systemctl", "udevadm", "sync"):
        world.tool(tool)
    world.tool("iscsiadm", ISCSIADM)
    return world


def test_the_initiator_has_a_name_of_its_own_and_the_hosts_stays(client: ScriptWorld) -> None:
    before = {path: path.read_text() for path in client.path("/etc").rglob("*") if path.is_file()}
    done = client.run(script("client_initiator"), INITIATOR, "md1", "md99")
    assert done.returncode == 0, done.stderr
    assert {path: path.read_text() for path in before} == before
    record = client.path("/etc/iscsi/ifaces/tidemark-md-raid").read_text()
    assert f"iface.initiatorname = {INITIATOR}\n" in record
    assert client.path("/etc/mdadm/mdadm.conf.d/tidemark.conf").read_text() == (
        "ARRAY <ignore> metadata=1.2 name=tidemark:md1\nARRAY <ignore> metadata=1.2 name=tidemark:md99\n"
    )
    assert not [call for call in client.calls if "log" in call]
    assert client.run(script("client_initiator"), INITIATOR, "md1", "md99").stdout == '{"changed": 0}\n'


def test_sessions_are_ours_alone(client: ScriptWorld) -> None:
    """Others' targets, and those of other experiments, are neither logged in nor out; what earlier versions made is."""
    gone = "iqn.2026-11.io.tidemark:storage-1.vol-0"
    client.file(f"/etc/iscsi/nodes/{gone}/10.20.1.11,3260,1/default", "\n")
    session(client, "sda")
    client.file("/sys/class/iscsi_session/session1/recovery_tmo", "120\n")
    client.path("/sys/class/iscsi_session/session1/targetname").write_text("iqn.2004-01.com.nas:disk\n")
    text = script("client_sessions").text.replace("WAIT_S=60", "WAIT_S=0")
    done = client.run(text, "node.startup=automatic", "--", f"{TARGET}=10.20.1.11")
    assert f"tidemark-error: the disk of {TARGET} has not appeared in 0 s" in done.stderr  # the fake logs nobody in
    calls = [call for call in client.calls if call.startswith("iscsiadm")]
    assert calls == [
        f"iscsiadm --mode node --targetname {gone} --portal 10.20.1.11 --interface default --logout",
        f"iscsiadm --mode node --targetname {gone} --portal 10.20.1.11 --interface default --op delete",
        "iscsiadm --mode discovery --type sendtargets --portal 10.20.1.11 --interface tidemark-md-raid",
        "iscsiadm --mode node --interface tidemark-md-raid --op update --name node.startup --value automatic",
        "iscsiadm --mode node --interface tidemark-md-raid --login",
    ]


def test_listed_arrays_are_ours_and_others_are_assembled_as_ever(client: ScriptWorld) -> None:
    done = client.run(script("client_arrays_file"), "md1=1:2:3:4", "md99=5:6:7:8")
    assert done.returncode == 0, done.stderr
    assert client.read("/etc/mdadm/mdadm.conf.d/tidemark.conf") == (
        "ARRAY /dev/md1 metadata=1.2 UUID=1:2:3:4\nARRAY /dev/md99 metadata=1.2 UUID=5:6:7:8\n"
    )


def test_on_a_storage_host_only_the_legs_are_kept_from_being_assembled(world: ScriptWorld) -> None:
    world.file("/etc/mdadm/mdadm.conf", "ARRAY /dev/md0 UUID=1:2:3:4\n")
    for tool in ("pvs", "lvs", "wipefs", "udevadm", "sync", "systemctl", "vgcreate", "lvcreate"):
        world.tool(tool)
    world.disk("sdb", 50 << 30, "vol-1")
    world.run(script("storage_volumes"), "15", "vol-1=/dev/sdf")
    assert [path.name for path in world.path("/etc/udev/rules.d").iterdir()] == ["63-tidemark-legs.rules"]
    rule = world.path("/etc/udev/rules.d/63-tidemark-legs.rules").read_text()
    assert rule.startswith('SUBSYSTEM=="block", ENV{DM_NAME}=="tidemark--*-leg", ')
    conf = world.path("/etc/mdadm/mdadm.conf.d/tidemark.conf").read_text()
    assert conf == "ARRAY <ignore> metadata=1.2 name=tidemark:md1\n"


LIBRARY = (SHARED / "lib.sh").read_text().replace("rest 0.5", "rest 0.05")
BOOT = f'{LIBRARY}boot_is_over "$@"\necho over\n{END_OF_SCRIPT}\n'
# As systemctl 252 shows jobs with --no-legend --plain, the first two times.
JOBS = """
[ "$(grep -c systemctl /etc/../calls)" -gt 2 ] || echo "184 lvm-activate-tidemark\\x2dvol.service start running"
[ "$(grep -c systemctl /etc/../calls)" -gt 3 ] || echo "185 rtslib-fb-targetctl.service start waiting"
echo "186 multi-user.target start waiting"
"""


@pytest.mark.parametrize(
    ("units", "asked"),
    [
        (["rtslib-fb-targetctl.service"], 4),
        (["lvm*"], 3),
        (["lvm*", "rtslib-fb-targetctl.service"], 4),
        (["ssh.service"], 1),
    ],
)
def test_what_the_boot_does_with_the_same_units_is_waited_for(world: ScriptWorld, units: list[str], asked: int) -> None:
    world.path("/run/systemd/system").mkdir(parents=True)
    world.file("/etc/hostname")
    world.tool("systemctl", JOBS)
    done = world.run(BOOT, *units)
    assert done.stdout == "over\n", done.stderr
    assert world.calls == ["systemctl list-jobs --no-legend --plain"] * asked


def test_a_boot_that_does_not_end_is_named(world: ScriptWorld) -> None:
    world.path("/run/systemd/system").mkdir(parents=True)
    world.tool("systemctl", 'echo "185 rtslib-fb-targetctl.service start waiting"')
    done = world.run(BOOT.replace("BOOT_SECONDS=180", "BOOT_SECONDS=0"), "rtslib-fb-targetctl.service")
    assert "tidemark-error: rtslib-fb-targetctl.service has not ended in 0 s|see systemctl list-jobs" in done.stderr
    world.tool("systemctl", "exit 1")
    assert "tidemark-error: systemctl list-jobs failed|" in world.run(BOOT, "ssh.service").stderr


@pytest.mark.parametrize("name", ["iscsi_targets", "storage_volumes", "client_sessions"])
def test_scripts_wait_for_the_boots_own_work_before_they_look(world: ScriptWorld, name: str) -> None:
    world.path("/run/systemd/system").mkdir(parents=True)
    jobs = ("rtslib-fb-targetctl", "lvm-activate-x", "open-iscsi")
    world.tool("systemctl", "\n".join(f'echo "1 {job}.service start running"' for job in jobs))
    for tool in ("udevadm", "modprobe", "pvs", "lvs", "iscsiadm"):
        world.tool(tool)
    arguments = {
        "iscsi_targets": ["10.20.1.11", INITIATOR, "", "", f"{TARGET}=vol-1=/dev/tidemark-vol-1/leg"],
        "storage_volumes": ["15", "vol-1=/dev/sdf"],
        "client_sessions": ["--", f"{TARGET}=10.20.1.11"],
    }[name]
    done = world.run(script(name).text.replace("BOOT_SECONDS=180", "BOOT_SECONDS=0"), *arguments)
    assert re.search(r"tidemark-error: \S+\.service has not ended in 0 s", done.stderr), done.stderr
    assert {call.split()[0] for call in world.calls} <= {"systemctl", "udevadm"}


@pytest.mark.parametrize("role", ["client", "storage"])
def test_the_disks_are_listed_by_an_old_lsblk_too(world: ScriptWorld, role: str) -> None:
    """lsblk has known MOUNTPOINTS since util-linux 2.37; an unknown column is its only output."""
    for tool in ("dmesg", "systemctl", "iscsiadm", "journalctl", "lvs", "targetcli"):
        world.tool(tool)
    unknown = "echo 'lsblk: unknown column: MOUNTPOINTS' >&2; exit 1"
    world.tool("lsblk", f"case $* in *MOUNTPOINTS*) {unknown} ;; esac; echo '{{}}'")
    done = world.run(find_script("host_logs", SCRIPTS, "sections"), role)
    assert sections(done.stdout)["lsblk"] == "{}"


def test_mirrors_are_created_side_by_side_and_a_failure_is_named(world: ScriptWorld) -> None:
    for disk in ("sda", "sdb", "sdc", "sdd"):
        world.disk(disk, 1 << 30)
    world.tool("mdadm", "case $2 in /dev/md1) echo 'mdadm: sda is busy' >&2; exit 2 ;; esac")
    done = world.run(script("client_mirrors"), "512", "md1=/dev/sda,/dev/sdb", "md2=/dev/sdc,/dev/sdd")
    assert done.returncode == 1
    assert "sda is busy" in done.stderr
    assert "tidemark-error: mdadm could not create md1|see the message above" in done.stderr
    assert "created md2 over /dev/sdc,/dev/sdd" in done.stderr
    assert sum(call.startswith("mdadm --create") for call in world.calls) == 2
