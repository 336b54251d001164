"""What `pulumi up` does with a stack that has been up for a while: hosts that were stopped, changed, or have ended."""

from __future__ import annotations

import subprocess

import pytest

from components.tunnel import VOLUME_NAME
from inventory import Inventory
from lab.leak_check import account_leftovers
from tests.engine.conftest import Engine
from tests.engine.test_real_engine import DESTROY, UP, WITH_PROTECTED_VOLUME

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _two_volumes_a_server(engine: Engine) -> None:
    """Instead of md-raid's five: what is done with one is done with each."""
    if engine.stack == "md-raid.lab":
        engine.pulumi("config", "set", "tidemark:volumesPerServer", "2")


def inventory(engine: Engine) -> Inventory:
    return Inventory.from_json(engine.inventory(), "the stack's output")


def attached(engine: Engine) -> dict[str, str]:
    """The instance that each volume is attached to, roots left out, as the API tells it."""
    ours = {volume.id for host in inventory(engine).hosts for volume in host.volumes}
    volumes = [each for each in engine.ec2.describe_volumes()["Volumes"] if each["VolumeId"] in ours]
    return {each["VolumeId"]: attachment["InstanceId"] for each in volumes for attachment in each["Attachments"]}


def wanted(engine: Engine) -> dict[str, str]:
    """The same as the inventory has it."""
    return {volume.id: host.id for host in inventory(engine).hosts for volume in host.volumes}


def ids(engine: Engine) -> dict[str, str]:
    return {host.name: host.id for host in inventory(engine).hosts}


def destroy_all(engine: Engine) -> None:
    """To an empty account; a protected volume is named first."""
    if engine.stack in WITH_PROTECTED_VOLUME:
        engine.pulumi("config", "set", "tidemark:deleteVolume", VOLUME_NAME)
        engine.pulumi(*UP)
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []


@pytest.mark.parametrize("engine", WITH_PROTECTED_VOLUME, indirect=True)
def test_a_stopped_host_is_no_change(engine: Engine) -> None:
    """As a backup leaves its server. Its public address is gone, and no reason to put another host in its place."""
    engine.pulumi(*UP)
    before, server = ids(engine), inventory(engine).host("server")
    engine.ec2.stop_instances(InstanceIds=[server.id])
    engine.pulumi("refresh", "--yes", "--skip-preview", "--suppress-progress")
    engine.pulumi("preview", "--expect-no-changes")
    engine.pulumi(*UP)
    assert ids(engine) == before
    elastic_ips = [each.address for each in inventory(engine).elastic_ips]
    expected = elastic_ips[0] if elastic_ips else server.id
    assert inventory(engine).host("server").address == expected, "without an address its id stands there"
    assert attached(engine) == wanted(engine)

    engine.ec2.start_instances(InstanceIds=[server.id])
    engine.pulumi(*UP)
    shown = engine.ec2.describe_instances(InstanceIds=[server.id])["Reservations"][0]["Instances"][0]
    assert inventory(engine).host("server").address == shown["PublicIpAddress"]
    destroy_all(engine)


@pytest.mark.parametrize("engine", ["md-raid.lab", "iscsi-tunnel.lab"], indirect=True)
def test_a_changed_lifetime_puts_new_hosts_in_the_place_of_the_old(engine: Engine) -> None:
    """With the volumes and the Elastic IP of the old ones, which EC2 gives to one instance at a time."""
    engine.pulumi(*UP)
    before, volumes = ids(engine), set(attached(engine))
    engine.pulumi("config", "set", "tidemark:lifetimeHours", "5")
    engine.pulumi(*UP)
    after = ids(engine)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert set(attached(engine)) == volumes
    assert attached(engine) == wanted(engine)
    for address in engine.ec2.describe_addresses()["Addresses"]:
        assert address["InstanceId"] == after["server"]
    engine.pulumi("preview", "--expect-no-changes")
    destroy_all(engine)


def test_a_changed_key_makes_a_key_pair_before_it_takes_the_old_one(engine: Engine) -> None:
    engine.pulumi(*UP)
    before = ids(engine)
    other = engine.project.parent / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    engine.pulumi("config", "set", "tidemark:sshPublicKeyFile", f"{other}.pub")
    engine.pulumi(*UP)
    assert not set(before.values()) & set(ids(engine).values())
    assert attached(engine) == wanted(engine)
    assert len(engine.ec2.describe_key_pairs()["KeyPairs"]) == 1
    engine.pulumi("preview", "--expect-no-changes")
    destroy_all(engine)


@pytest.mark.parametrize("engine", ["md-raid.lab", "efs-iops.lab"], indirect=True)
def test_another_zone_takes_everything_that_was_in_the_first(engine: Engine) -> None:
    engine.pulumi("config", "set", "tidemark:zone", "eu-central-1a")
    engine.pulumi(*UP)
    engine.pulumi("config", "set", "tidemark:zone", "eu-central-1b")
    engine.pulumi(*UP)
    assert {host.zone for host in inventory(engine).hosts} == {"eu-central-1b"}
    assert attached(engine) == wanted(engine)
    engine.pulumi("preview", "--expect-no-changes")
    destroy_all(engine)


@pytest.mark.parametrize(
    ("engine", "ended"),
    [
        ("md-raid.lab", ("storage-1",)),
        ("eip-region.lab", ("host-1",)),
        ("iscsi-tunnel.lab", ("server", "client", "third")),
    ],
    indirect=["engine"],
)
def test_an_up_makes_hosts_that_ended_themselves_anew(engine: Engine, ended: tuple[str, ...]) -> None:
    """Their lifetime was over. Nobody has to know that a refresh is needed: Pulumi.yaml asks for it."""
    engine.pulumi(*UP)
    before = ids(engine)
    for address in engine.ec2.describe_addresses()["Addresses"]:
        if "InstanceId" not in address:  # eip-region's tasks give it to a host
            engine.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=before[ended[0]])
    engine.ec2.terminate_instances(InstanceIds=[before[name] for name in ended])
    engine.pulumi(*UP)
    after = ids(engine)
    assert {name for name in before if before[name] != after[name]} == set(ended)
    running = {
        instance["InstanceId"]
        for reservation in engine.ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] == "running"
    }
    assert running == set(after.values())
    assert attached(engine) == wanted(engine)
    engine.pulumi("preview", "--expect-no-changes")
    destroy_all(engine)


@pytest.mark.parametrize("engine", ["encrypted-backup.lab"], indirect=True)
def test_a_stack_whose_hosts_have_ended_is_destroyed(engine: Engine) -> None:
    engine.pulumi(*UP)
    engine.ec2.terminate_instances(InstanceIds=sorted(ids(engine).values()))
    engine.pulumi(*DESTROY, "--exclude-protected")
    left = account_leftovers(engine.clients)
    assert len([each for each in left if each.startswith("volume ")]) == 1
    assert not [each for each in left if each.startswith("instance ")]
    destroy_all(engine)


@pytest.mark.parametrize("engine", ["iscsi-tunnel.lab"], indirect=True)
def test_all_but_the_protected_volume_is_destroyed(engine: Engine) -> None:
    engine.pulumi(*UP)
    (volume,) = inventory(engine).host("server").volumes
    engine.pulumi(*DESTROY, "--exclude-protected")
    left = account_leftovers(engine.clients)
    assert f"volume {volume.id}" in left
    assert not [each for each in left if each.startswith(("instance ", "address "))], "nothing but it is billed"
    engine.pulumi(*UP)
    assert [each.id for each in inventory(engine).host("server").volumes] == [volume.id]
    destroy_all(engine)


@pytest.mark.parametrize(
    ("engine", "resource"),
    [("md-raid.lab", "storage-2-instance"), ("md-raid.lab", "storage-1-volume-1-attachment")],
    indirect=["engine"],
)
def test_an_up_after_a_failure_goes_on(engine: Engine, resource: str) -> None:
    failed = engine.pulumi(*UP, check=False, TIDEMARK_LAB_FAIL_AT=resource)
    assert failed.returncode != 0
    engine.pulumi(*UP)
    assert attached(engine) == wanted(engine)
    engine.pulumi("preview", "--expect-no-changes")
    destroy_all(engine)
