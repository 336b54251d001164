"""The end of a region, on real kernels: whatever ends it, nothing of it is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control
from lab.clients import Clients
from lab.errors import LabError
from lab.kernel.choice import check_boot, choose_kernel
from lab.leak_check import snapshot_machine
from tests.conftest import free_port, require_region
from tests.machine import wait_for

pytestmark = pytest.mark.kernel


def test_the_kernel_of_the_hosts_runs_on_this_processor() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: hosts run as root here")
    check_boot(choose_kernel(lambda _: None))


def quiet(_: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a region of one test lives; whatever becomes of it, it is ended."""
    require_region()
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("TIDEMARK_LAB_PORT", str(free_port()))
    yield tmp_path / "lab"
    control.down(quiet)


def launch_one(region: control.Running) -> None:
    """A host in the account's default VPC."""
    ec2 = Clients(region.url, region.region).ec2
    image_id = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image_id, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    wait_for("a host runs", lambda: any(host["pid"] for host in control.status()["hosts"]), 20)


def test_a_region_that_is_killed_takes_everything_with_it(own_folder: Path) -> None:
    own_folder.mkdir()
    before = snapshot_machine(own_folder)
    lifeline, held = os.pipe()  # never closed before the end: the kill alone must do it
    try:
        region = control.up("eu-central-1", quiet, lifeline=lifeline)
        launch_one(region)
        during = snapshot_machine(own_folder)
        assert len(during.processes) > 3  # region, gateway and a kernel with its helpers: the look sees what there is
        assert len([each for each in during.found if each.startswith("namespace ")]) > 2
        os.kill(region.pid, signal.SIGKILL)
        wait_for("nothing is left", lambda: snapshot_machine(own_folder).added_since(before) == [], 10)
        with pytest.raises(LabError, match="no rehearsal region runs"):
            control.running()
    finally:
        os.close(lifeline)
        os.close(held)
    region = control.up("eu-central-1", quiet)  # nothing of the dead one is in the way
    assert control.status()["hosts"] == []


def test_a_region_whose_lifeline_closes_ends_by_itself(own_folder: Path) -> None:
    own_folder.mkdir()
    before = snapshot_machine(own_folder)
    lifeline, held = os.pipe()
    region = control.up("eu-central-1", quiet, lifeline=lifeline)
    os.close(lifeline)
    launch_one(region)
    time.sleep(1)
    assert control.running() == region  # as long as it is held
    os.close(held)
    wait_for("nothing is left", lambda: snapshot_machine(own_folder).added_since(before) == [], 15)
    assert not (own_folder / "volumes").exists()
    with pytest.raises(LabError, match="no rehearsal region runs"):
        control.running()
    assert "the process that started the region has exited" in (own_folder / "region.log").read_text()
