"""The scripts of md-raid's temporary arrays, and of the check of writes, against a made-up host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.native.conftest import worker_build  # noqa: F401  # a fixture
from tests.workloads.script_world import ScriptWorld
from workloads.md_raid.context import script

CHUNK = 64 << 10
SPAN = 1 << 20
DATA_OFFSET = 1 << 20


@pytest.fixture
def world(tmp_path: Path) -> ScriptWorld:
    return ScriptWorld(tmp_path)


def md_tools(world: ScriptWorld, state: str = "read-auto") -> None:
    """An mdadm that builds what it is asked for, in that state, and stops it."""
    world.file("/sys/module/md_mod/parameters/start_ro", "0\n")
    world.tool("udevadm")
    world.tool(
        "mdadm",
        "name=${2#/dev/}; name=${name##*/}\n"
        "case $1 in\n"
        f"--build) mkdir -p /sys/block/$name/{{md,queue}}; echo {state} > /sys/block/$name/md/array_state;;\n"
        "--stop) rm -r /sys/block/$name;;\n"
        "esac\n"
        "echo start_ro $(< /sys/module/md_mod/parameters/start_ro) >> /sys/start_ro",
    )


def test_temporary_mirrors_take_the_legs_of_the_assembled_ones_and_are_read_only(world: ScriptWorld) -> None:
    md_tools(world)
    for disk in ("sda", "sdb"):
        leg(world, disk, rotational=0)
        world.file(f"/sys/block/{disk}/holders/md1")
    world.file("/sys/block/md1/md/array_state", "clean\n")
    world.file("/sys/block/md1/holders/md99")
    world.file("/sys/block/md99/md/array_state", "clean\n")
    legs = "/dev/sda,/dev/sdb"
    done = world.run(script("client_bench_mirrors"), "512", f"md101=o2={legs}", f"md102=raid1={legs}")
    assert done.returncode == 0, done.stderr
    mdadm = [call.removeprefix("mdadm ") for call in world.calls if call.startswith("mdadm")]
    # What lies on a mirror is stopped before it.
    assert mdadm[:2] == ["--stop /dev/md99", "--stop /dev/md1"]
    build = "--build /dev/{} --force --raid-devices=2 {} --assume-clean /dev/sda /dev/sdb"
    assert mdadm[-2:] == [
        build.format("md101", "--level=10 --layout=o2 --chunk=512"),
        build.format("md102", "--level=1"),
    ]
    assert world.read("/sys/start_ro").splitlines()[-2:] == ["start_ro 1"] * 2
    assert world.read("/sys/module/md_mod/parameters/start_ro").strip() == "0", "other arrays start as before"
    assert "tidemark?md*" in world.read("/run/udev/rules.d/63-tidemark-bench.rules")
    facts = [json.loads(text) for text in done.stdout.splitlines() if '"array"' in text]
    assert facts == [
        {"array": array, "legs_rotational": False, "legs_optimal_io_bytes": 126976} for array in ("md101", "md102")
    ]
    # Two rows of two chunks, whatever the disks advertise; a RAID-1 has no chunks.
    assert world.read("/sys/block/md101/queue/read_ahead_kb").strip() == "2048"
    assert not world.path("/sys/block/md102/queue/read_ahead_kb").exists()


def test_a_mirror_is_told_that_its_legs_rotate_while_it_is_built(world: ScriptWorld) -> None:
    md_tools(world)
    leg(world, "sda", rotational=0)
    leg(world, "sdb", rotational=1)
    layouts = ("raid1", "raid1-rotational", "raid1")
    arrays = [f"md{number}={layout}=/dev/sda,/dev/sdb" for number, layout in enumerate(layouts, 101)]
    done = world.run(script("client_bench_mirrors"), "512", *arrays)
    assert done.returncode == 0, done.stderr
    facts = [json.loads(text) for text in done.stdout.splitlines() if '"array"' in text]
    assert [fact["legs_rotational"] for fact in facts] == [None, True, None]
    assert [call for call in world.calls if "--build" in call][1].endswith("--level=1 --assume-clean /dev/sda /dev/sdb")
    assert [world.read(f"/sys/block/{disk}/queue/rotational").strip() for disk in ("sda", "sdb")] == ["0", "1"]


def leg(world: ScriptWorld, disk: str, *, rotational: int) -> None:
    world.disk(disk, 1 << 30)
    world.file(f"/sys/block/{disk}/queue/rotational", f"{rotational}\n")
    world.file(f"/sys/block/{disk}/queue/optimal_io_size", "126976\n")


def test_a_temporary_mirror_that_could_be_written_to_is_refused(world: ScriptWorld) -> None:
    md_tools(world, state="active")
    leg(world, "sda", rotational=0)
    done = world.run(script("client_bench_mirrors"), "512", "md101=raid1=/dev/sda")
    assert done.returncode == 1
    assert "tidemark-error: md101 is active, not read-only|run configure again" in done.stderr
    assert world.read("/sys/module/md_mod/parameters/start_ro").strip() == "0"


def test_labels_are_seen_again_once_the_temporary_arrays_are_gone(world: ScriptWorld) -> None:
    md_tools(world)
    world.file("/sys/block/md98/md/array_state", "clean\n")
    rule = world.file("/run/udev/rules.d/63-tidemark-bench.rules", "hidden\n")
    done = world.run(script("client_stop"), "md98", "md101")
    assert done.returncode == 0, done.stderr
    assert [call for call in world.calls if call.startswith("mdadm")] == ["mdadm --stop /dev/md98"]
    assert not rule.exists()


def test_what_the_worker_read_is_counted_for_each_iscsi_target(world: ScriptWorld) -> None:
    world.file("/proc/sys/vm/drop_caches")
    world.file("/sys/class/iscsi_session/session1/device/target0:0:0/0:0:0:0/block/sdb/size", "1\n")
    world.file("/sys/class/iscsi_session/session1/targetname", "iqn.2018-01.tidemark:storage-1\n")
    line = "   8   {} {} 5 0 {} 0 0 0 0 0 0 7 7\n"
    world.file("/proc/diskstats", line.format(0, "sda", 8) + line.format(16, "sdb", 16))
    after = (line.format(0, "sda", 800) + line.format(16, "sdb", 216)).replace("\n", "\\n")
    world.tool("worker", f"printf '{after}' > /proc/diskstats")
    done = world.run(script("client_worker"), str(world.path("/bin/worker")))
    assert done.returncode == 0, done.stderr
    facts = [json.loads(text) for text in done.stdout.splitlines() if '"disks"' in text]
    assert facts == [
        {"kind": "disks", "when": "before", "read_bytes": {"iqn.2018-01.tidemark:storage-1": 16 * 512}},
        {"kind": "disks", "when": "after", "read_bytes": {"iqn.2018-01.tidemark:storage-1": 216 * 512}},
    ]


def store(world: ScriptWorld, content: bytes, mirrors: int, servers: int) -> None:
    """Keeps a stripe's content as md does: RAID-0 over mirrors, each a RAID-10 in the offset layout.

    The offset layout by its description in md(4): a row of chunks, and below it the same row, shifted by one device.
    """
    legs = [[bytearray(DATA_OFFSET) for _ in range(servers)] for _ in range(mirrors)]
    of_mirror: list[list[bytes]] = [[] for _ in range(mirrors)]
    for number in range(len(content) // CHUNK):
        of_mirror[number % mirrors].append(content[number * CHUNK : (number + 1) * CHUNK])
    for mirror, chunks in enumerate(of_mirror):
        chunks += [bytes(CHUNK)] * (-len(chunks) % servers)
        for first in range(0, len(chunks), servers):
            row = chunks[first : first + servers]
            for _ in range(servers):
                for leg, chunk in zip(legs[mirror], row, strict=True):
                    leg += chunk
                row = [row[-1], *row[:-1]]
        world.file(f"/sys/block/md{mirror + 1}/md/raid_disks", f"{servers}\n")
        for server, leg in enumerate(legs[mirror]):
            disk = f"sd{'abc'[mirror]}{server}"
            world.file(f"/dev/{disk}").write_bytes(bytes(leg))
            world.file(f"/sys/block/md{mirror + 1}/md/dev-{disk}/offset", f"{DATA_OFFSET // 512}\n")
            world.file(f"/sys/block/md{mirror + 1}/md/dev-{disk}/slot", f"{server}\n")


def can_read_directly(folder: Path) -> bool:
    (folder / "probe").write_bytes(bytes(4096))
    try:
        os.close(os.open(folder / "probe", os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("request_bytes", "threads"), [(4096, 3), (256 << 10, 2)])
@pytest.mark.parametrize(("mirrors", "servers"), [(1, 2), (2, 3), (3, 5)])
def test_each_server_alone_has_what_the_worker_wrote(
    world: ScriptWorld,
    worker_build: Path,  # noqa: F811
    mirrors: int,
    servers: int,
    request_bytes: int,
    threads: int,
) -> None:
    """The worker itself writes a file, which is then kept as md would: so the check knows the worker's data."""
    if not can_read_directly(world.root):
        pytest.skip("this file system has no O_DIRECT")
    file = world.file("/dev/whole")
    words = f"--file {file} --op write --pattern sequential --size {request_bytes} --threads {threads} --seed 77"
    code = os.system(f"{worker_build}/tidemark-worker {words} --span {SPAN} --duration 0.15 > /dev/null")
    assert code == 0
    content = file.read_bytes()
    store(world, content, mirrors, servers)

    def check(seed: int, server: int) -> dict[str, object]:
        legs = [f"md{mirror + 1}=/dev/sd{'abc'[mirror]}{server}" for mirror in range(mirrors)]
        numbers = [str(number) for number in (CHUNK, SPAN, request_bytes, threads, seed)]
        done = world.run(script("client_check_writes"), *numbers, *legs)
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout.splitlines()[0])
        return found

    every = [check(77, server) for server in range(servers)]
    assert {found["written_blocks"] for found in every} == {SPAN // request_bytes}
    assert len({found["sha256"] for found in every}) == 1
    assert check(78, 0)["written_blocks"] == 0, "what another cell wrote does not count"
    # A block that a server lacks is missed.
    leg = world.path("/dev/sda1")
    held = bytearray(leg.read_bytes())
    held[DATA_OFFSET : DATA_OFFSET + 512] = bytes(512)
    leg.write_bytes(bytes(held))
    spoilt = check(77, 1)
    assert spoilt["written_blocks"] == SPAN // request_bytes - 1
    assert spoilt["sha256"] != every[0]["sha256"]
