"""md-raid on real kernels: configure converges from wherever it was stopped, and survives what the drill does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import control
from tests.machine import wait_for
from tests.workloads.fabric_task import fab
from workloads import deployment, load_inventory
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script
from workloads.console import Console
from workloads.errors import WorkloadError
from workloads.md_raid.configure import STEPS, configure
from workloads.md_raid.context import Context, script
from workloads.power import Power
from workloads.scripts import find_script

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1800)]

PROJECT = Path(__file__).resolve().parents[2]
SECOND_RUN_LIMIT_S = 60
STALL_LIMIT_S = 15.0

# Runs configure and kills itself, as the kernel would, when the step of that name has ended.
KILLED_AT = """
import os, signal, sys
from workloads import deployment, load_inventory
from workloads.console import Console
from workloads.md_raid.configure import configure
from workloads.md_raid.context import Context

def kill(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

with deployment.connected(load_inventory.load(None, sys.argv[1]), Console()) as found:
    configure(Context.of(found), at_boundary=kill)
"""

PLAN = """
name = "test"
measured_seconds = 1
warmup_seconds = 0
[[pattern]]
name = "sequential"
request_bytes = 1048576
depth = 1
raw_volumes = [2]
stripe_mirrors = [2, 5]
stripe_servers = [1, 2]
[layouts]
names = ["raid1", "raid1-rotational", "offset"]
loads = ["sequential-one"]
measured_seconds = 1
[writes]
mirrors = [2]
check_bytes = 8388608
[drill]
data_bytes = 16777216
steady_seconds = 1
kill_seconds = 60
after_seconds = 2
pattern = "random"
request_bytes = 4096
depth = 16
check_bytes = 16777216
"""


@pytest.fixture(scope="module")
def context(md_raid_region: Path) -> Iterator[Context]:
    """For the tests before the first that kills a host."""
    with deployment.connected(load_inventory.load(None, str(md_raid_region)), Console()) as found:
        yield Context.of(found)


@pytest.fixture
def context_anew(md_raid_region: Path) -> Iterator[Context]:
    """For a test whose hosts may have started again since."""
    with deployment.connected(load_inventory.load(None, str(md_raid_region)), Console()) as found:
        yield Context.of(found)


def records(results: Path, name: str) -> list[dict[str, Any]]:
    """Raw records of the one run below `results`."""
    (path,) = results.glob(f"md-raid/*/*/raw/{name}.ndjson")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_configure_that_is_killed_after_a_step_completes_when_run_again(md_raid_region: Path) -> None:
    """Four, one on each layer: that which comes next finds work half done all the same."""
    for step in ("volumes", "targets", "mirrors created", "stripe"):
        assert step in STEPS
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT, str(md_raid_region), step],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    last = fab("md-raid.configure", "--inventory", str(md_raid_region))
    assert last.returncode == 0, last.stdout + last.stderr
    began = time.monotonic()
    second = fab("md-raid.configure", "--inventory", str(md_raid_region))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "nothing changed" in second.stdout
    assert time.monotonic() - began < SECOND_RUN_LIMIT_S


def test_what_was_made_is_what_the_experiment_asks_for(context: Context) -> None:
    configure(context)
    state = context.client_state(fresh=True)
    by_device = context.leg_by_device(state)
    assert len(by_device) == 15
    for number in range(1, 6):
        detail = state.arrays[f"md{number}"]
        assert (detail.level, detail.layout, detail.working, detail.chunk_kib) == ("raid10", "o3", 3, 512)
        legs = [by_device[leg.device or ""] for leg in detail.legs]
        assert [leg.server for leg in legs] == ["storage-1", "storage-2", "storage-3"]
    stripe = state.arrays["md99"]
    assert stripe.level == "raid0"
    assert stripe.size_bytes is not None
    assert stripe.size_bytes >= 75 * 10**9


def test_sigterm_ends_a_task_in_order(md_raid_region: Path) -> None:
    task = subprocess.Popen(
        [sys.executable, "-m", "fabric", "md-raid.configure", "--inventory", str(md_raid_region)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert task.stdout is not None
    task.stdout.readline()  # it is at work; before that, on a crowded machine, it may still be importing
    task.terminate()
    stdout, stderr = task.communicate(timeout=60)
    assert task.returncode == 143, stdout + stderr
    assert "Traceback" not in stderr


def test_a_stripe_left_by_a_measurement_makes_way(context: Context) -> None:
    configure(context)
    uuid = context.client_state(fresh=True).arrays["md99"].uuid
    context.on_client("client_bench_stripe", ["md98", "md99", "512", "/dev/md1", "/dev/md2"])
    assert configure(context) > 0
    state = context.client_state(fresh=True)
    assert "md98" not in state.arrays
    # Assembled, not created anew: its data is still its data.
    assert state.arrays["md99"].uuid == uuid


def test_a_kernel_without_a_module_is_named(context: Context) -> None:
    with pytest.raises(WorkloadError, match=r"client: kernel \S+ has no module no_such_md; boot a kernel that has it"):
        context.on_client("host_packages", ["mdadm", "--", "no_such_md"])


def test_a_package_that_cannot_be_had_is_named(context: Context) -> None:
    """Nothing leads from the region to a mirror, and so to no package that the image lacks."""
    with pytest.raises(
        WorkloadError, match=r"^client: apt-get could not install no-such-package; install them on the host"
    ):
        context.on_client("host_packages", ["no-such-package", "--", "raid0"])


def test_a_volume_that_is_not_there_is_named(context: Context) -> None:
    connector = context.hosts.connector("storage-1")
    with pytest.raises(WorkloadError, match=r"storage-1: no disk has the serial vol-absent; attach the volume"):
        connector.run(script("storage_volumes"), ["15", "vol-absent=/dev/sdz"])


def test_legs_that_hold_data_are_refused(context: Context) -> None:
    """By now every leg has md's label."""
    leg = context.topology.mirrors[0].legs[0]
    with pytest.raises(WorkloadError, match=rf"{leg.server}: volume {leg.volume} does not read as zero at byte 0"):
        context.hosts.connector(leg.server).run(script("storage_zeroed"), [leg.volume])


def test_a_host_with_another_key_is_refused(context: Context) -> None:
    inventory = context.inventory
    strange = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    with (
        ConnectionPool(inventory, {host.name: (strange,) for host in inventory.hosts}) as hosts,
        pytest.raises(WorkloadError, match=r"client: the host at .* shows another host key than the pinned one"),
    ):
        hosts.connector("client")


def test_a_target_is_open_to_one_initiator_at_one_portal(context: Context) -> None:
    leg = context.topology.mirrors[0].legs[0]
    probe = Script(
        "probe",
        f"acls=$(ls /sys/kernel/config/target/iscsi/{leg.iqn}/tpgt_1/acls)\n"
        f"read -r demo < /sys/kernel/config/target/iscsi/{leg.iqn}/tpgt_1/attrib/generate_node_acls\n"
        f"portals=$(ls /sys/kernel/config/target/iscsi/{leg.iqn}/tpgt_1/np)\n"
        'printf \'{"acls": "%s", "demo": %s, "portals": "%s", "changed": 0}\\n\' "$acls" "$demo" "$portals"\n'
        "# end of script",
    )
    (facts,) = context.hosts.connector(leg.server).run(probe).facts
    assert facts["acls"] == context.topology.initiator
    assert facts["demo"] == 0
    assert facts["portals"] == f"{leg.address}:3260"


def test_prove_run_and_drill(md_raid_region: Path, tmp_path: Path) -> None:
    """The whole of `fab md-raid.all` but the report: no read fails, and everything comes back."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    results = tmp_path / "results"
    words = ["--inventory", str(md_raid_region), "--plan", str(plan)]
    for task in ("md-raid.run", "md-raid.drill"):
        done = fab(task, *words, TIDEMARK_RESULTS_DIR=str(results))
        assert done.returncode == 0, done.stdout + done.stderr
    for task in ("md-raid.prove", "md-raid.collect"):
        done = fab(task, "--inventory", str(md_raid_region), TIDEMARK_RESULTS_DIR=str(results))
        assert done.returncode == 0, done.stdout + done.stderr

    cells = records(results, "cells")
    assert [cell["cell"] for cell in cells] == [
        "stripe-3x5-sequential",
        "stripe-3x2-sequential",
        "raw-1x1-sequential",
        "raw-3x2-sequential",
        "stripe-2x5-sequential",
        "stripe-1x5-sequential",
        "layout-raid1-sequential-one",
        "layout-raid1-rotational-sequential-one",
        "layout-o3-sequential-one",
        "write-3x2-sequential",
    ]
    assert [cell["reason"] for cell in cells] == [None] * len(cells)
    # What each cell read, by the counters of the client's disks: of as many volumes as its name says.
    by_name = {cell["cell"]: cell for cell in cells}
    for name, volumes in (("stripe-3x5", 15), ("raw-1x1", 1), ("raw-3x2", 6), ("stripe-2x5", 10), ("stripe-1x5", 5)):
        read = by_name[f"{name}-sequential"]["leg_read_bytes"]
        assert set(read) == set(by_name[f"{name}-sequential"]["volumes"])
        assert len(read) == volumes
    layouts = [by_name[f"layout-{name}-sequential-one"] for name in ("raid1", "raid1-rotational", "o3")]
    assert [cell["legs_rotational"] for cell in layouts] == [False, True, False]
    legs = [sorted(cell["leg_read_bytes"].values()) for cell in layouts]
    # md keeps a reader on one leg only where the legs rotate. It may begin on another, and change after priming.
    assert [sum(each > 0.2 * sum(read) for each in read) for read in legs] == [3, 1, 3]
    # What was written is on each server, and the same on all.
    written = records(results, "writes")
    assert [(check["server"], check["matched"]) for check in written] == [(f"storage-{n}", True) for n in (1, 2, 3)]
    assert len({check["sha256"] for check in written}) == 1
    assert all(check["written_blocks"] >= check["expected_blocks_min"] > 0 for check in written)
    # The samples have what the volumes did.
    samples = records(results, "host")
    assert {len(sample["disks"]) for sample in samples if sample["host"] == "client"} == {15}
    assert {len(sample["disks"]) for sample in samples if sample["host"] == "storage-1"} == {5}

    events = records(results, "drill")
    kinds = [event["event"] for event in events]
    assert [event["host"] for event in events if event["event"] == "killed"] == ["storage-1", "storage-2"]
    assert [event["errors"] for event in events if event["event"] == "reads-finished"] == [0]
    assert all(event["matched"] for event in events if event["event"] == "verified")
    assert kinds.count("verified") == 5
    assert {event["array"] for event in events if event["event"] == "rebuilt"} == {f"md{n}" for n in range(1, 6)}
    assert [event["changed"] for event in events if event["event"] == "targets-restored"] == [0]

    finals = {record["cell"]: record for record in records(results, "worker") if record["kind"] == "final"}
    for cell in ("drill-kill-1", "drill-kill-2"):
        assert finals[cell]["errors"] == {}
        # Above the quiet case: a stall that no read saw was not measured. Below: seconds, not the default's minutes.
        assert finals["drill-steady"]["latency_ns"]["max"] < finals[cell]["latency_ns"]["max"] < STALL_LIMIT_S * 1e9

    rebuilt = [array for array in records(results, "arrays") if array["when"] == "rebuilt"]
    assert {array["working"] for array in rebuilt if array["level"] == "raid10"} == {3}
    assert all(proof["passed"] for proof in records(results, "proofs"))
    (manifest,) = results.glob("md-raid/*/*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "complete"


def test_arrays_come_back_when_client_and_servers_restart(context_anew: Context, tmp_path: Path) -> None:
    """All power is cut at once, and nothing is to be done afterwards; a file that was written just before is there."""
    configure(context_anew)
    hosts = context_anew.inventory.hosts
    path = "/etc/tidemark-test/folder/file"
    (tmp_path / "write.sh").write_text(f"put {path} here\nfinish\n# end of script\n")
    power = Power(context_anew.hosts, print)
    context_anew.hosts.run(find_script("write", tmp_path), {host.name: [] for host in hosts})
    for host in hosts:
        power.kill(host)
    wait_for("all are off", lambda: not any(host["pid"] for host in control.status()["hosts"]), 30)
    for host in hosts:
        power.start(host)
    for host in hosts:
        power.await_return(host, print)
    for host in hosts:
        found: list[str] = []
        context_anew.hosts.connector(host.name).execute(f"cat {path}", found.append)
        assert found == ["here"], host.name

    def whole() -> bool:
        state = context_anew.client_state(fresh=True)
        print(f"after the restart: {state.status}, {state.disks}")
        return "md99" in state.arrays and all(state.status[f"md{number}"].whole for number in range(1, 6))

    wait_for("all arrays are whole", whole, 180)
    assert configure(context_anew) == 0
