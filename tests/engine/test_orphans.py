"""What a killed engine has made and not written down is found by its tags, and deleted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lab.leak_check import account_leftovers
from lab.paths import PROJECT
from tests.engine.conftest import REGION, Engine
from tests.engine.test_real_engine import DESTROY, UP

pytestmark = pytest.mark.engine


def kill_an_up(engine: Engine) -> None:
    """SIGKILL to the engine, in the middle of the hosts. Its provider has its own process group and ends by itself."""
    process = subprocess.Popen(
        ["pulumi", *UP, "--stack", engine.stack, "--non-interactive"],
        cwd=engine.project,
        env=engine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while not engine.ec2.describe_instances()["Reservations"] and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def reap(engine: Engine, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**engine.environment, "AWS_ENDPOINT_URL": engine.url, "AWS_DEFAULT_REGION": REGION}
    return subprocess.run(
        [sys.executable, "-m", "fabric", "account.reap", "--region", REGION, "--yes", *options],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("engine", ["md-raid.lab"], indirect=True)
def test_what_a_killed_up_left_is_deleted_and_what_the_state_knows_is_not(engine: Engine) -> None:
    engine.pulumi("config", "set", "tidemark:volumesPerServer", "2")
    kill_an_up(engine)
    locked = reap(engine, "--orphans")
    assert locked.returncode == (1 if "its stack is locked" in locked.stdout else 0), locked.stdout + locked.stderr
    engine.pulumi("cancel", "--yes")
    engine.pulumi(*UP)
    known = {host["InstanceId"] for host in running(engine)}
    done = reap(engine, "--orphans")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {host["InstanceId"] for host in running(engine)} <= known
    engine.pulumi("preview", "--expect-no-changes")
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []


@pytest.mark.parametrize("engine", ["md-raid.lab"], indirect=True)
def test_an_up_that_was_killed_an_up_and_a_destroy_end_with_an_empty_account(engine: Engine) -> None:
    engine.pulumi("config", "set", "tidemark:volumesPerServer", "2")
    kill_an_up(engine)
    engine.pulumi("cancel", "--yes")
    engine.pulumi(*UP)
    # A host that the state does not know is in a subnet that it knows: EC2 refuses to delete that.
    engine.pulumi(*DESTROY, check=False)
    left = account_leftovers(engine.clients)
    done = reap(engine, "--orphans")
    assert done.returncode == 0, done.stdout + done.stderr
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == [], f"of {left}"
    assert "deleted 0 resources" in reap(engine, "--orphans").stdout


def running(engine: Engine) -> list[dict[str, str]]:
    return [
        instance
        for reservation in engine.ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] == "running"
    ]
