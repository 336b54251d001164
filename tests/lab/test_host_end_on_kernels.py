"""A host that dies while a task waits for it: the task hears of it at once, with the kernel's own words."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inventory import Inventory
from lab import control
from lab.clients import Clients, environment
from tests.conftest import free_port, require_region
from tests.machine import processes_with, wait_for
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.host_keys import host_keys
from workloads.resource_watch import ResourceGone

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

# Two seconds is what is meant: the region tells at once, and a task looks once a second. Both CPUs may be busy.
BOUND_SECONDS = 10
CRASH = "#!/bin/sh\necho 1 >/proc/sys/kernel/sysrq\necho c >/proc/sysrq-trigger\n"
HANG = "#!/bin/sh\nsleep 600\n"  # it is never so far that it shows its keys


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[control.Running]:
    """A region of this test's own; whatever becomes of it, it is ended."""
    require_region()
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("TIDEMARK_LAB_PORT", str(free_port()))
    lifeline, held = os.pipe()
    try:
        running = control.up("eu-central-1", lambda _: None, lifeline=lifeline)
        for name, value in environment(running.url, running.region).items():
            monkeypatch.setenv(name, value)
        yield running
    finally:
        os.close(held)
        os.close(lifeline)
        control.down(lambda _: None)


def launch(region: control.Running, user_data: str) -> tuple[str, Inventory]:
    """An instance in the account's default VPC, and an inventory with it as its only host."""
    ec2 = Clients(region.url, region.region).ec2
    image_id = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    made = ec2.run_instances(
        ImageId=image_id,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        UserData=user_data,
        InstanceInitiatedShutdownBehavior="terminate",
    )
    instance_id = made["Instances"][0]["InstanceId"]
    document = inventory_document(rehearsal=True)
    document["hosts"] = [{**document["hosts"][-1], "id": instance_id, "host_keys": []}]
    return instance_id, inventory_of(document)


def score(pid: int) -> int:
    """How ready the kernel is to take a process when memory runs out."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def test_a_host_that_dies_is_noticed_at_once(
    region: control.Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_STATE_DIR", str(tmp_path))
    crashing, inventory = launch(region, CRASH)
    console = region.folder / "hosts" / crashing / "console.log"
    with pytest.raises(ResourceGone) as caught:
        host_keys(inventory, tell=lambda _: None)
    late = time.time() - console.stat().st_mtime
    print(f"a panic: told after {late:.2f} s: {caught.value.shown}")
    # Its console may be read between the panic and the end of its process: both ways the panic is the reason.
    assert "Kernel panic - not syncing: sysrq triggered crash" in str(caught.value)
    ec2 = Clients(region.url, region.region).ec2

    def ended() -> InstanceTypeDef:
        return ec2.describe_instances(InstanceIds=[crashing])["Reservations"][0]["Instances"][0]

    wait_for("the API says so", lambda: ended()["State"]["Name"] == "terminated", BOUND_SECONDS)
    reason = "Server.InternalError: the host's kernel ended: Kernel panic - not syncing: sysrq triggered crash"
    assert ended()["StateReason"] == {"Code": "Server.InternalError", "Message": reason}
    assert any("Kernel panic - not syncing" in line for line in caught.value.detail)
    assert late < BOUND_SECONDS

    hanging, inventory = launch(region, HANG)
    killed: list[float] = []

    def kill() -> None:
        wait_for("its kernel runs", lambda: processes_with(f"umid={hanging}") != [], 60)
        time.sleep(1)
        kernel = min(int(path.name) for path in processes_with(f"umid={hanging}"))
        assert score(kernel) > score(region.pid), "hosts are taken before the region when memory runs out"
        killed.append(time.monotonic())
        os.killpg(os.getpgid(kernel), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ResourceGone) as caught:
        host_keys(inventory, tell=lambda _: None)
    late = time.monotonic() - killed[0]
    killer.join()
    print(f"a kill: told after {late:.2f} s: {caught.value.shown}")
    assert (
        f"its instance {hanging} is terminated (Server.InternalError: the host's kernel ended: it was killed (SIGK"
        in (str(caught.value))
    )
    assert late < BOUND_SECONDS
