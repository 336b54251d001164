"""Finds what EC2 has of this project in a region, and what others have in this project's networks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reaper.plan import ORDER, Resource, ref
from reaper.services import listed, unless_gone
from reaper.tags import DATA_KEY, DISPOSABLE, PROJECT, PROJECT_KEY, from_pairs, is_ours

OURS = {"Name": f"tag:{PROJECT_KEY}", "Values": [PROJECT]}
_USUAL_ROOTS = ("/dev/xvda", "/dev/sda1")
_GONE = "terminated"

Described = Mapping[str, Any]


def find_in_ec2(ec2: Any, region: str) -> list[Resource]:
    """Returns the resources of this project in a region, and the others that need one of them."""
    tagged = _tagged(ec2)
    groups = list(ec2.describe_placement_groups(Filters=[OURS])["PlacementGroups"])
    if not tagged and not any(is_ours(from_pairs(each.get("Tags"))) for each in groups):
        return []
    site = _read(ec2)
    found = [
        *_instances(ec2, region, site),
        *_volumes(region, site),
        *_addresses(region, site),
        *_key_pairs_and_placement_groups(ec2, region, groups),
        *_network(region, site),
        *_interfaces(region, site),
    ]
    described = {each.id for each in found}
    for (kind, id), tags in tagged.items():
        if kind not in ORDER and id not in described:
            found.append(Resource(region, kind, id, tags))
    return found


def _tagged(ec2: Any) -> dict[tuple[str, str], dict[str, str]]:
    """Returns the tags of all that has the project's tag, by kind and id. It may show deleted resources for a while."""
    owned = [{"Name": "key", "Values": [PROJECT_KEY]}, {"Name": "value", "Values": [PROJECT]}]
    keys = {(each["ResourceType"], each["ResourceId"]) for each in listed(ec2, "describe_tags", "Tags", Filters=owned)}
    strange = [id for kind, id in keys if kind not in ORDER]
    tags: dict[tuple[str, str], dict[str, str]] = {key: {} for key in keys}
    if strange:
        for each in listed(ec2, "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": strange}]):
            tags.setdefault((each["ResourceType"], each["ResourceId"]), {})[each["Key"]] = each["Value"]
    return tags


@dataclass
class _Site:
    """Descriptions by id: of this project's resources, and of all that is in its VPCs."""

    vpcs: dict[str, Described]
    instances: dict[str, Described]
    volumes: dict[str, Described]
    addresses: list[Described]
    subnets: dict[str, Described] = field(default_factory=dict)
    groups: dict[str, Described] = field(default_factory=dict)
    tables: dict[str, Described] = field(default_factory=dict)
    gateways: dict[str, Described] = field(default_factory=dict)
    interfaces: dict[str, Described] = field(default_factory=dict)
    rules: list[Described] = field(default_factory=list)

    def network_of(self, vpc_id: str) -> frozenset[str]:
        """Returns the refs of a VPC, its subnets, route tables and gateway: they stay or go as one."""
        return frozenset(
            {ref("vpc", vpc_id)}
            | {ref("subnet", id) for id, each in self.subnets.items() if each["VpcId"] == vpc_id}
            | {ref("route-table", id) for id, each in self.tables.items() if each["VpcId"] == vpc_id}
            | {ref("internet-gateway", id) for id, each in self.gateways.items() if vpc_id in attached_to(each)}
        )


def attached_to(gateway: Described) -> list[str]:
    """Returns the VPCs that an internet gateway is attached to: one, or none."""
    return [each["VpcId"] for each in gateway.get("Attachments", [])]


def _read(ec2: Any) -> _Site:
    def described(call: str, key: str, id: str, filters: list[Any]) -> dict[str, Described]:
        return {each[id]: each for each in listed(ec2, call, key, Filters=filters)}

    site = _Site(
        described("describe_vpcs", "Vpcs", "VpcId", [OURS]),
        {
            instance["InstanceId"]: instance
            for reservation in listed(ec2, "describe_instances", "Reservations", Filters=[OURS])
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != _GONE
        },
        described("describe_volumes", "Volumes", "VolumeId", [OURS]),
        ec2.describe_addresses(Filters=[OURS])["Addresses"],
    )
    both = [[OURS]]
    if site.vpcs:
        both.append([{"Name": "vpc-id", "Values": sorted(site.vpcs)}])
    for filters in both:
        site.subnets |= described("describe_subnets", "Subnets", "SubnetId", filters)
        site.groups |= described("describe_security_groups", "SecurityGroups", "GroupId", filters)
        site.tables |= described("describe_route_tables", "RouteTables", "RouteTableId", filters)
        site.interfaces |= described("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", filters)
        attachment = [{**each, "Name": "attachment.vpc-id"} if each["Name"] == "vpc-id" else each for each in filters]
        site.gateways |= described("describe_internet_gateways", "InternetGateways", "InternetGatewayId", attachment)
    ours = sorted(id for id, each in site.groups.items() if is_ours(from_pairs(each.get("Tags"))))
    if ours:
        by_group = [{"Name": "group-id", "Values": ours}]
        site.rules = list(listed(ec2, "describe_security_group_rules", "SecurityGroupRules", Filters=by_group))
    attached = {
        mapping["Ebs"]["VolumeId"]
        for instance in site.instances.values()
        for mapping in instance.get("BlockDeviceMappings", [])
        if "Ebs" in mapping
    }
    if unseen := sorted(attached - site.volumes.keys()):
        site.volumes |= described("describe_volumes", "Volumes", "VolumeId", [{"Name": "volume-id", "Values": unseen}])
    return site


def _instances(ec2: Any, region: str, site: _Site) -> Iterator[Resource]:
    for id, instance in site.instances.items():
        needs, barriers = set(), []
        if subnet := instance.get("SubnetId"):
            needs |= {ref("subnet", subnet), *site.network_of(instance["VpcId"])}
        needs |= {
            ref("security-group", group["GroupId"])
            for interface in instance.get("NetworkInterfaces", [])
            for group in interface.get("Groups", [])
        }
        needs |= {ref("elastic-ip", each["AllocationId"]) for each in site.addresses if each.get("InstanceId") == id}
        if instance.get("KeyName"):
            needs.add(ref("key-pair", instance["KeyName"]))
        if instance.get("Placement", {}).get("GroupName"):
            needs.add(ref("placement-group", instance["Placement"]["GroupName"]))
        if profile := instance.get("IamInstanceProfile", {}).get("Arn"):
            needs.add(ref("instance-profile", profile.rpartition("/")[2]))
        root = root_device(instance)
        for mapping in instance.get("BlockDeviceMappings", []):
            volume = mapping.get("Ebs", {}).get("VolumeId")
            if volume is None:
                continue
            tags = from_pairs(site.volumes.get(volume, {}).get("Tags"))
            if mapping["DeviceName"] != root:
                needs.add(ref("volume", volume))
            if mapping["Ebs"].get("DeleteOnTermination") and not _is_disposable(tags, mapping["DeviceName"] == root):
                barriers.append(f"its termination would delete the volume {volume}")
        if instance["State"]["Name"] != "shutting-down":
            with unless_gone():
                answer = ec2.describe_instance_attribute(InstanceId=id, Attribute="disableApiTermination")
                if answer["DisableApiTermination"].get("Value"):
                    barriers.append("it has termination protection")
        yield Resource(
            region,
            "instance",
            id,
            from_pairs(instance.get("Tags")),
            frozenset(needs),
            tuple(barriers),
            created_at=instance.get("LaunchTime"),
            facts={
                "type": instance.get("InstanceType"),
                "state": instance["State"]["Name"],
                "public_address": instance.get("PublicIpAddress"),
            },
        )


def root_device(instance: Described) -> str | None:
    """Returns the device name of an instance's root volume."""
    names = [mapping["DeviceName"] for mapping in instance.get("BlockDeviceMappings", [])]
    return next((name for name in (instance.get("RootDeviceName"), *_USUAL_ROOTS) if name in names), None)


def _is_disposable(tags: Mapping[str, str], is_root: bool) -> bool:
    """Returns whether its instance's termination may delete a volume. A root may lack tags, not have others'."""
    if is_root:
        return tags.get(PROJECT_KEY, PROJECT) == PROJECT
    return is_ours(tags) and tags.get(DATA_KEY) == DISPOSABLE


def _volumes(region: str, site: _Site) -> Iterator[Resource]:
    for id, volume in site.volumes.items():
        part_of, barriers = None, []
        for attachment in volume.get("Attachments", []):
            instance = site.instances.get(attachment["InstanceId"])
            if instance is None:
                barriers.append(f"it is attached to {attachment['InstanceId']}, which is not this project's")
            elif attachment["Device"] == root_device(instance):
                part_of = ref("instance", attachment["InstanceId"])
        yield Resource(
            region,
            "volume",
            id,
            from_pairs(volume.get("Tags")),
            barriers=tuple(barriers),
            part_of=part_of,
            created_at=volume.get("CreateTime"),
            facts={"type": volume["VolumeType"], "gib": volume["Size"], "iops": volume.get("Iops")},
        )


def _addresses(region: str, site: _Site) -> Iterator[Resource]:
    for address in site.addresses:
        user = address.get("InstanceId") or address.get("NetworkInterfaceId")
        others = user and user not in site.instances
        yield Resource(
            region,
            "elastic-ip",
            address["AllocationId"],
            from_pairs(address.get("Tags")),
            barriers=(f"it is associated with {user}, which is not this project's",) if others else (),
            names=frozenset({address["PublicIp"]} if "PublicIp" in address else ()),  # a carrier address has none
            facts={
                "address": address.get("PublicIp", "no public address"),
                "in_use": _is_running(site.instances.get(str(user))),
            },
        )


def _is_running(instance: Described | None) -> bool:
    return instance is not None and instance["State"]["Name"] == "running"


def _key_pairs_and_placement_groups(ec2: Any, region: str, groups: Iterable[Described]) -> Iterator[Resource]:
    """Finds them by their names, as the deleting calls and Pulumi's states know them."""
    for pair in ec2.describe_key_pairs(Filters=[OURS])["KeyPairs"]:
        tags = from_pairs(pair.get("Tags"))
        yield Resource(region, "key-pair", pair["KeyName"], tags, names=frozenset({pair["KeyPairId"]}))
    for group in groups:
        tags = from_pairs(group.get("Tags"))
        yield Resource(region, "placement-group", group["GroupName"], tags, names=frozenset({group["GroupId"]}))


def _network(region: str, site: _Site) -> Iterator[Resource]:
    for id, vpc in site.vpcs.items():
        yield Resource(region, "vpc", id, from_pairs(vpc.get("Tags")), site.network_of(id) - {ref("vpc", id)})
    for kind, described in (
        ("subnet", site.subnets),
        ("route-table", site.tables),
        ("internet-gateway", site.gateways),
    ):
        for id, each in described.items():
            vpcs = attached_to(each) if kind == "internet-gateway" else [each["VpcId"]]
            if any(association.get("Main") for association in each.get("Associations", [])):
                continue  # the main route table goes with its VPC
            barriers = [f"{vpc} is not this project's" for vpc in vpcs if vpc not in site.vpcs]
            needs = frozenset(one for vpc in vpcs for one in site.network_of(vpc))
            yield Resource(region, kind, id, from_pairs(each.get("Tags")), needs, tuple(barriers))
    for id, group in site.groups.items():
        if group["GroupName"] == "default":
            continue  # it goes with its VPC
        referred = {
            pair["GroupId"]
            for permission in (*group.get("IpPermissions", []), *group.get("IpPermissionsEgress", []))
            for pair in permission.get("UserIdGroupPairs", [])
        }
        tags = from_pairs(group.get("Tags"))
        # A group of another's that refers to one of ours needs it; two of ours may refer to each other.
        others = set() if is_ours(tags) else {ref("security-group", other) for other in referred - {id}}
        rules = {
            ref("security-group-rule", each["SecurityGroupRuleId"]) for each in site.rules if each["GroupId"] == id
        }
        yield Resource(region, "security-group", id, tags, frozenset({ref("vpc", group["VpcId"])} | others | rules))
    for rule in site.rules:
        tags = from_pairs(rule.get("Tags"))
        if tags:  # one without tags is the group's own and goes with it
            facts = {"group": rule["GroupId"], "is_egress": rule["IsEgress"]}
            named = rule.get("ReferencedGroupInfo", {}).get("GroupId")
            needs = frozenset({ref("security-group", named)} if named and named != rule["GroupId"] else ())
            yield Resource(region, "security-group-rule", rule["SecurityGroupRuleId"], tags, needs, facts=facts)


def _interfaces(region: str, site: _Site) -> Iterator[Resource]:
    """Finds those of other instances and services. A file system's are known by its mount targets (services.py)."""
    for id, interface in site.interfaces.items():
        if interface.get("Attachment", {}).get("InstanceId") in site.instances:
            continue
        groups = {ref("security-group", group["GroupId"]) for group in interface.get("Groups", [])}
        needs = frozenset({ref("subnet", interface["SubnetId"]), *site.network_of(interface["VpcId"]), *groups})
        yield Resource(region, "network-interface", id, from_pairs(interface.get("TagSet")), needs)


def find_users_of_profiles(ec2: Any, region: str, arns: Collection[str]) -> Iterator[Resource]:
    """Returns the instances in a region that have one of these instance profiles, without their tags."""
    for each in listed(ec2, "describe_iam_instance_profile_associations", "IamInstanceProfileAssociations"):
        arn = each["IamInstanceProfile"]["Arn"]
        if arn in arns and each["State"] != "disassociated":
            needs = frozenset({ref("instance-profile", arn.rpartition("/")[2])})
            yield Resource(region, "instance", each["InstanceId"], {}, needs)
