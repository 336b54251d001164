"""Why a host ended, and what the API says of it."""

from __future__ import annotations

import subprocess
import threading
import time

import pytest

from lab.instance_end import EndReason, end_reason, tell_file_system_ended, tell_instance_ended
from lab.process_end import ProcessEnds
from tests.instances import launch
from tests.lab.conftest import REGION, Api

PTRACE = "userspace - ptrace set fp regs failed, errno = 14"
PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
DIED = "Server.InternalError"
BOUND_SECONDS = 5


@pytest.mark.parametrize(
    ("exit_code", "console", "reason"),
    [
        (0, "reboot: Power down\n", EndReason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")),
        (134, f"{PTRACE}\n{PANIC}\nCPU: 0\n", EndReason(DIED, f"the host's kernel ended: {PTRACE}; {PANIC}")),
        (0, f"{PANIC}\r\n", EndReason(DIED, f"the host's kernel ended: {PANIC}")),
        (
            -9,
            f"{PANIC}\n\ntidemark: power on\nbooting\n",
            EndReason(DIED, "the host's kernel ended: it was killed (SIGKILL; this machine may be out of memory)"),
        ),
        (-11, "", EndReason(DIED, "the host's kernel ended: it was killed (SIGSEGV)")),
        (1, "no such disk\n\n", EndReason(DIED, "the host's kernel ended: exit code 1, after no such disk")),
        (127, "", EndReason(DIED, "the host's kernel ended: exit code 127, after an empty console")),
    ],
)
def test_an_end_has_the_kernels_own_words_of_its_newest_boot(exit_code: int, console: str, reason: EndReason) -> None:
    assert end_reason(exit_code, console) == reason


@pytest.mark.parametrize(("behavior", "state"), [("terminate", "terminated"), ("stop", "stopped")])
def test_the_api_says_how_it_ended(api: Api, behavior: str, state: str) -> None:
    image = api.ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    made = api.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceInitiatedShutdownBehavior=behavior)  # type: ignore[arg-type]  # the stubs have literals
    instance_id = made["Instances"][0]["InstanceId"]
    tell_instance_ended(REGION, instance_id, EndReason(DIED, PANIC))
    (found,) = api.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == state
    assert found["StateReason"] == {"Code": DIED, "Message": f"{DIED}: {PANIC}"}
    assert found["StateTransitionReason"].startswith(f"{DIED}: {PANIC} (")


def test_an_instance_that_somebody_ended_keeps_that_reason(api: Api) -> None:
    (instance_id,) = launch(api.ec2)
    api.ec2.terminate_instances(InstanceIds=[instance_id])
    tell_instance_ended(REGION, instance_id, EndReason(DIED, PANIC))
    (found,) = api.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_a_file_system_whose_server_died_has_failed(api: Api) -> None:
    system_id = api.clients.efs.create_file_system(CreationToken="one")["FileSystemId"]
    tell_file_system_ended(REGION, system_id)
    (found,) = api.clients.efs.describe_file_systems()["FileSystems"]
    assert found["LifeCycleState"] == "error"
    tell_file_system_ended(REGION, "fs-00000000")  # deleted meanwhile


# --- processes -------------------------------------------------------------------------------------------


class Told:
    """What was told, and when."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.event = threading.Event()

    def __call__(self, exit_code: int) -> None:
        self.codes.append(exit_code)
        self.event.set()


def test_a_process_that_is_killed_is_told_once_and_at_once() -> None:
    ends, told = ProcessEnds(), Told()
    process = subprocess.Popen(["sleep", "60"])
    ends.watch(process, told)
    process.kill()
    assert told.event.wait(BOUND_SECONDS)
    ends.settle(process)
    assert told.codes == [-9]


def test_a_process_whose_code_was_asked_for_before_is_told_all_the_same() -> None:
    ends, told = ProcessEnds(), Told()
    process = subprocess.Popen(["sh", "-c", "exit 3"])
    process.wait()
    ends.watch(process, told)
    assert told.event.wait(BOUND_SECONDS)
    assert told.codes == [3]


def test_an_end_is_told_by_the_time_that_it_is_settled() -> None:
    ends = ProcessEnds()
    done: list[int] = []

    def slowly(exit_code: int) -> None:
        time.sleep(0.3)
        done.append(exit_code)

    process = subprocess.Popen(["true"])
    ends.watch(process, slowly)
    process.wait()
    ends.settle(process)
    assert done == [0]


def test_an_end_that_is_expected_is_not_told() -> None:
    ends, told = ProcessEnds(), Told()
    process = subprocess.Popen(["sleep", "60"])
    ends.watch(process, told)
    ends.expect(process)
    process.kill()
    process.wait()
    ends.settle(process)
    assert not told.event.wait(0.3)
    ends.expect(None)
    ends.settle(subprocess.Popen(["true"]))
