"""What is true of the program of every stack, whatever its experiment."""

from __future__ import annotations

from collections.abc import Iterable

from inventory import Inventory
from tests.components.stack_program import IMAGE_ID, Run

# What the hosts of each stack stand on, where all are in one zone; with the rules that let SSH in and packages out.
SITE = {
    "aws:ec2/vpc:Vpc": 1,
    "aws:ec2/subnet:Subnet": 1,
    "aws:ec2/internetGateway:InternetGateway": 1,
    "aws:ec2/routeTable:RouteTable": 1,
    "aws:ec2/route:Route": 1,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": 1,
    "aws:ec2/securityGroup:SecurityGroup": 1,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 2,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 5,
    "aws:ec2/keyPair:KeyPair": 1,
}


def inventory_of(run: Run) -> Inventory:
    """What the stack puts out for the tasks."""
    return Inventory.from_json(run.outputs["inventory"], "output")


def check_names(run: Run) -> None:
    """Names are unique: a second resource of the same URN passes under mocks and fails in the engine."""
    urns = [(resource.type, resource.name) for resource in run.resources]
    assert len(urns) == len(set(urns))


def check_tags(run: Run, experiment: str, stack: str, untagged: Iterable[str]) -> None:
    """Everything that can be tagged is; AWS has no tags for the types that end in one of `untagged`."""
    expiries = set()
    for resource in run.resources:
        if not resource.custom or resource.type.endswith(tuple(untagged)):
            assert "tags" not in resource.inputs
            continue
        tags = resource.inputs["tags"]
        assert tags["project"] == "tidemark"
        assert tags["stack"] == stack
        assert tags["experiment"] == experiment
        assert tags["Name"]
        expiries.add(tags["expires-at"])
        assert 'tags["expires-at"]' in resource.ignore_changes, resource.name
    assert expiries == {inventory_of(run).expires_at}


def check_root_volumes(run: Run, stack: str) -> None:
    """Root volumes are tagged and keep their expiry."""
    for instance in run.of(":Instance"):
        assert instance.inputs["rootBlockDevice"]["tags"]["stack"] == stack
        assert 'rootBlockDevice.tags["expires-at"]' in instance.ignore_changes


def check_boot_order(run: Run) -> None:
    """Hosts boot after their way out and rules."""
    rules = [*run.of(":SecurityGroupIngressRule"), *run.of(":SecurityGroupEgressRule")]
    ways_out = [run.one(":Route"), *run.of(":RouteTableAssociation")]
    needed = {each.urn for each in (*ways_out, *rules)}
    for instance in run.of(":Instance"):
        assert needed <= set(instance.dependencies)


def check_image(run: Run) -> None:
    """The image is looked up and then stays."""
    for instance in run.of(":Instance"):
        assert instance.inputs["ami"] == IMAGE_ID
        assert "ami" in instance.ignore_changes
