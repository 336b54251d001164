"""Elastic IPs of the region's API: what EC2's documents say of them, and moto does otherwise."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import elastic_network_interfaces

from lab import moto_changes
from lab.clients import Clients
from lab.moto_changes import QUOTA
from tests.lab.conftest import Api


@pytest.fixture
def subnet(api: Api) -> str:
    vpc = api.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    made = api.ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"].get("SubnetId")
    assert made
    return made


def launch(api: Api, subnet: str) -> str:
    image = api.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    card = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    made = api.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=[card])  # type: ignore[list-item]
    return made["Instances"][0]["InstanceId"]


def public_address(api: Api, instance_id: str) -> str | None:
    instance = api.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return instance.get("PublicIpAddress")


def holder(api: Api, allocation_id: str) -> str | None:
    return api.ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0].get("InstanceId") or None


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_an_address_is_one_of_the_internet_and_names_its_border_group(api: Api) -> None:
    made = api.ec2.allocate_address(Domain="vpc")
    assert ipaddress.ip_address(made["PublicIp"]).is_global
    (shown,) = api.ec2.describe_addresses()["Addresses"]
    assert shown.get("NetworkBorderGroup") == "eu-central-1"
    assert shown.get("PublicIp") == made["PublicIp"]


def test_each_is_given_once(api: Api, subnet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To instances and as Elastic IPs, in all regions; by chance, two of 65,025 are the same."""
    few = itertools.cycle(f"54.214.0.{number // 5}" for number in range(100))
    for chooser in (moto_changes, elastic_network_interfaces):
        monkeypatch.setattr(chooser, "random_public_ip", lambda: next(few))
    other = Clients(api.url, "us-east-1").ec2
    given = [public_address(api, launch(api, subnet)) for _ in range(6)]
    given += [each.allocate_address(Domain="vpc")["PublicIp"] for each in (api.ec2, other) for _ in range(3)]
    assert len(set(given)) == 12


def test_it_moves_and_the_host_that_had_it_has_its_own_address_again(api: Api, subnet: str) -> None:
    first, second = launch(api, subnet), launch(api, subnet)
    made = api.ec2.allocate_address(Domain="vpc")
    before = api.ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=first)["AssociationId"]
    assert public_address(api, first) == made["PublicIp"]
    after = api.ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=second, AllowReassociation=True)[
        "AssociationId"
    ]
    assert after != before
    assert public_address(api, second) == made["PublicIp"]
    assert public_address(api, first) not in (made["PublicIp"], None)

    api.ec2.disassociate_address(AssociationId=after)
    assert public_address(api, second) not in (made["PublicIp"], None)
    assert holder(api, made["AllocationId"]) is None


def test_associating_it_where_it_is_changes_nothing(api: Api, subnet: str) -> None:
    instance = launch(api, subnet)
    made = api.ec2.allocate_address(Domain="vpc")["AllocationId"]
    first = api.ec2.associate_address(AllocationId=made, InstanceId=instance)["AssociationId"]
    assert api.ec2.associate_address(AllocationId=made, InstanceId=instance)["AssociationId"] == first


def test_starting_a_host_that_runs_leaves_its_address(api: Api, subnet: str) -> None:
    host = launch(api, subnet)
    before = public_address(api, host)
    assert before
    api.ec2.start_instances(InstanceIds=[host])
    assert public_address(api, host) == before


def test_a_host_keeps_it_over_a_stop_and_a_start(api: Api, subnet: str) -> None:
    host, made = launch(api, subnet), api.ec2.allocate_address(Domain="vpc")
    api.ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=host)
    api.ec2.stop_instances(InstanceIds=[host])
    api.ec2.start_instances(InstanceIds=[host])
    assert public_address(api, host) == made["PublicIp"]


def test_a_second_address_takes_the_place_of_the_first(api: Api, subnet: str) -> None:
    instance = launch(api, subnet)
    first, second = (api.ec2.allocate_address(Domain="vpc") for _ in range(2))
    for each in (first, second):
        api.ec2.associate_address(AllocationId=each["AllocationId"], InstanceId=instance)
    assert holder(api, first["AllocationId"]) is None
    assert public_address(api, instance) == second["PublicIp"]


def test_a_host_that_ends_frees_it(api: Api, subnet: str) -> None:
    instance = launch(api, subnet)
    made = api.ec2.allocate_address(Domain="vpc")["AllocationId"]
    api.ec2.associate_address(AllocationId=made, InstanceId=instance)
    api.ec2.terminate_instances(InstanceIds=[instance])
    assert holder(api, made) is None


def test_another_regions_address_is_not_found(api: Api, subnet: str) -> None:
    foreign = Clients(api.url, "us-east-1").ec2.allocate_address(Domain="vpc")["AllocationId"]
    with pytest.raises(ClientError) as refused:
        api.ec2.associate_address(AllocationId=foreign, InstanceId=launch(api, subnet))
    assert code_of(refused) == "InvalidAllocationID.NotFound"


def test_the_quota_is_of_a_region(api: Api) -> None:
    for _ in range(QUOTA):
        api.ec2.allocate_address(Domain="vpc")
    with pytest.raises(ClientError) as refused:
        api.ec2.allocate_address(Domain="vpc")
    assert code_of(refused) == "AddressLimitExceeded"
    Clients(api.url, "us-east-1").ec2.allocate_address(Domain="vpc")


def test_it_is_taken_from_who_has_it_unless_that_is_refused(api: Api, subnet: str) -> None:
    first, second = launch(api, subnet), launch(api, subnet)
    made = api.ec2.allocate_address(Domain="vpc")["AllocationId"]
    api.ec2.associate_address(AllocationId=made, InstanceId=first, AllowReassociation=False)
    with pytest.raises(ClientError) as refused:
        api.ec2.associate_address(AllocationId=made, InstanceId=second, AllowReassociation=False)
    assert code_of(refused) == "Resource.AlreadyAssociated"
    assert holder(api, made) == first
    api.ec2.associate_address(AllocationId=made, InstanceId=second)
    assert holder(api, made) == second, "reassociation is automatic (AssociateAddress, AllowReassociation)"


def test_a_stopped_host_has_no_public_address_but_an_elastic_ip(api: Api, subnet: str) -> None:
    host = launch(api, subnet)
    own = public_address(api, host)
    assert own
    api.ec2.stop_instances(InstanceIds=[host])
    (stopped,) = api.ec2.describe_instances(InstanceIds=[host])["Reservations"][0]["Instances"]
    assert stopped.get("PublicIpAddress") is None
    assert not stopped.get("PublicDnsName")
    assert not stopped["NetworkInterfaces"][0].get("Association")

    made = api.ec2.allocate_address(Domain="vpc")
    api.ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=host)
    assert public_address(api, host) == made["PublicIp"]
    api.ec2.start_instances(InstanceIds=[host])
    api.ec2.stop_instances(InstanceIds=[host])
    assert public_address(api, host) == made["PublicIp"], "it stays while the host is stopped"


def test_a_subnet_that_gives_public_addresses_gives_another_at_each_start(api: Api, subnet: str) -> None:
    api.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    image = api.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    (made,) = api.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    first = public_address(api, made["InstanceId"])
    assert first
    api.ec2.stop_instances(InstanceIds=[made["InstanceId"]])
    assert public_address(api, made["InstanceId"]) is None
    api.ec2.start_instances(InstanceIds=[made["InstanceId"]])
    assert public_address(api, made["InstanceId"]) not in (first, None)
