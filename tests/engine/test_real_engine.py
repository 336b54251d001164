"""What `pulumi up`, `preview` and `destroy` of the real engine do with the stacks of the rehearsal."""

from __future__ import annotations

import json

import pytest

from components.tunnel import VOLUME_NAME
from inventory import Inventory
from lab.clients import Clients
from lab.leak_check import account_leftovers
from tests.engine.conftest import Engine

pytestmark = pytest.mark.engine

UP = ("up", "--yes", "--skip-preview", "--suppress-progress")
DESTROY = ("destroy", "--yes", "--skip-preview", "--suppress-progress")


WITH_PROTECTED_VOLUME = ["iscsi-tunnel.lab", "encrypted-backup.lab"]
EVERY_STACK = ["md-raid.lab", "efs-iops.lab", "eip-region.lab", "s3-throttle.lab", *WITH_PROTECTED_VOLUME]


@pytest.mark.parametrize("engine", EVERY_STACK, indirect=True)
def test_up_then_no_changes_then_destroy_leaves_an_empty_account(engine: Engine) -> None:
    engine.pulumi("preview")
    assert account_leftovers(engine.clients) == [], "a preview creates nothing"
    engine.pulumi(*UP)

    found = Inventory.from_json(engine.inventory(), "the stack's output")
    instances = {
        instance["InstanceId"]: instance
        for reservation in engine.ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
    assert {host.id for host in found.hosts} == set(instances), "the inventory and the account name the same hosts"
    for host in found.hosts:
        attached = {mapping["Ebs"]["VolumeId"] for mapping in instances[host.id]["BlockDeviceMappings"]}
        assert {volume.id for volume in host.volumes} <= attached
    systems = engine.clients.efs.describe_file_systems()["FileSystems"]
    assert [system["FileSystemId"] for system in systems] == ([found.file_system.id] if found.file_system else [])

    engine.pulumi("preview", "--expect-no-changes")
    engine.pulumi(*UP, "--expect-no-changes")
    if engine.stack in WITH_PROTECTED_VOLUME:
        engine.pulumi("config", "set", "tidemark:deleteVolume", VOLUME_NAME)
        engine.pulumi(*UP)
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []


def test_a_tag_taken_from_the_config_changes_in_place(engine: Engine) -> None:
    engine.pulumi(*UP)
    before = {host["id"] for host in json.loads(engine.inventory())["hosts"]}
    engine.pulumi("config", "set", "tidemark:maxUsdPerHour", "20")
    engine.pulumi("preview", "--expect-no-changes")
    after = {host["id"] for host in json.loads(engine.inventory())["hosts"]}
    assert before == after, "a higher limit of cost replaces no host"
    engine.pulumi(*DESTROY)


def test_no_secret_in_the_state(engine: Engine) -> None:
    private_key = (engine.project.parent / "id_ed25519").read_text().splitlines()[1]
    engine.pulumi(*UP)
    state = engine.pulumi("stack", "export").stdout
    assert "PRIVATE KEY" not in state
    assert private_key not in state
    engine.pulumi(*DESTROY)


@pytest.mark.parametrize(
    ("engine", "resource"),
    [
        ("efs-iops.lab", "efs-iops-file-system-efs"),
        ("efs-iops.lab", "efs-iops-file-system-mount-target"),
        ("efs-iops.lab", "client-2-instance"),
        ("eip-region.lab", "eip-region-address-eip"),
        ("eip-region.lab", "host-2-instance"),
        ("md-raid.lab", "md-raid-network-vpc"),
        ("md-raid.lab", "md-raid-network-subnet"),
        ("md-raid.lab", "md-raid-network-default-route"),
        ("md-raid.lab", "md-raid-members-group"),
        ("md-raid.lab", "md-raid-members-in-iscsi"),
        ("md-raid.lab", "md-raid-placement-group"),
        ("md-raid.lab", "storage-1-instance"),
        ("md-raid.lab", "client-instance"),
        ("md-raid.lab", "storage-2-volume-3"),
        ("md-raid.lab", "storage-3-volume-5-attachment"),
    ],
    indirect=["engine"],
)
def test_a_failure_at_a_creation_then_destroy_leaves_nothing(engine: Engine, resource: str) -> None:
    failed = engine.pulumi(*UP, check=False, TIDEMARK_LAB_FAIL_AT=resource)
    assert failed.returncode != 0
    assert "asks for a failure here" in failed.stdout + failed.stderr
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []


@pytest.mark.parametrize("engine", ["eip-region.lab"], indirect=True)
def test_an_address_that_a_task_moved_stays_where_it_is(engine: Engine) -> None:
    engine.pulumi(*UP)
    found = Inventory.from_json(engine.inventory(), "the stack's output")
    (address,) = found.elastic_ips
    for host in found.hosts:
        engine.ec2.associate_address(AllocationId=address.id, InstanceId=host.id, AllowReassociation=True)
    # The refresh shows who has it and the hosts' addresses, as outputs; nothing follows from that.
    engine.pulumi("refresh", "--yes", "--skip-preview")
    engine.pulumi("preview", "--expect-no-changes")
    engine.pulumi(*UP)
    (shown,) = engine.ec2.describe_addresses()["Addresses"]
    assert shown["InstanceId"] == found.hosts[-1].id
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []


@pytest.mark.parametrize("engine", ["eip-region.lab"], indirect=True)
def test_an_address_that_was_given_is_not_released(engine: Engine) -> None:
    given = engine.ec2.allocate_address(Domain="vpc")["AllocationId"]
    engine.pulumi("config", "set", "tidemark:elasticIp", given)
    engine.pulumi(*UP)
    found = Inventory.from_json(engine.inventory(), "the stack's output")
    assert [(each.id, each.allocated) for each in found.elastic_ips] == [(given, False)]
    engine.ec2.associate_address(AllocationId=given, InstanceId=found.hosts[0].id)
    engine.pulumi("preview", "--expect-no-changes")
    engine.pulumi(*DESTROY)
    (kept,) = engine.ec2.describe_addresses()["Addresses"]
    assert (kept["AllocationId"], kept.get("InstanceId") or None) == (given, None)


@pytest.mark.parametrize("engine", ["eip-region.lab"], indirect=True)
def test_another_regions_address_is_refused_at_a_preview(engine: Engine) -> None:
    foreign = Clients(engine.url, "us-east-1").ec2.allocate_address(Domain="vpc")["AllocationId"]
    engine.pulumi("config", "set", "tidemark:elasticIp", foreign)
    refused = engine.pulumi("preview", check=False)
    assert refused.returncode != 0
    said = " ".join((refused.stdout + refused.stderr).split())
    assert f"{foreign} is in us-east-1; an Elastic IP cannot leave its region: run the stack there or allocate" in said
    assert "Traceback" not in said
    assert account_leftovers(engine.clients) == []


def test_a_wrong_stack_creates_nothing(engine: Engine) -> None:
    engine.pulumi("config", "set", "tidemark:volumeType", "gp9")
    refused = engine.pulumi(*UP, check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "gp9" in said
    assert "Traceback" not in said
    assert account_leftovers(engine.clients) == []


def test_the_provider_refuses_an_endpoint_beyond_this_machine(engine: Engine) -> None:
    document = engine.stack_file.read_text().replace("http://127.0.0.1", "http://192.0.2.1")
    engine.stack_file.write_text(document)
    refused = engine.pulumi(*UP, check=False)
    assert refused.returncode != 0


@pytest.mark.parametrize("engine", WITH_PROTECTED_VOLUME, indirect=True)
def test_a_protected_volume_is_destroyed_only_when_it_is_named(engine: Engine) -> None:
    engine.pulumi(*UP)
    (volume_id,) = [volume.id for volume in Inventory.from_json(engine.inventory(), "output").host("server").volumes]
    refused = engine.pulumi(*DESTROY, check=False)
    assert refused.returncode != 0
    assert VOLUME_NAME in refused.stdout + refused.stderr
    assert f"volume {volume_id}" in account_leftovers(engine.clients), "who does not name it keeps it"
    engine.pulumi(*UP)
    assert f'"{volume_id}"' in engine.inventory(), "a new server gets the volume that was kept"

    engine.pulumi("config", "set", "tidemark:deleteVolume", "server-volume-2")
    misspelt = engine.pulumi(*UP, check=False)
    assert "this stack has no volume server-volume-2" in misspelt.stdout + misspelt.stderr

    engine.pulumi("config", "set", "tidemark:deleteVolume", VOLUME_NAME)
    engine.pulumi(*UP)
    (volume,) = engine.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    assert volume["State"] == "in-use", "naming it alone deletes nothing"
    engine.pulumi(*DESTROY)
    assert account_leftovers(engine.clients) == []
