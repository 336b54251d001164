"""What the reconciler reports to the region's API, and what the API describes then."""

from __future__ import annotations

import threading

import pytest

from lab.endpoint import RegionApi
from lab.kernel.uml import ExitReason
from tests.instances import launch
from tests.lab.conftest import Api

PANIC = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
DIED = "Server.InternalError"


def region_api(api: Api) -> RegionApi:
    return RegionApi(api.clients, api.endpoint)


@pytest.mark.parametrize(("behavior", "state"), [("terminate", "terminated"), ("stop", "stopped")])
def test_the_api_says_how_it_ended(api: Api, behavior: str, state: str) -> None:
    image = api.ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    made = api.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceInitiatedShutdownBehavior=behavior)  # type: ignore[arg-type]  # the stubs have literals
    instance_id = made["Instances"][0]["InstanceId"]
    region_api(api).report_host_exit(instance_id, ExitReason(DIED, PANIC))
    (found,) = api.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == state
    assert found["StateReason"] == {"Code": DIED, "Message": f"{DIED}: {PANIC}"}
    assert found["StateTransitionReason"].startswith(f"{DIED}: {PANIC} (")


def test_an_instance_that_somebody_ended_keeps_that_reason(api: Api) -> None:
    (instance_id,) = launch(api.ec2)
    api.ec2.terminate_instances(InstanceIds=[instance_id])
    region_api(api).report_host_exit(instance_id, ExitReason(DIED, PANIC))
    (found,) = api.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_a_file_system_whose_server_died_has_failed(api: Api) -> None:
    system_id = api.clients.efs.create_file_system(CreationToken="one")["FileSystemId"]
    region_api(api).report_file_system_failure(system_id)
    (found,) = api.clients.efs.describe_file_systems()["FileSystems"]
    assert found["LifeCycleState"] == "error"
    region_api(api).report_file_system_failure("fs-00000000")  # deleted meanwhile


def test_a_report_wakes_the_reconciler(api: Api) -> None:
    (instance_id,) = launch(api.ec2)
    api.endpoint.changed.clear()
    region_api(api).report_host_exit(instance_id, ExitReason(DIED, PANIC))
    assert api.endpoint.changed.is_set()


def test_a_report_waits_for_the_call_that_is_being_answered(api: Api) -> None:
    """It changes tables of moto that a call may be iterating over."""
    (instance_id,) = launch(api.ec2)
    reporter = threading.Thread(
        target=region_api(api).report_host_exit, args=(instance_id, ExitReason(DIED, PANIC)), daemon=True
    )
    with api.endpoint.one_call:
        reporter.start()
        reporter.join(0.2)
        assert reporter.is_alive()
    reporter.join(5)
    assert not reporter.is_alive()


def test_a_forced_stop_is_taken_once(api: Api) -> None:
    (instance_id,) = launch(api.ec2)
    api.ec2.stop_instances(InstanceIds=[instance_id], Force=True)
    found = region_api(api)
    assert [found.take_forced_stop(instance_id) for _ in range(2)] == [True, False]
