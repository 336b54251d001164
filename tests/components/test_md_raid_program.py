"""The whole program under mocks: what it declares, how it is tied together, what it exports."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from components.experiments.md_raid import STORAGE_SERVERS_MAX, STORAGE_SERVERS_MIN, VOLUMES_FOR_PLANS
from tests.components.every_stack import (
    SITE,
    check_boot_order,
    check_image,
    check_names,
    check_root_volumes,
    check_tags,
    inventory_of,
)
from tests.components.stack_program import PROJECT, Run, declare, lab_config, run_program, stack_file
from workloads.md_raid.topology import SERVERS_MAX, SERVERS_MIN, Topology

STACK = "md-raid.eu-central-1"
AWS_STACKS = (STACK, "md-raid.us-east-1", "md-raid.eu-west-1")

UNTAGGED = (":Route", ":RouteTableAssociation", ":VolumeAttachment")  # AWS has no tags for these


@pytest.fixture
def run(declare_once: Callable[..., Run]) -> Run:
    """The unchanged stack."""
    return declare_once(STACK)


def test_declares_the_published_setup(run: Run) -> None:
    assert Counter(resource.type for resource in run.resources if resource.custom) == {
        **SITE,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 3,
        "aws:ec2/placementGroup:PlacementGroup": 1,
        "aws:ec2/instance:Instance": 4,
        "aws:ebs/volume:Volume": 15,
        "aws:ec2/volumeAttachment:VolumeAttachment": 15,
    }
    assert run.calls == [("aws:ssm/getParameter:getParameter", {"name": "/aws/service/debian/release/12/latest/amd64"})]


def test_components_are_the_parents(run: Run) -> None:
    top = "tidemark:experiments:MdRaid"
    assert run.parents("storage-2-instance") == ["tidemark:host:Host", "tidemark:storage:StorageServer", top]
    assert run.parents("storage-2-volume-5") == ["tidemark:storage:StorageServer", top]
    assert run.parents("client-instance") == ["tidemark:host:Host", "tidemark:client:Client", top]
    assert run.parents("md-raid-network-subnet") == ["tidemark:network:Network", top]
    assert run.parents("md-raid-members-in-ssh") == ["tidemark:security:Members", top]
    assert run.parents("md-raid-key-pair") == [top]
    assert run.parents("md-raid-placement-group") == [top]


def test_names_are_unique(run: Run) -> None:
    check_names(run)


def test_everything_that_can_be_tagged_is_tagged(run: Run) -> None:
    check_tags(run, "md-raid", STACK, UNTAGGED)


def test_root_volumes_are_tagged_and_keep_their_expiry(run: Run) -> None:
    check_root_volumes(run, STACK)


def test_hosts_are_named_by_tag_and_tell_their_memory_limit(run: Run) -> None:
    names = {instance.inputs["tags"]["Name"] for instance in run.of(":Instance")}
    assert names == {"storage-1", "storage-2", "storage-3", "client"}
    assert {instance.inputs["tags"]["memory-limit-mib"] for instance in run.of(":Instance")} == {"2048"}


def test_hosts_boot_after_their_way_out_and_rules(run: Run) -> None:
    check_boot_order(run)


def test_all_hosts_share_zone_subnet_and_placement_group(run: Run) -> None:
    assert run.one(":Subnet").inputs["availabilityZone"] == "eu-central-1a"
    assert {volume.inputs["availabilityZone"] for volume in run.of(":Volume")} == {"eu-central-1a"}
    assert {instance.inputs["subnetId"] for instance in run.of(":Instance")} == {"id-md-raid-network-subnet"}
    assert {i.inputs["placementGroup"] for i in run.of(":Instance")} == {"md-raid-placement-group"}
    group = run.one(":PlacementGroup")
    assert group.inputs["strategy"] == "cluster"
    assert group.inputs["tags"]["Name"] == "md-raid-placement-group"
    assert group.ignore_changes == ('tags["expires-at"]',)


def test_a_chosen_zone_stays(run: Run, public_key_file: Path) -> None:
    assert "availabilityZone" in run.one(":Subnet").ignore_changes
    asked = declare(STACK, public_key_file, zone="eu-central-1b").one(":Subnet")
    assert asked.inputs["availabilityZone"] == "eu-central-1b"
    assert "availabilityZone" not in asked.ignore_changes


def test_image_is_looked_up_and_then_stays(run: Run) -> None:
    check_image(run)


def test_user_data_holds_no_secret_and_is_one_for_all(run: Run) -> None:
    scripts = {instance.inputs["userData"] for instance in run.of(":Instance")}
    (script,) = scripts
    assert "lifetime_hours='4'" in script
    assert "memory_limit_mib='2048'" in script
    assert "ssh-ed25519 AAAA" not in script
    assert "PRIVATE KEY" not in script


def test_key_pair_has_no_comment_of_the_person(run: Run) -> None:
    key = run.one(":KeyPair").inputs["publicKey"]
    assert len(key.split()) == 2
    assert "person" not in key


def test_inventory(public_key_file: Path) -> None:
    found = inventory_of(declare(STACK, public_key_file))
    assert (found.stack, found.region, found.rehearsal) == (STACK, "eu-central-1", False)
    assert found.ssh.user == "admin"
    assert found.ssh.identity_file == str(public_key_file).removesuffix(".pub")
    assert found.network.vpc_id == "id-md-raid-network-vpc"
    assert [host.name for host in found.hosts_in("storage")] == ["storage-1", "storage-2", "storage-3"]
    client = found.host("client")
    assert (client.role, client.volumes, client.port) == ("client", (), 22)
    storage = found.host("storage-1")
    assert [volume.device for volume in storage.volumes] == [f"/dev/sd{letter}" for letter in "fghij"]
    assert storage.volumes[0].id == "id-storage-1-volume-1"
    assert {(v.size_gib, v.type, v.iops) for v in storage.volumes} == {(50, "gp2", 150)}
    assert (storage.cpu_limit, storage.memory_limit_mib) == (4, 2048)
    assert {host.private_address for host in found.hosts} == {f"10.20.1.{n}" for n in range(10, 14)}


def test_human_outputs(run: Run) -> None:
    assert set(run.outputs) == {
        "inventory",
        "client_address",
        "storage_addresses",
        "expires_at",
        "usd_per_hour",
    }
    assert run.outputs["client_address"] == inventory_of(run).host("client").address
    assert run.outputs["usd_per_hour"] == "7.41"
    cost = inventory_of(run).cost
    assert cost is not None
    assert (f"{cost.usd_per_hour:.2f}", cost.prices_of, cost.besides) == ("7.41", "2025-06", ())


def test_says_what_it_costs_and_that_it_could_not_ask(run: Run) -> None:
    assert run.lines == [
        "no AWS credentials: region and types are checked by the table of 2026-11, not by your account",
        "cost: $7.41 an hour in eu-central-1, $29.66 until its hosts end themselves after 4 h "
        "(prices of 2025-06, without traffic and tax)",
    ]


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_aws_stacks_need_only_the_persons_network(stack: str, public_key_file: Path) -> None:
    assert "tidemark:sshCidr" not in stack_file(stack)
    found = inventory_of(declare(stack, public_key_file))
    assert found.region == stack.partition(".")[2]
    assert not found.rehearsal


def test_lab_stack_differs_from_aws_in_nothing_that_is_measured() -> None:
    lab, aws = stack_file("md-raid.lab"), stack_file(STACK)
    differing = {key for key in lab.keys() | aws.keys() if lab.get(key) != aws.get(key)}
    assert {key for key in differing if key.startswith("tidemark:")} == {
        "tidemark:maxUsdPerHour",
        "tidemark:sshCidr",
        "tidemark:sshPublicKeyFile",
        "tidemark:sshProxyCommand",
    }


def test_lab_stack_against_an_endpoint(public_key_file: Path, moto_endpoint: str) -> None:
    run = run_program(Run(), lab_config("md-raid.lab", moto_endpoint, public_key_file), "md-raid.lab")
    found = inventory_of(run)
    assert found.rehearsal
    assert found.ssh.proxy_command == "python3 -m lab.proxy_command %h %p"
    assert run.lines == [
        "cost: none, this is a rehearsal; on AWS: $7.41 an hour in eu-central-1, $29.66 until its hosts end "
        "themselves after 4 h (prices of 2025-06, without traffic and tax)"
    ]


def test_limits_can_be_lifted(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, cpuLimit="none", memoryLimitMib="none", maxUsdPerHour="none")
    for instance in run.of(":Instance"):
        assert "cpuOptions" not in instance.inputs
        assert "memory-limit-mib" not in instance.inputs["tags"]
        assert "memory_limit_mib=''" in instance.inputs["userData"]
    client = inventory_of(run).host("client")
    assert (client.cpu_limit, client.memory_limit_mib) == (None, None)


def test_another_shape(public_key_file: Path) -> None:
    run = declare(
        STACK,
        public_key_file,
        volumesPerServer="10",
        clientType="m4.xlarge",
        volumeType="gp3",
        volumeIops="4000",
    )
    found = inventory_of(run)
    assert [volume.device for volume in found.host("storage-2").volumes][-1] == "/dev/sdo"
    assert found.host("client").type == "m4.xlarge"
    assert found.host("storage-1").volumes[0].iops == 4000
    assert {volume.inputs["iops"] for volume in run.of(":Volume")} == {4000}
    # Four CPUs are all that m4.xlarge has: nothing to limit.
    assert "cpuOptions" not in run.named("client-instance").inputs


@pytest.mark.parametrize(("servers", "usd_per_hour"), [(2, 5.55), (3, 7.41), (5, 11.14), (8, 16.73)])
def test_what_the_stack_deploys_is_what_the_tasks_take(
    servers: int, usd_per_hour: float, public_key_file: Path
) -> None:
    found = inventory_of(declare(STACK, public_key_file, storageServers=str(servers), maxUsdPerHour="20"))
    topology = Topology.of(found)
    assert len(topology.servers) == servers
    assert {len(mirror.legs) for mirror in topology.mirrors} == {servers}
    assert found.cost is not None
    assert found.cost.usd_per_hour == pytest.approx(usd_per_hour, abs=0.01)


def test_stack_and_tasks_take_as_many_servers() -> None:
    assert (STORAGE_SERVERS_MIN, STORAGE_SERVERS_MAX) == (SERVERS_MIN, SERVERS_MAX)


@pytest.mark.parametrize("plan", ["short", "full"])
def test_the_plans_need_what_the_stack_says_they_need(plan: str) -> None:
    document = tomllib.loads((PROJECT / "workloads" / "md_raid" / "plans" / f"{plan}.toml").read_text())
    needed = max(count for each in document["pattern"] for count in (*each["raw_volumes"], *each["stripe_mirrors"]))
    assert needed == VOLUMES_FOR_PLANS


def test_too_few_volumes_for_the_plans_are_a_note(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, volumesPerServer="4")
    assert len(run.of(":Volume")) == 12
    assert run.lines[-1] == (
        "tidemark:volumesPerServer: 4, and the plans short (the default) and full need 5: set it to 5 or more, or run "
        "a plan of your own for 4 mirrors"
    )
    assert not [line for line in declare(STACK, public_key_file).lines if "volumesPerServer" in line]


def test_project_file() -> None:
    import yaml

    project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
    assert project["name"] == "tidemark"
    assert project["stackConfigDir"] == "stacks"
    assert project["options"] == {"refresh": "always"}, "a host that ended itself is made anew by `pulumi up`"
    assert project["runtime"]["options"]["virtualenv"] == ".venv"
