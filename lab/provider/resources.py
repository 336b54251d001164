"""Each resource type of the program as calls to the EC2 API.

Inputs and outputs are Pulumi's, in camelCase, as the schema of pulumi-aws 7 names them. An output that the
program reads is always there: the engine takes an absent one for unknown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lab.errors import LabError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

Values = dict[str, Any]
Create = Callable[["EC2Client", Values], tuple[str, Values]]
Delete = Callable[["EC2Client", str, Values], None]
Read = Callable[["EC2Client", str], bool]

GONE_SUFFIXES = (".NotFound", ".Unknown")  # InvalidVpcID.NotFound, InvalidPlacementGroup.Unknown


@dataclass(frozen=True)
class ResourceType:
    """How one type is made, looked for and unmade. `create` gives the id and the computed outputs."""

    create: Create
    delete: Delete
    exists: Read


def is_gone(fault: ClientError) -> bool:
    """The API says that what was asked for does not exist."""
    return str(fault.response.get("Error", {}).get("Code", "")).endswith(GONE_SUFFIXES)


def tag_list(inputs: Mapping[str, Any]) -> list[Any]:
    """Tags as EC2 takes them, in a stable order."""
    return [{"Key": key, "Value": value} for key, value in sorted((inputs.get("tags") or {}).items())]


def _tagged(kind: str, inputs: Mapping[str, Any]) -> list[Any]:
    tags = tag_list(inputs)
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


@contextlib.contextmanager
def _all_or_nothing(unmake: Callable[[], object]) -> Iterator[None]:
    """Take back what a first call made when a later one of the same creation fails.

    Until its creation is over no journal and no engine knows of a resource, so nobody else could.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(ClientError, BotoCoreError):  # the failure that is raised says more than this one
            unmake()
        raise


def _given(**arguments: Any) -> Any:
    """Only the arguments that have a value: the API knows a missing one, not an empty one."""
    return {key: value for key, value in arguments.items() if value is not None}


# --- network ---------------------------------------------------------------------------------------------


def _create_vpc(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    vpc_id = ec2.create_vpc(CidrBlock=inputs["cidrBlock"], TagSpecifications=_tagged("vpc", inputs))["Vpc"]["VpcId"]
    with _all_or_nothing(lambda: ec2.delete_vpc(VpcId=vpc_id)):
        for attribute, key in (
            ("EnableDnsSupport", "enableDnsSupport"),
            ("EnableDnsHostnames", "enableDnsHostnames"),
        ):
            if key in inputs:
                ec2.modify_vpc_attribute(**_given(VpcId=vpc_id, **{attribute: {"Value": bool(inputs[key])}}))
    return vpc_id, {}


def _create_subnet(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    subnet = ec2.create_subnet(
        **_given(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs.get("availabilityZone"),
            TagSpecifications=_tagged("subnet", inputs),
        )
    )["Subnet"]
    return subnet["SubnetId"], {"availabilityZone": subnet["AvailabilityZone"]}


def _create_internet_gateway(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_internet_gateway(TagSpecifications=_tagged("internet-gateway", inputs))
    gateway_id = created["InternetGateway"]["InternetGatewayId"]
    if inputs.get("vpcId"):
        with _all_or_nothing(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway_id)):
            ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])
    return gateway_id, {}


def _delete_internet_gateway(ec2: EC2Client, gateway_id: str, outputs: Values) -> None:
    if outputs.get("vpcId"):
        ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=outputs["vpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=gateway_id)


def _create_route_table(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=_tagged("route-table", inputs))
    return created["RouteTable"]["RouteTableId"], {}


def _create_route(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    ec2.create_route(
        RouteTableId=inputs["routeTableId"],
        DestinationCidrBlock=inputs["destinationCidrBlock"],
        GatewayId=inputs["gatewayId"],
    )
    return f"r-{inputs['routeTableId']}-{inputs['destinationCidrBlock']}", {}


def _delete_route(ec2: EC2Client, _: str, outputs: Values) -> None:
    ec2.delete_route(RouteTableId=outputs["routeTableId"], DestinationCidrBlock=outputs["destinationCidrBlock"])


def _route_exists(ec2: EC2Client, route_id: str) -> bool:
    table_id, _, cidr = route_id.removeprefix("r-").rpartition("-")
    table = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"][0]
    return any(route.get("DestinationCidrBlock") == cidr for route in table["Routes"])


def _create_route_table_association(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
    return created["AssociationId"], {}


def _association_exists(ec2: EC2Client, association_id: str) -> bool:
    tables = ec2.describe_route_tables()["RouteTables"]
    return any(
        association.get("RouteTableAssociationId") == association_id
        for table in tables
        for association in table["Associations"]
    )


# --- security --------------------------------------------------------------------------------------------


def _create_security_group(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    group_id = ec2.create_security_group(
        **_given(
            GroupName=inputs["name"],
            Description=inputs.get("description", "Managed by Pulumi"),
            VpcId=inputs.get("vpcId"),
            TagSpecifications=_tagged("security-group", inputs),
        )
    )["GroupId"]
    # AWS opens all egress of a new group; the provider closes it, so that rules say all there is.
    with _all_or_nothing(lambda: ec2.delete_security_group(GroupId=group_id)):
        egress = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]["IpPermissionsEgress"]
        if egress:
            ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=egress)
    return group_id, {}


def _permission(inputs: Values) -> Any:
    description = _given(Description=inputs.get("description"))
    permission = _given(IpProtocol=inputs["ipProtocol"], FromPort=inputs.get("fromPort"), ToPort=inputs.get("toPort"))
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **description}]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **description}]
    return permission


def _create_ingress_rule(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.authorize_security_group_ingress(
        GroupId=inputs["securityGroupId"],
        IpPermissions=[_permission(inputs)],
        TagSpecifications=_tagged("security-group-rule", inputs),
    )
    rule_id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _create_egress_rule(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.authorize_security_group_egress(
        GroupId=inputs["securityGroupId"],
        IpPermissions=[_permission(inputs)],
        TagSpecifications=_tagged("security-group-rule", inputs),
    )
    rule_id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return rule_id, {"securityGroupRuleId": rule_id}


def _delete_ingress_rule(ec2: EC2Client, rule_id: str, outputs: Values) -> None:
    ec2.revoke_security_group_ingress(GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])


def _delete_egress_rule(ec2: EC2Client, rule_id: str, outputs: Values) -> None:
    ec2.revoke_security_group_egress(GroupId=outputs["securityGroupId"], SecurityGroupRuleIds=[rule_id])


def _create_key_pair(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    created = ec2.import_key_pair(
        KeyName=inputs["keyName"],
        PublicKeyMaterial=inputs["publicKey"].encode(),
        TagSpecifications=_tagged("key-pair", inputs),
    )
    return created["KeyName"], {
        "keyPairId": created.get("KeyPairId", ""),
        "fingerprint": created["KeyFingerprint"],
    }


# --- hosts and disks -------------------------------------------------------------------------------------


def _create_placement_group(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    group = ec2.create_placement_group(
        GroupName=inputs["name"],
        Strategy=inputs["strategy"],
        TagSpecifications=_tagged("placement-group", inputs),
    )["PlacementGroup"]
    return inputs["name"], {"placementGroupId": group["GroupId"]}


def _root_mapping(root: Mapping[str, Any]) -> list[Any]:
    ebs = _given(
        VolumeType=root.get("volumeType"),
        VolumeSize=root.get("volumeSize"),
        Encrypted=root.get("encrypted"),
        DeleteOnTermination=root.get("deleteOnTermination"),
    )
    return [{"DeviceName": "/dev/xvda", "Ebs": ebs}] if ebs else []


def _create_instance(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    cpu, metadata = inputs.get("cpuOptions"), inputs.get("metadataOptions")
    card = _given(
        DeviceIndex=0,
        SubnetId=inputs["subnetId"],
        Groups=inputs.get("vpcSecurityGroupIds"),
        AssociatePublicIpAddress=inputs.get("associatePublicIpAddress"),
    )
    launched = ec2.run_instances(
        **_given(
            ImageId=inputs["ami"],
            InstanceType=inputs["instanceType"],
            MinCount=1,
            MaxCount=1,
            KeyName=inputs.get("keyName"),
            UserData=inputs.get("userData"),
            NetworkInterfaces=[card],
            Placement=_given(GroupName=inputs.get("placementGroup")) or None,
            CpuOptions=_given(CoreCount=cpu["coreCount"], ThreadsPerCore=cpu["threadsPerCore"]) if cpu else None,
            MetadataOptions=_given(
                HttpEndpoint=metadata.get("httpEndpoint"),
                HttpTokens=metadata.get("httpTokens"),
                HttpPutResponseHopLimit=metadata.get("httpPutResponseHopLimit"),
            )
            if metadata
            else None,
            BlockDeviceMappings=_root_mapping(inputs.get("rootBlockDevice") or {}) or None,
            InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
            TagSpecifications=[
                *_tagged("instance", inputs),
                *_tagged("volume", inputs.get("rootBlockDevice") or {}),
            ],
        )
    )["Instances"][0]
    instance_id = launched["InstanceId"]
    with _all_or_nothing(lambda: ec2.terminate_instances(InstanceIds=[instance_id])):
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id])
        return instance_id, _instance_outputs(ec2, instance_id)


def _instance_outputs(ec2: EC2Client, instance_id: str) -> Values:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return {
        "publicIp": instance.get("PublicIpAddress", ""),
        "privateIp": instance.get("PrivateIpAddress", ""),
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
    }


def _delete_instance(ec2: EC2Client, instance_id: str, _: Values) -> None:
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance_id])


def _instance_exists(ec2: EC2Client, instance_id: str) -> bool:
    instance = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return instance["State"]["Name"] != "terminated"


def _create_volume(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    volume = ec2.create_volume(
        **_given(
            AvailabilityZone=inputs["availabilityZone"],
            Size=inputs.get("size"),
            VolumeType=inputs.get("type"),
            Iops=inputs.get("iops"),
            Throughput=inputs.get("throughput"),
            Encrypted=inputs.get("encrypted"),
            TagSpecifications=_tagged("volume", inputs),
        )
    )
    return volume["VolumeId"], {}


def _create_volume_attachment(ec2: EC2Client, inputs: Values) -> tuple[str, Values]:
    ec2.attach_volume(VolumeId=inputs["volumeId"], InstanceId=inputs["instanceId"], Device=inputs["deviceName"])
    return f"vai-{inputs['volumeId']}-{inputs['instanceId']}", {}


def _delete_volume_attachment(ec2: EC2Client, _: str, outputs: Values) -> None:
    instance_id, volume_id = outputs["instanceId"], outputs["volumeId"]
    if not _instance_exists(ec2, instance_id) or not _is_attached(ec2, volume_id):
        return
    if outputs.get("stopInstanceBeforeDetaching"):
        ec2.stop_instances(InstanceIds=[instance_id])
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id])
    ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id)


def _is_attached(ec2: EC2Client, volume_id: str) -> bool:
    return bool(ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0].get("Attachments"))


def _attachment_exists(ec2: EC2Client, attachment_id: str) -> bool:
    return _is_attached(ec2, "-".join(attachment_id.split("-")[1:3]))


RESOURCE_TYPES: Mapping[str, ResourceType] = {
    "aws:ec2/vpc:Vpc": ResourceType(
        _create_vpc,
        lambda ec2, id_, _: void(ec2.delete_vpc(VpcId=id_)),
        lambda ec2, id_: bool(ec2.describe_vpcs(VpcIds=[id_])["Vpcs"]),
    ),
    "aws:ec2/subnet:Subnet": ResourceType(
        _create_subnet,
        lambda ec2, id_, _: void(ec2.delete_subnet(SubnetId=id_)),
        lambda ec2, id_: bool(ec2.describe_subnets(SubnetIds=[id_])["Subnets"]),
    ),
    "aws:ec2/internetGateway:InternetGateway": ResourceType(
        _create_internet_gateway,
        _delete_internet_gateway,
        lambda ec2, id_: bool(ec2.describe_internet_gateways(InternetGatewayIds=[id_])["InternetGateways"]),
    ),
    "aws:ec2/routeTable:RouteTable": ResourceType(
        _create_route_table,
        lambda ec2, id_, _: void(ec2.delete_route_table(RouteTableId=id_)),
        lambda ec2, id_: bool(ec2.describe_route_tables(RouteTableIds=[id_])["RouteTables"]),
    ),
    "aws:ec2/route:Route": ResourceType(_create_route, _delete_route, _route_exists),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ResourceType(
        _create_route_table_association,
        lambda ec2, id_, _: void(ec2.disassociate_route_table(AssociationId=id_)),
        _association_exists,
    ),
    "aws:ec2/securityGroup:SecurityGroup": ResourceType(
        _create_security_group,
        lambda ec2, id_, _: void(ec2.delete_security_group(GroupId=id_)),
        lambda ec2, id_: bool(ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ResourceType(
        _create_ingress_rule, _delete_ingress_rule, lambda ec2, id_: _rule_exists(ec2, id_)
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ResourceType(
        _create_egress_rule, _delete_egress_rule, lambda ec2, id_: _rule_exists(ec2, id_)
    ),
    "aws:ec2/keyPair:KeyPair": ResourceType(
        _create_key_pair,
        lambda ec2, id_, _: void(ec2.delete_key_pair(KeyName=id_)),
        lambda ec2, id_: bool(ec2.describe_key_pairs(KeyNames=[id_])["KeyPairs"]),
    ),
    "aws:ec2/placementGroup:PlacementGroup": ResourceType(
        _create_placement_group,
        lambda ec2, id_, _: void(ec2.delete_placement_group(GroupName=id_)),
        lambda ec2, id_: bool(ec2.describe_placement_groups(GroupNames=[id_])["PlacementGroups"]),
    ),
    "aws:ec2/instance:Instance": ResourceType(_create_instance, _delete_instance, _instance_exists),
    "aws:ebs/volume:Volume": ResourceType(
        _create_volume,
        lambda ec2, id_, _: void(ec2.delete_volume(VolumeId=id_)),
        lambda ec2, id_: bool(ec2.describe_volumes(VolumeIds=[id_])["Volumes"]),
    ),
    "aws:ec2/volumeAttachment:VolumeAttachment": ResourceType(
        _create_volume_attachment, _delete_volume_attachment, _attachment_exists
    ),
}

NAME_INPUTS = {
    "aws:ec2/securityGroup:SecurityGroup": "name",
    "aws:ec2/keyPair:KeyPair": "keyName",
    "aws:ec2/placementGroup:PlacementGroup": "name",
}
"""The types whose physical name is made from the logical one when the program gives none."""


def void(_: object) -> None:
    """Drop the answer of a call that has none worth keeping."""


def _rule_exists(ec2: EC2Client, rule_id: str) -> bool:
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    return any(rule["SecurityGroupRuleId"] == rule_id for rule in rules)


def resource_type(token: str) -> ResourceType:
    """The implementation of a type. Raises LabError for one that the region does not know."""
    if token not in RESOURCE_TYPES:
        raise LabError(
            f"{token}: not a type that the rehearsal region knows; lab/provider/resources.py lists those it does"
        )
    return RESOURCE_TYPES[token]


def whole_numbers(value: Any) -> Any:
    """Pulumi has one kind of number; the API has integers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def create(ec2: EC2Client, token: str, inputs: Values) -> tuple[str, Values]:
    """Make one. Returns its id and all its outputs: the inputs, what the API computed, and `tagsAll`."""
    kind = resource_type(token)
    given = whole_numbers(inputs)
    made_id, computed = kind.create(ec2, given)
    return made_id, {**given, **computed, "tagsAll": given.get("tags") or {}}


def delete(ec2: EC2Client, token: str, resource_id: str, outputs: Values) -> None:
    """Unmake one; gone already is well."""
    try:
        resource_type(token).delete(ec2, resource_id, whole_numbers(outputs))
    except ClientError as fault:
        if not is_gone(fault):
            raise


def exists(ec2: EC2Client, token: str, resource_id: str) -> bool:
    """Whether the API still knows one."""
    try:
        return resource_type(token).exists(ec2, resource_id)
    except ClientError as fault:
        if is_gone(fault):
            return False
        raise
