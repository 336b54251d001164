"""EBS volumes of the region's API: what EC2 refuses, and moto does."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.instances import launch
from tests.lab.conftest import Api


def volume(api: Api) -> str:
    return api.ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1)["VolumeId"]


def refused_code(api: Api, volume_id: str, instance_id: str, device: str) -> str:
    with pytest.raises(ClientError) as refused:
        api.ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
    return str(refused.value.response["Error"]["Code"])


def test_an_attached_volume_is_attached_nowhere_else(api: Api) -> None:
    first, second = launch(api.ec2, 2)
    made = volume(api)
    api.ec2.attach_volume(VolumeId=made, InstanceId=first, Device="/dev/sdf")
    for instance_id in (second, first):
        assert refused_code(api, made, instance_id, "/dev/sdg") == "VolumeInUse"
    (shown,) = api.ec2.describe_volumes(VolumeIds=[made])["Volumes"]
    assert [(each["InstanceId"], each["Device"]) for each in shown["Attachments"]] == [(first, "/dev/sdf")]

    api.ec2.detach_volume(VolumeId=made, InstanceId=first)
    api.ec2.attach_volume(VolumeId=made, InstanceId=second, Device="/dev/sdg")


def test_the_volume_of_a_host_that_ended_is_free(api: Api) -> None:
    first, second = launch(api.ec2, 2)
    made = volume(api)
    api.ec2.attach_volume(VolumeId=made, InstanceId=first, Device="/dev/sdf")
    api.ec2.terminate_instances(InstanceIds=[first])
    api.ec2.attach_volume(VolumeId=made, InstanceId=second, Device="/dev/sdf")


def test_a_device_name_is_taken_once(api: Api) -> None:
    (host,) = launch(api.ec2)
    api.ec2.attach_volume(VolumeId=volume(api), InstanceId=host, Device="/dev/sdf")
    assert refused_code(api, volume(api), host, "/dev/sdf") == "InvalidParameterValue"


def test_nothing_is_attached_to_a_host_that_ended(api: Api) -> None:
    (host,) = launch(api.ec2)
    api.ec2.terminate_instances(InstanceIds=[host])
    assert refused_code(api, volume(api), host, "/dev/sdf") == "IncorrectState"
